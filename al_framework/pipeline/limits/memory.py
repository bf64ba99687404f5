"""A ledger that lives and dies with its process: dry runs, tests, and whoever wants no database."""

import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from al_framework.pipeline.limits.base import (
    Ledger,
    LimitRule,
    Period,
    Reservation,
    Transaction,
)
from al_framework.pipeline.limits.remembering import Remembered
from al_framework.pipeline.limits.windows import KEEP_S, PRUNE_EVERY_S


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
        self._counts = Remembered()
        self._credits: dict[str, _Credit] = {}
        self._pruned_at = float("-inf")

    def abandon(self) -> None:
        """Count on from here in the child of a fork; see `Ledger.abandon`."""
        self._lock = threading.Lock()  # another thread may have held it

    def peek(self, strategies: Sequence[str], now: float) -> str | None:
        """Return the first strategy with room; see `Ledger.peek`."""
        return self._counts.first_with_room(self.terms, strategies, now)

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
            strategy = self._counts.first_with_room(terms, strategies, now)
            if strategy is None:
                return None
            reservation = Reservation(token=token, strategy=strategy, reserved_at=now)
            self._credits[token] = _Credit(terms.scope, reservation)
            self._counts.take(terms.scope, strategy, now)
            return reservation

    def release(self, token: str, tx: Transaction | None) -> None:
        """Give a credit back to its own windows; see `Ledger.release`."""
        del tx
        with self._lock:
            credit = self._credits.pop(token, None)
            if credit is not None:
                paid = credit.reservation
                self._counts.give_back(credit.scope, paid.strategy, paid.reserved_at)

    def settle(self, token: str, tx: Transaction | None) -> None:
        """Forget a token whose credit stays taken; see `Ledger.settle`."""
        del tx
        with self._lock:
            self._credits.pop(token, None)

    def used(self, strategy: str, now: float) -> Mapping[Period, int]:
        """Return the credits taken in the current windows; see `Ledger.used`."""
        return self._counts.used(self.terms.scope, strategy, now)

    def _prune(self, now: float) -> None:
        if now - self._pruned_at < PRUNE_EVERY_S:
            return
        self._pruned_at = now
        oldest = now - KEEP_S
        self._counts.forget_before(oldest)
        self._credits = {
            token: credit
            for token, credit in self._credits.items()
            if credit.reservation.reserved_at >= oldest
        }
