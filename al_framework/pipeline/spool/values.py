"""Whether the values in an index are such as we write there.

SQLite keeps any value in any column, and takes any bytes for text: a disk that has changed one is
noticed by whoever reads it, and by nothing before.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing

from al_framework.pipeline.spool.schema import MIGRATIONS, names_of_ours, version_of

_KINDS: Mapping[str, tuple[type, ...]] = {"TEXT": (str,), "INTEGER": (int,), "REAL": (float,)}
_FAULTS: Mapping[str, str] = {
    "SELECT 1 FROM delivery WHERE state NOT IN (0, 1, 2, 3)": (
        "a delivery is in a state that there is not"
    ),
    "SELECT 1 FROM delivery WHERE number NOT IN (SELECT number FROM item)": (
        "a delivery is of a datapoint that there is not"
    ),
    """SELECT 1 FROM total WHERE items != (SELECT count(*) FROM item)
        OR bytes != (SELECT coalesce(sum(bytes), 0) FROM group_file)""": (
        "the totals are not those of the datapoints"
    ),
}


def wrong_values(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield what is wrong with the values of our tables, one fault for each column at the most.

    Every row is read. An index of another version is taken for sound.

    Raises:
        sqlite3.DatabaseError: The index cannot be read.
    """
    if version_of(connection) != len(MIGRATIONS):
        return
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    ours = names_of_ours()
    for (table,) in tables:
        if table in ours and not table.startswith("sqlite_"):
            yield from _wrong_columns(connection, table)
    for query, fault in _FAULTS.items():
        if connection.execute(query).fetchone() is not None:
            yield fault


def _wrong_columns(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    columns = [
        (name, kind, _KINDS[kind] if required or key else (*_KINDS[kind], type(None)))
        for _, name, kind, required, _, key in connection.execute(f"PRAGMA table_info({table})")
    ]
    told: set[str] = set()
    with closing(connection.execute(f"SELECT * FROM {table}")) as rows:  # noqa: S608 - one of ours
        while (row := _next(rows)) is not None:
            if isinstance(row, str):
                yield f"{table}: {row}"
                return
            for value, (name, kind, kinds) in zip(row, columns, strict=True):
                if type(value) not in kinds and name not in told:
                    told.add(name)
                    yield f"{table}.{name} holds {type(value).__name__}, which is no {kind}"


def _next(rows: sqlite3.Cursor) -> tuple[object, ...] | str | None:
    """Return the next row, what is wrong with its text, or None at the end."""
    try:
        row: tuple[object, ...] | None = rows.fetchone()
    except sqlite3.OperationalError as exc:
        if hasattr(exc, "sqlite_errorcode"):
            raise
        return str(exc)  # Python's own: it is no UTF-8
    return row
