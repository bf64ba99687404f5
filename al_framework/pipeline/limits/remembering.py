"""What a ledger knows without asking: the credits taken, to the best of its knowledge.

It is read on any thread while another writes. Every access is one step of a dictionary, so nobody
needs a lock; that two counts may be of different moments does no harm to what is only a guess.
"""

from collections.abc import Collection, Sequence
from typing import TypeAlias

from al_framework.pipeline.limits.base import PERIOD_SECONDS, Period, Terms
from al_framework.pipeline.limits.windows import windows_of

Used: TypeAlias = dict[Period, int]
_Window: TypeAlias = tuple[str, str, Period, int]  # scope, strategy, period, start


class Remembered:
    """Counts of credits by window; what is not known counts as none."""

    def __init__(self) -> None:
        self._counts: dict[_Window, int] = {}

    def note(self, scope: str, strategy: str, now: float, used: Used) -> None:
        """Remember the counts of the windows of now."""
        for period, start in windows_of(now):
            self._counts[scope, strategy, period, start] = used[period]

    def take(self, scope: str, strategy: str, at: float) -> None:
        """Add one credit to the windows of a moment."""
        for period, start in windows_of(at):
            window = (scope, strategy, period, start)
            self._counts[window] = self._counts.get(window, 0) + 1

    def give_back(self, scope: str, strategy: str, at: float) -> None:
        """Take one credit off the windows of a moment."""
        for period, start in windows_of(at):
            window = (scope, strategy, period, start)
            if (count := self._counts.get(window, 0)) > 0:
                self._counts[window] = count - 1

    def used(self, scope: str, strategy: str, now: float) -> Used:
        """Return the counts of the windows of now."""
        return {
            period: self._counts.get((scope, strategy, period, start), 0)
            for period, start in windows_of(now)
        }

    def first_with_room(
        self,
        terms: Terms,
        strategies: Sequence[str],
        now: float,
        lost: Collection[tuple[Period, int]] = (),
    ) -> str | None:
        """Return the first strategy with room; None if all are full.

        Args:
            terms: The limits.
            strategies: In the order in which they may pay.
            now: UTC epoch seconds.
            lost: Windows, as period and start, that count as spent.
        """
        # The caller's own thread waits for this, frame by frame: nothing is built.
        counts, scope = self._counts, terms.scope
        for strategy in strategies:
            for rule in terms.rules.get(strategy, ()):
                period = rule.period
                length = PERIOD_SECONDS[period]
                start = int(now // length) * length
                if counts.get((scope, strategy, period, start), 0) >= rule.value:
                    break
                if lost and (period, start) in lost:
                    break
            else:
                return strategy
        return None

    def forget_before(self, oldest: float) -> None:
        """Drop the windows that began before a moment."""
        # Copied first: another thread may add to it meanwhile.
        for window in [window for window in self._counts.copy() if window[3] < oldest]:
            self._counts.pop(window, None)

    def clear(self) -> None:
        """Forget everything."""
        self._counts = {}
