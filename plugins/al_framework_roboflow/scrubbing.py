"""Keep API keys out of everything that is written down.

Roboflow takes the key in the query of every address, so it is part of what urllib3 logs and of the
text of every exception of requests. Keys are replaced whole: no first or last characters remain.
"""

import base64
import logging
import re
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

_IN_QUERY = re.compile(r"(api_key(?:=|%3D))[^&\s\"'\\]*", re.IGNORECASE)
_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry")
_HIDDEN = "***"


def scrub(text: str, api_key: SecretStr) -> str:
    """Return the text without the key, in whichever form it is contained."""
    key = api_key.get_secret_value()
    plain = base64.b64encode(key.encode()).decode()
    # The longest first: a form may be the beginning of another.
    for form in sorted({key, quote(key, safe=""), quote_plus(key), plain}, key=len, reverse=True):
        if form:
            text = text.replace(form, _HIDDEN)
    return _IN_QUERY.sub(rf"\1{_HIDDEN}", text)


class _AddressFilter(logging.Filter):
    """Hides the key in the addresses of log records."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if "api_key" in text.lower():
            record.msg, record.args = _IN_QUERY.sub(rf"\1{_HIDDEN}", text), ()
        return True


_ADDRESS_FILTER = _AddressFilter()  # one and stateless: a logger takes the same filter once


def hide_keys_in_logs() -> None:
    """Make the loggers of urllib3 hide keys; doing it again changes nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_ADDRESS_FILTER)
