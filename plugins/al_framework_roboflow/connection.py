"""The options that everything has in common that speaks to Roboflow's API."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from al_framework.api import Options
from al_framework_roboflow.client import DEFAULT_API_URL, RoboflowClient

_SHORT_NAME = re.compile(r"[^/?#\s]+")


def is_readable_on_the_way(url: str) -> bool:
    """Tell whether the key and the pictures would leave this machine without encryption."""
    try:
        parts = urlsplit(url)
    except ValueError:  # no address, so nothing leaves at all
        return False
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked_address(url: str) -> str:
    parts = urlsplit(url)
    bare = not (parts.username or parts.password or parts.query or parts.fragment)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not bare:
        raise ValueError(
            f"has to be an address like {DEFAULT_API_URL!r}, without user, password or query"
        )
    return url.rstrip("/")


def _checked_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not text:
        raise ValueError("is empty: look at the variable or file that it refers to")
    if text.startswith("$"):
        raise ValueError("begins with $: write a reference with braces, ${ROBOFLOW_API_KEY}")
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("holds a blank, a line end or a letter that no key of Roboflow has")
    return key


def _checked_name(name: str) -> str:
    if not _SHORT_NAME.fullmatch(name):
        raise ValueError(
            f"is {name[:60]!r}: write the short name alone, such as 'my-project'; a version is "
            "left away, and a workspace goes into its own option"
        )
    return name


_ShortName = Annotated[str, AfterValidator(_checked_name)]


class ConnectionOptions(Options):
    """Options of everything that speaks to Roboflow's API."""

    api_key: Annotated[SecretStr, AfterValidator(_checked_key)] = Field(
        description="Roboflow API key; write it as ${ROBOFLOW_API_KEY} or as a file: reference.",
        examples=["${ROBOFLOW_API_KEY}"],
    )
    project: _ShortName = Field(
        description="Short name of the project (the dataset), as in its web address.",
        examples=["my-project"],
    )
    workspace: _ShortName | None = Field(
        default=None,
        description="Short name of the workspace; left out, it is the one that the key belongs to.",
    )
    allow_insecure: bool = Field(
        default=False,
        description="Whether api_url may begin with http:// for another machine than this one: "
        "pictures and the key can then be read on the way.",
    )
    api_url: Annotated[str, AfterValidator(_checked_address)] = Field(
        default=DEFAULT_API_URL,
        description="Address of Roboflow's API, another one for a gateway of your own; http:// "
        "for this machine alone, unless allow_insecure is set.",
    )
    timeout_s: float = Field(
        default=30.0,
        gt=0,
        le=600,
        description="Seconds to wait for each part of an answer.",
    )
    deadline_s: float = Field(
        default=45.0,
        gt=0,
        le=55,  # a datapoint is lent to a sink for 60 s
        description="Seconds that one request may take in all; raise it where uploads are slow.",
    )

    @field_validator("api_url")
    @classmethod
    def _checked_encryption(cls, url: str, info: ValidationInfo) -> str:
        if is_readable_on_the_way(url) and not info.data.get("allow_insecure", False):
            raise ValueError(
                "begins with http://: use https://, or set allow_insecure where the network is "
                "your own"
            )
        return url

    def connect(self) -> RoboflowClient:
        """Return a client; nothing is sent before its first request."""
        return RoboflowClient(
            api_key=self.api_key,
            api_url=self.api_url,
            timeout_s=self.timeout_s,
            deadline_s=self.deadline_s,
        )
