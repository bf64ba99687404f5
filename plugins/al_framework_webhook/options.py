"""The options of the sink `webhook`."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from al_framework.api import Options
from al_framework_webhook.signing import secret_fault

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OURS = frozenset({"connection", "content-length", "content-type", "host", "transfer-encoding"})


def _checked_secret(secret: SecretStr) -> SecretStr:
    if (fault := secret_fault(secret)) is not None:
        raise ValueError(fault)
    return secret


def _checked_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not _HEADER.fullmatch(name):
            raise ValueError(f"{name[:60]!r} is no name of a header")
        if name.lower() in _OURS or name.lower().startswith("webhook-"):
            raise ValueError(f"the header {name!r} is set by the sink itself: leave it out")
        text = value.get_secret_value()
        if not (text.isascii() and text.isprintable() and text == text.strip()) or not text:
            raise ValueError(f"the header {name!r} is empty or holds what no header can hold")
    return headers


class WebhookSinkOptions(Options):
    """Options of the sink `webhook`."""

    allow_insecure: bool = Field(
        default=False,
        description="Whether url may begin with http://: pictures and keys can then be read on "
        "the way.",
    )
    url: str = Field(
        description="Address that takes the datapoints, without user, password or query.",
        examples=["https://example.com/collect"],
    )
    secret: Annotated[SecretStr, AfterValidator(_checked_secret)] = Field(
        description="What messages are signed with: 24 to 64 random bytes as base64, 'whsec_' in "
        "front or not; write it as ${WEBHOOK_SECRET} or as a file: reference.",
        examples=["${WEBHOOK_SECRET}"],
    )
    headers: Annotated[dict[str, SecretStr], AfterValidator(_checked_headers)] = Field(
        default_factory=dict,
        description="Further headers by name, such as Authorization; their values are secret.",
    )
    query: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Parameters of the query by name, for receivers that take their key there; "
        "their values are secret.",
    )
    ca_file: str | None = Field(
        default=None,
        min_length=1,
        description="PEM file of the certificate authorities to trust instead of the usual ones; "
        "a relative path starts at the configuration file.",
    )
    timeout_s: float = Field(
        default=30.0, gt=0, le=55, description="Seconds to wait for each part of an answer."
    )
    deadline_s: float = Field(
        default=45.0,
        gt=0,
        le=55,  # a datapoint is lent to a sink for 60 s
        description="Seconds that one request may take in all; raise it where uploads are slow.",
    )

    @field_validator("url")
    @classmethod
    def _checked_url(cls, url: str, info: ValidationInfo) -> str:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("is no address: correct its host or its port") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
            raise ValueError("has to be an address like 'https://example.com/collect'")
        if parts.username is not None or parts.password is not None:
            raise ValueError("holds a user or a password: write them as a header instead")
        if parts.query or parts.fragment or "?" in url or "#" in url:
            raise ValueError("holds a query or a fragment: write what is secret under query")
        if not url.isprintable() or " " in url:
            raise ValueError("holds a blank or a line end: remove it")
        if parts.scheme == "http" and not info.data.get("allow_insecure", False):
            raise ValueError(
                "begins with http://: use https://, or set allow_insecure where the network is "
                "your own"
            )
        return url
