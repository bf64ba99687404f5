"""Datapoints that lie on the disk and that the index knows nothing of.

Nobody was told that they are accepted, or else the index has lost commits in a way that nothing
shows. As that cannot be told apart, they are not removed: they are moved out of the way and kept
for a while, within bounds.
"""

import logging
import sqlite3
from contextlib import suppress
from pathlib import Path

from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.directory import SUFFIX, GroupFiles
from al_framework.pipeline.spool.groupfile import read_group, scan_group, sync_directory
from al_framework.pipeline.spool.items import decode_meta

KEEP_DAMAGED_S = 14 * 86400.0
_KNOWN = "SELECT 1 FROM item WHERE item_id = ? UNION ALL SELECT 1 FROM seen WHERE item_id = ?"
_LOG = logging.getLogger(__name__)


class Rescue:
    """Keeps the files of such datapoints.

    Args:
        database: The spool's index.
        files: The spool's group files.
        max_bytes: Of all that was moved out of the way together; beyond it the oldest go.
    """

    def __init__(self, database: Database, files: GroupFiles, *, max_bytes: int) -> None:
        self._database = database
        self._files = files
        self._max_bytes = max_bytes

    def keep(self, file: str) -> bool:
        """Move a group file without a row out of the way if it holds such a datapoint.

        Args:
            file: As the index would know it; the spool's lock is held.

        Returns:
            Whether it was moved; if not, it can be removed.
        """
        count = self._count_unknown(self._files.path(file))
        if not count:
            return False
        aside = self._files.set_aside(file)
        sync_directory(aside.parent)
        _LOG.warning(
            "spool '%s': group file %r holds %s that the index knows nothing of; it is kept as '%s'"
            " for two weeks: see al spool verify",
            self._files.directory,
            file,
            "1 datapoint" if count == 1 else f"{count} datapoints",
            aside,
        )
        return True

    def kept(self) -> tuple[int, int]:
        """Return how many files were moved that hold such datapoints, and how many of these."""
        counts = [self._count_unknown(path) for path in self._paths() if _is_group(path)]
        return sum(count > 0 for count in counts), sum(counts)

    def prune(self, now: float) -> int:
        """Remove what was kept for long enough, or is too much, and return how many files."""
        found: list[tuple[float, int, Path]] = []
        for path in self._paths():
            with suppress(FileNotFoundError):  # another process does the same
                status = path.stat(follow_symlinks=False)
                found.append((status.st_ctime, status.st_size, path))
        found.sort()
        total, removed = sum(size for _, size, _ in found), 0
        for changed_at, size, path in found:
            is_old = now - changed_at > KEEP_DAMAGED_S
            if not is_old and total <= self._max_bytes:
                continue
            if not is_old:
                _LOG.warning(
                    "spool '%s': removed '%s', since what is kept there takes up more than %d bytes"
                    " (dead_max_bytes)",
                    self._files.directory,
                    path,
                    self._max_bytes,
                )
            path.unlink(missing_ok=True)
            total, removed = total - size, removed + 1
        return removed

    def _paths(self) -> list[Path]:
        place = self._files.directory / "damaged"
        return sorted(place.iterdir()) if place.is_dir() and not place.is_symlink() else []

    def _count_unknown(self, path: Path) -> int:
        """Return how many datapoints of a file are unknown; one if it cannot be read."""
        try:
            metas = [meta for _, meta in scan_group(read_group(path))]
        except OSError as exc:
            _LOG.warning("spool '%s': '%s': %s", self._files.directory, path, exc)
            return 1
        with self._database.read() as tx:
            return sum(not _is_known(tx, meta) for meta in metas)


def _is_group(path: Path) -> bool:
    return path.suffix == SUFFIX and path.is_file() and not path.is_symlink()


def _is_known(tx: sqlite3.Connection, meta: bytes) -> bool:
    try:
        values, _, _ = decode_meta(meta)
        item_id = str(values["item_id"])
        return tx.execute(_KNOWN, (item_id, item_id)).fetchone() is not None
    except (LookupError, TypeError, ValueError):  # no datapoint of ours
        return True
