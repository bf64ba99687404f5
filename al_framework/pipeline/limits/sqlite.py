"""A ledger in the spool's own database, so that a credit and its datapoint are one commit.

Every process on the host that opens the same spool shares it. Only what is committed counts, so a
process killed between reserving and committing has taken nothing.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from al_framework.api import SpoolError
from al_framework.pipeline.crossing import Crossing
from al_framework.pipeline.forking import tell_around_fork
from al_framework.pipeline.limits.base import (
    PERIOD_SECONDS,
    Ledger,
    LimitRule,
    Period,
    Reservation,
    Terms,
    Transaction,
)
from al_framework.pipeline.limits.remembering import Remembered, Used
from al_framework.pipeline.limits.windows import (
    KEEP_S,
    PRUNE_EVERY_S,
    REFRESH_EVERY_S,
    has_room,
    windows_of,
)

logger = logging.getLogger(__name__)

_FORK_WAIT_S = 5.0
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS limit_window (
        scope TEXT NOT NULL, strategy TEXT NOT NULL, period TEXT NOT NULL, start INTEGER NOT NULL,
        used INTEGER NOT NULL, PRIMARY KEY (scope, strategy, period, start)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS limit_credit (
        scope TEXT NOT NULL, token TEXT NOT NULL, strategy TEXT NOT NULL,
        reserved_at REAL NOT NULL, PRIMARY KEY (scope, token)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS limit_credit_token ON limit_credit (token)",
    """CREATE TABLE IF NOT EXISTS limit_owner (
        scope TEXT NOT NULL, strategy TEXT NOT NULL, owner TEXT NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (scope, strategy, owner)) WITHOUT ROWID""",
    # Moments whose windows count as spent, since the index that knew better is lost.
    "CREATE TABLE IF NOT EXISTS limit_lost (at REAL PRIMARY KEY) WITHOUT ROWID",
    # One row: the latest moment of any credit; a clock that is behind it has been set back.
    "CREATE TABLE IF NOT EXISTS limit_latest (one INTEGER PRIMARY KEY, at REAL NOT NULL)",
)
_USED = """SELECT used FROM limit_window
    WHERE scope = ? AND strategy = ? AND period = ? AND start = ?"""
_ADD = """INSERT INTO limit_window (scope, strategy, period, start, used) VALUES (?, ?, ?, ?, 1)
    ON CONFLICT DO UPDATE SET used = used + 1"""
_LATEST = """INSERT INTO limit_latest (one, at) VALUES (1, ?)
    ON CONFLICT DO UPDATE SET at = excluded.at WHERE excluded.at > at"""
_TAKE_BACK = """UPDATE limit_window SET used = used - 1
    WHERE scope = ? AND strategy = ? AND period = ? AND start = ? AND used > 0"""


class SqliteLedger(Ledger):
    """Keeps the limits of every process that uses one spool.

    The database is the one whose transaction `prepare` is given. `refresh` and `used` read what is
    committed through a connection of their own; `peek` reads what is remembered, and at first every
    strategy seems to have room.

    Args:
        rules: As for `Ledger`.
        scope: As for `Ledger`.
        owner: Name of the configuration. When another one takes credits under the same scope and
            strategy, both spend the same limits, and that is reported once.
        report: Told of it, with the spool's lock held; None says nothing.
        not_before: Told, with the spool's lock held, the latest moment of any credit, so that no
            clock falls behind it; None says nothing.
    """

    transactional: ClassVar[bool] = True

    def __init__(
        self,
        rules: Mapping[str, Sequence[LimitRule]],
        *,
        scope: str,
        owner: str = "",
        report: Callable[[str], None] | None = None,
        not_before: Callable[[float], None] | None = None,
    ) -> None:
        super().__init__(rules, scope=scope)
        self._owner = owner
        self._report = report
        self._not_before = not_before
        self._claimed: dict[tuple[str, str], float] = {}
        self._reported: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()
        self._path: str | None = None
        self._reader: sqlite3.Connection | None = None
        self._lost: frozenset[tuple[Period, int]] = frozenset()
        self._pruned_at = float("-inf")
        self._remembered = Remembered()
        self._refreshed_at = float("-inf")
        self._held_for_fork: set[int] = set()  # by thread; two may fork at once
        self._inherited: list[sqlite3.Connection] = []
        self._crossing: Crossing | None = None
        self._is_reading = self._is_lost = False
        tell_around_fork(self)

    def prepare(self, tx: Transaction) -> None:
        """Create the tables, and read from this transaction's database from now on.

        Raises:
            SpoolError: This process was forked in the middle of a reading.
        """
        if self._is_lost:
            raise SpoolError(
                "limits: this process was forked while its parent was in the middle of reading"
                " them; fork again, or build the collector after the fork"
            )
        for statement in SCHEMA:
            tx.execute(statement)
        self.close()
        self._path = next(row[2] for row in tx.execute("PRAGMA database_list") if row[1] == "main")
        self._load_lost(tx)
        (latest,) = tx.execute("SELECT max(at) FROM limit_latest").fetchone()
        if latest is not None and self._not_before is not None:
            self._not_before(latest)

    def forget(self, now: float, tx: Transaction) -> None:
        """Count every window open now as spent; see `Ledger.forget`."""
        tx.execute("INSERT OR IGNORE INTO limit_lost (at) VALUES (?)", (now,))
        self._load_lost(tx)

    def spent_until(self, now: float) -> float | None:
        """Return when the last window ends that counts as spent; see `Ledger.spent_until`."""
        return _last_end(self._lost, now)

    def close(self) -> None:
        """Close the reading connection, and forget what was read."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
            self._reader = self._path = None
            self._remember_nothing()

    def before_fork(self) -> None:
        """Let no connection cross the fork, and no thread read meanwhile; see the spool's index."""
        if self._lock.acquire(timeout=_FORK_WAIT_S):
            self._held_for_fork.add(threading.get_ident())
            if self._reader is not None:
                self._reader.close()
                self._reader = None
        crosses = self._path is not None and (self._reader or self._inherited)
        self._crossing = Crossing(Path(self._path)) if crosses and self._path else None

    def after_fork_in_parent(self) -> None:
        """Let the threads go on."""
        if threading.get_ident() in self._held_for_fork:
            self._held_for_fork.remove(threading.get_ident())
            self._lock.release()

    def abandon(self) -> None:
        """Leave everything to the parent of a forked process; see `Ledger.abandon`."""
        # Not closed: SQLite forbids using, or closing, a connection on the other side of a fork.
        if self._reader is not None:
            self._inherited.append(self._reader)
        if self._crossing is not None:
            self._is_lost = self._is_reading or not self._crossing.hold_locks()
        self._lock = threading.Lock()
        self._held_for_fork = set()
        self._is_reading = False
        self._reader = self._path = None
        self._remember_nothing()

    def peek(self, strategies: Sequence[str], now: float) -> str | None:
        """Return the first strategy with room, as far as is remembered; see `Ledger.peek`."""
        return self._remembered.first_with_room(self.terms, strategies, now, self._lost)

    def refresh(self, now: float) -> None:
        """Read what is committed, at most once a second; see `Ledger.refresh`."""
        if 0 <= now - self._refreshed_at < REFRESH_EVERY_S:
            return
        self._refreshed_at = now
        terms = self.terms
        limited = [strategy for strategy in terms.named if terms.rules[strategy]]
        try:
            taken = [(strategy, self._committed(terms, strategy, now)) for strategy in limited]
        except SpoolError as exc:
            logger.debug("what was taken of the limits is not known anew: %s", exc)
            return
        for strategy, used in taken:
            self._remembered.note(terms.scope, strategy, now, used)
        self._remembered.forget_before(now - KEEP_S)

    def reserve(
        self, strategies: Sequence[str], token: str, now: float, tx: Transaction | None
    ) -> Reservation | None:
        """Take one credit within the spool's transaction; see `Ledger.reserve`.

        Raises:
            ValueError: There is no transaction.
        """
        tx, terms = self._required(tx), self.terms
        held = tx.execute(
            "SELECT strategy, reserved_at FROM limit_credit WHERE scope = ? AND token = ?",
            (terms.scope, token),
        ).fetchone()
        if held is not None:
            return Reservation(token=token, strategy=held[0], reserved_at=held[1])
        self._prune(now, tx)
        windows = windows_of(now)
        for strategy in strategies:
            rules = terms.rules.get(strategy, ())
            used: Used = self._read(tx, terms, strategy, now) if rules else {}
            if not has_room(rules, used):
                self._remembered.note(terms.scope, strategy, now, used)
                continue
            for period, start in windows:
                tx.execute(_ADD, (terms.scope, strategy, period, start))
            tx.execute(
                "INSERT INTO limit_credit (scope, token, strategy, reserved_at)"
                " VALUES (?, ?, ?, ?)",
                (terms.scope, token, strategy, now),
            )
            tx.execute(_LATEST, (now,))
            self._claim(tx, terms, strategy, now)
            if rules:
                self._remembered.note(terms.scope, strategy, now, used)
            # If the transaction fails it was not so; the next refresh would tell.
            self._remembered.take(terms.scope, strategy, now)
            return Reservation(token=token, strategy=strategy, reserved_at=now)
        return None

    def release(self, token: str, tx: Transaction | None) -> None:
        """Give a credit back within the spool's transaction; see `Ledger.release`.

        Raises:
            ValueError: There is no transaction.
        """
        tx = self._required(tx)
        rows = tx.execute(
            "DELETE FROM limit_credit WHERE token = ? RETURNING scope, strategy, reserved_at",
            (token,),
        ).fetchall()
        for scope, strategy, reserved_at in rows:
            for period, start in windows_of(reserved_at):
                tx.execute(_TAKE_BACK, (scope, strategy, period, start))
            self._remembered.give_back(scope, strategy, reserved_at)

    def settle(self, token: str, tx: Transaction | None) -> None:
        """Forget a token whose credit stays taken; see `Ledger.settle`.

        Raises:
            ValueError: There is no transaction.
        """
        self._required(tx).execute("DELETE FROM limit_credit WHERE token = ?", (token,))

    def used(self, strategy: str, now: float) -> Mapping[Period, int]:
        """Return the credits taken in the current windows; see `Ledger.used`.

        A window that counts as spent after the loss of the index shows its limit.

        Raises:
            SpoolError: The database cannot be read.
        """
        return self._committed(self.terms, strategy, now)

    def _committed(self, terms: Terms, strategy: str, now: float) -> Used:
        with self._lock:
            if self._path is None:
                return {period: 0 for period, _ in windows_of(now)}
            self._is_reading = True
            try:
                if self._reader is None:
                    self._reader = _open_reader(self._path)
                return self._read(self._reader, terms, strategy, now)
            except sqlite3.Error as exc:
                raise SpoolError(f"limits in {self._path!r}: cannot be read: {exc}") from exc
            finally:
                self._is_reading = False

    def _read(self, tx: Transaction, terms: Terms, strategy: str, now: float) -> Used:
        used: Used = {}
        for period, start in windows_of(now):
            row = tx.execute(_USED, (terms.scope, strategy, period, start)).fetchone()
            used[period] = 0 if row is None else row[0]
            if (period, start) in self._lost:
                rules = terms.rules.get(strategy, ())
                values = [rule.value for rule in rules if rule.period == period]
                used[period] = max([used[period], *values])
        return used

    def _remember_nothing(self) -> None:
        self._remembered.clear()
        self._refreshed_at = float("-inf")

    def _claim(self, tx: Transaction, terms: Terms, strategy: str, now: float) -> None:
        """Write down who takes credits under this name, and say so if it is not the only one."""
        name = (terms.scope, strategy)
        if not self._owner or 0 <= now - self._claimed.get(name, float("-inf")) < PRUNE_EVERY_S:
            return
        self._claimed[name] = now
        tx.execute(
            """INSERT INTO limit_owner (scope, strategy, owner, at) VALUES (?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET at = excluded.at""",
            (*name, self._owner, now),
        )
        others = tx.execute(
            "SELECT owner FROM limit_owner WHERE scope = ? AND strategy = ? AND owner <> ?"
            " AND at >= ? ORDER BY owner",
            (*name, self._owner, now - KEEP_S),
        ).fetchall()
        for (other,) in others:
            if (*name, other) not in self._reported and terms.rules.get(strategy):
                self._reported.add((*name, other))
                if self._report is not None:
                    self._report(
                        f"strategy {strategy!r}: the configurations {self._owner!r} and {other!r}"
                        f" both collect under this name for {terms.scope!r}, so they spend the"
                        " same limits; give one of the strategies another name to keep them apart"
                    )

    def _load_lost(self, tx: Transaction) -> None:
        self._lost = _lost_windows(tx)

    def _prune(self, now: float, tx: Transaction) -> None:
        if now - self._pruned_at < PRUNE_EVERY_S:
            return
        self._pruned_at = now
        self._claimed = {
            name: at for name, at in self._claimed.items() if 0 <= now - at < PRUNE_EVERY_S
        }
        self._remembered.forget_before(now - KEEP_S)
        oldest = min(now - KEEP_S, _third_last_day(tx))
        tx.execute("DELETE FROM limit_window WHERE start < ?", (oldest,))
        tx.execute("DELETE FROM limit_credit WHERE reserved_at < ?", (oldest,))
        tx.execute("DELETE FROM limit_lost WHERE at < ?", (oldest,))
        tx.execute("DELETE FROM limit_owner WHERE at < ?", (oldest,))

    @staticmethod
    def _required(tx: Transaction | None) -> Transaction:
        if tx is None:
            raise ValueError(
                "the sqlite ledger works inside the spool's transaction: pass it as tx"
            )
        return tx


def read_spent_until(tx: Transaction, now: float) -> float | None:
    """Return what `SqliteLedger.spent_until` would, from a database that is only looked at."""
    named = "SELECT 1 FROM sqlite_schema WHERE name = 'limit_lost'"
    return _last_end(_lost_windows(tx), now) if tx.execute(named).fetchone() else None


def _lost_windows(tx: Transaction) -> frozenset[tuple[Period, int]]:
    moments = [row[0] for row in tx.execute("SELECT at FROM limit_lost")]
    return frozenset(window for at in moments for window in windows_of(at))


def _last_end(windows: Iterable[tuple[Period, int]], now: float) -> float | None:
    ends = [float(start + PERIOD_SECONDS[period]) for period, start in windows]
    return max((end for end in ends if end > now), default=None)


def _third_last_day(tx: Transaction) -> float:
    """Return when the third last of the days began in which credits were taken.

    What came later is never forgotten, whatever the clock says: one that is days ahead for a while
    would have the budget of the real day granted again once it is set right.
    """
    row = tx.execute(
        """SELECT DISTINCT start FROM limit_window WHERE period = 'daily'
        ORDER BY start DESC LIMIT 1 OFFSET 2"""
    ).fetchone()
    return float("-inf") if row is None else float(row[0])


def _open_reader(path: str) -> sqlite3.Connection:
    # Read-only, so that closing it can never checkpoint outside the spool's lock.
    return sqlite3.connect(
        f"file:{quote(path)}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
