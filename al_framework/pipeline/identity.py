"""Make names: of items and runs, which sort by time, and of frames that have none."""

import itertools
import os
import random

from al_framework.api import Clock
from al_framework.pipeline.forking import tell_after_fork

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


class FrameNames:
    """Makes names for the frames of one run: ``<run id>-<n>``, in a forked process with its number.

    Args:
        run_id: The run.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = self._beginning = run_id
        self._numbers = itertools.count(1)
        tell_after_fork(self)

    def make(self) -> str:
        """Return a new name."""
        return f"{self._beginning}-{next(self._numbers)}"

    def after_fork(self) -> None:
        """Name frames in the child as neither parent nor siblings do: all count on from here."""
        self._beginning = f"{self._run_id}-{os.getpid()}"
