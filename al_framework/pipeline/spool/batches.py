"""Labelling batches: how many pictures they hold, and whether one more may go in.

Nobody is asked about a single picture. A sink that can tell is asked once a minute how many
pictures a batch holds; what is ours of them is known, so the rest was brought by others, and
between two looks a batch holds what others have brought plus every place of ours. A place is
taken in the transaction that accepts a datapoint and given back if no sink has stored it, so
whatever the number of threads and processes, they never overshoot together.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from al_framework.api import Clock, Target
from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.records import BatchKey
from al_framework.pipeline.spool.translating import translated

REFRESH_S = 60.0
# A batch that nothing was offered for in this time is left alone; a count that is older is no
# longer one to rely on.
IN_USE_S = 120.0
_NOTE_EVERY_S = 20.0
_WHERE = "workspace = ? AND project = ? AND name = ?"


def has_room(images: int, max_images: int | None) -> bool:
    """Tell whether a batch that holds so many images takes one more.

    Source: Roboflow inference, active_learning/core.py, 2026-08: the limit has to be above what
    the batch holds, with the labelling jobs made of it.
    """
    return max_images is None or max_images > images


def take_place(
    tx: sqlite3.Connection,
    key: BatchKey,
    max_images: int | None,
    *,
    sinks: Sequence[str],
    now: float,
) -> bool:
    """Count one more image in a batch, unless that would be too many for one of the sinks."""
    row = tx.execute(f"SELECT places, used_at FROM batch WHERE {_WHERE}", key.columns).fetchone()  # noqa: S608 - constant
    places, used_at = row if row is not None else (0, float("-inf"))
    fits = has_room(places + _others(tx, key, sinks), max_images)
    if fits or abs(now - used_at) > _NOTE_EVERY_S:
        # Only where there is a limit does anybody care how much a batch holds.
        taken = (int(fits), None if max_images is None else now)
        tx.execute(
            """INSERT INTO batch (workspace, project, name, places, used_at)
            VALUES (?, ?, ?, ?, coalesce(?, 0)) ON CONFLICT DO UPDATE
            SET places = places + ?, used_at = coalesce(?, used_at)""",
            (*key.columns, *taken, *taken),
        )
    return fits


def give_place_back(tx: sqlite3.Connection, key: BatchKey) -> None:
    """Count one image less in a batch: no sink has stored it."""
    tx.execute(
        f"UPDATE batch SET places = places - 1 WHERE {_WHERE} AND places > 0",  # noqa: S608 - constant
        key.columns,
    )


class Batches:
    """What the spool knows of the sizes of batches at the sinks.

    Args:
        database: The spool's index.
        files: The spool's group files.
        clock: Time.
    """

    def __init__(self, database: Database, files: GroupFiles, *, clock: Clock) -> None:
        self._database = database
        self._directory = files.directory
        self._clock = clock

    def unknown(self, keys: Iterable[BatchKey], sinks: Sequence[str]) -> list[tuple[BatchKey, str]]:
        """Return the batches, each with a sink that was not asked about it of late.

        Raises:
            SpoolError: The index cannot be read.
        """
        now = self._clock.time()
        with translated(self._directory), self._database.read() as tx:
            return [pair for key in keys for pair in _older(tx, key, sinks, now, IN_USE_S)]

    def due(self, sinks: Sequence[str]) -> list[tuple[BatchKey, str]]:
        """Return the batches in use, each with a sink that should be asked again.

        Raises:
            SpoolError: The index cannot be read.
        """
        now = self._clock.time()
        with translated(self._directory), self._database.read() as tx:
            rows = tx.execute(
                "SELECT workspace, project, name FROM batch WHERE abs(? - used_at) < ?",
                (now, IN_USE_S),
            ).fetchall()
            keys = [
                BatchKey(name=name, target=Target(workspace=w or None, project=p or None))
                for w, p, name in rows
            ]
            return [pair for key in keys for pair in _older(tx, key, sinks, now, REFRESH_S)]

    def stored(self, key: BatchKey, sink: str) -> int:
        """Return how many of our places a sink certainly counts when it is asked from now on.

        These are all but those of datapoints that still wait for some sink and have not been
        stored at this one.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self._directory), self._database.read() as tx:
            tx.execute("BEGIN")  # both numbers from one moment
            try:
                return _places(tx, key) - _waiting(tx, key, sink)
            finally:
                tx.execute("ROLLBACK")

    def record(self, key: BatchKey, sink: str, *, others: int | None) -> None:
        """Keep what a look has shown; the answer before it holds if it has shown nothing.

        Args:
            key: The batch.
            sink: Who was asked.
            others: Images in the batch that are not ours; None if the sink could not tell.

        Raises:
            SpoolError: The index cannot be written.
        """
        with (
            translated(self._directory),
            self._database.locked(),
            self._database.transaction() as tx,
        ):
            tx.execute(
                """INSERT INTO batch_look (workspace, project, name, sink, others, looked_at)
                VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
                others = coalesce(excluded.others, others), looked_at = excluded.looked_at""",
                (*key.columns, sink, others, self._clock.time()),
            )


def _others(tx: sqlite3.Connection, key: BatchKey, sinks: Sequence[str]) -> int:
    """Return the images that others have brought, at the sink that has most of them."""
    rows = tx.execute(f"SELECT sink, others FROM batch_look WHERE {_WHERE}", key.columns)  # noqa: S608 - constant
    # A sink that could not tell counts with what is ours alone.
    return max((others or 0 for sink, others in rows if sink in sinks), default=0)


def _older(
    tx: sqlite3.Connection, key: BatchKey, sinks: Sequence[str], now: float, age_s: float
) -> list[tuple[BatchKey, str]]:
    rows = tx.execute(f"SELECT sink, looked_at FROM batch_look WHERE {_WHERE}", key.columns)  # noqa: S608 - constant
    looked = dict(rows.fetchall())
    # A date in the future means that the clock was set back.
    return [(key, s) for s in sinks if abs(now - looked.get(s, float("-inf"))) >= age_s]


def _places(tx: sqlite3.Connection, key: BatchKey) -> int:
    row = tx.execute(f"SELECT places FROM batch WHERE {_WHERE}", key.columns).fetchone()  # noqa: S608 - constant
    return 0 if row is None else int(row[0])


def _waiting(tx: sqlite3.Connection, key: BatchKey, sink: str) -> int:
    row = tx.execute(
        """SELECT count(*) FROM item
        WHERE workspace = ? AND project = ? AND batch_name = ?
        AND EXISTS (SELECT 1 FROM delivery AS d WHERE d.number = item.number AND d.state = 0)
        AND NOT EXISTS (SELECT 1 FROM delivery AS d
            WHERE d.number = item.number AND d.sink = ? AND d.stored = 1)""",
        (*key.columns, sink),
    ).fetchone()
    return int(row[0])
