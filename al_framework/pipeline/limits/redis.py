"""A ledger on a Redis server, so that several hosts keep one budget.

A credit costs one round trip, whatever the number of windows and strategies. The server must
persist: one that forgets grants again what it has granted. While it does not answer nothing is
granted, and a credit that cannot be given back stays spent, so a limit is never exceeded.
"""

import itertools
import threading
from collections.abc import Mapping, Sequence

from al_framework.api import Clock
from al_framework.pipeline.limits.base import (
    PERIOD_SECONDS,
    Ledger,
    LedgerUnavailableError,
    LimitRule,
    Period,
    Reservation,
    Terms,
    Transaction,
)
from al_framework.pipeline.limits.redis_link import RedisLink
from al_framework.pipeline.limits.redis_scripts import BOOKS, LOOK, RELEASE, RESERVE, book
from al_framework.pipeline.limits.remembering import Remembered
from al_framework.pipeline.limits.windows import KEEP_S, REFRESH_EVERY_S

_PERIODS: tuple[Period, ...] = tuple(PERIOD_SECONDS)
_RELEASES_A_CALL = 500
_MAX_OWED = 10_000


class RedisLedger(Ledger):
    """Keeps the limits of every process, on any host, that names the same server and scope.

    Windows go by the server's clock, whatever ours says. Safe to use from several threads,
    which wait for each other.

    Args:
        rules: As for `Ledger`.
        scope: As for `Ledger`.
        url: The server's address; it may hold a password, and is never told.
        clock: Time.

    Raises:
        MissingExtraError: The package redis is not installed.
    """

    def __init__(
        self, rules: Mapping[str, Sequence[LimitRule]], *, scope: str, url: str, clock: Clock
    ) -> None:
        super().__init__(rules, scope=scope)
        self._clock = clock
        scripts = {"reserve": RESERVE, "release": RELEASE, "look": LOOK}
        self._link = RedisLink(url, scripts, clock=clock)
        self._lock = threading.Lock()
        # Tokens that hold, or may hold, a credit of which the server could not be told.
        self._owed: dict[str, None] = {}
        self._remembered = Remembered()
        self._ahead_s = 0.0  # by how much the server's clock is ahead of ours
        self._refreshed_at = float("-inf")

    def peek(self, strategies: Sequence[str], now: float) -> str | None:
        """Return the first strategy with room, as far as is remembered; see `Ledger.peek`."""
        return self._remembered.first_with_room(self.terms, strategies, now + self._ahead_s)

    def refresh(self, now: float) -> None:
        """Ask the server, at most once a second, and tell it what is owed; see `Ledger.refresh`."""
        del now
        at = self._clock.monotonic()
        if at - self._refreshed_at < REFRESH_EVERY_S or self._link.is_down:
            return
        self._refreshed_at = at
        terms = self.terms
        limited = [strategy for strategy in terms.named if terms.rules[strategy]]
        with self._lock:
            try:
                self._pay_back()
                if not limited:
                    return
                moment, *counts = self._link.run("look", _keys(terms, limited), ())
            except LedgerUnavailableError:
                return  # it was logged, and whoever reserves learns it too
            self._learn(terms, limited, counts, moment / 1000)
            self._remembered.forget_before(moment / 1000 - KEEP_S)

    def reserve(
        self, strategies: Sequence[str], token: str, now: float, tx: Transaction | None
    ) -> Reservation | None:
        """Take one credit in one round trip; see `Ledger.reserve`. The transaction is not used.

        Raises:
            LedgerUnavailableError: The server does not answer, or refuses. The token may hold a
                credit; it is given back, unless the token is tried again before.
        """
        del now, tx
        terms = self.terms
        arguments: list[object] = [token]
        for strategy in strategies:
            arguments += _limits(terms.rules.get(strategy, ()))
        with self._lock:
            self._owed.pop(token, None)
            try:
                reply = self._link.run("reserve", _keys(terms, strategies), arguments)
            except LedgerUnavailableError:
                self._owe(token)
                raise
            payer, paid_at, moment, *counts = reply
            self._learn(terms, strategies, counts, moment / 1000)
        if payer == 0:
            return None
        strategy = strategies[payer - 1]
        return Reservation(token=token, strategy=strategy, reserved_at=paid_at / 1000)

    def release(self, token: str, tx: Transaction | None) -> None:
        """Give a credit back, as soon as the server can be told; see `Ledger.release`.

        Never raises. What is still owed when the process ends stays spent.
        """
        del tx
        with self._lock:
            self._owe(token)
            try:
                self._pay_back()
            except LedgerUnavailableError:
                return

    def used(self, strategy: str, now: float) -> Mapping[Period, int]:
        """Return the credits taken in the current windows, as far as is remembered."""
        return self._remembered.used(self.terms.scope, strategy, now + self._ahead_s)

    @property
    def trouble(self) -> str:
        """Which server does not answer, and why; empty while it does."""
        return self._link.trouble

    def close(self) -> None:
        """Tell the server what is owed, and close the connection."""
        with self._lock:
            try:
                self._pay_back()
            except LedgerUnavailableError:
                pass
            finally:
                self._link.close()

    def abandon(self) -> None:
        """Leave the connection, and what is owed, to the parent; see `Ledger.abandon`."""
        self._lock = threading.Lock()  # another thread may have held it
        self._owed = {}
        self._link.abandon()

    def _owe(self, token: str) -> None:
        self._owed[token] = None
        if len(self._owed) > _MAX_OWED:
            del self._owed[next(iter(self._owed))]

    def _pay_back(self) -> None:
        while self._owed:
            tokens = list(itertools.islice(self._owed, _RELEASES_A_CALL))
            self._link.run("release", [BOOKS], tokens)
            for token in tokens:
                del self._owed[token]

    def _learn(
        self, terms: Terms, strategies: Sequence[str], counts: Sequence[int], moment: float
    ) -> None:
        self._ahead_s = moment - self._clock.time()
        width = len(_PERIODS)
        for index, strategy in enumerate(strategies[: len(counts) // width]):
            used = counts[index * width : (index + 1) * width]
            self._remembered.note(
                terms.scope, strategy, moment, dict(zip(_PERIODS, used, strict=True))
            )


def _keys(terms: Terms, strategies: Sequence[str]) -> list[str]:
    return [BOOKS, *(book(terms.scope, strategy) for strategy in strategies)]


def _limits(rules: Sequence[LimitRule]) -> list[int]:
    """Return the limit of each period, the smallest where there are several; -1 for none."""
    return [
        min((rule.value for rule in rules if rule.period == period), default=-1)
        for period in _PERIODS
    ]
