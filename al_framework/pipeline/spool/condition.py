"""How the spool is at the moment, read from its index."""

import logging
import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path

from al_framework.api import SinkCounts, SpoolHealth
from al_framework.pipeline.spool.notes import UNCLEAN_RESTARTS, read_note

_LOG = logging.getLogger(__name__)


def read_health(
    tx: sqlite3.Connection, directory: Path, *, now: float, limits_spent_until: float | None
) -> SpoolHealth:
    """Return how it is, but for what one process alone knows of the disk.

    The time this takes grows with the dead letters, not with the backlog.
    """
    items, size = tx.execute("SELECT items, bytes FROM total").fetchone()
    # In the order of their numbers, which the planner would not choose.
    oldest = tx.execute(
        """SELECT accepted_at FROM delivery NOT INDEXED JOIN item USING (number)
        WHERE state = 0 ORDER BY delivery.number LIMIT 1"""
    ).fetchone()
    dead_items, dead_bytes = tx.execute(
        """SELECT count(*), coalesce(sum(image_bytes + meta_bytes), 0) FROM item
        WHERE number IN (SELECT number FROM delivery WHERE state = 2)"""
    ).fetchone()
    return SpoolHealth(
        items=items,
        bytes=size,
        oldest_s=None if oldest is None else max(0.0, now - oldest[0]),
        dead_items=dead_items,
        dead_bytes=dead_bytes,
        unclean_restarts=read_note(tx, UNCLEAN_RESTARTS),
        set_aside=_count_set_aside(directory),
        limits_spent_until=limits_spent_until,
    )


def sinks_with_something(tx: sqlite3.Connection) -> tuple[str, ...]:
    """Return the sinks that something waits for, or that have dead letters, in order."""
    sinks = {row[0] for row in tx.execute("SELECT DISTINCT sink FROM delivery WHERE state = 2")}
    last = ""
    while True:  # from one to the next, rather than over every delivery
        row = tx.execute(
            """SELECT sink FROM delivery INDEXED BY delivery_due
            WHERE state = 0 AND sink > ? ORDER BY sink LIMIT 1""",
            (last,),
        ).fetchone()
        if row is None:
            return tuple(sorted(sinks))
        last = row[0]
        sinks.add(last)


def tell_of_strangers(
    directory: Path, sinks: Collection[str], counts: Mapping[str, SinkCounts]
) -> None:
    """Log what waits for sinks that are not configured."""
    for sink, one in counts.items():
        if sink not in sinks and one.pending:
            _LOG.warning(
                "spool '%s': %d datapoints wait for the sink %r, which is not configured; they"
                " stay until it is configured again",
                directory,
                one.pending,
                sink,
            )


def _count_set_aside(directory: Path) -> int:
    # An index that was set aside has its log and its shared memory beside it.
    indexes = [
        path
        for path in directory.glob("spool.db.corrupt-*")
        if not path.name.endswith(("-wal", "-shm"))
    ]
    return len(indexes) + sum(1 for _ in directory.glob("damaged/*"))
