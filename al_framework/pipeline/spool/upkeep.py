"""What keeps a spool in order while it is used, and tells how it is."""

import logging
from dataclasses import replace

from al_framework.api import Clock, SpoolHealth
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.spool.accepting import Acceptor
from al_framework.pipeline.spool.ageing import is_believable
from al_framework.pipeline.spool.condition import read_health
from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.directory import GroupFiles
from al_framework.pipeline.spool.ending import Ending
from al_framework.pipeline.spool.evicting import evict, overdue
from al_framework.pipeline.spool.failpoints import Failpoint
from al_framework.pipeline.spool.records import GcReport, SpoolLimits, VerifyReport
from al_framework.pipeline.spool.rescuing import Rescue
from al_framework.pipeline.spool.room import Room
from al_framework.pipeline.spool.sweeping import Sweeper
from al_framework.pipeline.spool.verifying import verify

_LOG = logging.getLogger(__name__)


class Upkeep:
    """Looks after one spool.

    Args:
        database: The spool's index.
        files: The spool's group files.
        acceptor: Knows how fast the disk is.
        room: Knows whether the disk is full.
        ledger: As for `Spool`.
        limits: As for `Spool`.
        clock: As for `Spool`.
        failpoint: As for `Spool`.
    """

    def __init__(  # noqa: PLR0913 - what it shares with the spool, keyword-only
        self,
        database: Database,
        files: GroupFiles,
        *,
        acceptor: Acceptor,
        room: Room,
        ledger: Ledger,
        limits: SpoolLimits,
        clock: Clock,
        failpoint: Failpoint,
    ) -> None:
        self._database = database
        self._files = files
        self._acceptor = acceptor
        self._room = room
        self._ledger = ledger
        self._max_age_s = limits.max_age_s
        self._clock = clock
        self._rescue = Rescue(database, files, max_bytes=limits.dead_max_bytes)
        self._sweeper = Sweeper(
            database, files, clock=clock, failpoint=failpoint, rescue=self._rescue
        )

    def health(self) -> SpoolHealth:
        """Tell how the spool is; see `Spool.health`."""
        now = self._clock.time()
        spent_until = self._ledger.spent_until(now)
        with self._database.read() as tx:
            found = read_health(tx, self._files.directory, now=now, limits_spent_until=spent_until)
        return replace(
            found, full_disk=self._room.full_disk, fsync_p99_s=self._acceptor.fsync_p99_s
        )

    def verify(self) -> VerifyReport:
        """Read everything; see `Spool.verify`."""
        return verify(self._database, self._files, self._sweeper, self._rescue)

    def gc(self) -> GcReport:
        """Remove what nobody needs; see `Spool.gc`."""
        report = self._sweeper.everything()
        self._database.checkpoint(thorough=True)
        return report

    def sweep_step(self) -> GcReport:
        """Do a little of it; see `Spool.sweep_step`."""
        report = self._sweeper.step()
        with self._database.read() as tx:
            (items,) = tx.execute("SELECT items FROM total").fetchone()
        if items and self._room.lacks_ballast():
            with self._database.locked():
                self._room.make_ballast()
        return report

    def evict_due(self) -> int:
        """Remove datapoints that have waited too long; see `Spool.evict_due`."""
        if self._max_age_s is None:
            return 0
        now = self._clock.time()
        if not is_believable(self._database, now):
            return 0
        before = now - self._max_age_s
        with self._database.read() as tx:
            if not overdue(tx, before):
                return 0
        ending = Ending()
        reason = f"evicted: it waited for more than {self._max_age_s:g} s (max_age_s)"
        with self._database.locked():
            with self._database.transaction() as tx:
                numbers = overdue(tx, before)
                for number in numbers:
                    sinks = evict(tx, number, reason=reason, ledger=self._ledger, ending=ending)
                    ending.evicted += [(sink, "max_age") for sink in sinks]
            self._acceptor.clear(ending)
        ending.settle(self._ledger)
        _LOG.warning(
            "spool '%s': removed %s that waited for more than %g s (max_age_s)",
            self._files.directory,
            "1 datapoint" if len(numbers) == 1 else f"{len(numbers)} datapoints",
            self._max_age_s,
        )
        return len(numbers)
