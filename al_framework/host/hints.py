"""Nearest names and short lists, for messages that help."""

import difflib
from collections.abc import Iterable

_LISTED = 12


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that the user probably meant, or None if none is near."""
    by_folded: dict[str, str] = {}
    for candidate in sorted(candidates):
        by_folded.setdefault(candidate.casefold(), candidate)
    # Comparing costs the product of the lengths; nobody mistypes a name of a hundred letters.
    found = difflib.get_close_matches(name[:100].casefold(), by_folded, n=1)
    return by_folded[found[0]] if found else None


def listing(names: Iterable[str]) -> str:
    """Return names as ``'a', 'b', 'c'``, the first dozen of them."""
    every = list(names)
    shown = ", ".join(repr(name) for name in every[:_LISTED])
    return shown if len(every) <= _LISTED else f"{shown} and {len(every) - _LISTED} more"


def suggestion(name: str, candidates: Iterable[str], *, known: str) -> str:
    """Return ``did you mean 'x'?``, or all there is to choose from where nothing is near.

    Args:
        name: What the user wrote.
        candidates: What there is.
        known: What to call the candidates: ``known keys``.
    """
    every = list(candidates)
    near = nearest(name, every)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"{known}: {listing(every)}" if every else f"{known}: none"
