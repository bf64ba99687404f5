"""Say in words for a user why a request has no answer."""

import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
import urllib3

from al_framework.api.http.answers import FailureKind
from al_framework.api.http.wire import DeadlineError

if TYPE_CHECKING:
    from al_framework.api.http.client import Timeouts

_UNUSABLE = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    urllib3.exceptions.LocationParseError,
)
_SILENCE = (requests.Timeout, urllib3.exceptions.ReadTimeoutError)


def diagnose(
    exc: Exception, *, url: str, timeouts: "Timeouts", url_option: str, ca_file: Path | None
) -> tuple[FailureKind, str]:
    """Return what kind of failure an exception is, and what was seen and is to do.

    Args:
        exc: What requests raised.
        url: The address that was asked.
        timeouts: How long the request could take.
        url_option: The option that holds the address.
        ca_file: Certificate authorities to trust instead of the usual ones.
    """
    if ca_file is not None and not _holds_certificates(ca_file):
        return "configuration", f"{str(ca_file)!r} holds no certificate: correct ca_file"
    if isinstance(exc, _UNUSABLE):
        return "configuration", (
            f"the address cannot be used ({type(exc).__name__}): correct {url_option}"
        )
    if isinstance(exc, DeadlineError):
        return "timeout", (
            f"no whole answer within {timeouts.total_s:g} s: check the network, or raise deadline_s"
        )
    return _from_causes(_chain(exc), url=url, timeouts=timeouts, url_option=url_option)


def _from_causes(
    chain: Sequence[BaseException], *, url: str, timeouts: "Timeouts", url_option: str
) -> tuple[FailureKind, str]:
    for cause in chain:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "configuration", (
                f"the server's certificate is not trusted ({cause.verify_message}): correct "
                f"{url_option}, or install the certificate of the authority"
            )
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return "configuration", f"there is no host {_host(url)!r}: correct {url_option}"
        # Without a number it is our own wait that was too long; with one, the system's.
        waited = isinstance(cause, TimeoutError) and cause.errno is None
        if waited or isinstance(cause, _SILENCE):
            return "timeout", (
                f"no answer within {timeouts.read_s:g} s: check the network, or raise timeout_s"
            )
    known = (cause for cause in chain if isinstance(cause, OSError) and cause.errno is not None)
    system = next(known, None)
    detail = type(chain[0]).__name__ if system is None else system.strerror
    return "unreachable", f"the connection failed ({detail}): check the network and {url_option}"


def _holds_certificates(ca_file: Path) -> bool:
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError:
        return False
    return True


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _chain(exc: BaseException) -> Sequence[BaseException]:
    """Return the exception with all that it was made of."""
    found: list[BaseException] = []
    waiting: list[object] = [exc]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            waiting += [*cause.args, getattr(cause, "reason", None)]
            waiting += [cause.__cause__, cause.__context__]
    return found
