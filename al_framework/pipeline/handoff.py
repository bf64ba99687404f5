"""The caller's thread → the spool's thread: where `submit` ends and the slow work begins.

The spool's thread evaluates strategies that read pixels, encodes, and commits frames in groups.
It polls a bounded ring rather than being woken, and gives way to the model's thread. The caller's
thread takes no lock, wakes nobody, waits for nothing and logs nothing, unless it asked to wait.
"""

import logging
import os
import sys
import threading
from typing import Literal, TypeAlias

from al_framework.api import Frame, Prediction, Ticket
from al_framework.pipeline.engine import Engine
from al_framework.pipeline.forking import tell_after_fork
from al_framework.pipeline.making import make_ticket
from al_framework.pipeline.offers import Pending, Waiter
from al_framework.pipeline.ring import Ring
from al_framework.pipeline.snapshot import keep_copies, keep_owned
from al_framework.pipeline.spool import Candidate
from al_framework.pipeline.storing import prepare, store

logger = logging.getLogger(__name__)

WhenFull: TypeAlias = Literal["reject_new", "drop_oldest", "block"]

POLL_S = 0.02
BLOCKED_POLL_S = 0.005
GROUP_ITEMS = 16
GROUP_BYTES = 8 * 1024 * 1024
GROUP_AGE_S = 0.05
TELL_EVERY_S = 60.0
NICENESS = 10


class Handoff:
    """Takes frames from callers and stores them on a thread of its own.

    Args:
        engine: The stages.
        ring: Holds frames in between.
        when_full: What becomes of a frame that finds the ring full: it is dropped
            (``reject_new``), the oldest in the ring is (``drop_oldest``), or its caller waits
            (``block``).
        block_s: Seconds that such a caller waits at most.
    """

    def __init__(
        self,
        engine: Engine,
        ring: "Ring[Pending] | None" = None,
        *,
        when_full: WhenFull = "reject_new",
        block_s: float = 30.0,
    ) -> None:
        self._engine = engine
        self._ring: Ring[Pending] = ring if ring is not None else Ring()
        self._when_full = when_full
        self._block_s = block_s
        self._begin()
        tell_after_fork(self)

    def start(self) -> None:
        """Start the spool's thread."""
        self._thread.start()

    def after_fork(self) -> None:
        """Begin anew in the child: what waits in the parent's ring is the parent's."""
        started = self._thread.ident is not None and not self._refusing
        self._ring = self._ring.empty_copy()
        self._begin()
        self._engine.tally.begin_anew()
        if started:
            self._thread.start()

    def keep(self, frame: Frame, prediction: Prediction) -> tuple[Frame, Prediction] | str:
        """Return copies that nobody will change; or why not, before the time for them is spent."""
        if self._when_full == "reject_new" and not self._ring.has_room(frame.image.nbytes):
            return "ring_full"
        return keep_copies(frame, prediction)

    def keep_owned(self, frame: Frame, prediction: Prediction) -> tuple[Frame, Prediction] | str:
        """Return the same, but for a picture that is ours already."""
        if self._when_full == "reject_new" and not self._ring.has_room(frame.image.nbytes):
            return "ring_full"
        return keep_owned(frame, prediction)

    def put(self, pending: Pending, *, wait_accepted_s: float | None) -> Ticket:
        """Queue a frame; wait for its end only if asked to."""
        frame = pending.frame
        name, nbytes = frame.frame_id, frame.image.nbytes
        if wait_accepted_s is not None:
            pending.waiter = Waiter()
        if self._refusing:  # nobody will come for it
            self._drop(pending, "shutdown")
        elif self._ring.append(pending, nbytes) or self._make_room(pending, nbytes):
            if self._ended:  # the thread may have left between the two looks
                self._drop_rest()
        else:
            self._drop(pending, self._why_full())
        if pending.lost:
            return _dropped(pending)
        if wait_accepted_s is not None and pending.waiter is not None:
            ticket = pending.waiter.wait(wait_accepted_s)
            if ticket is not None:
                return ticket
        return make_ticket("queued", "", name)

    @property
    def alive(self) -> bool:
        """Whether the spool's thread runs."""
        return self._thread.is_alive()

    @property
    def queued_items(self) -> int:
        """Frames in the ring."""
        return len(self._ring)

    @property
    def queued_bytes(self) -> int:
        """Bytes of their pictures."""
        return self._ring.nbytes

    def close(self, timeout_s: float) -> None:
        """Empty the ring to disk and stop; after the time limit the rest stays in memory."""
        self._refusing = True
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        else:
            self._end()

    def _begin(self) -> None:
        self._refusing = False  # plain, since looking at an event is a call
        self._ended = False
        self._closing = threading.Event()
        self._told_at = float("-inf")
        self._told_of = 0
        self._told_of_limits = False
        self._thread = threading.Thread(target=self._work, name="al-spool", daemon=True)

    def _make_room(self, pending: Pending, nbytes: int) -> bool:
        """Find a place in a full ring in the way that was chosen."""
        if self._when_full == "drop_oldest":
            return self._displace(pending, nbytes)
        return self._when_full == "block" and self._wait_for_room(pending, nbytes)

    def _displace(self, pending: Pending, nbytes: int) -> bool:
        while (oldest := self._ring.take()) is not None:
            self._drop(oldest, "ring_full")
            if self._ring.append(pending, nbytes):
                return True
        return False

    def _wait_for_room(self, pending: Pending, nbytes: int) -> bool:
        clock = self._engine.clock
        started, waited = clock.monotonic(), 0.0
        # Ticks are counted too, for a clock that does not move by itself.
        while max(clock.monotonic() - started, waited) < self._block_s:
            if self._closing.wait(BLOCKED_POLL_S):
                return False
            waited += BLOCKED_POLL_S
            if self._ring.append(pending, nbytes):
                return True
        return False

    def _why_full(self) -> str:
        return "shutdown" if self._refusing else "ring_full"  # closed while it waited

    def _drop(self, pending: Pending, reason: str) -> None:
        pending.lost = reason
        self._engine.tally.drop(reason)
        if pending.waiter is not None:
            pending.waiter.settle(_dropped(pending))

    def _drop_rest(self) -> None:
        while (pending := self._ring.take()) is not None:
            self._drop(pending, "shutdown")

    def _end(self) -> None:
        # In this order: whoever appends after this look at the ring sees the flag.
        self._ended = True
        self._drop_rest()

    def _work(self) -> None:
        _give_way()
        try:
            while True:
                stored = self._store_group()
                self._refresh()
                self._tell_of_full_ring()
                if not stored and self._closing.wait(POLL_S) and not len(self._ring):
                    return
        finally:
            self._end()

    def _refresh(self) -> None:
        try:
            self._engine.ledger.refresh(self._engine.clock.time())
        except Exception as exc:  # noqa: BLE001 - the thread goes on: nobody else stores what comes
            if not self._told_of_limits:
                self._told_of_limits = True
                self._engine.report(f"what is left of the limits cannot be looked up: {exc!r}", exc)

    def _store_group(self) -> bool:
        """Take frames from the ring and have them accepted together; tell if there were any."""
        clock, candidates = self._engine.clock, list[Candidate]()
        names, waiters = list[str](), list[Waiter | None]()
        started, nbytes, found = clock.monotonic(), 0, False
        # One by one: what is taken does not count in the ring's bytes any more.
        while len(candidates) < GROUP_ITEMS and nbytes < GROUP_BYTES:
            if candidates and clock.monotonic() - started >= GROUP_AGE_S:
                break
            pending = self._ring.take()
            if pending is None:
                break
            found = True
            name, waiter = pending.frame.frame_id, pending.waiter
            prepared = prepare(self._engine, pending)
            # Its pixels are many times the JPEG, and the group waits for its end.
            del pending
            if isinstance(prepared, Ticket):
                if waiter is not None:
                    waiter.settle(prepared)
                continue
            candidates.append(prepared)
            names.append(name)
            waiters.append(waiter)
            nbytes += len(prepared.image)
        if candidates:
            tickets = store(self._engine, candidates, names)
            for waiter, ticket in zip(waiters, tickets, strict=True):
                if waiter is not None:
                    waiter.settle(ticket)
        return found

    def _tell_of_full_ring(self) -> None:
        """Say how many frames found the ring full: here, not on the thread that was in a hurry."""
        count = self._engine.tally.dropped("ring_full")
        now = self._engine.clock.monotonic()
        if count == self._told_of or now - self._told_at < TELL_EVERY_S:
            return
        new, first = count - self._told_of, self._told_of == 0
        self._told_at, self._told_of = now, count
        if first:  # once in the summary; the counter goes on
            self._engine.report(
                "frames come faster than they can be stored: those that find the ring full are "
                "dropped and counted as 'ring_full'",
                None,
            )
        else:
            logger.warning("frames come faster than they can be stored: %d more were dropped", new)


def _dropped(pending: Pending) -> Ticket:
    return make_ticket("dropped", pending.lost, pending.frame.frame_id)


def _give_way() -> None:
    if sys.platform != "linux":  # elsewhere niceness belongs to the whole process
        return
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    except OSError:  # a container may forbid it; giving way is a courtesy
        return
