"""What is to be delivered, and when: questions that cost a look and no lock.

A date is that of the process that wrote it, and clocks of processes differ after one was set. So
what was never tried is due at once: nobody has put it off, whatever its date says.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from al_framework.api import Clock
from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.schema import PENDING
from al_framework.pipeline.spool.translating import translated


class Agenda:
    """Answers what is due.

    Args:
        database: The spool's index.
        directory: The spool's directory.
        clock: Time.
    """

    def __init__(self, database: Database, directory: Path, *, clock: Clock) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock

    def next_due(self, sink: str) -> float | None:
        """Return when the first delivery to a sink that nobody works on is due, if there is one.

        Raises:
            SpoolError: The index cannot be read.
        """
        now = self._clock.time()
        with translated(self._directory), self._database.read() as tx:
            row = tx.execute(
                """SELECT due FROM delivery WHERE sink = ? AND state = 0 AND owner IS NULL
                ORDER BY due, number LIMIT 1""",
                (sink,),
            ).fetchone()
            if row is None or row[0] <= now:
                return None if row is None else float(row[0])
            fresh = tx.execute(
                """SELECT 1 FROM delivery WHERE sink = ? AND state = 0 AND tries = 0
                AND owner IS NULL LIMIT 1""",
                (sink,),
            ).fetchone()
        return float(row[0]) if fresh is None else now

    def is_due(self, sink: str) -> bool:
        """Tell whether `take` would return a lease.

        Raises:
            SpoolError: The index cannot be read.
        """
        due = self.next_due(sink)
        return due is not None and due <= self._clock.time()

    def suspects(self, sinks: Sequence[str]) -> Collection[str]:
        """Return the sinks for which a datapoint is due that was in hand when a process died.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self._directory), self._database.read() as tx:
            rows = tx.execute(
                """SELECT DISTINCT sink FROM delivery
                WHERE state = 0 AND crashes > 0 AND owner IS NULL AND due <= ?""",
                (self._clock.time(),),
            ).fetchall()
        return {sink for (sink,) in rows} & set(sinks) if rows else ()

    def waiting(self, item_id: str) -> Mapping[str, float | None] | None:
        """Return the sinks that a datapoint still waits for, and when each is due.

        Returns:
            The date is None where somebody works on it. None instead of all that if every sink
            has the datapoint; empty if it waits for none, and some have not.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self._directory), self._database.read() as tx:
            rows = tx.execute(
                """SELECT sink, state, CASE WHEN owner IS NOT NULL THEN NULL
                    WHEN tries = 0 THEN min(due, ?) ELSE due END
                FROM delivery JOIN item USING (number) WHERE item_id = ? ORDER BY sink""",
                (self._clock.time(), item_id),
            ).fetchall()
        if not rows:
            return None
        return {sink: due for sink, state, due in rows if state == PENDING}
