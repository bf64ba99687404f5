"""Locks between processes, and who is still alive to hold one.

The kernel gives up a `flock` when its holder dies, so there is no stale lock to break.
"""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from al_framework.api import SpoolError
from al_framework.pipeline.forking import tell_after_fork


class FileLock:
    """An exclusive lock between threads and processes; not reentrant.

    Args:
        path: The lock's file; it stays behind, empty.

    Raises:
        SpoolError: The platform has no `flock`.
    """

    def __init__(self, path: Path) -> None:
        try:
            import fcntl
        except ImportError as exc:
            raise SpoolError(
                f"spool lock '{path}': the platform {sys.platform!r} has no fcntl.flock, without"
                " which two processes would destroy each other's work; use Linux or macOS"
            ) from exc
        self._path = path
        self._exclusive, self._unlock = fcntl.LOCK_EX, fcntl.LOCK_UN
        self._at_once = fcntl.LOCK_EX | fcntl.LOCK_NB
        self._flock: Callable[[int, int], None] = fcntl.flock
        # Threads share the descriptor, and with it the flock: they need a lock among themselves.
        self._mutex = threading.Lock()
        self._descriptor: int | None = None
        tell_after_fork(self)

    def __enter__(self) -> None:
        """Wait for the lock and take it."""
        self._mutex.acquire()
        try:
            self._flock(self._opened(), self._exclusive)
            while self._is_replaced():
                self.close()
                self._flock(self._opened(), self._exclusive)
        except BaseException:
            self._mutex.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the lock back."""
        self.release()

    def hold_threads(self, timeout_s: float) -> bool:
        """Keep the other threads of this process from the lock; False if the time is up before."""
        return self._mutex.acquire(timeout=timeout_s)

    def let_threads_go(self) -> None:
        """End `hold_threads`."""
        self._mutex.release()

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it."""
        if not self._mutex.acquire(blocking=False):
            return False
        try:
            self._flock(self._opened(), self._at_once)
            if self._is_replaced():
                self.close()
                self._flock(self._opened(), self._at_once)
        except BlockingIOError:
            self._mutex.release()
            return False
        except BaseException:
            self._mutex.release()
            raise
        return True

    def release(self) -> None:
        """Give the lock back."""
        try:
            if self._descriptor is not None:
                self._flock(self._descriptor, self._unlock)
        except OSError:  # a network disk may refuse even that; without the file there is no lock
            self.close()
        finally:
            self._mutex.release()

    def close(self) -> None:
        """Close the file; using the lock again opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def after_fork(self) -> None:
        """Start afresh: an inherited descriptor would keep the parent's lock alive after it."""
        self._mutex = threading.Lock()
        self.close()

    def _is_replaced(self) -> bool:
        """Tell whether the path is another file by now, which others lock: all was removed."""
        assert self._descriptor is not None  # noqa: S101 - it is locked
        try:
            status = self._path.stat(follow_symlinks=False)
        except OSError:  # it is gone, so nobody has another one; the index will tell what is wrong
            return False
        mine = os.fstat(self._descriptor)
        return (status.st_dev, status.st_ino) != (mine.st_dev, mine.st_ino)

    def _opened(self) -> int:
        if self._descriptor is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)
        return self._descriptor


def process_name() -> str:
    """Return a name for this process that no other one ever has: pid, start time and boot."""
    pid = os.getpid()
    return f"{pid}:{_start_time(pid) or 0}:{_boot_id()}"


def is_alive(name: str) -> bool:
    """Tell whether the process of that name still runs.

    Where there is no ``/proc`` the start time is unknown, and another process that was given the
    same number counts as the same.
    """
    pid_text, started, boot = name.split(":")
    pid = int(pid_text)
    if boot != _boot_id():
        return False
    if started != "0":
        return _start_time(pid) == int(started)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _start_time(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The command's name stands in brackets and may itself hold brackets and spaces.
    values = text.rpartition(")")[2].split()
    # Killed, and only waiting for its parent to take note: it will not come back.
    return None if values[0] in {"Z", "X"} else int(values[19])


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
