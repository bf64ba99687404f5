"""The spool itself: opens and closes, takes frames in, and answers what it knows of them."""

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from al_framework.api import Clock, FrameKey, SinkCounts
from al_framework.pipeline.forking import tell_after_fork
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.spool.accepting import Acceptor
from al_framework.pipeline.spool.batches import Batches
from al_framework.pipeline.spool.database import Database, translated
from al_framework.pipeline.spool.directory import GroupFiles, prepare_directory
from al_framework.pipeline.spool.leases import Deliveries
from al_framework.pipeline.spool.lives import adopt_orphans, begin_life, end_life, read_tally
from al_framework.pipeline.spool.records import (
    Acceptance,
    BatchKey,
    Candidate,
    FoundFrame,
    SeenFrame,
    SpoolLimits,
    SpoolStats,
)
from al_framework.pipeline.spool.recovery import rebuild, sweep
from al_framework.pipeline.spool.schema import migrate
from al_framework.pipeline.spool.seen import find_frames, is_seen

_LOG = logging.getLogger(__name__)


def _no_failpoint(name: str) -> None:
    del name


class Spool:
    """What was accepted and is not yet at every sink.

    Several processes and threads may use one directory at the same time.

    Args:
        directory: Where it lies; on a local disk.
        sinks: Names of the sinks; new datapoints go to all of them.
        ledger: Decides who pays; in the same transaction if it lives in the same database.
        clock: Time.
        limits: How much it may hold.
        failpoint: Told the name of each step, for tests that stop the process there.

    Attributes:
        directory: As given.
        sinks: As given.
        deliveries: The side that takes datapoints out again.
        batches: What is known of the sizes of labelling batches.

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
        failpoint: Callable[[str], None] = _no_failpoint,
    ) -> None:
        if not sinks:
            raise ValueError(f"spool '{directory}': it needs at least one sink")
        self.directory = directory
        self.sinks = tuple(sinks)
        self._ledger = ledger
        self._clock = clock
        self._failpoint = failpoint
        self._files = GroupFiles(directory)
        self._database = Database(directory, self._prepare)
        self._acceptor = Acceptor(
            self._database,
            self._files,
            sinks=self.sinks,
            ledger=ledger,
            clock=clock,
            limits=limits if limits is not None else SpoolLimits(),
            failpoint=failpoint,
        )
        self._is_open = False
        self._life: int | None = None
        self._last_counts: Mapping[str, SinkCounts] | None = None
        self._listeners: list[Callable[[], None]] = []
        self._batch_listeners: list[Callable[[Sequence[BatchKey]], None]] = []
        self.batches = Batches(self._database, self._files, clock=clock)
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

        A damaged index is set aside and built anew from the group files.

        Raises:
            SpoolError: The directory cannot be used, or is not safe to use.
        """
        if self._is_open:
            return
        with translated(self.directory):
            prepare_directory(self.directory)
            self._database.open(self._clock.time())
            with self._database.locked(), self._database.transaction() as tx:
                sweep(tx, self._files, self._clock.time())
                self._report_strangers(tx)
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
                with self._database.locked(), self._database.transaction() as tx:
                    end_life(tx, self._life or 0)
                self._database.checkpoint()
        finally:
            self._is_open, self._life = False, None
            self._ledger.close()
            self._database.close()

    def accept(self, entries: Sequence[Candidate | SeenFrame]) -> list[Acceptance]:
        """Take a group of frames in one transaction: all that it says is on disk when it returns.

        Args:
            entries: In the order of the source. Pictures of candidates that a limit pays for are
                kept; every entry with a key is remembered.

        Returns:
            One answer for each candidate, in order.

        Raises:
            SpoolFullError: There is no room, here or on the disk. Nothing was taken.
            SpoolError: The spool cannot be used. Nothing was taken.
        """
        if not entries:
            return []
        self._announce_batches(entries)
        with translated(self.directory), self._database.locked():
            answers = self._acceptor.accept(entries, life=self._life or 0)
            self._failpoint("committed")
        if any(answer.status == "accepted" for answer in answers):
            for listener in self._listeners:
                listener()
        return answers

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
            return read_tally(tx, self._life or 0, self.sinks)

    def stats(self) -> SpoolStats:
        """Return what lies in the spool, whoever brought it.

        Raises:
            SpoolError: The index cannot be read.
        """
        with translated(self.directory), self._database.read() as tx:
            items, total = tx.execute("SELECT items, bytes FROM total").fetchone()
            oldest = tx.execute("SELECT accepted_at FROM item ORDER BY number LIMIT 1").fetchone()
        return SpoolStats(items=items, bytes=total, oldest=None if oldest is None else oldest[0])

    def on_accept(self, listener: Callable[[], None]) -> None:
        """Have a function called, on the accepting thread, when datapoints were accepted here."""
        self._listeners.append(listener)

    def on_batches(self, listener: Callable[[Sequence[BatchKey]], None]) -> None:
        """Have a function called whenever it matters how much certain batches hold.

        It is called on the accepting thread before the spool's lock is taken, so it may wait.
        """
        self._batch_listeners.append(listener)

    def after_fork(self) -> None:
        """Begin a life of its own in the child, at its first write."""
        self._life = None
        self._ledger.abandon()

    def _announce_batches(self, entries: Sequence[Candidate | SeenFrame]) -> None:
        candidates = [entry for entry in entries if isinstance(entry, Candidate)]
        limited = [c.batch for c in candidates if c.max_batch_images is not None]
        if limited:
            for listener in self._batch_listeners:
                listener(tuple(dict.fromkeys(limited)))

    def _prepare(self, tx: sqlite3.Connection, damaged: bool) -> None:
        now = self._clock.time()
        lost = damaged
        if migrate(tx, self.directory):
            found = rebuild(tx, self._files, sinks=self.sinks, now=now)
            lost = lost or found is not None
            if found is not None:
                _LOG.warning(
                    "spool '%s': built its index anew with %d datapoints from the group files",
                    self.directory,
                    found,
                )
        self._ledger.prepare(tx)
        if lost:
            self._ledger.forget(now, tx)
        self._life = begin_life(tx)
        adopt_orphans(tx, self._life)

    def _report_strangers(self, tx: sqlite3.Connection) -> None:
        rows = tx.execute("SELECT sink, count(*) FROM delivery WHERE state = 0 GROUP BY sink")
        for sink, count in rows:
            if sink not in self.sinks:
                _LOG.warning(
                    "spool '%s': %d datapoints wait for the sink %r, which is not configured; they"
                    " stay until it is configured again",
                    self.directory,
                    count,
                    sink,
                )
