"""The index's connections and transactions.

One connection writes and one reads, whatever the number of threads: both are opened when first
needed, and again in the child of a fork. Every write transaction, every checkpoint and the closing
happen under the spool's lock. That keeps waiting times short (SQLite's own waiting is ten times
slower at the tail), and no commit can ever overlap a checkpoint, which spares us the corruption bug
of SQLite's WAL reset (3.7.0 to 3.51.2).
"""

import errno
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from al_framework.api import Clock, SpoolDiskFullError, SpoolError
from al_framework.pipeline.forking import tell_after_fork, tell_around_fork
from al_framework.pipeline.spool.ballast import Ballast
from al_framework.pipeline.spool.failpoints import Failpoint
from al_framework.pipeline.spool.lives import was_cut_short
from al_framework.pipeline.spool.locking import FileLock

_LOG = logging.getLogger(__name__)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# What SQLite answers when a quota or a limit of the process is reached, and not the disk's end.
_CANNOT_WRITE = sqlite3.SQLITE_IOERR_WRITE
_BUSY_TIMEOUT_S = 10.0
# With less than this on the disk the ballast is used up before the index needs it.
_INDEX_NEEDS_BYTES = 1 << 20
# Looking through an index of this size takes some 50 ms; a larger one is believed until its damage
# shows. `Spool.verify` looks through any.
_CHECK_BYTES = 16 << 20
_FORK_WAIT_S = 5.0


@contextmanager
def translated(directory: Path) -> Iterator[None]:
    """Turn errors of the disk and of SQLite into those of the spool."""
    try:
        yield
    except (OSError, sqlite3.Error) as exc:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL or getattr(exc, "errno", None) in _NO_ROOM:
            raise SpoolDiskFullError(
                f"spool '{directory}': the disk is full ({exc}); make room on it"
            ) from exc
        raise SpoolError(
            f"spool '{directory}': {exc}; check that the directory exists, is writable, and lies"
            " on a healthy local disk"
        ) from exc


class Database:
    """The index of one spool directory.

    Args:
        directory: The spool's directory.
        prepare: Called in a transaction of its own after each opening, with whether an earlier
            index was found damaged and set aside.
        ballast: Given back when the disk has no room for the index.
        clock: Time.
        failpoint: As for `Spool`.
    """

    def __init__(
        self,
        directory: Path,
        prepare: Callable[[sqlite3.Connection, bool], None],
        *,
        ballast: Ballast,
        clock: Clock,
        failpoint: Failpoint,
    ) -> None:
        self._directory = directory
        self._path = directory / "spool.db"
        self._prepare = prepare
        self._ballast = ballast
        self._clock = clock
        self._failpoint = failpoint
        self._is_suspect = False
        self._lock = FileLock(directory / "write.lock")
        self._read_mutex = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._is_open = False
        self._inherited: list[sqlite3.Connection | None] = []
        self._held_for_fork: list[Callable[[], None]] = []
        tell_after_fork(self)
        tell_around_fork(self)

    def open(self) -> None:
        """Open the index, setting it aside under another name if it is damaged."""
        with self._lock:
            self._make_room()
            self._create()
            self._is_open = True
            try:
                if self._is_sound(thorough=False):
                    try:
                        self._connect(damaged=False)
                    except sqlite3.DatabaseError as exc:
                        if not _is_damage(exc):
                            raise
                        self._replace()
                else:
                    self._replace()
            except BaseException:
                self._disconnect()
                self._is_open = False
                raise

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the spool's lock."""
        with self._lock:
            self._check_open()
            if self._identity_on_disk() != self._identity:
                # Another process has found the index damaged and built a new one.
                self._disconnect()
            elif self._is_suspect and not self._is_sound(thorough=True):
                self._disconnect()
                self._replace()
            self._is_suspect = False
            if self._writer is None:
                self._connect(damaged=False)
            yield

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write in one transaction; the caller holds the lock."""
        tx = self._writer
        assert tx is not None  # noqa: S101 - locked() has connected
        self._make_room()
        tx.execute("BEGIN IMMEDIATE")
        try:
            yield tx
            self._commit(tx)
        except BaseException as exc:
            self._look_into(exc)
            # SQLite may have rolled back by itself; doing it again would mask the real error.
            if tx.in_transaction:
                with suppress(sqlite3.Error):
                    tx.execute("ROLLBACK")
            raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Read what is committed, without waiting for writers."""
        with self._read_mutex:
            self._check_open()
            try:
                if self._reader is None:
                    self._reader = _connect(f"file:{quote(str(self._path))}?mode=ro")
                yield self._reader
            except sqlite3.Error as exc:
                self._look_into(exc)
                raise

    def checkpoint(self, *, thorough: bool = False) -> None:
        """Move what is committed from the log into the index itself.

        Args:
            thorough: Whether to wait for readers and empty the log as well.
        """
        with self.locked():
            assert self._writer is not None  # noqa: S101 - locked() has connected
            mode = "TRUNCATE" if thorough else "PASSIVE"
            self._writer.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()

    def faults(self) -> tuple[str, ...]:
        """Return what SQLite finds wrong with the index, the first hundred of it."""
        self._check_open()
        connection = _connect(f"file:{quote(str(self._path))}?mode=ro")
        try:
            rows = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(100)")]
        except sqlite3.DatabaseError as exc:
            if not _is_damage(exc):
                raise
            rows = [str(exc)]
        finally:
            connection.close()
        return () if rows == ["ok"] else tuple(rows)

    def close(self) -> None:
        """Close both connections; the last process to do so empties the log."""
        with self._lock:
            self._disconnect()
            self._is_open = False
        self._lock.close()

    def before_fork(self) -> None:
        """Let no thread be in the middle of SQLite while the process is copied.

        SQLite counts its locks per process: a child would inherit those of a transaction that
        nobody ends there, and find the index locked for good.
        """
        if self._lock.hold_threads(_FORK_WAIT_S):
            self._held_for_fork.append(self._lock.let_threads_go)
        if self._read_mutex.acquire(timeout=_FORK_WAIT_S):
            self._held_for_fork.append(self._read_mutex.release)

    def after_fork_in_parent(self) -> None:
        """Let the threads go on."""
        while self._held_for_fork:
            self._held_for_fork.pop()()

    def after_fork(self) -> None:
        """Leave the connections to the parent."""
        # Kept, not closed: SQLite forbids even closing a connection on the other side of a fork.
        self._inherited += [self._writer, self._reader]
        self._writer = self._reader = None
        self._read_mutex = threading.Lock()
        self._held_for_fork = []

    def _check_open(self) -> None:
        if not self._is_open:
            raise SpoolError(f"spool '{self._directory}': it is not open; call open() first")

    def _create(self) -> None:
        # Made here, since SQLite would leave the permissions to the umask.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.close(descriptor)

    def _make_room(self) -> None:
        disk = os.statvfs(self._directory)
        if disk.f_bavail * disk.f_frsize < _INDEX_NEEDS_BYTES:
            self._ballast.release()

    def _commit(self, tx: sqlite3.Connection) -> None:
        try:
            tx.execute("COMMIT")
        except sqlite3.Error as exc:
            if not _is_full(exc) or not self._ballast.release() or not tx.in_transaction:
                raise
            tx.execute("COMMIT")

    def _look_into(self, exc: BaseException) -> None:
        """Let an error that the index has caused have its consequences at the next lock."""
        if isinstance(exc, sqlite3.Error):
            self._is_suspect = self._is_suspect or _is_damage(exc)
            if _is_full(exc):  # for the next attempt, which is to come through
                self._ballast.release()

    def _is_sound(self, *, thorough: bool) -> bool:
        """Tell whether the index can be used, as far as a look is worth its time.

        Not thoroughly, it is looked through after a process has ended without closing it, and only
        if that is soon done: what else is damaged shows when it is used.
        """
        try:
            connection = _connect(f"file:{quote(str(self._path))}")
            try:
                if not thorough and not _needs_check(connection):
                    return True
                rows = connection.execute("PRAGMA quick_check(1)").fetchall()
            finally:
                connection.close()
        except sqlite3.DatabaseError as exc:
            if _is_damage(exc):
                return False
            raise
        return rows == [("ok",)]

    def _replace(self) -> None:
        """Set the damaged index aside and begin a new one."""
        self._disconnect()
        self._set_aside(self._clock.time())
        self._failpoint("set_aside")
        self._create()
        self._connect(damaged=True)

    def _set_aside(self, now: float) -> None:
        aside = f"{self._path}.corrupt-{int(now)}"
        count = 0
        while os.path.lexists(aside):
            count += 1
            aside = f"{self._path}.corrupt-{int(now)}-{count}"
        _LOG.error(
            "spool '%s': its index is damaged; it is kept as '%s' and built anew from the group"
            " files: what they hold is delivered again, and every open limit window counts as"
            " spent",
            self._directory,
            aside,
        )
        # The index first: SQLite discards a log without an index, but would replay a stale one.
        self._path.rename(aside)
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").rename(f"{aside}{suffix}")

    def _identity_on_disk(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except FileNotFoundError as exc:
            raise SpoolError(
                f"spool '{self._directory}': its index was removed while in use; restart to build"
                " a new one"
            ) from exc
        return status.st_dev, status.st_ino

    def _connect(self, *, damaged: bool) -> None:
        self._identity = self._identity_on_disk()
        writer = _connect(f"file:{quote(str(self._path))}")
        self._writer = writer
        writer.execute("PRAGMA journal_mode = WAL").fetchall()
        writer.execute("PRAGMA synchronous = FULL")
        writer.execute("PRAGMA fullfsync = ON")  # macOS; no effect elsewhere
        with self.transaction() as tx:
            self._prepare(tx, damaged)

    def _disconnect(self) -> None:
        with self._read_mutex:
            if self._reader is not None:
                self._reader.close()
            self._reader = None
        if self._writer is not None:
            self._writer.close()
        self._writer = None


def _is_damage(exc: sqlite3.Error) -> bool:
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def _is_full(exc: sqlite3.Error) -> bool:
    code = getattr(exc, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or code == _CANNOT_WRITE


def _needs_check(connection: sqlite3.Connection) -> bool:
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    size = pages * connection.execute("PRAGMA page_size").fetchone()[0]
    tables = "SELECT 1 FROM sqlite_schema WHERE name = 'life'"
    if size > _CHECK_BYTES or connection.execute(tables).fetchone() is None:
        return False
    return was_cut_short(connection)


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT_S
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection
