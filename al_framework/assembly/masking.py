"""Take the secrets of one component out of texts that others have made, such as error messages."""

import json
from collections.abc import Sequence
from urllib.parse import quote, quote_plus

HIDDEN = "***"
_SHORTEST = 4  # a shorter one would blank out half of every message


class Mask:
    """Replaces secrets, however a URL or JSON spells them.

    Args:
        secrets: What no text may show.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        spellings = {spelt for secret in secrets for spelt in _spellings(secret)}
        long = [spelt for spelt in spellings if len(spelt) >= _SHORTEST]
        self._spellings = tuple(sorted(long, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """Return the text without the secrets."""
        for spelt in self._spellings:
            text = text.replace(spelt, HIDDEN)
        return text


def _spellings(secret: str) -> tuple[str, ...]:
    in_json = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    return (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), *in_json)
