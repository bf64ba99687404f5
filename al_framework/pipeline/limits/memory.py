"""A ledger that lives and dies with its process: dry runs, tests, and whoever wants no database."""

import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from al_framework.pipeline.limits.base import (
    Ledger,
    LimitRule,
    Period,
    Reservation,
    Terms,
    Transaction,
)
from al_framework.pipeline.limits.windows import KEEP_S, PRUNE_EVERY_S, has_room, windows_of

_Window: TypeAlias = tuple[str, str, Period, int]  # scope, strategy, period, start


class _Credit(NamedTuple):
    scope: str
    reservation: Reservation


class MemoryLedger(Ledger):
    """Keeps the limits of one process; safe to use from several threads.

    Args:
        rules: As for `Ledger`.
        scope: As for `Ledger`.
    """

    def __init__(self, rules: Mapping[str, Sequence[LimitRule]], *, scope: str) -> None:
        super().__init__(rules, scope=scope)
        self._lock = threading.Lock()
        self._used: dict[_Window, int] = {}
        self._credits: dict[str, _Credit] = {}
        self._pruned_at = float("-inf")

    def abandon(self) -> None:
        """Count on from here in the child of a fork; see `Ledger.abandon`."""
        self._lock = threading.Lock()  # another thread may have held it

    def peek(self, strategies: Sequence[str], now: float) -> str | None:
        """Return the first strategy with room; see `Ledger.peek`."""
        return self._first_with_room(self.terms, strategies, now)

    def reserve(
        self, strategies: Sequence[str], token: str, now: float, tx: Transaction | None
    ) -> Reservation | None:
        """Take one credit; see `Ledger.reserve`. The transaction is not used."""
        del tx
        with self._lock:
            if (held := self._credits.get(token)) is not None:
                return held.reservation
            self._prune(now)
            terms = self.terms
            strategy = self._first_with_room(terms, strategies, now)
            if strategy is None:
                return None
            reservation = Reservation(token=token, strategy=strategy, reserved_at=now)
            credit = _Credit(terms.scope, reservation)
            self._credits[token] = credit
            for window in _windows(credit):
                self._used[window] = self._used.get(window, 0) + 1
            return reservation

    def release(self, token: str, tx: Transaction | None) -> None:
        """Give a credit back to its own windows; see `Ledger.release`."""
        del tx
        with self._lock:
            credit = self._credits.pop(token, None)
            if credit is None:
                return
            for window in _windows(credit):
                if window in self._used:
                    self._used[window] -= 1

    def used(self, strategy: str, now: float) -> Mapping[Period, int]:
        """Return the credits taken in the current windows; see `Ledger.used`."""
        return self._used_of(self.terms.scope, strategy, now)

    def _first_with_room(self, terms: Terms, strategies: Sequence[str], now: float) -> str | None:
        for strategy in strategies:
            used = self._used_of(terms.scope, strategy, now)
            if has_room(terms.rules.get(strategy, ()), used):
                return strategy
        return None

    def _used_of(self, scope: str, strategy: str, now: float) -> Mapping[Period, int]:
        return {
            period: self._used.get((scope, strategy, period, start), 0)
            for period, start in windows_of(now)
        }

    def _prune(self, now: float) -> None:
        if now - self._pruned_at < PRUNE_EVERY_S:
            return
        self._pruned_at = now
        oldest = now - KEEP_S
        self._used = {window: n for window, n in self._used.items() if window[3] >= oldest}
        self._credits = {
            token: credit
            for token, credit in self._credits.items()
            if credit.reservation.reserved_at >= oldest
        }


def _windows(credit: _Credit) -> list[_Window]:
    paid = credit.reservation
    return [
        (credit.scope, paid.strategy, period, start)
        for period, start in windows_of(paid.reserved_at)
    ]
