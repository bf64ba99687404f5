"""Who answers for which delivery, so that every process reports numbers that add up.

A life is one process's time with the spool. What a life that has ended left behind is taken over
by whoever notices first, and counts there as recovered. It becomes the heir of that life, which is
one row: deliveries keep the number of the life that brought them, so taking over ten thousand of
them costs no more than taking over one.
"""

import sqlite3
from collections.abc import Sequence
from typing import Literal, TypeAlias

from al_framework.api import SinkCounts
from al_framework.pipeline.spool.locking import is_alive, process_name
from al_framework.pipeline.spool.notes import UNCLEAN_RESTARTS, add_to_note

TallyColumn: TypeAlias = Literal[
    "accepted", "recovered", "delivered", "duplicates", "dead", "evicted", "retried"
]
_COLUMNS = ("accepted", "recovered", "delivered", "duplicates", "dead", "evicted", "retried")
_ENDED = ""  # in place of the process that a life belonged to


def begin_life(tx: sqlite3.Connection) -> int:
    """Enter this process and return the life's number."""
    row = tx.execute(
        "INSERT INTO life (process) VALUES (?) RETURNING life", (process_name(),)
    ).fetchone()
    return int(row[0])


def end_life(tx: sqlite3.Connection, life: int) -> None:
    """Leave what is pending to others."""
    if any(pending for _, pending in _pending(tx, life)):
        tx.execute("UPDATE life SET process = ? WHERE life = ?", (_ENDED, life))
        return
    tx.execute("DELETE FROM life WHERE ? IN (life, heir)", (life,))
    tx.execute("DELETE FROM tally WHERE life = ?", (life,))


def adopt_orphans(tx: sqlite3.Connection, life: int) -> None:
    """Take over what ended lives have left pending, and note those that were cut short."""
    rows = tx.execute("SELECT life, process FROM life WHERE heir IS NULL AND life <> ?", (life,))
    for other, process in rows.fetchall():
        if process != _ENDED:
            if _is_running(process):
                continue
            add_to_note(tx, UNCLEAN_RESTARTS)
        for sink, pending in _pending(tx, other):
            if pending:
                add_to_tally(tx, life, sink, "recovered", pending)
        tx.execute("DELETE FROM tally WHERE life = ?", (other,))
        tx.execute(
            "UPDATE life SET heir = ?, process = ? WHERE ? IN (life, heir)",
            (life, _ENDED, other),
        )
    tx.execute(
        """DELETE FROM life WHERE heir IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM delivery WHERE delivery.life = life.life AND delivery.state = 0)"""
    )


def was_cut_short(tx: sqlite3.Connection) -> bool:
    """Tell whether a process has ended without closing the spool, and nobody has noted it yet."""
    rows = tx.execute("SELECT process FROM life WHERE process <> ?", (_ENDED,)).fetchall()
    return any(not _is_running(process) for (process,) in rows)


def is_anybody_in(tx: sqlite3.Connection) -> bool:
    """Tell whether some life has not ended."""
    row = tx.execute("SELECT 1 FROM life WHERE process <> ? LIMIT 1", (_ENDED,)).fetchone()
    return row is not None


def add_to_tally(
    tx: sqlite3.Connection, life: int, sink: str, column: TallyColumn, count: int = 1
) -> None:
    """Count something for a life or its heir; one that is forgotten does not report any more."""
    tx.execute(
        f"""INSERT INTO tally (life, sink, {column})
        SELECT coalesce(heir, life), ?, ? FROM life WHERE life = ?
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


def _is_running(process: object) -> bool:
    try:
        return is_alive(str(process))
    except (ValueError, OverflowError):  # damaged; no process has such a name
        return False


def _pending(tx: sqlite3.Connection, life: int) -> list[tuple[str, int]]:
    return tx.execute(
        """SELECT sink, accepted + recovered - delivered - dead - evicted
        FROM tally WHERE life = ?""",
        (life,),
    ).fetchall()
