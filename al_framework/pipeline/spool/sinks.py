"""How each sink is doing, in the words that outlive a process: table ``sink``.

Whoever leads the delivery writes it down whenever it changes, so that a restart neither hammers a
sink that is down nor forgets for how long it has been given a chance.
"""

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeGuard, cast

from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.schema import DEAD, PENDING
from al_framework.pipeline.spool.translating import translated

BreakerState: TypeAlias = Literal["closed", "waiting", "open", "paused"]
_SERVED = "sinks_of_the_leader"
_STATES = frozenset({"closed", "waiting", "open", "paused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkRecord:
    """One row.

    Attributes:
        name: The sink.
        state: ``closed``: it is given datapoints; ``waiting``: it asked to be left alone; ``open``:
            it failed too often; ``paused``: key or configuration wait for a person.
        until: UTC epoch seconds when it is tried again.
        next_s: Length of the next period of this kind, in seconds; 0 for the first one's.
        failures: Failed attempts since the last success.
        reason: Why it is not closed; empty if it is.
        active_s: Seconds for which it was given datapoints, all processes together.
    """

    name: str
    state: BreakerState = "closed"
    until: float = 0.0
    next_s: float = 0.0
    failures: int = 0
    reason: str = ""
    active_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What the spool holds for one sink.

    Attributes:
        pending: Datapoints that wait for it.
        dead: Datapoints that were given up for it.
    """

    pending: int = 0
    dead: int = 0


class SinkTable:
    """Reads and writes the rows.

    Args:
        database: The spool's index.
        directory: The spool's directory.
    """

    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self._directory = directory

    def load(self, names: Sequence[str]) -> Mapping[str, SinkRecord]:
        """Return how sinks are, by name; one that was never written down is closed.

        Raises:
            SpoolError: The index cannot be read.
        """
        records = {name: SinkRecord(name=name) for name in names}
        with translated(self._directory), self._database.read() as tx:
            rows = tx.execute(
                "SELECT name, state, until, next_s, failures, reason, active_s FROM sink"
            ).fetchall()
        for name, *values in rows:
            if name in records:
                records[name] = _record(name, values)
        return records

    def names(self) -> tuple[str, ...]:
        """Return the sinks that were ever written down, in order.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self._directory), self._database.read() as tx:
            return tuple(name for (name,) in tx.execute("SELECT name FROM sink ORDER BY name"))

    def save(self, records: Iterable[SinkRecord]) -> None:
        """Write rows down; durable on return.

        Raises:
            SpoolError: The index cannot be written.
        """
        with (
            translated(self._directory),
            self._database.locked(),
            self._database.transaction() as tx,
        ):
            for one in records:
                tx.execute(
                    """INSERT OR REPLACE INTO sink
                        (name, state, until, next_s, failures, reason, active_s)
                    VALUES (?, ?, ?, ?, ?, ?, ?)""",
                    (
                        one.name,
                        one.state,
                        one.until,
                        one.next_s,
                        one.failures,
                        one.reason,
                        one.active_s,
                    ),
                )

    def announce(self, names: Sequence[str]) -> None:
        """Write down the sinks of the process that leads; durable on return.

        Raises:
            SpoolError: The index cannot be written.
        """
        with (
            translated(self._directory),
            self._database.locked(),
            self._database.transaction() as tx,
        ):
            tx.execute(
                "INSERT OR REPLACE INTO note (name, value) VALUES (?, ?)",
                (_SERVED, json.dumps(sorted(names))),
            )

    def served(self) -> frozenset[str]:
        """Return the sinks of the process that has taken the lead last; empty if unknown.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self._directory), self._database.read() as tx:
            row = tx.execute("SELECT value FROM note WHERE name = ?", (_SERVED,)).fetchone()
        try:
            names = [] if row is None else json.loads(row[0])
        except (ValueError, TypeError, RecursionError):
            names = []
        return frozenset(str(name) for name in names) if isinstance(names, list) else frozenset()

    def backlog(self, names: Sequence[str]) -> Mapping[str, Backlog]:
        """Return what waits and what was given up, by sink, whoever brought it.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self._directory), self._database.read() as tx:
            found = read_backlogs(tx)
        return {name: found.get(name, Backlog()) for name in names}


def _record(name: str, values: Sequence[object]) -> SinkRecord:
    """Return a row; one that is damaged, or of a later version, counts as closed."""
    state, until, next_s, failures, reason, active_s = values
    if (
        state not in _STATES
        or not _is_time(until)
        or not _is_time(next_s)
        or not _is_time(active_s)
        or not isinstance(failures, int)
        or not isinstance(reason, str)
    ):
        return SinkRecord(name=name, active_s=active_s if _is_time(active_s) else 0.0)
    return SinkRecord(
        name=name,
        state=cast("BreakerState", state),
        until=until,
        next_s=next_s,
        failures=failures,
        reason=reason,
        active_s=active_s,
    )


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def read_backlogs(tx: sqlite3.Connection) -> dict[str, Backlog]:
    """Return what waits and what was given up, for every sink for which there is either."""
    found: dict[str, Backlog] = {}
    for sink, pending, dead in tx.execute(
        # Two counts, each by the index that holds just these rows.
        f"""SELECT sink, count(*), 0 FROM delivery WHERE state = {PENDING} GROUP BY sink
        UNION ALL
        SELECT sink, 0, count(*) FROM delivery WHERE state = {DEAD} GROUP BY sink"""  # noqa: S608 - constants
    ):
        held = found.get(sink, Backlog())
        found[sink] = Backlog(pending=held.pending + pending, dead=held.dead + dead)
    return found
