"""Is the clock to be believed when it says that something is too old to be kept?

A clock that is days ahead when a process starts, and is set right a minute later, would have
everything removed that is bounded by age. So the spool notes when it was last looked at; a moment
that is days later is believed only if it is still so an hour later, in this run or in a later one.
"""

import sqlite3

from al_framework.pipeline.spool.database import Database

BELIEVABLE_S = 2 * 86400.0
BELIEVE_AFTER_S = 3600.0
_LOOKED, _DOUBTED = "looked at", "doubted since"


def is_believable(database: Database, now: float) -> bool:
    """Tell whether what is too old at this moment may be removed; to be asked every minute or so.

    The caller does not hold the spool's lock.
    """
    with database.read() as tx:
        looked, doubted = _read(tx, _LOOKED), _read(tx, _DOUBTED)
    if looked is None or now - looked <= BELIEVABLE_S:
        believable = True
    else:
        believable = doubted is not None and now - doubted >= BELIEVE_AFTER_S
    if believable:
        is_noted = looked is not None and doubted is None and abs(now - looked) < BELIEVE_AFTER_S
    else:
        is_noted = doubted is not None and now >= doubted
    if not is_noted:  # seldom: it costs a sync
        with database.locked(), database.transaction() as tx:
            tx.execute("DELETE FROM note WHERE name = ?", (_DOUBTED,))
            tx.execute(
                "INSERT OR REPLACE INTO note (name, value) VALUES (?, ?)",
                (_LOOKED if believable else _DOUBTED, repr(now)),
            )
    return believable


def _read(tx: sqlite3.Connection, name: str) -> float | None:
    """Return a moment; None where none was noted, or a disk has damaged it."""
    row = tx.execute("SELECT CAST(value AS REAL) FROM note WHERE name = ?", (name,)).fetchone()
    return None if row is None or row[0] <= 0 else float(row[0])
