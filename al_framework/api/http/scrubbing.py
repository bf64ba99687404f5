"""Keep secrets out of what is written down: texts of others, and the logs of urllib3.

Secrets are replaced whole: no first or last characters remain.
"""

import base64
import logging
import re
from collections.abc import Collection, Sequence
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

# Whatever of urllib3 writes addresses: each request, odd headers, redirects, attempts.
_LOGGERS = (
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.util.retry",
)
_HIDDEN = "***"
_SHORTEST = 4  # a shorter one would blank out half of every message
_SHORTEST_PIECE = 8


class Scrubber:
    """Replaces secrets in a text, in whichever form they are contained.

    Args:
        secrets: What no text may show. Of one made of words, as ``Bearer abc…`` is, the long words
            count too: a server may repeat the key alone.
        parameters: Names of query parameters whose values no text may show, known or not.
    """

    def __init__(self, secrets: Sequence[SecretStr], *, parameters: Collection[str] = ()) -> None:
        self._secrets = tuple(secrets)
        self._in_query = _in_query(parameters)

    def __call__(self, text: str) -> str:
        """Return the text without the secrets."""
        # Made anew each time, so that nothing but a SecretStr holds a secret for long.
        forms = {form for secret in self._secrets for form in _forms(secret.get_secret_value())}
        # The longest first: a form may be the beginning of another.
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, _HIDDEN)
        return _without_values(text, self._in_query)


class _AddressFilter(logging.Filter):
    """Hides the values of some parameters in the addresses of log records."""

    def __init__(self, parameters: Collection[str]) -> None:
        super().__init__()
        self._parameters = frozenset(name.lower() for name in parameters)
        self._in_query = _in_query(self._parameters)

    def __eq__(self, other: object) -> bool:
        # A logger takes the same filter once.
        return isinstance(other, _AddressFilter) and self._parameters == other._parameters

    def __hash__(self) -> int:
        return hash(self._parameters)

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        hidden = _without_values(text, self._in_query)
        if hidden != text:
            record.msg, record.args = hidden, ()
        return True


class _BrokenHeaderFilter(logging.Filter):
    """Keeps what a server sends in place of headers out of the log: it may repeat a secret."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BrokenHeaderFilter)

    def __hash__(self) -> int:
        return hash(_BrokenHeaderFilter)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            record.msg, record.args = record.getMessage().partition("): ")[0] + ")", ()
            record.exc_info = record.exc_text = None
        return True


def hide_parameters_in_logs(parameters: Collection[str]) -> None:
    """Make the loggers of urllib3 hide the values of query parameters; twice is as good as once."""
    logging.getLogger("urllib3.connection").addFilter(_BrokenHeaderFilter())
    if parameters:
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_AddressFilter(parameters))


def _forms(secret: str) -> set[str]:
    words = {word for word in secret.split() if len(word) >= _SHORTEST_PIECE}
    found: set[str] = set()
    for value in {secret, *words}:
        if len(value) < _SHORTEST:
            continue
        found |= {value, quote(value, safe=""), quote_plus(value)}
        found.add(base64.b64encode(value.encode()).decode())
    return found


def _in_query(parameters: Collection[str]) -> re.Pattern[str] | None:
    if not parameters:
        return None
    names = "|".join(re.escape(name) for name in sorted(parameters))
    # The whole name: 'key' is no part of 'naive_key', but is a name behind '?', '&', or either of
    # them encoded, however often: an address may be the value of another address's parameter.
    begin = r"(?:(?<![a-z0-9_.~-])|%(?:25)*[0-9a-f]{2})"
    return re.compile(rf"({begin}(?:{names})(?:=|%(?:25)*3D))[^&\s\"'\\]*", re.IGNORECASE)


def _without_values(text: str, in_query: re.Pattern[str] | None) -> str:
    return text if in_query is None else in_query.sub(rf"\1{_HIDDEN}", text)
