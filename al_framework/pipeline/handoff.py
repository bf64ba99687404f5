"""The caller's thread → the spool's thread: where `submit` ends and the slow work begins.

The spool's thread evaluates strategies that read pixels, encodes, and commits frames in groups.
It polls a bounded ring rather than being woken, and gives way to the model's thread.
"""

import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from al_framework.api import AlFrameworkError, SpoolFullError, Ticket
from al_framework.pipeline.engine import Engine, Pending
from al_framework.pipeline.forking import tell_after_fork
from al_framework.pipeline.ring import Ring
from al_framework.pipeline.spool import Acceptance, Candidate

POLL_S = 0.02
GROUP_ITEMS = 16
NICENESS = 10


@dataclass(slots=True, kw_only=True)
class _Work:
    """A frame on its way; `ticket` is set before `done`."""

    pending: Pending
    ticket: Ticket
    done: threading.Event = field(default_factory=threading.Event)


class Handoff:
    """Takes frames from callers and stores them on a thread of its own.

    Args:
        engine: The stages.
        ring: Holds frames in between.
    """

    def __init__(self, engine: Engine, ring: "Ring[_Work] | None" = None) -> None:
        self._engine = engine
        self._ring: Ring[_Work] = ring if ring is not None else Ring()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="al-spool", daemon=True)
        self._told_of_full_ring = False
        tell_after_fork(self)

    def start(self) -> None:
        """Start the spool's thread."""
        self._thread.start()

    def after_fork(self) -> None:
        """Begin anew in the child: what waits in the parent's ring is the parent's."""
        started = self._thread.ident is not None and not self._closing.is_set()
        self._ring = self._ring.empty_copy()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="al-spool", daemon=True)
        self._engine.tally.begin_anew()
        if started:
            self._thread.start()

    def put(self, pending: Pending, *, wait_accepted_s: float | None) -> Ticket:
        """Queue a frame, or drop it when the ring is full; wait for its end only if asked to."""
        name = pending.frame.frame_id
        work = _Work(pending=pending, ticket=Ticket(status="queued", reason="", frame_id=name))
        closing = self._closing.is_set()  # nobody will come for it
        if closing or not self._ring.append(work, pending.frame.image.nbytes):
            reason = "shutdown" if closing else "ring_full"
            self._engine.tally.drop(reason)
            if not closing:
                self._tell_of_full_ring()
            return Ticket(status="dropped", reason=reason, frame_id=name)
        if wait_accepted_s is not None:
            work.done.wait(wait_accepted_s)
        return work.ticket

    @property
    def alive(self) -> bool:
        """Whether the spool's thread runs."""
        return self._thread.is_alive()

    def close(self, timeout_s: float) -> None:
        """Empty the ring to disk and stop; after the time limit the rest stays in memory."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if not self.alive:  # a frame may have come in behind the thread's back
            for work in self._ring.take(len(self._ring)):
                self._engine.tally.drop("shutdown")
                name = work.pending.frame.frame_id
                _settle(work, Ticket(status="dropped", reason="shutdown", frame_id=name))

    def _tell_of_full_ring(self) -> None:
        if not self._told_of_full_ring:  # once; the counter goes on
            self._told_of_full_ring = True
            self._engine.report(
                "frames come faster than they can be stored: those that find the ring full are "
                "dropped and counted as 'ring_full'",
                None,
            )

    def _work(self) -> None:
        _give_way()
        while True:
            group = self._ring.take(GROUP_ITEMS)
            if group:
                self._store(group)
            elif self._closing.wait(POLL_S) and not len(self._ring):
                return

    def _store(self, group: Sequence[_Work]) -> None:
        candidates: list[Candidate] = []
        waiting: list[_Work] = []
        for work in group:
            prepared = self._engine.prepare(work.pending)
            if isinstance(prepared, Candidate):
                candidates.append(prepared)
                waiting.append(work)
            else:
                _settle(work, prepared.ticket(work.pending.frame.frame_id))
        if not candidates:
            return
        try:
            results = self._engine.accept(candidates)
        except Exception as exc:  # noqa: BLE001 - the thread must outlive any fault of the disk
            reason = "spool_full" if isinstance(exc, SpoolFullError) else "spool_error"
            known = isinstance(exc, AlFrameworkError)
            self._engine.report(f"frames were dropped: {exc}", None if known else exc)
            self._engine.lose(candidates, reason)
            for work in waiting:
                name = work.pending.frame.frame_id
                _settle(work, Ticket(status="dropped", reason=str(exc), frame_id=name))
            return
        for work, result in zip(waiting, results, strict=True):
            _settle(work, _ticket(result, work.pending.frame.frame_id))


def _settle(work: _Work, ticket: Ticket) -> None:
    work.ticket = ticket
    work.done.set()


def _ticket(result: Acceptance, name: str) -> Ticket:
    if result.status == "accepted":
        return Ticket(status="accepted", reason="", frame_id=name, item_id=result.item_id)
    if result.status == "limited":
        return Ticket(status="limited", reason="", frame_id=name)
    return Ticket(status="dropped", reason=result.status, frame_id=name)


def _give_way() -> None:
    if sys.platform != "linux":  # elsewhere niceness belongs to the whole process
        return
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    except OSError:  # a container may forbid it; giving way is a courtesy
        return
