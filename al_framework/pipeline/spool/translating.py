"""What an error of the disk or of SQLite means to whoever uses the spool."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from al_framework.api import SpoolDiskFullError, SpoolError
from al_framework.pipeline.spool.soundness import is_certain

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# What SQLite answers, among other troubles, without room for its log or its shared memory.
_VAGUE = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_LOG_NEEDS_BYTES = 1 << 16


@contextmanager
def translated(directory: Path) -> Iterator[None]:
    """Turn errors of the disk and of SQLite into those of the spool."""
    try:
        yield
    except (OSError, sqlite3.Error) as exc:
        code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
        lacks = _lacking(directory)
        is_full = code == sqlite3.SQLITE_FULL or getattr(exc, "errno", None) in _NO_ROOM
        if lacks == "files" and (is_full or code in _VAGUE):
            raise SpoolDiskFullError(
                f"spool '{directory}': the disk can hold no further file ({exc}); remove some from"
                " it"
            ) from exc
        if is_full or (lacks and code in _VAGUE):
            raise SpoolDiskFullError(
                f"spool '{directory}': the disk is full ({exc}); make room on it"
            ) from exc
        if is_certain(exc):
            raise damaged(directory, exc) from exc
        raise SpoolError(
            f"spool '{directory}': {exc}; check that the directory exists, is writable, and lies"
            " on a healthy local disk"
        ) from exc


def damaged(directory: Path, exc: BaseException | None) -> SpoolError:
    """Return what to raise where the index is damaged."""
    return SpoolError(
        f"spool '{directory}': its index is damaged ({exc}); when it is used next it is set aside"
        " and a new one is built from the group files"
    )


def _lacking(directory: Path) -> Literal["bytes", "files", ""]:
    """Tell what the disk has run out of, if it has."""
    try:
        disk = os.statvfs(directory)
    except OSError:  # it has worse troubles
        return ""
    if disk.f_bavail * disk.f_frsize < _LOG_NEEDS_BYTES:
        return "bytes"
    return "files" if disk.f_files and not disk.f_favail else ""  # some do not count them
