"""Who answers for which delivery, so that every process reports numbers that add up.

A life is one process's time with the spool. What a life that has ended left behind is taken over
by whoever notices first, and counts there as recovered.
"""

import sqlite3
from collections.abc import Sequence
from typing import Literal, TypeAlias

from al_framework.api import SinkCounts
from al_framework.pipeline.spool.locking import is_alive, process_name

TallyColumn: TypeAlias = Literal[
    "accepted", "recovered", "delivered", "duplicates", "dead", "evicted", "retried"
]
_COLUMNS = ("accepted", "recovered", "delivered", "duplicates", "dead", "evicted", "retried")


def begin_life(tx: sqlite3.Connection) -> int:
    """Enter this process and return the life's number."""
    row = tx.execute(
        "INSERT INTO life (process) VALUES (?) RETURNING life", (process_name(),)
    ).fetchone()
    return int(row[0])


def end_life(tx: sqlite3.Connection, life: int) -> None:
    """Leave what is pending to others."""
    tx.execute("DELETE FROM life WHERE life = ?", (life,))
    tx.execute("DELETE FROM tally WHERE life = ?", (life,))


def adopt_orphans(tx: sqlite3.Connection, life: int) -> None:
    """Take over what ended lives have left pending."""
    for other, process in tx.execute("SELECT life, process FROM life").fetchall():
        if not is_alive(process):
            end_life(tx, other)
    orphaned = "state = 0 AND life NOT IN (SELECT life FROM life)"
    for sink, count in tx.execute(
        f"SELECT sink, count(*) FROM delivery WHERE {orphaned} GROUP BY sink"  # noqa: S608 - constant
    ).fetchall():
        add_to_tally(tx, life, sink, "recovered", count)
    tx.execute(f"UPDATE delivery SET life = ? WHERE {orphaned}", (life,))  # noqa: S608 - constant


def add_to_tally(
    tx: sqlite3.Connection, life: int, sink: str, column: TallyColumn, count: int = 1
) -> None:
    """Count something for a life; one that has ended does not report any more."""
    tx.execute(
        f"""INSERT INTO tally (life, sink, {column})
        SELECT life, ?, ? FROM life WHERE life = ?
        ON CONFLICT DO UPDATE SET {column} = {column} + excluded.{column}""",  # noqa: S608 - a literal
        (sink, count, life),
    )


def read_tally(tx: sqlite3.Connection, life: int, sinks: Sequence[str]) -> dict[str, SinkCounts]:
    """Return what a life answers for, by sink; the named sinks come first and are never missing."""
    counts = {sink: SinkCounts() for sink in sinks}
    rows = tx.execute(
        f"SELECT sink, {', '.join(_COLUMNS)} FROM tally WHERE life = ?",  # noqa: S608 - constant
        (life,),
    )
    for sink, *values in rows:
        tally = dict(zip(_COLUMNS, values, strict=True))
        ended = tally["delivered"] + tally["dead"] + tally["evicted"]
        pending = tally["accepted"] + tally["recovered"] - ended
        counts[sink] = SinkCounts(pending=pending, **tally)
    return counts
