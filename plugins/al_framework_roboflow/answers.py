"""What an answer of Roboflow's API is, and what its status means."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeAlias

from pydantic import SecretStr

from al_framework.api import AlFrameworkError
from al_framework_roboflow.scrubbing import scrub

Kind: TypeAlias = Literal[
    "unreachable", "timeout", "configuration", "status", "malformed", "rejected"
]
_MAX_QUOTED = 200
_ADVICE = {
    401: "check api_key",
    402: "check the plan of the workspace",
    403: "check what api_key has access to",
    404: "check workspace and project, and whether api_key belongs to them",
    407: "check the proxy's user and password",
    413: "send smaller pictures, see max_image_size",
    423: "the workspace is paused, which its owner can end",
    429: "there are too many requests, so wait",
}


class RoboflowApiError(AlFrameworkError):
    """A request to Roboflow's API did not succeed.

    Attributes:
        kind: ``unreachable`` and ``timeout`` (whether it arrived is not known), ``configuration``
            (address, certificate or redirect), ``status`` (see `status`), ``malformed`` (the answer
            cannot be read), ``rejected`` (the answer says no).
        status: The HTTP status, or None where there was no answer.
        retry_after_s: Seconds that the server asked us to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: Kind,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.kind: Kind = kind
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that was received whole.

    Attributes:
        asked: Method and address, without the query.
        status: The HTTP status.
        content: The body.
        retry_after_s: Seconds that the server asks us to wait, or None.
        api_key: The key, which the server may have repeated.
    """

    asked: str
    status: int
    content: bytes = field(repr=False)
    retry_after_s: float | None
    api_key: SecretStr

    def document(self) -> Mapping[str, Any]:
        """Return the JSON object that the body is.

        Raises:
            RoboflowApiError: It is none.
        """
        try:
            value = json.loads(self.content)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self.malformed(f"no JSON object but {self.quoted()}")
        return value

    def malformed(self, seen: str) -> RoboflowApiError:
        """Return the error for an answer that does not say what it should."""
        return RoboflowApiError(
            f"{self.asked}: the answer {self.status} holds {_shortened(self._clean(seen))}: check "
            "that api_url is the address of Roboflow's API",
            kind="malformed",
            status=self.status,
        )

    def rejected(self, what: str) -> RoboflowApiError:
        """Return the error for an answer that says no with a status that says yes."""
        return RoboflowApiError(
            f"{self.asked}: {what}: the server answered {self.quoted()}",
            kind="rejected",
            status=self.status,
        )

    def quoted(self) -> str:
        """Return the beginning of the body for a message, without the key."""
        return repr(_shortened(self._clean(self.content.decode("utf-8", "replace"))))

    def _clean(self, text: str) -> str:
        return scrub(text, self.api_key)


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}..."


def refusal(reply: Reply) -> RoboflowApiError:
    """Return the error for an answer whose status says no."""
    status = reply.status
    if status < 400:
        return RoboflowApiError(
            f"{reply.asked}: the answer is {status}, a redirect, which is never followed: "
            "correct api_url",
            kind="configuration",
            status=status,
        )
    otherwise = "the server failed, so try later" if status >= 500 else "it will not be taken"
    return RoboflowApiError(
        f"{reply.asked}: the answer is {status} with {reply.quoted()}: "
        f"{_ADVICE.get(status, otherwise)}",
        kind="status",
        status=status,
        retry_after_s=reply.retry_after_s,
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, or None where it does not.

    A date is measured from the server's own ``Date``: our clock may be wrong, and theirs is the one
    that counts.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        until, now = (parsedate_to_datetime(text) for text in (value, headers.get("Date", "")))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):  # no date, or only one of the two with a time zone
        return None
