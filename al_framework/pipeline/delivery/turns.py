"""Which delivery is next: sinks take turns, and nothing is begun that a breaker forbids.

A datapoint that was in hand when a process died may have been the cause, and so may its
neighbours of that moment. So these suspects are tried alone: the next death then has one cause.
"""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from al_framework.api import Clock
from al_framework.pipeline.delivery.breaker import Breaker, Permit
from al_framework.pipeline.spool import Deliveries, Lease

# What kills a process does so at once; a suspect that only takes long should not delay the others.
ALONE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One attempt to be made.

    Attributes:
        lease: What to deliver where.
        permit: That of the sink's breaker.
    """

    lease: Lease
    permit: Permit


class Turns:
    """Hands out turns.

    Args:
        deliveries: The spool's way out.
        breakers: Whether each sink may be given anything.
        clock: Time.
    """

    def __init__(
        self, deliveries: Deliveries, breakers: Mapping[str, Breaker], *, clock: Clock
    ) -> None:
        self._deliveries = deliveries
        self._breakers = breakers
        self._clock = clock
        self._count = 0
        self.begin()

    def begin(self) -> None:
        """Start with nothing running: at first, and in the child of a fork."""
        self._lock = threading.Lock()
        self._alone: Permit | None = None
        self._alone_until = self._hold_until = float("-inf")
        for breaker in self._breakers.values():
            breaker.begin()

    def take(self) -> Turn | None:
        """Return the next turn; None if nothing is due, or nothing may be begun.

        Raises:
            SpoolError: The spool cannot be used.
        """
        if self._is_alone():
            return None
        suspects = self._deliveries.suspects(tuple(self._breakers))
        if suspects and (ready := self._ready(suspects)):
            return self._take_alone(ready[0])
        for sink in sorted(self._breakers, key=lambda name: self._breakers[name].served):
            turn = self._take(sink)
            if turn is not None:
                return turn
        return None

    def take_named(self, sink: str, item_id: str) -> Turn | None:
        """Return the turn of one datapoint; None if it is not due, or may not be begun.

        Raises:
            SpoolError: The spool cannot be used.
        """
        return self._take(sink, item_id=item_id)

    def leave(self, sink: str, permit: Permit) -> None:
        """End a turn."""
        self._end_alone(permit)
        self._breakers[sink].leave(permit)

    def paced_s(self) -> float | None:
        """Return the seconds until the first sink may go on that its pace holds back, if any."""
        now = self._clock.monotonic()
        waits = [breaker.paced_s(now) for breaker in self._breakers.values()]
        return min((seconds for seconds in waits if seconds > 0), default=None)

    def _give_back(self, sink: str, permit: Permit) -> None:
        self._end_alone(permit)
        self._breakers[sink].give_back(permit)

    def _end_alone(self, permit: Permit) -> None:
        with self._lock:
            if permit is self._alone:
                self._alone = None

    def _take(self, sink: str, *, item_id: str | None = None) -> Turn | None:
        permit = self._enter(sink)
        return None if permit is None else self._lease(sink, permit, item_id=item_id)

    def _take_alone(self, sink: str) -> Turn | None:
        now = self._clock.monotonic()
        with self._lock:
            if self._alone is not None and now < self._alone_until:  # another thread was faster
                return None
            if any(breaker.running for breaker in self._breakers.values()):
                if self._hold_until == float("-inf"):
                    self._hold_until = now + ALONE_S
                if now < self._hold_until:
                    return None
            permit = self._breakers[sink].enter(now)
            if permit is None:
                return None
            self._hold_until = float("-inf")
            self._alone, self._alone_until = permit, now + ALONE_S
        return self._lease(sink, permit, is_suspect=True)

    def _lease(
        self, sink: str, permit: Permit, *, item_id: str | None = None, is_suspect: bool = False
    ) -> Turn | None:
        lease = None
        try:
            active_s = self._breakers[sink].active_s(self._clock.monotonic())
            lease = self._deliveries.take(
                sink, item_id=item_id, is_suspect=is_suspect, active_s=active_s
            )
        finally:
            if lease is None:
                self._give_back(sink, permit)
        return None if lease is None else Turn(lease=lease, permit=permit)

    def _enter(self, sink: str) -> Permit | None:
        with self._lock:
            breaker = self._breakers[sink]
            permit = breaker.enter(self._clock.monotonic())
            if permit is not None:
                self._count += 1
                breaker.served = self._count
            return permit

    def _is_alone(self) -> bool:
        with self._lock:
            return self._alone is not None and self._clock.monotonic() < self._alone_until

    def _ready(self, suspects: Collection[str]) -> list[str]:
        """Return the sinks that can be given their suspects; nobody waits for one that cannot."""
        now = self._clock.monotonic()
        return sorted(sink for sink in suspects if self._breakers[sink].is_free(now))
