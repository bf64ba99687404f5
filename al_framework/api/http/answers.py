"""What came of one request: an answer that was received whole, or the reason why there is none."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from al_framework.api.errors import AlFrameworkError
from al_framework.api.http.scrubbing import Scrubber

MAX_REPLY_BYTES = 1024 * 1024
MAX_RETRY_AFTER_S = 3600.0
FailureKind: TypeAlias = Literal[
    "unreachable", "timeout", "configuration", "status", "malformed", "rejected"
]
_MAX_QUOTED = 200
_ADVICE: Mapping[int, str] = MappingProxyType(
    {
        401: "check the key",
        402: "check the plan of the account",
        403: "check what the key has access to",
        404: "check the address, and whether the key belongs to it",
        407: "check the proxy's user and password",
        413: "send smaller pictures, see max_image_size",
        423: "the account is paused, which its owner can end",
        429: "there are too many requests, so wait",
    }
)


class HttpError(AlFrameworkError):
    """A request did not succeed.

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
        kind: FailureKind,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.kind: FailureKind = kind
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How messages speak of the far end, so that a user knows what to correct.

    Attributes:
        peer: What it is: ``Roboflow's API``.
        url_option: The option that holds its address.
        advice: What to do about a status, where that differs from the usual.
        error: What to raise.
    """

    peer: str = "the service"
    url_option: str = "url"
    advice: Mapping[int, str] = field(default_factory=dict)
    error: type[HttpError] = HttpError


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """An answer that was received whole.

    Attributes:
        asked: Method and address, without the query.
        status: The HTTP status.
        headers: By name in lower case.
        content: The body, at most `MAX_REPLY_BYTES`; the beginning of it where the status says no.
        scrub: Takes out the secrets that the server may have repeated.
        wording: How to speak of the server.
        received_at: When it came, as UTC epoch seconds of our own clock; None if unknown.
    """

    asked: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    scrub: Scrubber = field(repr=False)
    wording: Wording = field(repr=False)
    received_at: float | None = None

    @property
    def retry_after_s(self) -> float | None:
        """Seconds that the server asks us to wait, or None."""
        return retry_after_s(self.headers, received_at=self.received_at)

    def document(self) -> Mapping[str, Any]:
        """Return the JSON object that the body is.

        Raises:
            HttpError: It is none (``malformed``).
        """
        try:
            value = json.loads(self.content)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self.malformed(f"no JSON object but {self.quoted()}")
        return value

    def malformed(self, seen: str) -> HttpError:
        """Return the error for an answer that does not say what it should."""
        return self.wording.error(
            f"{self.asked}: the answer {self.status} holds {_shortened(self.scrub(seen))}: check "
            f"that {self.wording.url_option} is the address of {self.wording.peer}",
            kind="malformed",
            status=self.status,
        )

    def rejected(self, what: str) -> HttpError:
        """Return the error for an answer that says no with a status that says yes."""
        return self.wording.error(
            f"{self.asked}: {what}: the server answered {self.quoted()}",
            kind="rejected",
            status=self.status,
        )

    def refusal(self) -> HttpError:
        """Return the error for an answer whose status says no."""
        status = self.status
        if status < 400:
            return self.wording.error(
                f"{self.asked}: the answer is {status}, a redirect, which is never followed: "
                f"correct {self.wording.url_option}",
                kind="configuration",
                status=status,
            )
        otherwise = "the server failed, so try later" if status >= 500 else "it will not be taken"
        advice = self.wording.advice.get(status) or _ADVICE.get(status, otherwise)
        return self.wording.error(
            f"{self.asked}: the answer is {status} with {self.quoted()}: {advice}",
            kind="status",
            status=status,
            retry_after_s=self.retry_after_s,
        )

    def quoted(self) -> str:
        """Return the beginning of the body for a message, without secrets."""
        return repr(_shortened(self.scrub(self.content.decode("utf-8", "replace"))))


def retry_after_s(headers: Mapping[str, str], *, received_at: float | None = None) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, or None where it does not.

    A date is measured from the server's own ``Date``: our clock may be wrong, and theirs is the one
    that counts; ours stands in where the server does not tell its own. More than
    `MAX_RETRY_AFTER_S` is taken for that.

    Args:
        headers: The headers of an answer; names in the usual or in lower case.
        received_at: When it came, as UTC epoch seconds of our clock; None to go by theirs alone.
    """
    value = _header(headers, "Retry-After").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), MAX_RETRY_AFTER_S)
    until, now = _moment(value), _moment(_header(headers, "Date"))
    if now is None:
        now = received_at
    if until is None or now is None:
        return None
    return min(max(0.0, until - now), MAX_RETRY_AFTER_S)


def _moment(text: str) -> float | None:
    """Return a date as UTC epoch seconds; None for anything else, and for one without a zone."""
    try:
        date = parsedate_to_datetime(text)
        return None if date.tzinfo is None else date.timestamp()
    except (ValueError, TypeError, OverflowError):  # the last for a year that no calendar has
        return None


def _header(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name) or headers.get(name.lower()) or ""


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}..."
