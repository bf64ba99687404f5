"""The address of a Redis server, checked before anybody tries to connect.

No message shows any of it: what stands in the wrong place may be the password.
"""

from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

EXAMPLE: Final = "redis://host:6379/0"
_FORM: Final = f"should be an address such as {EXAMPLE}, rediss://host:6379/0 or unix:///path"
_OPTIONS: Final = frozenset({"db", "ssl_ca_certs"})


def redis_url_fault(url: str) -> str | None:
    """Return what is wrong with an address, in the words of a fault; None if nothing is."""
    try:
        parts = urlsplit(url)
        fault = _fault(parts, parts.port)
    except ValueError:
        return f"{_FORM}, its port a number"
    return fault


def _fault(parts: SplitResult, port: int | None) -> str | None:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme == "unix":
        if parts.path in {"", "/"} or parts.hostname or port is not None:
            return f"{_FORM}: of a socket three slashes and its path"
    elif parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        return _FORM
    elif not _is_database(parts.path.removeprefix("/")):
        options["db"] = parts.path
    if parts.fragment:
        return f"{_FORM}: write %23 for a # in the password"
    if not _OPTIONS.issuperset(options):
        return f"{_FORM}: behind a ? only db and ssl_ca_certs; TLS is always verified"
    if not _is_database(options.get("db", "")):
        return f"{_FORM}, its database a number"
    return None


def _is_database(text: str) -> bool:
    return text == "" or (text.isascii() and text.isdigit())
