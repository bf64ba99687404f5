"""Removing datapoints that still wait: because they are too old, or because others need the room.

That is against the promise to lose nothing, so it happens only where the configuration asks for
it. A datapoint goes as a whole or not at all, and only if no sink is known to hold anything of it.
"""

import json
import sqlite3
from collections.abc import Iterator

from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.spool.ending import Ending
from al_framework.pipeline.spool.lives import add_to_tally
from al_framework.pipeline.spool.schema import EVICTED

_CHUNK = 64
# Leased, answered, or begun at one of its sinks: then somebody may hold the picture.
_WAITS = """EXISTS (SELECT 1 FROM delivery WHERE delivery.number = item.number)
    AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.number = item.number AND (
        state <> 0 OR owner IS NOT NULL OR stored = 1 OR checkpoint <> '{}'))"""


def oldest(tx: sqlite3.Connection) -> Iterator[int]:
    """Yield the datapoints that may be removed, the oldest first; they may be, meanwhile."""
    last = -1
    while True:
        rows = tx.execute(
            f"SELECT number FROM item WHERE number > ? AND {_WAITS} ORDER BY number LIMIT ?",  # noqa: S608 - constant
            (last, _CHUNK),
        ).fetchall()
        if not rows:
            return
        for (last,) in rows:
            yield last


def least_useful(tx: sqlite3.Connection, below: float) -> Iterator[int]:
    """Yield those of a utility below another one, the lowest first, of equals the oldest."""
    while True:
        rows = tx.execute(
            f"""SELECT number FROM item INDEXED BY item_utility
            WHERE utility < ? AND {_WAITS} ORDER BY utility, number LIMIT ?""",  # noqa: S608 - constant
            (below, _CHUNK),
        ).fetchall()
        if not rows:
            return
        for (number,) in rows:
            yield number


def overdue(tx: sqlite3.Connection, before: float) -> list[int]:
    """Return some datapoints accepted before a moment that may be removed, the oldest first."""
    rows = tx.execute(
        f"SELECT number FROM item WHERE accepted_at < ? AND {_WAITS} ORDER BY number LIMIT ?",  # noqa: S608 - constant
        (before, _CHUNK),
    )
    return [number for (number,) in rows]


def evict(
    tx: sqlite3.Connection, number: int, *, reason: str, ledger: Ledger, ending: Ending
) -> list[str]:
    """Remove a datapoint: its credit returns to its own window, its place to its batch.

    Not those of one that was ever handed to a sink: the answer may be what got lost, and not the
    picture. It goes all the same, since a sink that answers nobody would fill the spool with what
    has been tried once, and its credit stays spent, so the budget holds.

    Returns:
        The sinks that lost it.
    """
    rows = tx.execute("SELECT sink, life FROM delivery WHERE number = ?", (number,)).fetchall()
    for sink, life in rows:
        add_to_tally(tx, life, sink, "evicted")
    tx.execute(
        "UPDATE delivery SET state = ?, result = ?, stored = tries > 0 WHERE number = ?",
        (EVICTED, json.dumps({"reason": reason}), number),
    )
    ending.conclude(tx, number, ledger)
    return [sink for sink, _ in rows]
