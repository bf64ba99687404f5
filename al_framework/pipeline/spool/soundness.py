"""Whether an index is fit for use, and where one goes that is not."""

import itertools
import logging
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from al_framework.api import AlFrameworkError
from al_framework.pipeline.spool.lives import was_cut_short
from al_framework.pipeline.spool.log_check import has_lost_commits
from al_framework.pipeline.spool.schema import MIGRATIONS, has_our_tables, version_of
from al_framework.pipeline.spool.values import wrong_values

_LOG = logging.getLogger(__name__)
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# There is no such column, say: our statements are right, so the index's own tables may be wrong.
_SUSPICIOUS = _DAMAGED | {sqlite3.SQLITE_ERROR}
# What code raises that finds something else in the index than was written there; the second also
# comes from messages of SQLite that quote bytes which are no text.
MISREADINGS = (TypeError, ValueError, LookupError, OverflowError, AttributeError)
_BUSY_TIMEOUT_S = 10.0
# Looking through an index of this size takes some 50 ms; a larger one is believed until its damage
# shows. `Spool.verify` looks through any.
_CHECK_BYTES = 16 << 20
_MOST_FAULTS = 100


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Return a connection to an index; its transactions are up to the caller."""
    uri = f"file:{quote(str(path))}{'?mode=ro' if read_only else ''}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT_S
    )
    return guarded(connection)


def guarded(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Let nothing that stands in an index be called; close what cannot be told so."""
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
    except BaseException:
        connection.close()
        raise
    return connection


def is_suspicious(exc: BaseException) -> bool:
    """Tell whether an error gives reason to look whether the index is damaged."""
    if isinstance(exc, sqlite3.Error):
        return _code(exc) in _SUSPICIOUS or _is_no_text(exc)
    return isinstance(exc, MISREADINGS) and not isinstance(exc, AlFrameworkError)


def is_certain(exc: BaseException | None) -> bool:
    """Tell whether an error says that the index is damaged."""
    return isinstance(exc, sqlite3.Error) and (_code(exc) in _DAMAGED or _is_no_text(exc))


def is_damage(exc: BaseException, path: Path) -> bool:
    """Tell whether an error comes from the index's being damaged."""
    return is_certain(exc) or (is_suspicious(exc) and not is_sound(path, thorough=True))


def is_sound(path: Path, *, thorough: bool) -> bool:
    """Tell whether an index can be used, as far as a look is worth its time.

    Not thoroughly, its log and its schema are looked at, since SQLite would keep silent about them,
    and its structure after a process has ended without closing it, if that is soon done: what else
    is damaged shows when it is used.

    Args:
        path: The index; the spool's lock is held.
        thorough: Whether to look through all of it.
    """
    if not thorough and has_lost_commits(path):
        return False
    try:
        with closing(connect(path)) as connection:
            if not has_our_tables(connection):
                return False
            if not thorough and not _needs_check(connection):
                return True
            if connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
                return False
            return not thorough or not any(wrong_values(connection))
    except (sqlite3.DatabaseError, UnicodeDecodeError) as exc:
        if is_suspicious(exc):
            return False
        raise


def faults_of(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return what is wrong with an index, however long that takes, the first hundred of it."""
    try:
        found = connection.execute(f"PRAGMA integrity_check({_MOST_FAULTS})").fetchall()
        if found != [("ok",)]:
            return tuple(str(fault) for (fault,) in found)
        connection.execute("BEGIN")  # another process may be bringing it to its version
        if not has_our_tables(connection):
            return ("its tables are not those of its version",)
        return tuple(itertools.islice(wrong_values(connection), _MOST_FAULTS))
    except (sqlite3.DatabaseError, UnicodeDecodeError) as exc:
        if is_suspicious(exc):
            return (str(exc),)
        raise


def set_aside(path: Path, now: float) -> None:
    """Give a damaged index another name."""
    aside = f"{path}.corrupt-{int(now)}"
    count = 0
    while os.path.lexists(aside):
        count += 1
        aside = f"{path}.corrupt-{int(now)}-{count}"
    _LOG.error(
        "spool '%s': its index is damaged; it is kept as '%s' and built anew from the group"
        " files: what they hold is delivered again, and every open limit window counts as"
        " spent",
        path.parent,
        aside,
    )
    # The index first: SQLite discards a log without an index, but would replay a stale one.
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")


def _code(exc: sqlite3.Error) -> int:
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF


def _is_no_text(exc: sqlite3.Error) -> bool:
    # Python's own error, without a code of SQLite's: the bytes of a text are no UTF-8.
    return isinstance(exc, sqlite3.OperationalError) and not hasattr(exc, "sqlite_errorcode")


def _needs_check(connection: sqlite3.Connection) -> bool:
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    size = pages * connection.execute("PRAGMA page_size").fetchone()[0]
    tables = "SELECT 1 FROM sqlite_schema WHERE name = 'life'"
    if size > _CHECK_BYTES or version_of(connection) > len(MIGRATIONS):
        return False
    if connection.execute(tables).fetchone() is None:
        return False
    return was_cut_short(connection)
