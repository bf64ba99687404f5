"""A ledger that lives and dies with its process: dry runs, tests, and whoever wants no database."""

import threading
from collections.abc import Mapping, Sequence

from al_framework.pipeline.limits.base import Ledger, LimitRule, Period, Reservation, Transaction
from al_framework.pipeline.limits.windows import KEEP_S, PRUNE_EVERY_S, has_room, windows_of


class MemoryLedger(Ledger):
    """Keeps the limits of one process; safe to use from several threads.

    Args:
        rules: As for `Ledger`.
        scope: As for `Ledger`.
    """

    def __init__(self, rules: Mapping[str, Sequence[LimitRule]], *, scope: str) -> None:
        super().__init__(rules, scope=scope)
        self._lock = threading.Lock()
        self._used: dict[tuple[str, Period, int], int] = {}
        self._credits: dict[str, Reservation] = {}
        self._pruned_at = float("-inf")

    def abandon(self) -> None:
        """Count on from here in the child of a fork; see `Ledger.abandon`."""
        self._lock = threading.Lock()  # another thread may have held it

    def peek(self, strategies: Sequence[str], now: float) -> str | None:
        """Return the first strategy with room; see `Ledger.peek`."""
        for strategy in strategies:
            if has_room(self.rules.get(strategy, ()), self.used(strategy, now)):
                return strategy
        return None

    def reserve(
        self, strategies: Sequence[str], token: str, now: float, tx: Transaction | None
    ) -> Reservation | None:
        """Take one credit; see `Ledger.reserve`. The transaction is not used."""
        del tx
        with self._lock:
            if (held := self._credits.get(token)) is not None:
                return held
            self._prune(now)
            strategy = self.peek(strategies, now)
            if strategy is None:
                return None
            reservation = Reservation(token=token, strategy=strategy, reserved_at=now)
            self._credits[token] = reservation
            for period, start in windows_of(now):
                window = (strategy, period, start)
                self._used[window] = self._used.get(window, 0) + 1
            return reservation

    def release(self, token: str, tx: Transaction | None) -> None:
        """Give a credit back to its own windows; see `Ledger.release`."""
        del tx
        with self._lock:
            reservation = self._credits.pop(token, None)
            if reservation is None:
                return
            for period, start in windows_of(reservation.reserved_at):
                window = (reservation.strategy, period, start)
                if window in self._used:
                    self._used[window] -= 1

    def used(self, strategy: str, now: float) -> Mapping[Period, int]:
        """Return the credits taken in the current windows; see `Ledger.used`."""
        return {
            period: self._used.get((strategy, period, start), 0)
            for period, start in windows_of(now)
        }

    def _prune(self, now: float) -> None:
        if now - self._pruned_at < PRUNE_EVERY_S:
            return
        self._pruned_at = now
        oldest = now - KEEP_S
        self._used = {window: n for window, n in self._used.items() if window[2] >= oldest}
        self._credits = {
            token: credit for token, credit in self._credits.items() if credit.reserved_at >= oldest
        }
