"""Numbers about a spool that outlive every process: they stand in the index under a name."""

import sqlite3

UNCLEAN_RESTARTS = "unclean_restarts"


def read_note(tx: sqlite3.Connection, name: str) -> int:
    """Return a number; 0 where nothing was noted, or a disk has damaged it."""
    row = tx.execute("SELECT CAST(value AS INTEGER) FROM note WHERE name = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])


def add_to_note(tx: sqlite3.Connection, name: str, count: int = 1) -> None:
    """Add to a number."""
    tx.execute(
        """INSERT INTO note (name, value) VALUES (:name, :count) ON CONFLICT DO UPDATE
        SET value = CAST(value AS INTEGER) + :count""",
        {"name": name, "count": count},
    )
