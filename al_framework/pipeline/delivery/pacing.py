"""Keep a sink below the rate that its server allows, rather than be told to wait.

Source: the generic cell rate algorithm, ITU-T I.371, annex A, as virtual scheduling: all there is
to remember is when the next attempt would be on time.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a sink is given datapoints at the most.

    Attributes:
        per_s: Attempts a second in the long run.
        burst: Attempts that may come at once after a time without any.
    """

    per_s: float
    burst: int = 1


class Pacer:
    """Tells when the next attempt may begin; times are those of a monotonic clock.

    Not for several threads at the same time.

    Args:
        pace: What to keep to; None for no bound.
    """

    def __init__(self, pace: Pace | None) -> None:
        self._pace = pace
        self._due = float("-inf")

    def waits_s(self, now: float) -> float:
        """Return the seconds until an attempt may begin; 0 or less for now."""
        if self._pace is None:
            return float("-inf")
        return self._due - (self._pace.burst - 1) / self._pace.per_s - now

    def take(self, now: float) -> None:
        """Note that an attempt begins."""
        if self._pace is not None:
            self._due = max(self._due, now) + 1 / self._pace.per_s

    def give_back(self) -> None:
        """Note that the last one did not come about."""
        if self._pace is not None:
            self._due -= 1 / self._pace.per_s
