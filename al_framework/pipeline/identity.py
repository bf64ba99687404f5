"""Make names that sort by time: items, runs."""

import random

from al_framework.api import Clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


class Names:
    """Makes ULID-like names: 48 bits of milliseconds, 80 bits of chance.

    Source: github.com/ulid/spec.

    Args:
        clock: Where the time comes from.
        rng: Where the chance comes from.
    """

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng

    def make(self) -> str:
        """Return a new name of 26 characters."""
        # Without a lock, which the child of a fork could find taken for ever: one call is atomic.
        value = (int(self._clock.time() * 1000) << 80) | self._rng.getrandbits(80)
        return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))
