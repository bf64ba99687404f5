"""The spool itself: opens and closes, takes frames in, and answers what it knows of them."""

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from al_framework.api import Clock, FrameKey, SinkCounts, SpoolError, SpoolHealth
from al_framework.pipeline.forking import tell_after_fork
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.reasons import Reasons
from al_framework.pipeline.spool.accepting import Acceptor
from al_framework.pipeline.spool.ballast import Ballast
from al_framework.pipeline.spool.batches import Batches
from al_framework.pipeline.spool.condition import sinks_with_something, tell_of_strangers
from al_framework.pipeline.spool.database import Database
from al_framework.pipeline.spool.dead import DeadLetters
from al_framework.pipeline.spool.directory import GroupFiles, prepare_directory, require_spool
from al_framework.pipeline.spool.failpoints import Failpoint, no_failpoint
from al_framework.pipeline.spool.intake import Intake
from al_framework.pipeline.spool.leases import Deliveries
from al_framework.pipeline.spool.lives import (
    adopt_orphans,
    begin_life,
    end_life,
    is_anybody_in,
    read_tally,
)
from al_framework.pipeline.spool.records import (
    Acceptance,
    BatchKey,
    Candidate,
    FoundFrame,
    GcReport,
    SeenFrame,
    SpoolLimits,
    SpoolStats,
    VerifyReport,
)
from al_framework.pipeline.spool.recovery import rebuild
from al_framework.pipeline.spool.room import Room
from al_framework.pipeline.spool.schema import migrate
from al_framework.pipeline.spool.seen import find_frames, is_seen
from al_framework.pipeline.spool.sinks import SinkTable
from al_framework.pipeline.spool.translating import translated
from al_framework.pipeline.spool.upkeep import Upkeep

_LOG = logging.getLogger(__name__)


class Spool:
    """What was accepted and is not yet at every sink.

    Several processes and threads may use one directory at the same time.

    Args:
        directory: Where it lies; on a local disk.
        sinks: Names of the sinks; new datapoints go to all of them. Without any, the spool can be
            looked at and tidied up, and takes nothing in.
        ledger: Decides who pays; in the same transaction if it lives in the same database.
        clock: Time.
        limits: How much it may hold.
        failpoint: Told the name of each step, for tests that stop the process there.

    Attributes:
        directory: As given.
        sinks: As given.
        deliveries: The side that takes datapoints out again.
        batches: What is known of the sizes of labelling batches.
        dead: What some sink has refused for good.
        sink_table: How each sink is doing.

    Raises:
        SpoolError: The platform cannot lock files.
    """

    def __init__(  # noqa: PLR0913 - every one is a choice of the configuration, keyword-only
        self,
        directory: Path,
        *,
        sinks: Sequence[str],
        ledger: Ledger,
        clock: Clock,
        limits: SpoolLimits | None = None,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        limits = limits if limits is not None else SpoolLimits()
        self.directory = directory
        self.sinks = tuple(sinks)
        self._ledger = ledger
        self._clock = clock
        self._failpoint = failpoint
        self._limits = limits
        self._evictions = Reasons()
        self._files = GroupFiles(directory)
        self._ballast = Ballast(directory, limits.ballast_bytes)
        self._database = Database(
            directory, self._prepare, ballast=self._ballast, clock=clock, failpoint=failpoint
        )
        room = Room(self._files, self._ballast, limits=limits, ledger=ledger, clock=clock)
        self._room = room
        acceptor = Acceptor(
            self._database,
            self._files,
            room,
            sinks=self.sinks,
            ledger=ledger,
            clock=clock,
            evictions=self._evictions,
            failpoint=failpoint,
        )
        self._intake = Intake(
            self._database,
            self._files,
            acceptor=acceptor,
            room=room,
            ledger=ledger,
            limits=limits,
            life=lambda: self._life or 0,
            has_sinks=bool(self.sinks),
        )
        self._upkeep = Upkeep(
            self._database,
            self._files,
            acceptor=acceptor,
            room=room,
            ledger=ledger,
            limits=limits,
            clock=clock,
            failpoint=failpoint,
        )
        self._is_open = False
        self._life: int | None = None
        self._last_counts: Mapping[str, SinkCounts] | None = None
        self.batches = Batches(self._database, self._files, clock=clock)
        self.sink_table = SinkTable(self._database, directory)
        self.dead = DeadLetters(
            self._database,
            self._files,
            ledger=ledger,
            clock=clock,
            life=lambda: self._life or 0,
            limits=limits,
            evictions=self._evictions,
            failpoint=failpoint,
        )
        self.deliveries = Deliveries(
            self._database,
            self._files,
            ledger=ledger,
            clock=clock,
            life=lambda: self._life or 0,
            failpoint=failpoint,
        )
        tell_after_fork(self)

    def __enter__(self) -> Self:
        """Open the spool."""
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the spool."""
        self.close()

    def open(self) -> None:
        """Open or create the spool, taking over what an earlier life has left.

        A damaged index is set aside and built anew from the group files. Otherwise the time this
        takes does not depend on how much the spool holds.

        Raises:
            SpoolError: The directory cannot be used, or is not safe to use; or it holds no spool,
                if there are no sinks.
        """
        if self._is_open:
            return
        _LOG.debug("spool '%s': SQLite %s", self.directory, sqlite3.sqlite_version)
        with translated(self.directory):
            if not self.sinks:
                require_spool(self.directory)
            prepare_directory(self.directory, allow_network_disk=self._limits.allow_network_disk)
            self._database.open()
            try:
                self._greet()
            except BaseException:
                self._database.close()
                raise
        self._is_open = True
        self._last_counts = None

    def close(self) -> None:
        """Close the spool; what it holds is safe and waits for the next life. Safe to call twice.

        Raises:
            SpoolError: The disk does not take the last changes; the datapoints are safe all the
                same.
        """
        if not self._is_open:
            return
        try:
            self._last_counts = self.counts()
            with translated(self.directory):
                with self._database.locked():
                    with self._database.transaction() as tx:
                        end_life(tx, self._life or 0)
                        (items,) = tx.execute("SELECT items FROM total").fetchone()
                        is_last = not is_anybody_in(tx)
                    if items:  # the next process may find the disk full
                        self._room.make_ballast()
                    elif is_last:
                        self._ballast.remove()
                self._database.checkpoint()
        finally:
            self._is_open, self._life = False, None
            self._ledger.close()
            with translated(self.directory):
                self._database.close()

    def accept(self, entries: Sequence[Candidate | SeenFrame]) -> list[Acceptance]:
        """Take a group of frames in one transaction: all that it says is on disk when it returns.

        Args:
            entries: In the order of the source. Pictures of candidates that a limit pays for are
                kept; every entry with a key is remembered.

        Returns:
            One answer for each candidate, in order.

        Raises:
            SpoolDiskFullError: There is no room on the disk; it is tried again every five seconds.
                Nothing was taken.
            SpoolFullError: There is no room in the spool. Nothing was taken.
            SpoolError: The spool cannot be used. Nothing was taken.
        """
        return self._intake.accept(entries)

    def seen(self, key: FrameKey) -> bool:
        """Tell whether this very version of a frame has been dealt with.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self.directory), self._database.read() as tx:
            return is_seen(tx, key)

    def find(self, frame_id: str, *, limit: int = 20) -> tuple[FoundFrame, ...]:
        """Return what is known of a frame.

        Args:
            frame_id: Its name. If there is no such frame, all whose name ends like this.
            limit: How many to return at most.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self.directory), self._database.read() as tx:
            return find_frames(tx, frame_id, limit=limit)

    def counts(self) -> Mapping[str, SinkCounts]:
        """Return by sink what became of the datapoints that this process answers for.

        After `close`, what it was then.

        Raises:
            SpoolError: The index cannot be read.
        """
        if self._last_counts is not None:
            return self._last_counts
        with translated(self.directory), self._database.read() as tx:
            found = read_tally(tx, self._life or 0, self.sinks)
        return {name: replace(c, evictions=self._evictions.of(name)) for name, c in found.items()}

    def stats(self) -> SpoolStats:
        """Return what lies in the spool, whoever brought it.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self.directory), self._database.read() as tx:
            items, total = tx.execute("SELECT items, bytes FROM total").fetchone()
            oldest = tx.execute("SELECT accepted_at FROM item ORDER BY number LIMIT 1").fetchone()
        return SpoolStats(items=items, bytes=total, oldest=None if oldest is None else oldest[0])

    def health(self) -> SpoolHealth:
        """Return how the spool is, whoever filled it.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self.directory):
            return self._upkeep.health()

    def sinks_on_disk(self) -> tuple[str, ...]:
        """Return the sinks that something waits for or that have dead letters, in order.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self.directory), self._database.read() as tx:
            return sinks_with_something(tx)

    def verify(self) -> VerifyReport:
        """Read everything, and tell what is not as it was accepted; others may go on working.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self.directory):
            return self._upkeep.verify()

    def gc(self) -> GcReport:
        """Remove what nobody needs: group files of no datapoint, empty directories, old damage.

        Raises:
            SpoolError: The directory or the index cannot be written.
        """
        with translated(self.directory):
            return self._upkeep.gc()

    def sweep_step(self) -> GcReport:
        """Do a little of `gc`, for files older than ten minutes, and see to the ballast.

        To be called every minute, by the delivery leader alone.

        Raises:
            SpoolError: The directory or the index cannot be used.
        """
        with translated(self.directory):
            return self._upkeep.sweep_step()

    def evict_due(self) -> int:
        """Remove some of the datapoints that have waited too long, if that is wanted.

        To be called every minute, by the delivery leader.

        Returns:
            How many were removed.

        Raises:
            SpoolError: The index cannot be written.
        """
        with translated(self.directory):
            return self._upkeep.evict_due()

    def on_accept(self, listener: Callable[[], None]) -> None:
        """Have a function called, on the accepting thread, when datapoints were accepted here."""
        self._intake.listeners.append(listener)

    def on_batches(self, listener: Callable[[Sequence[BatchKey]], None]) -> None:
        """Have a function called whenever it matters how much certain batches hold.

        It is called on the accepting thread before the spool's lock is taken, so it may wait.
        """
        self._intake.batch_listeners.append(listener)

    def after_fork(self) -> None:
        """Begin a life of its own in the child, at its first write."""
        self._life = None
        self._ledger.abandon()

    def _prepare(self, tx: sqlite3.Connection, damaged: bool) -> None:
        now = self._clock.time()
        is_new = migrate(tx, self.directory)
        self._ledger.prepare(tx)
        self._life = None  # until all of this has come through
        life = begin_life(tx)
        if is_new:
            had_files = rebuild(tx, self._files, sinks=self.sinks, now=now, life=life)
            self._failpoint("rebuilding")
            # One that was set aside tells that a process ended before it had built the new one.
            set_aside = any(self.directory.glob("spool.db.corrupt-*"))
            if damaged or set_aside or had_files:
                self._ledger.forget(now, tx)
        if self.sinks:  # whoever only looks takes nothing over
            adopt_orphans(tx, life)
        self._life = life

    def _greet(self) -> None:
        """Have a first look at what it holds: damage shows here, and is mended at the second."""
        try:
            counts = self.counts()
        except SpoolError:
            if not self._database.is_suspect:
                raise
            counts = self.counts()
        if self.sinks:
            tell_of_strangers(self.directory, self.sinks, counts)
