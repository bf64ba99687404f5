"""Find spools in which pictures wait and which nobody delivers.

A configuration that got another name has another spool, and what waits in the old one waits for
ever unless somebody says so. Nothing is written: another version of al-framework may own them.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from al_framework.pipeline.spool.locking import FileLock
from al_framework.pipeline.spool.schema import PENDING

_MOST = 20  # a directory full of spools is told in part: this is a hint and no inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class StrandedSpool:
    """A spool in which pictures wait and which nobody delivers at the moment.

    Attributes:
        directory: Where it lies.
        waiting: Pictures that some sink does not have yet.
    """

    directory: Path
    waiting: int


def is_delivered(directory: Path) -> bool:
    """Tell whether some process delivers what lies in a spool.

    Raises:
        OSError: The lock cannot be opened.
        SpoolError: The platform cannot lock files.
    """
    path = directory / "deliver.lock"
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        # Held for an instant. A process that wants to deliver meanwhile tries again a moment later.
        if lock.try_acquire():
            lock.release()
            return False
        return True
    finally:
        lock.close()


def stranded_beside(directory: Path) -> tuple[StrandedSpool, ...]:
    """Return the spools beside one in which pictures wait and which nobody delivers.

    What cannot be read is left out.
    """
    return tuple(_stranded(directory))


def _stranded(directory: Path) -> Iterator[StrandedSpool]:
    with suppress(OSError):
        names = sorted(os.listdir(directory.parent))  # noqa: PTH208 - names suffice
        neighbours = [directory.parent / name for name in names if name != directory.name]
        spools = [path for path in neighbours if (path / "spool.db").is_file()]
        for path in spools[:_MOST]:
            with suppress(OSError, sqlite3.Error):
                waiting = _count_waiting(path / "spool.db")
                if waiting and not is_delivered(path):
                    yield StrandedSpool(directory=path, waiting=waiting)


def _count_waiting(index: Path) -> int:
    uri = f"file:{quote(str(index))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        (count,) = connection.execute(
            "SELECT count(DISTINCT number) FROM delivery WHERE state = ?", (PENDING,)
        ).fetchone()
    return int(count)
