"""The broom: group files that no row refers to, and other things that nobody needs.

A process killed between writing a file and committing its rows, or between removing the rows and
the file, leaves the file behind. It takes up room, and is removed, unless it holds a datapoint that
the index knows nothing of. Looking for such files costs time that grows with the backlog, so nobody
does it at the start: the delivery leader does, a little every minute.
"""

import logging
import sqlite3
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from al_framework.api import Clock
from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.failpoints import Failpoint
from al_framework.pipeline.spool.records import GcReport
from al_framework.pipeline.spool.rescuing import KEEP_DAMAGED_S, Rescue

ORPHAN_AGE_S = 600.0
STEP_FILES = 500
_LOG = logging.getLogger(__name__)


class Sweeper:
    """Removes what nobody needs.

    Args:
        database: The spool's index.
        files: The spool's group files.
        clock: Time.
        failpoint: As for `Spool`.
        rescue: Keeps what may have been accepted.
    """

    def __init__(
        self,
        database: Database,
        files: GroupFiles,
        *,
        clock: Clock,
        failpoint: Failpoint,
        rescue: Rescue,
    ) -> None:
        self._database = database
        self._files = files
        self._clock = clock
        self._failpoint = failpoint
        self._rescue = rescue
        # A name and not an iterator, which would hold an hour's files for minutes.
        self._last: str | None = None

    def step(self) -> GcReport:
        """Look at some files and go on from there the next time; young ones are left alone."""
        names = [] if self._last is None else self._files.after(self._last, STEP_FILES)
        if names:
            self._last = names[-1]
            return self._remove_strays(names, min_age_s=ORPHAN_AGE_S)
        self._last = ""
        aside = self._rescue.prune(self._clock.time())
        return GcReport(hours=self._remove_hours(), set_aside=aside)

    def everything(self) -> GcReport:
        """Look at all files, and at what was set aside."""
        files = size = kept = 0
        left = self._files.list()
        while names := list(islice(left, STEP_FILES)):
            report = self._remove_strays(names, min_age_s=0.0)
            files, size = files + report.files, size + report.bytes
            kept += report.kept
        hours, aside = self._remove_hours(), self._remove_set_aside()
        return GcReport(files=files, bytes=size, kept=kept, hours=hours, set_aside=aside)

    def strays(self) -> tuple[str, ...]:
        """Return the group files that no row refers to."""
        found: list[str] = []
        left = self._files.list()
        while names := list(islice(left, STEP_FILES)):
            found += self._unused(names)
        return tuple(found)

    def _unused(self, names: Sequence[str]) -> list[str]:
        with self._database.read() as tx:
            return [name for name in names if not _is_used(tx, name)]

    def _remove_strays(self, names: Sequence[str], *, min_age_s: float) -> GcReport:
        now = self._clock.time()
        removed = size = kept = 0
        for name in self._unused(names):
            # Under the lock no file is about to get its row; for each anew, since it is read.
            with self._database.locked():
                if not self._unused([name]):
                    continue
                try:
                    status = self._files.path(name).stat()
                except FileNotFoundError:
                    continue
                if min_age_s and now - status.st_mtime <= min_age_s:
                    continue
                if self._rescue.keep(name):
                    kept += 1
                    continue
                self._files.remove(name, now)
                self._failpoint("swept")
                removed, size = removed + 1, size + status.st_size
                _LOG.info("spool '%s': removed unfinished group file %r", self._directory, name)
        if kept:
            self._rescue.prune(now)
        return GcReport(files=removed, bytes=size, kept=kept)

    def _remove_hours(self) -> int:
        # Under the lock nobody is about to put the first file into one.
        with self._database.locked():
            return self._files.remove_empty_hours(self._clock.time())

    def _remove_set_aside(self) -> int:
        now = self._clock.time()
        removed = self._rescue.prune(now)
        for path in self._directory.glob("spool.db.corrupt-*"):
            if now - path.stat().st_ctime > KEEP_DAMAGED_S:
                path.unlink()
                removed += 1
        return removed

    @property
    def _directory(self) -> Path:
        return self._files.directory


def _is_used(tx: sqlite3.Connection, file: str) -> bool:
    row = tx.execute("SELECT 1 FROM group_file WHERE file = ?", (file,)).fetchone()
    return row is not None
