"""Take the secrets of a configuration out of texts that others have made, such as error messages.

A stranger's component may put its key into an address, a header, a JSON body or a traceback, so a
mask knows every spelling of a secret, and the parts of it that make sense alone.
"""

import base64
import html
import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from urllib.parse import quote, quote_plus, unquote, urlsplit

HIDDEN = "***"
_SHORTEST = 4  # a shorter one would blank out half of every message
_SHORTEST_PART = 8  # a word of a longer secret; shorter ones may be any word
_SHORTEST_CUT = 4  # what is left of a secret in a text that was cut off
_CUT = re.compile(r"(\S{1,500})(\.\.\.|…)")
_NAMES_ALONE = frozenset({"redis", "rediss", "unix"})  # elsewhere a token may stand there
_ESCAPE = re.compile(r"%[0-9A-F]{2}")


class Mask:
    """Replaces secrets, however a URL, a header, JSON or Python spells them.

    Secrets are replaced whole: no first or last letters remain.

    Args:
        secrets: What no text may show.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        known = {part for secret in secrets for part in _parts(secret) if len(part) >= _SHORTEST}
        spellings = {spelt for secret in known for spelt in _spellings(secret)}
        long = [spelt for spelt in spellings if len(spelt) >= _SHORTEST]
        self._spellings = tuple(sorted(long, key=len, reverse=True))

    def __bool__(self) -> bool:
        """Tell whether there is anything to hide."""
        return bool(self._spellings)

    def __call__(self, text: str) -> str:
        """Return the text without the secrets."""
        for spelt in self._spellings:
            text = text.replace(spelt, HIDDEN)
        return _CUT.sub(self._uncut, text) if _CUT.search(text) else text

    def _uncut(self, match: re.Match[str]) -> str:
        """Hide the half of a secret that somebody's shortening has left."""
        before, dots = match[1], match[2]
        for spelt in self._spellings:
            for length in range(min(len(spelt), len(before)), _SHORTEST_CUT - 1, -1):
                if before.endswith(spelt[:length]):
                    return f"{before[:-length]}{HIDDEN}{dots}"
        return match[0]


def _parts(secret: str) -> Iterator[str]:
    """Yield the secret, and what of it is a secret by itself."""
    yield secret
    if secret.strip() != secret:
        yield secret.strip()
    # `Bearer …` in a header, a file of several lines.
    words = secret.split()
    yield from (word for word in words if len(words) > 1 and len(word) >= _SHORTEST_PART)
    try:
        address = urlsplit(secret)
        password = address.password
    except ValueError:  # brackets that hold no address
        return
    if not address.netloc:
        return
    # requests shows the address without its host; a Redis client the password alone.
    login, at, _ = address.netloc.rpartition("@")
    if password is None and address.scheme in _NAMES_ALONE:
        login = ""  # the name of a user, which may be any word
    yield from (part for part in (login, password, unquote(password or "")) if part and at)
    behind_host = secret.partition(address.netloc)[2]
    yield from (part for part in (behind_host, address.query) if len(part) >= _SHORTEST_PART)


def _spellings(secret: str) -> Iterator[str]:
    in_json = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    in_html = (html.escape(secret), html.escape(secret, quote=False))
    for spelt in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret)):
        yield spelt
        yield _ESCAPE.sub(lambda match: match[0].lower(), spelt)
    yield from chain(in_json, in_html, [repr(secret)[1:-1]])
    yield from _in_base64(secret.encode("utf-8", "replace"))


def _in_base64(secret: bytes) -> Iterator[str]:
    """Yield what base64 makes of the secret, alone and in the middle of other bytes."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(secret).decode()
        # As in `Basic …`: which letters come out depends on how many bytes stand before it; those
        # that a neighbouring byte has a part in are left out.
        for before in range(3):
            end = (before + len(secret)) * 8 // 6
            spelt = encode(bytes(before) + secret).decode()[-(-before * 8 // 6) : end]
            if len(spelt) >= _SHORTEST_PART:
                yield spelt
