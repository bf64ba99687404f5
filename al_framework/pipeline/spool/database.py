"""The index's connections and transactions.

One connection writes and one reads, whatever the number of threads: both are opened when first
needed, closed before a fork, and opened again in parent and child. Every write transaction, every
checkpoint and the closing happen under the spool's lock. That keeps waiting times short (SQLite's
own waiting is ten times slower at the tail), and no commit can ever overlap a checkpoint, which
spares us the corruption bug of SQLite's WAL reset (3.7.0 to 3.51.2).
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from al_framework.api import Clock, SpoolError
from al_framework.pipeline.crossing import Crossing
from al_framework.pipeline.forking import tell_after_fork, tell_around_fork
from al_framework.pipeline.spool.ballast import INDEX_NEEDS_BYTES, Ballast
from al_framework.pipeline.spool.failpoints import Failpoint
from al_framework.pipeline.spool.locking import FileLock
from al_framework.pipeline.spool.soundness import (
    MISREADINGS,
    connect,
    faults_of,
    is_damage,
    is_sound,
    is_suspicious,
    set_aside,
)

# What SQLite answers when a quota or a limit of the process is reached, and not the disk's end.
_CANNOT_WRITE = sqlite3.SQLITE_IOERR_WRITE
_FORK_WAIT_S = 5.0
_LOOK_EVERY_S = 60.0
_LOG = logging.getLogger(__name__)
_LOG_BYTES = 8 << 20  # twice what SQLite lets it grow to before a checkpoint


class Database:
    """The index of one spool directory.

    Args:
        directory: The spool's directory.
        prepare: Called in a transaction of its own when this process first uses an index, with
            whether an earlier one was found damaged and set aside.
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
        self._looked_at = float("-inf")
        self._was_damaged = False
        self._lock = FileLock(directory / "write.lock")
        self._read_mutex = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._is_prepared = False
        self._is_open = False
        self._owner: int | None = None  # the thread that has the lock
        self._users: list[int] = []  # threads that are at it, once for each reason
        self._inherited: list[sqlite3.Connection] = []
        self._crossing: Crossing | None = None
        self._is_lost = False
        self._held_for_fork: dict[int, list[Callable[[], None]]] = {}  # by thread
        tell_after_fork(self)
        tell_around_fork(self)

    def open(self) -> None:
        """Open the index, setting it aside under another name if it is damaged."""
        with self._alone():
            self._make_room()
            self._create()
            self._is_open = True
            try:
                if is_sound(self._path, thorough=False):
                    try:
                        self._connect()
                    except Exception as exc:
                        if not is_damage(exc.__cause__ or exc, self._path):
                            raise
                        self._replace()
                else:
                    self._replace()
            except BaseException:
                self._disconnect()
                self._is_open = False
                raise

    @property
    def is_suspect(self) -> bool:
        """Whether it may be damaged, which is looked into when it is used next."""
        return self._is_suspect

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the spool's lock."""
        with self._alone():
            self._check_open()
            if self._was_damaged:  # it was set aside, and building the new one has failed
                self._create()
            if self._identity_on_disk() != self._identity:
                # Another process has found the index damaged and built a new one.
                self._disconnect()
                self._is_prepared = False
            if self._is_suspect:
                self._looked_at = self._clock.monotonic()
                if not is_sound(self._path, thorough=True):
                    self._replace()
            self._is_suspect = False
            if self._writer is None:
                self._connect()
            yield

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write in one transaction; the caller holds the lock."""
        tx = self._writer
        assert tx is not None  # noqa: S101 - locked() has connected
        self._make_room()
        tx.execute("BEGIN IMMEDIATE")
        try:
            with self._watched():
                yield tx
                self._commit(tx)
        except BaseException:
            # SQLite may have rolled back by itself; doing it again would mask the real error.
            if tx.in_transaction:
                with suppress(sqlite3.Error):
                    tx.execute("ROLLBACK")
            raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Read what is committed, without waiting for writers."""
        self._check_open()
        # What is damaged is mended under the lock, which a reader would never take otherwise.
        if self._owner != threading.get_ident() and (self._is_suspect or self._is_replaced()):
            with self.locked():
                pass
        with self._read_mutex, self._in_use():
            self._check_open()
            with self._watched():
                if self._reader is None:
                    self._reader = connect(self._path, read_only=True)
                yield self._reader

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
        """Return what is wrong with the index, the first hundred of it."""
        self._check_open()
        with self._in_use(), closing(connect(self._path, read_only=True)) as connection:
            return faults_of(connection)

    def close(self) -> None:
        """Close both connections; the last process to do so empties the log."""
        try:
            with self._alone():
                self._disconnect()
        except BaseException:  # the lock cannot be had: leave the log to the next process
            with self._read_mutex, suppress(sqlite3.Error):
                self._let_go()
            raise
        finally:
            self._is_open = self._is_prepared = False
            self._lock.close()

    def before_fork(self) -> None:
        """Let nothing of SQLite cross the fork, and no thread use it meanwhile."""
        held: list[Callable[[], None]] = []
        self._held_for_fork[threading.get_ident()] = held  # two threads may fork at once
        if self._lock.hold_threads(_FORK_WAIT_S):
            held.append(self._lock.let_threads_go)
        if self._read_mutex.acquire(timeout=_FORK_WAIT_S):
            held.append(self._read_mutex.release)
        try:
            if len(held) == len(("threads", "readers")):
                self._let_go()
        finally:
            open_here = self._writer or self._reader or self._inherited or self._users
            self._crossing = Crossing(self._path) if open_here else None

    def after_fork_in_parent(self) -> None:
        """Let the threads go on."""
        for let_go in reversed(self._held_for_fork.pop(threading.get_ident(), [])):
            let_go()

    def after_fork(self) -> None:
        """Begin with an index that this process has never used."""
        # Kept, not closed: SQLite forbids even closing a connection on the other side of a fork.
        self._inherited += [one for one in (self._writer, self._reader) if one is not None]
        self._writer = self._reader = None
        self._is_prepared = False
        self._read_mutex = threading.Lock()
        self._held_for_fork = {}
        # In the middle of something SQLite has more locks than can be had again.
        in_the_middle, self._users, self._owner = bool(self._users), [], None
        if self._crossing is not None:
            self._is_lost = in_the_middle or not self._crossing.hold_locks()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock, self._in_use():
            self._owner = threading.get_ident()
            try:
                yield
            finally:
                self._owner = None

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        me = threading.get_ident()
        self._users.append(me)
        try:
            yield
        finally:
            with suppress(ValueError):  # this is the child of a fork in the middle of it
                self._users.remove(me)

    def _let_go(self) -> None:
        """Close both connections, quickly: the log is neither worked off nor removed.

        That is what SQLite does unless the last connection of a process is one that may write; so
        it needs no lock of the spool, which another process may hold for long.
        """
        if self._writer is not None:
            if self._reader is None:
                self._reader = connect(self._path, read_only=True)
            self._reader.execute("SELECT 1 FROM sqlite_schema").fetchone()  # opens the file
            self._writer.close()
            self._writer = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _is_replaced(self) -> bool:
        """Tell whether this process still looks at an index that another one has set aside."""
        if self._identity is None:
            return False
        with suppress(SpoolError):  # it is missing for a moment while it is replaced
            return self._identity_on_disk() != self._identity
        return False

    def _check_open(self) -> None:
        if not self._is_open:
            raise SpoolError(f"spool '{self._directory}': it is not open; call open() first")
        if self._is_lost:
            raise SpoolError(
                f"spool '{self._directory}': this process was forked while its parent was in the"
                " middle of using the spool; fork again, or build the collector after the fork"
            )

    def _create(self) -> None:
        # Made here, since SQLite would leave the permissions to the umask. One that is there is not
        # opened: closing it would give back SQLite's own locks, if this process has it in use.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with suppress(FileExistsError):
            os.close(os.open(self._path, flags, 0o600))

    def _make_room(self) -> None:
        disk = os.statvfs(self._directory)
        if disk.f_bavail * disk.f_frsize < INDEX_NEEDS_BYTES:
            self._ballast.release()

    def _commit(self, tx: sqlite3.Connection) -> None:
        try:
            tx.execute("COMMIT")
        except sqlite3.Error as exc:
            if not _is_full(exc) or not self._ballast.release() or not tx.in_transaction:
                raise
            tx.execute("COMMIT")

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Let an error that the index has caused have its consequences at the next lock."""
        try:
            yield
        except sqlite3.Error as exc:
            self._is_suspect = self._is_suspect or is_suspicious(exc)
            if _is_full(exc):  # for the next attempt, which is to come through
                self._ballast.release()
            raise
        except MISREADINGS as exc:
            if not is_suspicious(exc):
                raise
            # Should the fault be in here, looking each time would hold everybody up.
            if self._clock.monotonic() - self._looked_at >= _LOOK_EVERY_S:
                self._is_suspect = True
                _LOG.debug("spool '%s': misread", self._directory, exc_info=exc)
            raise SpoolError(
                f"spool '{self._directory}': its index does not hold what was written"
                f" ({type(exc).__name__}: {exc}); when it is used next it is looked through, and"
                " built anew if it is damaged"
            ) from exc

    def _replace(self) -> None:
        """Set the damaged index aside and begin a new one."""
        self._disconnect()
        self._is_prepared = False
        set_aside(self._path, self._clock.time())
        self._was_damaged = True
        self._failpoint("set_aside")
        self._create()
        self._connect()

    def _identity_on_disk(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except FileNotFoundError as exc:
            raise SpoolError(
                f"spool '{self._directory}': its index was removed while in use; restart to build"
                " a new one"
            ) from exc
        return status.st_dev, status.st_ino

    def _connect(self) -> None:
        try:
            self._identity = self._identity_on_disk()
            writer = connect(self._path)
            self._writer = writer
            writer.execute("PRAGMA journal_mode = WAL").fetchall()
            writer.execute("PRAGMA synchronous = FULL")
            writer.execute("PRAGMA fullfsync = ON")  # macOS; no effect elsewhere
            # A slow reader makes the log grow; when it lets go the file must not stay so large.
            writer.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}").fetchall()
            if not self._is_prepared:  # what follows a fork in the parent goes on as before
                with self.transaction() as tx:
                    self._prepare(tx, self._was_damaged)
        except BaseException:
            self._disconnect()
            self._identity = None  # the next one to take the lock tries again
            self._is_prepared = False
            raise
        self._is_prepared, self._was_damaged = True, False

    def _disconnect(self) -> None:
        with self._read_mutex:
            if self._reader is not None:
                self._reader.close()
            self._reader = None
        if self._writer is not None:
            self._writer.close()
        self._writer = None


def _is_full(exc: sqlite3.Error) -> bool:
    code = getattr(exc, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or code == _CANNOT_WRITE
