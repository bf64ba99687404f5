"""The lead: one process delivers, whatever the number that share the spool, and keeps it tidy.

The kernel hands the lead on when its holder dies.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from al_framework.api import Clock, SpoolError
from al_framework.pipeline.delivery.batch_looks import BatchLooks
from al_framework.pipeline.delivery.breaker import Breaker
from al_framework.pipeline.spool import Spool
from al_framework.pipeline.spool.locking import FileLock
from al_framework.pipeline.spool.translating import translated

EVERY_S = 60.0
# The kernel frees the lock of a killed leader a moment before the process looks dead.
SECOND_LOOK_S = 1.5
_LOOK_EVERY_S = 5.0  # for batches whose size is to be asked again; most times there is none
UNSERVED = (
    "another process delivers what lies in this spool and does not know this sink, so its"
    " datapoints wait until that process ends; give both processes the same sinks, or each a"
    " spool.path of its own"
)
_LOG = logging.getLogger(__name__)


class Lead:
    """Takes the lead, does what comes with it, and gives it up.

    Args:
        spool: The spool.
        breakers: How each sink is, to be kept in the spool.
        looks: What keeps the sizes of batches up to date.
        clock: Time.
    """

    def __init__(
        self, spool: Spool, breakers: Mapping[str, Breaker], looks: BatchLooks, *, clock: Clock
    ) -> None:
        self._spool = spool
        self._breakers = breakers
        self._looks = looks
        self._clock = clock
        self._lock = FileLock(spool.directory / "deliver.lock")
        self._told: set[str] = set()
        self.begin()

    def begin(self) -> None:
        """Start without the lead: at first, and in the child of a fork."""
        self._mutex = threading.Lock()
        self._holds = self._has_resigned = False
        self._unserved: frozenset[str] = frozenset()
        self._next_look_s = EVERY_S
        self.look_through()
        self._tidy_at = self._look_at = float("-inf")
        self._leader_at: float | None = None

    @property
    def holds(self) -> bool:
        """Whether this process has it."""
        return self._holds

    @property
    def has_resigned(self) -> bool:
        """Whether `resign` was called; it is not taken again after that."""
        return self._has_resigned

    @property
    def unserved(self) -> frozenset[str]:
        """The sinks that are not those of the process that leads."""
        return self._unserved

    def look_through(self) -> None:
        """Free leases that nobody works on at the next opportunity, not only in a minute."""
        self._reclaim_at = float("-inf")

    def take(self) -> bool:
        """Take the lead if nobody has it, do what is due, and tell whether this process has it.

        Raises:
            SpoolError: The spool cannot be used.
        """
        with self._mutex:
            if self._has_resigned:  # a thread that closing has overtaken
                return False
            if not self._holds:
                with translated(self._spool.directory):
                    if not self._lock.try_acquire():
                        self._look_at_leader()
                        return False
                try:
                    self._restore(tries_at_once=True)
                    self._spool.sink_table.announce(tuple(self._breakers))
                except BaseException:
                    self._lock.release()
                    raise
                self._holds, self._unserved = True, frozenset()
                self._next_look_s = SECOND_LOOK_S
                self.look_through()
            now = self._clock.monotonic()
            if now >= self._reclaim_at:
                self._spool.deliveries.reclaim(tuple(self._breakers))
                self._reclaim_at, self._next_look_s = now + self._next_look_s, EVERY_S
            if now >= self._look_at:
                self._looks.refresh()
                self._look_at = now + _LOOK_EVERY_S
            if now >= self._tidy_at:
                self._tidy_at = now + EVERY_S
                self._tidy()
            return True

    def learn(self) -> None:
        """Take over what the leader has written down about the sinks, if that is another process.

        Raises:
            SpoolError: The spool cannot be read.
        """
        with self._mutex:
            if not self._holds:
                self._restore(tries_at_once=False)

    def keep(self) -> None:
        """Write down how sinks are, if that has changed.

        Raises:
            SpoolError: The spool cannot be written.
        """
        if not self._holds:  # the leader knows more, and what it has written is not ours to change
            return
        changed = [breaker for breaker in self._breakers.values() if breaker.is_changed]
        if changed:
            self._save(changed)

    def resign(self) -> None:
        """Free the leases of this process, and let another one lead. Safe to call twice."""
        with self._mutex:
            self._has_resigned = True
            try:
                # Without the lead, too: `Delivery.deliver_now` takes leases whoever leads.
                self._spool.deliveries.release_own()
                if self._holds:
                    self._save(self._breakers.values())
                    self._spool.deliveries.checkpoint_index()
            except SpoolError as exc:
                # The next leader finds this process gone and frees its leases then.
                _LOG.warning("delivery: leases are left to the next start: %s", exc)
            finally:
                if self._holds:
                    self._holds = False
                    self._lock.release()
                self._lock.close()

    def _look_at_leader(self) -> None:
        """Find out, once a minute, whether the leader delivers to our sinks; if not, say so."""
        now = self._clock.monotonic()
        if self._leader_at is None:  # it may have taken the lead this moment
            self._leader_at = now + _LOOK_EVERY_S
        if now < self._leader_at:
            return
        self._leader_at = now + EVERY_S
        served = self._spool.sink_table.served()
        unserved = frozenset(self._breakers) - served if served else frozenset[str]()
        for sink in sorted(unserved - self._unserved):
            _LOG.warning("sink %r: %s", sink, UNSERVED)
        self._unserved = unserved

    def _restore(self, *, tries_at_once: bool) -> None:
        records = self._spool.sink_table.load(tuple(self._breakers))
        now, wall = self._clock.monotonic(), self._clock.time()
        for name, breaker in self._breakers.items():
            if not tries_at_once and not breaker.may_learn(records[name]):
                continue
            breaker.restore(records[name], now=now, wall=wall, tries_at_once=tries_at_once)

    def _save(self, breakers: Iterable[Breaker]) -> None:
        now, wall = self._clock.monotonic(), self._clock.time()
        self._spool.sink_table.save([one.record(now=now, wall=wall) for one in breakers])

    def _tidy(self) -> None:
        """Do what can wait: none of it may keep a datapoint from its sink."""
        duties: dict[str, Callable[[], object]] = {
            "the state of the sinks is not written down": lambda: self._save(
                self._breakers.values()
            ),
            "files that nobody needs are not removed": self._spool.sweep_step,
            "datapoints that are too old are not removed": self._spool.evict_due,
            "dead letters beyond their limits are not removed": self._spool.dead.prune,
        }
        for failure, duty in duties.items():
            try:
                duty()
            except SpoolError as exc:
                if failure not in self._told:
                    _LOG.warning("delivery: %s: %s", failure, exc)
                self._told.add(failure)
            else:
                self._told.discard(failure)
