"""Write so that a power cut leaves the old state or the new one, and say what a failure means."""

import errno
import os
from pathlib import Path

from al_framework.api import SinkError, SinkPausedError, TransientSinkError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SETTING = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
    }
)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte.

    A full disk makes `os.write` return short before it raises, so the length is looked at.

    Raises:
        OSError: Not everything could be written.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def create_file(path: Path, data: bytes) -> None:
    """Write a file that does not exist yet; its bytes are on the disk on return.

    Raises:
        OSError: It exists, or cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file as a whole: readers see the old one or the new one.

    Raises:
        OSError: It cannot be written; the old one is still there.
    """
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        create_file(partial, data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable.

    Raises:
        OSError: The directory cannot be opened or synchronised.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def delivery_error(exc: OSError, *, sink: str, directory: Path) -> SinkError:
    """Return the error that tells the core what to do after a failed write."""
    where = f"sink {sink!r}: the directory {str(directory)!r}"
    if exc.errno in _FULL:
        return TransientSinkError(
            f"{where} is on a full disk ({exc.strerror}): free some room, delivery is tried again"
        )
    if exc.errno in _SETTING:
        return SinkPausedError(
            f"{where} cannot be written ({exc.strerror}): "
            "restore it or its permissions, delivery waits"
        )
    return TransientSinkError(f"{where} cannot be written ({exc}): delivery is tried again")
