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

from al_framework.api import SpoolError, SpoolFullError
from al_framework.pipeline.forking import tell_after_fork, tell_around_fork
from al_framework.pipeline.spool.locking import FileLock

_LOG = logging.getLogger(__name__)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY_TIMEOUT_S = 10.0
_FORK_WAIT_S = 5.0


@contextmanager
def translated(directory: Path) -> Iterator[None]:
    """Turn errors of the disk and of SQLite into those of the spool."""
    try:
        yield
    except (OSError, sqlite3.Error) as exc:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL or getattr(exc, "errno", None) in _NO_ROOM:
            raise SpoolFullError(
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
    """

    def __init__(
        self, directory: Path, prepare: Callable[[sqlite3.Connection, bool], None]
    ) -> None:
        self._directory = directory
        self._path = directory / "spool.db"
        self._prepare = prepare
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

    def open(self, now: float) -> None:
        """Open the index, setting it aside under another name if it is damaged."""
        with self._lock:
            self._create()
            damaged = not self._is_healthy()
            if damaged:
                self._set_aside(now)
                self._create()
            self._is_open = True
            try:
                self._connect(damaged=damaged)
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
            if self._writer is None:
                self._connect(damaged=False)
            yield

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write in one transaction; the caller holds the lock."""
        tx = self._writer
        assert tx is not None  # noqa: S101 - locked() has connected
        tx.execute("BEGIN IMMEDIATE")
        try:
            yield tx
            tx.execute("COMMIT")
        except BaseException:
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
            if self._reader is None:
                self._reader = _connect(f"file:{quote(str(self._path))}?mode=ro")
            yield self._reader

    def checkpoint(self) -> None:
        """Move what is committed from the log into the index itself."""
        with self.locked():
            assert self._writer is not None  # noqa: S101 - locked() has connected
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

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

    def _is_healthy(self) -> bool:
        try:
            connection = _connect(f"file:{quote(str(self._path))}")
            try:
                rows = connection.execute("PRAGMA quick_check(1)").fetchall()
            finally:
                connection.close()
        except sqlite3.DatabaseError as exc:
            if exc.sqlite_errorcode & 0xFF in _DAMAGED:
                return False
            raise
        return rows == [("ok",)]

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


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT_S
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection
