"""The spool's directory: made, checked, and its group files named, listed and removed.

Layout: ``spool.db`` (index), ``write.lock``, ``deliver.lock``, ``obj/YYYYMMDDHH/<group>.als``;
``ballast`` while there is something to deliver; ``damaged`` for files that cannot be read.
"""

import heapq
import itertools
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from al_framework.api import SpoolDiskFullError, SpoolError
from al_framework.pipeline.spool.failpoints import Failpoint, no_failpoint
from al_framework.pipeline.spool.groupfile import GroupItem, sync_directory, write_group
from al_framework.pipeline.spool.network_disk import refuse_network_disk
from al_framework.pipeline.spool.records import CorruptItemError, Place

SUFFIX = ".als"


def prepare_directory(directory: Path, *, allow_network_disk: bool = False) -> None:
    """Create the directory where it is missing, and refuse one that others could tamper with.

    Raises:
        SpoolError: It is no directory, belongs to somebody else, is writable for others, or lies
            on a network file system; or the group files in it cannot be reached.
    """
    _make_durably(directory)
    status = directory.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise SpoolError(f"spool '{directory}': it is not a directory; give another path")
    if status.st_uid != os.geteuid():
        raise SpoolError(
            f"spool '{directory}': it belongs to user {status.st_uid}, and this process runs as"
            f" user {os.geteuid()}; use a directory of your own"
        )
    if status.st_mode & 0o022:
        raise SpoolError(
            f"spool '{directory}': others can write to it (mode {status.st_mode & 0o777:o});"
            f" run chmod go-w '{directory}'"
        )
    if not allow_network_disk:
        refuse_network_disk(directory)
    _make_durably(directory / "obj")
    if not (directory / "obj").is_dir():
        raise SpoolError(
            f"spool '{directory}': '{directory / 'obj'}', where the group files are, is no"
            " directory; restore it, or mount the disk that it is on"
        )


def require_spool(directory: Path) -> None:
    """Refuse a directory that holds no spool, for those who only look.

    Raises:
        SpoolError: There is none.
    """
    if not any((directory / name).exists() for name in ("spool.db", "obj")):
        raise SpoolError(
            f"spool '{directory}': there is no spool; give the directory of one, which holds"
            " 'spool.db'"
        )


class GroupFiles:
    """The group files of one spool.

    Args:
        directory: The spool's directory.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._root = directory / "obj"
        self._numbers = itertools.count()
        self._durable_hour = ""

    @property
    def are_reachable(self) -> bool:
        """Whether there is a directory of group files at all."""
        return self._root.is_dir()

    def path(self, file: str) -> Path:
        """Return the path of a group file, given as the index knows it.

        Raises:
            CorruptItemError: It is no such name: a damaged index may say anything.
        """
        hour, _, name = str(file).partition("/")
        if hour in {"", ".", ".."} or "/" in name or not name.endswith(SUFFIX):
            raise CorruptItemError(f"group file {file!r}: none has such a name")
        return self._root / hour / name

    def reserve_name(self, now: float) -> str:
        """Return a free name for a group file, whose directory exists."""
        hour = _hour(now)
        with suppress(FileExistsError):
            (self._root / hour).mkdir(mode=0o700)
            self._durable_hour = ""
        while True:
            name = f"{hour}/{int(now * 1000):013x}-{os.getpid():x}-{next(self._numbers):x}{SUFFIX}"
            if not os.path.lexists(self._root / name):
                return name

    def write(
        self, file: str, items: Sequence[GroupItem], failpoint: Failpoint = no_failpoint
    ) -> list[Place]:
        """Write a group and sync the file's contents."""
        return write_group(self.path(file), items, failpoint)

    def make_durable(self, file: str) -> bool:
        """Sync the name of a group file, and of its directory if this process has not done it yet.

        Returns:
            Whether this was the first file in a new directory.
        """
        parent = self.path(file).parent
        sync_directory(parent)
        if parent.name == self._durable_hour:
            return False
        # By every process once: the one that made the directory may have died before its sync.
        sync_directory(self._root)
        self._durable_hour = parent.name
        return True

    def remove(self, file: str, now: float) -> None:
        """Remove a group file, and with the last one its directory unless it is still in use."""
        try:
            path = self.path(file)
        except CorruptItemError:  # nothing of that name was ever ours
            return
        path.unlink(missing_ok=True)
        if path.parent.name != _hour(now):
            with suppress(OSError):  # not empty
                path.parent.rmdir()

    def remove_empty_hours(self, now: float) -> int:
        """Remove directories without files, and return how many there were."""
        removed = 0
        for path in list(self._root.iterdir()):
            if path.name != _hour(now):
                with suppress(OSError):  # not empty
                    path.rmdir()
                    removed += 1
        return removed

    def list(self) -> Iterator[str]:
        """Yield every group file, as the index would know it; an hour at a time in memory."""
        for hour in _entries(self._root):
            if hour.is_dir() and not hour.is_symlink():
                for path in _entries(hour):
                    if path.suffix == SUFFIX and path.is_file() and not path.is_symlink():
                        yield f"{hour.name}/{path.name}"

    def after(self, file: str, count: int) -> Sequence[str]:
        """Return the first group files whose names come after one, in order; no more in memory.

        Args:
            file: As the index would know it; empty to begin.
            count: So many at most.
        """
        found: list[str] = []
        first_hour = file.partition("/")[0]
        for hour in _entries(self._root):
            if len(found) == count:
                break
            if hour.name >= first_hour and not hour.is_symlink():
                names = (name for name in _names(hour) if name > file)
                found += heapq.nsmallest(count - len(found), names)
        return found

    def keep_copy(self, file: str) -> Path:
        """Keep a group file for a person under a second name, and return where that is."""
        target = self._aside(file)
        with suppress(FileExistsError):  # it was kept when the index was last built anew
            os.link(self.path(file), target)
        return target

    def set_aside(self, file: str) -> Path:
        """Move a group file out of the way, for a person to look at, and return where it is."""
        target = self._aside(file)
        self.path(file).rename(target)
        return target

    def _aside(self, file: str) -> Path:
        place = self.directory / "damaged"
        place.mkdir(mode=0o700, exist_ok=True)
        return place / file.replace("/", "-")

    def require_free(self, needed: int, min_free_bytes: int) -> None:
        """Refuse to fill the disk up.

        Raises:
            SpoolDiskFullError: Too little would remain for others.
        """
        disk = os.statvfs(self.directory)
        reserve = min(min_free_bytes, disk.f_blocks * disk.f_frsize // 20)
        free = disk.f_bavail * disk.f_frsize
        if free - needed < reserve:
            raise SpoolDiskFullError(
                f"spool '{self.directory}': the disk has {free} bytes free, of which {reserve} are"
                " kept for others; make room on it, or lower min_free_bytes"
            )


def _hour(now: float) -> str:
    return time.strftime("%Y%m%d%H", time.gmtime(now))


def _entries(directory: Path) -> Sequence[Path]:
    try:
        return sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # removed while somebody was looking
        return ()


def _names(hour: Path) -> Iterator[str]:
    """Yield the group files of an hour in no order, one at a time."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(hour) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
                yield f"{hour.name}/{entry.name}"


def _make_durably(directory: Path) -> None:
    if directory.exists():
        return
    _make_durably(directory.parent)
    with suppress(FileExistsError):  # another process was faster
        directory.mkdir(mode=0o700)
    sync_directory(directory.parent)
