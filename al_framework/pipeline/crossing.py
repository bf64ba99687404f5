"""What a child of a fork inherits of SQLite, if it could not be left behind in time.

SQLite knows which locks this process holds from a table in its memory, which a fork copies; the
locks themselves stay with the parent. A child that opens the same file then believes that it holds
what it does not, and whoever else closes the index deletes the log under it. So nothing of SQLite
is to cross a fork. Where a thread would not let go of it in time, the child takes those locks
itself.
"""

import os
import time
from pathlib import Path

# The bytes that every connection to a database with a log keeps locked: they are part of SQLite's
# format, the same wherever it runs.
_SHARED = (0x40000002, 510)
_LOG_IN_USE = (128, 1)
_WAIT_S = 1.0
_PAUSE_S = 0.001


class Crossing:
    """One index that a connection is open to at the moment of a fork; made before it.

    Args:
        path: The index.
    """

    def __init__(self, path: Path) -> None:
        self._files = (path, Path(f"{path}-shm"))
        self._before = [_identity(file) for file in self._files]
        # Never closed: closing any descriptor of a file gives back all locks of the process on it.
        self._descriptors: list[int] = []

    def hold_locks(self) -> bool:
        """Take in the child the locks that SQLite believes to have; False if it is too late."""
        try:
            for file, (start, length) in zip(self._files, (_SHARED, _LOG_IN_USE), strict=True):
                self._descriptors.append(os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC))
                _lock_shared(self._descriptors[-1], start, length)
        except OSError:
            return False
        # Between the fork and the locks somebody may have removed what SQLite has in memory.
        return [_identity(file) for file in self._files] == self._before


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _lock_shared(descriptor: int, start: int, length: int) -> None:
    import fcntl

    until = time.monotonic() + _WAIT_S
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, length, start)
        except (BlockingIOError, PermissionError):  # held for a moment by one that is closing
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE_S)
        else:
            return
