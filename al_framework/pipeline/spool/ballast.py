"""The ballast: room on the disk that is ours to give back when there is no other.

On a full disk SQLite can neither lease, nor note a delivery, nor delete, so a spool that is full
would stay full. Removing one file needs no room at all, and what it gives is enough for the index
until the first pictures are delivered and removed.
"""

import errno
import logging
import os
from contextlib import suppress
from pathlib import Path

# With less than this on the disk the ballast is used up before the index needs it.
INDEX_NEEDS_BYTES = 1 << 20
_LOG = logging.getLogger(__name__)
_CHUNK = bytes(1 << 16)


class Ballast:
    """A file that takes up room; whoever makes or removes it holds the spool's lock.

    Args:
        directory: The spool's directory.
        size: Bytes; on a small disk, a quarter of it if that is less. 0 keeps no ballast.
    """

    def __init__(self, directory: Path, size: int) -> None:
        self._directory = directory
        self._path = directory / "ballast"
        self._size = size

    def missing_bytes(self) -> int:
        """Return how much is still to be set aside."""
        if not self._size or self._path.exists():
            return 0
        disk = os.statvfs(self._directory)
        return min(self._size, disk.f_blocks * disk.f_frsize // 4)

    def make(self) -> bool:
        """Set aside what is missing; return whether it is there now."""
        missing = self.missing_bytes()
        if not missing:
            return True
        try:
            _fill(self._path, missing)
        except OSError as exc:
            _LOG.debug("spool '%s': no ballast: %s", self._directory, exc)
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            return False
        return True

    def release(self) -> bool:
        """Give the room back to a full disk; return whether there was any."""
        if not self.remove():
            return False
        _LOG.info(
            "spool '%s': the disk is full; used up the ballast to go on delivering", self._directory
        )
        return True

    def remove(self) -> bool:
        """Remove it, since nothing is left that would need it; return whether there was any."""
        try:
            self._path.unlink()
        except OSError:  # there is none, or the disk has worse troubles
            return False
        return True


def _fill(path: Path, size: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
            return
        for start in range(0, size, len(_CHUNK)):  # pragma: no cover - macOS
            if os.write(descriptor, _CHUNK[: size - start]) == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)
