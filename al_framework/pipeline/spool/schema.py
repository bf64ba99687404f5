"""Tables of the index, and how an index of an earlier version becomes one of this version."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from al_framework.api import SpoolError
from al_framework.pipeline.limits.base import Transaction
from al_framework.pipeline.limits.sqlite import SCHEMA as LEDGER

PENDING, DELIVERED, DEAD, EVICTED = 0, 1, 2, 3

# One entry per version, each a step from the version before; never change one that was released.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # One life of a process with this spool: from open to close.
        """CREATE TABLE life (
            life INTEGER PRIMARY KEY AUTOINCREMENT, process TEXT NOT NULL)""",
        # What a life answers for; pending = accepted + recovered - delivered - dead - evicted.
        """CREATE TABLE tally (
            life INTEGER NOT NULL, sink TEXT NOT NULL,
            accepted INTEGER NOT NULL DEFAULT 0, recovered INTEGER NOT NULL DEFAULT 0,
            delivered INTEGER NOT NULL DEFAULT 0, duplicates INTEGER NOT NULL DEFAULT 0,
            dead INTEGER NOT NULL DEFAULT 0, evicted INTEGER NOT NULL DEFAULT 0,
            retried INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (life, sink)) WITHOUT ROWID""",
        """CREATE TABLE item (
            number INTEGER PRIMARY KEY AUTOINCREMENT, item_id TEXT NOT NULL UNIQUE,
            file TEXT NOT NULL, offset INTEGER NOT NULL, image_bytes INTEGER NOT NULL,
            meta_bytes INTEGER NOT NULL, batch_name TEXT NOT NULL, accepted_at REAL NOT NULL)""",
        "CREATE INDEX item_file ON item (file)",
        """CREATE TABLE delivery (
            number INTEGER NOT NULL, sink TEXT NOT NULL, life INTEGER NOT NULL,
            state INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0, faults INTEGER NOT NULL DEFAULT 0,
            checkpoint TEXT NOT NULL DEFAULT '{}', owner TEXT, lease_until REAL,
            result TEXT NOT NULL DEFAULT '{}', PRIMARY KEY (number, sink)) WITHOUT ROWID""",
        "CREATE INDEX delivery_due ON delivery (sink, due, number) WHERE state = 0",
        "CREATE INDEX delivery_life ON delivery (life) WHERE state = 0",
        "CREATE INDEX delivery_owner ON delivery (owner) WHERE owner IS NOT NULL",
        """CREATE TABLE seen (
            source TEXT NOT NULL, frame_id TEXT NOT NULL, size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL, outcome TEXT NOT NULL, decided_at REAL NOT NULL,
            item_id TEXT, detail TEXT NOT NULL, results TEXT NOT NULL DEFAULT '[]',
            PRIMARY KEY (source, frame_id)) WITHOUT ROWID""",
        "CREATE INDEX seen_frame ON seen (frame_id)",
        "CREATE INDEX seen_item ON seen (item_id) WHERE item_id IS NOT NULL",
        "CREATE INDEX seen_passing ON seen (decided_at) WHERE source = ''",
        "CREATE TABLE batch (name TEXT PRIMARY KEY, images INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE total (items INTEGER NOT NULL, bytes INTEGER NOT NULL)",
        "INSERT INTO total (items, bytes) VALUES (0, 0)",
        """CREATE TRIGGER item_added AFTER INSERT ON item BEGIN
            UPDATE total SET items = items + 1, bytes = bytes + NEW.image_bytes + NEW.meta_bytes;
        END""",
        """CREATE TRIGGER item_removed AFTER DELETE ON item BEGIN
            UPDATE total SET items = items - 1, bytes = bytes - OLD.image_bytes - OLD.meta_bytes;
        END""",
    ),
    (
        # Attempts begun, whatever came of them; and whether the sink may hold the picture.
        "ALTER TABLE delivery ADD COLUMN tries INTEGER NOT NULL DEFAULT 0",
        "UPDATE delivery SET tries = attempts + (owner IS NOT NULL)",
        "ALTER TABLE delivery ADD COLUMN stored INTEGER NOT NULL DEFAULT 0",
        """UPDATE delivery SET stored = 1
            WHERE state = 1 AND result LIKE '{"status": "created"%'""",
        # A batch belongs to a target; empty: the sink's own.
        "ALTER TABLE item ADD COLUMN workspace TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE item ADD COLUMN project TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE batch RENAME TO batch_of_version_1",
        # Our places: accepted, and not given back because no sink stored the picture.
        """CREATE TABLE batch (
            workspace TEXT NOT NULL, project TEXT NOT NULL, name TEXT NOT NULL,
            places INTEGER NOT NULL, used_at REAL NOT NULL DEFAULT 0,
            PRIMARY KEY (workspace, project, name)) WITHOUT ROWID""",
        """INSERT INTO batch (workspace, project, name, places)
            SELECT '', '', name, images FROM batch_of_version_1""",
        "DROP TABLE batch_of_version_1",
        # What a sink has answered: images that are not ours, NULL as long as it could not tell.
        """CREATE TABLE batch_look (
            workspace TEXT NOT NULL, project TEXT NOT NULL, name TEXT NOT NULL,
            sink TEXT NOT NULL, others INTEGER, looked_at REAL NOT NULL,
            PRIMARY KEY (workspace, project, name, sink)) WITHOUT ROWID""",
    ),
    (
        # Who answers for what an ended life has left: one row changes, whatever the backlog.
        "ALTER TABLE life ADD COLUMN heir INTEGER",
        "ALTER TABLE item ADD COLUMN utility REAL NOT NULL DEFAULT 0",
        # Times that the process died while it worked on this; seconds that its sink had been
        # tried for when it was accepted; UTC epoch seconds of its end, for dead letters.
        "ALTER TABLE delivery ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE delivery ADD COLUMN active_at REAL NOT NULL DEFAULT 0",
        "ALTER TABLE delivery ADD COLUMN ended_at REAL",
        f"CREATE INDEX delivery_dead ON delivery (ended_at) WHERE state = {DEAD}",
        """CREATE INDEX delivery_suspect ON delivery (sink, due, number)
            WHERE state = 0 AND crashes > 0""",
        # How each sink is: closed, open or half-open breaker, or paused, and until when (UTC epoch
        # seconds, so that it outlives a restart).
        """CREATE TABLE sink (
            name TEXT PRIMARY KEY, state TEXT NOT NULL DEFAULT 'closed',
            until REAL NOT NULL DEFAULT 0, next_s REAL NOT NULL DEFAULT 0,
            failures INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '',
            active_s REAL NOT NULL DEFAULT 0) WITHOUT ROWID""",
        "CREATE TABLE note (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        # What lives that have ended left behind, which earlier versions did not write down.
        """INSERT INTO tally (life, sink, accepted) SELECT life, sink, count(*) FROM delivery
            WHERE state = 0 AND life NOT IN (SELECT life FROM life) GROUP BY life, sink""",
        """INSERT INTO life (life, process) SELECT DISTINCT life, '' FROM delivery
            WHERE state = 0 AND life NOT IN (SELECT life FROM life)""",
        "CREATE INDEX item_utility ON item (utility)",
        # A group file takes up its bytes until its last datapoint is gone; 58 is a footer.
        """CREATE TABLE group_file (
            file TEXT PRIMARY KEY, items INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID""",
        """INSERT INTO group_file (file, items, bytes)
            SELECT file, count(*), sum(image_bytes + meta_bytes + 58) FROM item GROUP BY file""",
        "UPDATE total SET bytes = (SELECT coalesce(sum(bytes), 0) FROM group_file)",
        "DROP TRIGGER item_added",
        "DROP TRIGGER item_removed",
        """CREATE TRIGGER item_added AFTER INSERT ON item BEGIN
            INSERT INTO group_file (file, items, bytes)
                VALUES (NEW.file, 1, NEW.image_bytes + NEW.meta_bytes + 58) ON CONFLICT DO UPDATE
                SET items = items + 1, bytes = bytes + excluded.bytes;
            UPDATE total SET items = items + 1,
                bytes = bytes + NEW.image_bytes + NEW.meta_bytes + 58;
        END""",
        """CREATE TRIGGER item_removed AFTER DELETE ON item BEGIN
            UPDATE group_file SET items = items - 1 WHERE file = OLD.file;
            UPDATE total SET items = items - 1, bytes = bytes - coalesce(
                (SELECT bytes FROM group_file WHERE file = OLD.file AND items = 0), 0);
            DELETE FROM group_file WHERE file = OLD.file AND items = 0;
        END""",
    ),
    (
        # What was never tried is due whatever its date says, and is found by this.
        """CREATE INDEX delivery_fresh ON delivery (sink, due, number)
            WHERE state = 0 AND tries = 0""",
        # Tries after which the sink certainly did not hold the picture.
        "ALTER TABLE delivery ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0",
    ),
)


def has_our_tables(connection: sqlite3.Connection) -> bool:
    """Tell whether tables, indexes and triggers are those of the version that the index names.

    Damage can misspell a name in them, and SQLite knows nothing wrong with that. What others have
    added (ANALYZE, an index for a query of one's own, a tool that copies databases) is none of it.
    A later version's tables are not known here; `migrate` refuses it.
    """
    version = version_of(connection)
    if version > len(MIGRATIONS):
        return True
    with closing(sqlite3.connect(":memory:")) as model:
        needed = _made(model, MIGRATIONS[:version])
        known = _made(model, [LEDGER])
        later = _made(model, MIGRATIONS[version:]).keys() - known.keys()
    found = _definitions(connection)
    if not needed.items() <= found.items() or later & found.keys():
        return False
    if any(found[name] != known[name] for name in known.keys() & found.keys()):
        return False
    # Of the ledger's some may be missing: limits are kept elsewhere, or it is an old spool.
    strange, missing = found.keys() - known.keys(), known.keys() - found.keys()
    return not any(_is_misspelt(one, other) for one in strange for other in missing)


def names_of_ours() -> frozenset[str]:
    """Return the names of the tables, indexes and triggers of this version, the ledger's too."""
    with closing(sqlite3.connect(":memory:")) as model:
        return frozenset(_made(model, [*MIGRATIONS, LEDGER]))


def _made(model: sqlite3.Connection, steps: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return what there is after further steps."""
    for step in steps:
        for statement in step:
            model.execute(statement)
    return _definitions(model)


def _is_misspelt(name: str, right: str) -> bool:
    """Tell whether damage may have made a name of another: it leaves lengths and most letters."""
    same = sum(one == other for one, other in zip(name, right, strict=False))
    return len(name) == len(right) <= 2 * same


def version_of(connection: Transaction) -> int:
    """Return the version that the index names; 0 if it is new."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _definitions(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the statements that make tables, indexes and triggers, by name.

    SQLite writes a changed table anew, and may space or quote it as its version does.
    """
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {name: "".join(sql.split()).replace('"', "") for name, sql in rows}


def migrate(tx: Transaction, directory: Path) -> bool:
    """Bring the index to this version; return whether it was empty.

    Raises:
        SpoolError: A later version of al-framework has written it.
    """
    version = version_of(tx)
    if version > len(MIGRATIONS):
        raise SpoolError(
            f"spool '{directory}': its index has schema version {version}, and this version of"
            f" al-framework knows up to {len(MIGRATIONS)}; update al-framework, or use another"
            " directory"
        )
    for step in MIGRATIONS[version:]:
        for statement in step:
            tx.execute(statement)
    tx.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    return version == 0
