"""The delivery of one spool: what an attempt needs, and how it is waited for and stopped.

Each sink has slots of its own, so a slow one can never hold up another.
"""

import logging
import random
import threading
from collections.abc import Mapping
from dataclasses import replace

from al_framework.api import Clock, LeaseLostError, SinkCounts, SinkHealth, SpoolError
from al_framework.pipeline.delivery.attempt import Courier, Deliver, OnDelivered
from al_framework.pipeline.delivery.batch_looks import BatchLooks, BatchSize
from al_framework.pipeline.delivery.breaker import Breaker
from al_framework.pipeline.delivery.crew import Crew
from al_framework.pipeline.delivery.leading import Lead
from al_framework.pipeline.delivery.pacing import Pace
from al_framework.pipeline.delivery.reporting import sink_health
from al_framework.pipeline.delivery.retry import RetryRules
from al_framework.pipeline.delivery.turns import Turn, Turns
from al_framework.pipeline.forking import tell_after_fork
from al_framework.pipeline.spool import Spool
from al_framework.pipeline.spool.leases import MAX_DELAY_S

_TICK_S = 0.02
# What freeing the leases may take beyond the deadline: milliseconds, unless the disk hangs.
_RESIGN_S = 2.0
_LOG = logging.getLogger(__name__)


class Delivery:
    """Hands datapoints from the spool to the sinks.

    Args:
        spool: The spool, open for as long as this works.
        sinks: What delivers, by sink; called from several threads at the same time.
        clock: Time.
        workers: Deliveries at the same time, shared out evenly; each sink has one at least.
        on_delivered: Called on a delivery thread for each datapoint that a sink holds.
        rng: Draws the delays; seeded by the system by default.
        rules: When to try again and when to give up.
        paces: How fast sinks are given datapoints at the most, for those that have such a bound.
        poll_s: Seconds between looks for work that other processes or the passing of time bring.
        batch_sizes: What tells how many pictures a labelling batch holds, for the sinks that can
            tell; called once a minute at the most, on threads of their own.
    """

    def __init__(  # noqa: PLR0913 - every one has its default or is needed, keyword-only
        self,
        spool: Spool,
        sinks: Mapping[str, Deliver],
        *,
        clock: Clock,
        workers: int = 4,
        on_delivered: OnDelivered | None = None,
        rng: random.Random | None = None,
        rules: RetryRules | None = None,
        paces: Mapping[str, Pace] | None = None,
        poll_s: float = 0.2,
        batch_sizes: Mapping[str, BatchSize] | None = None,
    ) -> None:
        rules = rules if rules is not None else RetryRules()
        slots = max(1, workers // max(1, len(sinks)))
        self._spool = spool
        self._deliveries = spool.deliveries
        self._clock = clock
        paces = paces or {}
        self._breakers = {
            name: Breaker(name, rules, slots=slots, pace=paces.get(name)) for name in sinks
        }
        self._courier = Courier(
            spool.deliveries,
            sinks=sinks,
            breakers=self._breakers,
            rules=rules,
            rng=rng if rng is not None else random.Random(),  # noqa: S311 - delays are no secret
            clock=clock,
            on_delivered=on_delivered,
        )
        self._turns = Turns(spool.deliveries, self._breakers, clock=clock)
        self._looks = BatchLooks(spool.batches, batch_sizes or {}, clock=clock)
        self._lead = Lead(spool, self._breakers, self._looks, clock=clock)
        self._crew = Crew(
            self._work,
            paced_s=self._turns.paced_s,
            most=slots * len(sinks),
            poll_s=poll_s,
        )
        self._telling = threading.Lock()
        self._spool_failed = False
        self._told: set[type[BaseException]] = set()
        spool.on_accept(self._crew.wake)
        spool.on_batches(self._looks.ensure)
        tell_after_fork(self)

    def start(self) -> None:
        """Deliver on threads of its own from now on."""
        self._crew.start()

    @property
    def has_threads(self) -> bool:
        """Whether threads of its own deliver."""
        return self._crew.has_started

    def step(self) -> bool:
        """Make the one attempt that is due next, on the calling thread.

        Returns:
            False if nothing is due, or another process leads.

        Raises:
            SpoolError: The spool cannot be used.
        """
        turn = self._take()
        if turn is None:
            return False
        self._run(turn)
        return True

    def deliver_now(self, item_id: str, timeout_s: float) -> bool:
        """Deliver one datapoint to its sinks on the calling thread, whoever leads.

        It is tried again while there is time for it; an attempt that runs is not cut short. A
        datapoint that has waited longer is then given one more chance, since where this is used
        nobody else may come for it.

        Args:
            item_id: The datapoint.
            timeout_s: Seconds after which no attempt is begun.

        Returns:
            Whether every sink has it. If not, it waits in the spool, or it is a dead letter.

        Raises:
            SpoolError: The spool cannot be used.
        """
        started, waited = self._clock.monotonic(), 0.0
        leads = False
        while not self._crew.closed.is_set():
            waiting = self._deliveries.waiting(item_id)
            if waiting is None:
                if leads:
                    self.step()
                return True
            remaining = timeout_s - max(self._clock.monotonic() - started, waited)
            if not waiting or remaining <= 0:
                return False
            leads = self._lead.take()
            self._lead.learn()
            turns = (
                self._unless_closed(self._turns.take_named(sink, item_id))
                for sink in waiting
                if self._knows(sink)
            )
            if any([self._run_if(turn) for turn in turns]):  # noqa: C419 - every sink, not the first
                continue
            if not any(self._may_end_by(s, due, remaining) for s, due in waiting.items()):
                return False
            self._crew.closed.wait(_TICK_S)
            waited += _TICK_S
        return False

    def drain(self, deadline_s: float | None) -> bool:
        """Wait until everything that this process answers for has ended.

        Without `start`, the calling thread delivers.

        Args:
            deadline_s: Seconds to wait at most; None for as long as it takes.

        Returns:
            True if nothing is left. False if the time is up, or if what is left waits for longer
            than that: for a date beyond the deadline, or for a person to repair a sink.

        Raises:
            SpoolError: The spool cannot be used.
        """
        started, waited = self._clock.monotonic(), 0.0
        while True:
            counts = self._spool.counts()
            left = [sink for sink in self._breakers if counts[sink].pending > 0]
            if not left:
                return True
            # Ticks are counted too, for a clock that does not move by itself.
            elapsed = max(self._clock.monotonic() - started, waited)
            remaining = None if deadline_s is None else deadline_s - elapsed
            if remaining is not None and remaining <= 0:
                return False
            if not any(self._may_end(sink, remaining) for sink in left):
                return False
            if not self._crew.has_started and self.step():
                continue
            if self._crew.closed.wait(_TICK_S):
                return False
            waited += _TICK_S

    def close(self, deadline_s: float) -> None:
        """Stop: running deliveries may finish until the deadline, the rest waits on disk.

        Safe without `start`, and when called twice. Attempts that still run then are left behind:
        their leases go back, so whatever they do is not written down any more.

        Args:
            deadline_s: Seconds to wait at most, and two more if the disk does not answer.
        """
        threads = self._crew.close()
        if threads is None:
            return
        self._looks.close()
        started, waited = self._clock.monotonic(), 0.0
        try:
            for thread in threads:
                while thread.is_alive() and waited < deadline_s:
                    thread.join(_TICK_S)
                    waited = max(waited + _TICK_S, self._clock.monotonic() - started)
        finally:  # whoever cannot wait any longer leaves no lead behind either
            self._resign()

    def counts(self) -> Mapping[str, SinkCounts]:
        """Return by sink what became of the datapoints that this process answers for.

        Raises:
            SpoolError: The spool cannot be read.
        """
        counts = self._spool.counts()
        return {sink: replace(counts[sink], **self._courier.told(sink)) for sink in self._breakers}

    def health(self) -> Mapping[str, SinkHealth]:
        """Return by sink how it is at the moment, whoever delivers.

        Raises:
            SpoolError: The spool cannot be read.
        """
        return sink_health(
            self._spool.sink_table,
            self._breakers,
            leads=self._lead.holds,
            unserved=self._lead.unserved,
            lags=self._courier.lags,
            clock=self._clock,
        )

    def after_fork(self) -> None:
        """Leave threads and leadership to the parent; the child's first accept starts its own."""
        self._telling = threading.Lock()  # another thread may have held the old one
        self._crew.begin()
        self._looks.begin()
        self._lead.begin()
        self._turns.begin()

    def _work(self) -> bool:
        """Make an attempt on a thread of the crew; tell if one was due."""
        try:
            turn = self._take()
            if turn is None:
                return False
            self._crew.wake()  # somebody has to look out while this thread is busy
            self._run(turn, is_ours=True)
        except SpoolError as exc:
            with self._telling:
                is_first, self._spool_failed = not self._spool_failed, True
            if is_first and not self._crew.closed.is_set():
                _LOG.error("delivery: interrupted, and tried again until it works: %s", exc)
            self._lead.look_through()  # a lease may have been left behind
            return False
        except BaseException as exc:  # noqa: BLE001 - a thread that ends takes all deliveries with it
            self._report(exc)
            self._lead.look_through()
            return False
        self._spool_failed = False
        return True

    def _take(self) -> Turn | None:
        if self._crew.closed.is_set() or not self._lead.take():
            return None
        return self._unless_closed(self._turns.take())

    def _unless_closed(self, turn: Turn | None) -> Turn | None:
        """Give a turn back that was taken after the leases of this process were freed."""
        if turn is None or not self._lead.has_resigned:
            return turn
        try:
            self._deliveries.put_back(turn.lease, reason="closed", is_refused=True)  # not tried
        except LeaseLostError:
            pass  # it was taken before that
        finally:
            self._deliveries.let_go(turn.lease)
            self._turns.leave(turn.lease.sink, turn.permit)
        return None

    def _report(self, exc: BaseException) -> None:
        with self._telling:
            is_first = type(exc) not in self._told
            self._told.add(type(exc))
        if is_first and not self._crew.closed.is_set():
            _LOG.error(
                "delivery: failed with %s, which is a fault in here, and is tried again: %s",
                type(exc).__name__,
                exc,
                exc_info=exc,
            )

    def _run(self, turn: Turn, *, is_ours: bool = False) -> None:
        try:
            self._courier.run(turn.lease, turn.permit, is_ours=is_ours)
        finally:
            self._turns.leave(turn.lease.sink, turn.permit)
        self._lead.keep()

    def _run_if(self, turn: Turn | None) -> bool:
        if turn is None:
            return False
        self._run(turn)
        return True

    def _knows(self, sink: str) -> bool:
        return sink in self._breakers

    def _may_end(self, sink: str, remaining_s: float | None) -> bool:
        if self._breakers[sink].running:
            return True
        return self._may_end_by(sink, self._deliveries.next_due(sink), remaining_s)

    def _may_end_by(self, sink: str, due: float | None, remaining_s: float | None) -> bool:
        """Tell whether a delivery that is due then may end in time."""
        breaker, now = self._breakers.get(sink), self._clock.monotonic()
        if breaker is None or breaker.needs_person(now):
            return False
        if due is None or remaining_s is None:  # None is due: another process works on the rest
            return True
        due_s = due - self._clock.time()
        if due_s > MAX_DELAY_S:  # the clock was set back, and the leader will notice
            due_s = 0.0
        return max(due_s, breaker.waits_s(now)) <= remaining_s

    def _resign(self) -> None:
        """Give up the lead, on a thread of its own: whatever hangs must not hang the caller."""
        if not self._crew.has_started:  # whoever delivers on its own thread has asked for no other
            self._lead.resign()
            return
        thread = threading.Thread(target=self._lead.resign, name="al-delivery-end", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down
            self._lead.resign()
            return
        thread.join(_RESIGN_S)
        if thread.is_alive():
            _LOG.warning(
                "delivery: the spool does not answer within %g s, so its leases are left to the"
                " next start",
                _RESIGN_S,
            )
