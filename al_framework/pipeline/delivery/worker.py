"""The delivery of one spool: who leads, which delivery is next, and on which thread.

One process leads at a time, whatever the number that share the spool; the kernel hands the lead on
when it dies. Each sink has slots of its own, so a slow one can never hold up another.
"""

import logging
import random
import threading
from collections.abc import Mapping
from dataclasses import replace

from al_framework.api import Clock, SinkCounts, SpoolError
from al_framework.pipeline.delivery.attempt import Courier, Deliver, OnDelivered
from al_framework.pipeline.delivery.batch_looks import BatchLooks, BatchSize
from al_framework.pipeline.delivery.retry import RetryRules, SinkState
from al_framework.pipeline.forking import tell_after_fork
from al_framework.pipeline.spool import Lease, Spool
from al_framework.pipeline.spool.database import translated
from al_framework.pipeline.spool.locking import FileLock

RECLAIM_EVERY_S = 60.0
_TICK_S = 0.02
_LOOK_EVERY_S = 5.0  # for batches whose size is to be asked again; most times there is none
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
        poll_s: float = 0.2,
        batch_sizes: Mapping[str, BatchSize] | None = None,
    ) -> None:
        rules = rules if rules is not None else RetryRules()
        slots = max(1, workers // max(1, len(sinks)))
        self._spool = spool
        self._deliveries = spool.deliveries
        self._clock = clock
        self._poll_s = poll_s
        self._states = {name: SinkState(rules, slots=slots) for name in sinks}
        self._max_threads = slots * len(sinks)
        self._courier = Courier(
            spool.deliveries,
            sinks=sinks,
            states=self._states,
            rules=rules,
            rng=rng if rng is not None else random.Random(),  # noqa: S311 - delays are no secret
            clock=clock,
            on_delivered=on_delivered,
        )
        self._looks = BatchLooks(spool.batches, batch_sizes or {}, clock=clock)
        self._leader_lock = FileLock(spool.directory / "deliver.lock")
        self._started = self._leads = False
        self._closed = threading.Event()
        self._spool_failed = False
        self._turn = 0
        self._begin()
        spool.on_accept(self._wake)
        spool.on_batches(self._looks.ensure)
        tell_after_fork(self)

    def start(self) -> None:
        """Deliver on threads of its own from now on."""
        self._started = True
        self._wake()

    def step(self) -> bool:
        """Make the one attempt that is due next, on the calling thread.

        Returns:
            False if nothing is due, or another process leads.

        Raises:
            SpoolError: The spool cannot be used.
        """
        lease = self._take()
        if lease is None:
            return False
        self._run(lease)
        return True

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
            left = [sink for sink in self._states if counts[sink].pending > 0]
            if not left:
                return True
            # Ticks are counted too, for a clock that does not move by itself.
            elapsed = max(self._clock.monotonic() - started, waited)
            remaining = None if deadline_s is None else deadline_s - elapsed
            if remaining is not None and remaining <= 0:
                return False
            if not any(self._may_end(sink, remaining) for sink in left):
                return False
            if not self._started and self.step():
                continue
            if self._closed.wait(_TICK_S):
                return False
            waited += _TICK_S

    def close(self, deadline_s: float) -> None:
        """Stop: running deliveries may finish until the deadline, the rest waits on disk.

        Safe without `start`, and when called twice.

        Args:
            deadline_s: Seconds to wait at most.
        """
        with self._condition:
            if self._closed.is_set():
                return
            self._closed.set()
            self._looks.close()
            self._condition.notify_all()
            threads = list(self._threads)
        waited = 0.0
        for thread in threads:
            while thread.is_alive() and waited < deadline_s:
                thread.join(_TICK_S)
                waited += _TICK_S
        with self._leading_mutex:
            if self._leads:
                self._resign()
                self._leads = False
        self._leader_lock.close()

    def counts(self) -> Mapping[str, SinkCounts]:
        """Return by sink what became of the datapoints that this process answers for.

        Raises:
            SpoolError: The spool cannot be read.
        """
        counts = self._spool.counts()
        return {
            sink: replace(counts[sink], trouble=state.last_error or "")
            for sink, state in self._states.items()
        }

    def after_fork(self) -> None:
        """Leave threads and leadership to the parent; the child's first accept starts its own."""
        self._begin()

    def _begin(self) -> None:
        # New ones, since a fork may have happened while another thread held them.
        was_closed, self._closed = self._closed.is_set(), threading.Event()
        if was_closed:
            self._closed.set()
        self._condition = threading.Condition()
        self._leading_mutex = threading.Lock()
        self._leads = False
        self._reclaim_at = float("-inf")
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._has_poller = False
        self._look_at = float("-inf")
        self._looks.begin()
        for state in self._states.values():
            state.begin()

    def _wake(self) -> None:
        with self._condition:
            if self._idle:
                self._condition.notify()
            else:
                self._spawn()

    def _spawn(self) -> None:
        if not self._started or self._closed.is_set() or len(self._threads) >= self._max_threads:
            return
        thread = threading.Thread(target=self._work, name="al-delivery", daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as exc:  # the interpreter is shutting down; the spool keeps everything
            self._threads.discard(thread)
            _LOG.debug("delivery: no thread for the rest: %s", exc)

    def _work(self) -> None:
        try:
            while not self._closed.is_set():
                if not self._work_once():
                    self._wait()
        finally:
            with self._condition:
                self._threads.discard(threading.current_thread())

    def _work_once(self) -> bool:
        try:
            lease = self._take()
            if lease is None:
                return False
            self._wake()  # somebody has to look out while this thread is busy
            self._run(lease)
        except SpoolError as exc:
            with self._condition:
                is_first, self._spool_failed = not self._spool_failed, True
            if is_first and not self._closed.is_set():
                _LOG.error("delivery: interrupted, and tried again until it works: %s", exc)
            self._reclaim_at = float("-inf")  # a lease may have been left behind
            return False
        self._spool_failed = False
        return True

    def _wait(self) -> None:
        with self._condition:
            if self._closed.is_set():
                return
            # One idle thread looks out, so that the others cost nothing.
            is_poller = not self._has_poller
            self._has_poller = True
            self._idle += 1
            self._condition.wait(self._poll_s if is_poller else None)
            self._idle -= 1
            if is_poller:
                self._has_poller = False

    def _take(self) -> Lease | None:
        if self._closed.is_set() or not self._leading():
            return None
        for sink in sorted(self._states, key=lambda name: self._states[name].served):
            if not self._enter(sink):
                continue
            lease = None
            try:
                lease = self._deliveries.take(sink)
            finally:
                if lease is None:
                    self._leave(sink)
            if lease is not None:
                return lease
        return None

    def _run(self, lease: Lease) -> None:
        try:
            self._courier.run(lease)
        finally:
            self._leave(lease.sink)

    def _enter(self, sink: str) -> bool:
        state = self._states[sink]
        with self._condition:
            if not state.is_free(self._clock.monotonic()):
                return False
            state.running += 1
            self._turn += 1
            state.served = self._turn
            return True

    def _leave(self, sink: str) -> None:
        with self._condition:
            self._states[sink].running -= 1

    def _may_end(self, sink: str, remaining_s: float | None) -> bool:
        state, now = self._states[sink], self._clock.monotonic()
        if state.running:
            return True
        if state.is_broken(now):
            return False
        due = self._deliveries.next_due(sink)
        if due is None or remaining_s is None:  # None is due: another process works on the rest
            return True
        return max(due - self._clock.time(), state.waits_s(now)) <= remaining_s

    def _leading(self) -> bool:
        with self._leading_mutex:
            if not self._leads:
                with translated(self._spool.directory):
                    self._leads = self._leader_lock.try_acquire()
                self._reclaim_at = float("-inf")
            now = self._clock.monotonic()
            if self._leads and now >= self._reclaim_at:
                self._deliveries.reclaim(tuple(self._states))
                self._reclaim_at = now + RECLAIM_EVERY_S
            if self._leads and now >= self._look_at:
                self._looks.refresh()
                self._look_at = now + _LOOK_EVERY_S
            return self._leads

    def _resign(self) -> None:
        try:
            self._deliveries.reclaim(tuple(self._states), own=True)
            self._deliveries.checkpoint_index()
        except SpoolError as exc:
            # The next leader finds this process gone and frees its leases then.
            _LOG.warning("delivery: leases are left to the next start: %s", exc)
        finally:
            self._leader_lock.release()
