"""The collectors of a process that serves several tenants.

An inference server makes a new step for every request. What has to outlive the request — spool,
limits, uploads under way — is kept here, one collector for each API key, dataset and
configuration, so that nobody's pictures ever go out under somebody else's key or rules.
"""

import atexit
import logging
import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from al_framework import Collector, RecentImages
from al_framework.api import Clock, Counts, SpoolError
from al_framework_roboflow.client import DEFAULT_API_URL
from al_framework_roboflow.pool.backlog import Backlog
from al_framework_roboflow.pool.keys import (
    CollectorKey,
    PoolError,
    collection_document,
    make_key,
)
from al_framework_roboflow.pool.making import Build, build, made
from al_framework_roboflow.pool.slots import Job, Slot

__all__ = ["CollectorPool", "PoolError"]

logger = logging.getLogger(__name__)

IDLE_S = 600.0
SWEEP_S = 60.0
CLOSE_S = 5.0
_SLOTS_PER_COLLECTOR = 8


class CollectorPool:
    """Collectors by API key, dataset and configuration, created on first use.

    Key and dataset have a spool directory under `spool_root`, called after a hash; API keys are
    written nowhere. A collector that could not be made is tried again after a minute. One that has
    not been used for ten minutes and has delivered everything is closed, and so is the least
    recently used one when there are too many. What it could not deliver in five seconds stays in
    its spool, and is delivered when the same key and dataset are used again. Limits are counted in
    the spool, so a changed configuration goes on with what an earlier one has spent.

    A forked child begins with an empty pool. At exit the pool is closed.

    Args:
        api_url: Where Roboflow's API is.
        spool_root: Directory of the spools; by default the environment's ``AL_SPOOL_DIR``, else
            ``.al`` in the current directory.
        sinks: Where to send pictures instead of Roboflow, as in a configuration file;
            ``{collector}`` in a text stands for a name of key and dataset.
        recent: What was sent lately, to be shared with collectors outside of the pool, such as one
            at the model: `Collector.from_config` takes it too. By default one of the pool's own.
            Datasets of one name under two keys are never taken for one.
        max_collectors: Collectors open at once, apart from those in use at that moment.
        clock: Time; the system's by default.
        build: Makes a collector of a configuration; `Collector.from_config` by default.

    Attributes:
        recent: As given, or the pool's own.
    """

    def __init__(  # noqa: PLR0913 - all optional; the last two are for tests
        self,
        *,
        api_url: str = DEFAULT_API_URL,
        spool_root: Path | None = None,
        sinks: Sequence[Mapping[str, object]] | None = None,
        recent: RecentImages | None = None,
        max_collectors: int = 32,
        clock: Clock | None = None,
        build: Build = build,
    ) -> None:
        if spool_root is None:
            spool_root = Path(os.environ.get("AL_SPOOL_DIR") or ".al")
        self._api_url = api_url
        self._spool_root = spool_root.expanduser().absolute()
        self._sinks = None if sinks is None else [dict(sink) for sink in sinks]
        self._max_collectors = max(1, max_collectors)
        self._now = time.monotonic if clock is None else clock.monotonic
        self._build = build
        self.recent = recent if recent is not None else RecentImages(clock)
        self._closed = False
        self._inherited: list[object] = []
        self._start_empty()
        atexit.register(self.close)
        _tell_after_fork(self)

    def collector(
        self,
        *,
        api_key: SecretStr,
        target_dataset: str,
        configuration: Mapping[str, object] | None,
    ) -> Collector:
        """Return the collector for a key, a dataset and a configuration.

        Ask anew for every use, and never close it: the pool may close one that rests. The first
        call opens a spool; it waits for the disk, and never for the network.

        Args:
            api_key: Roboflow API key.
            target_dataset: Project to deliver to.
            configuration: Active Learning document; None: the project's own, fetched in the
                background.

        Raises:
            PoolError: There is none: the configuration has faults, the spool cannot be used, or
                the pool is closed.
        """
        with self.lease(make_key(api_key, target_dataset, configuration)) as collector:
            return collector

    @contextmanager
    def lease(self, key: CollectorKey) -> Iterator[Collector]:
        """Give the collector of a key, which stays open until the block is left.

        Raises:
            PoolError: As for `collector`.
        """
        with self._lock:
            slot = self._slot(key)
            slot.users += 1
        try:
            yield self._opened(slot)
        finally:
            self._release(slot)

    def is_open(self, key: CollectorKey) -> bool:
        """Tell whether `lease` would return at once."""
        with self._lock:
            slot = self._slots.get(key)
            return slot is not None and slot.collector is not None

    def when_open(self, key: CollectorKey, job: Job, *, size: int) -> None:
        """Open a collector in the background, and then do something with it.

        Args:
            key: Whose collector.
            job: Called with the collector, or with None if it could not be made.
            size: Bytes of memory that the job holds on to.

        Raises:
            PoolError: It could not be made a short while ago, the pool is closed, or too much
                waits already.
        """
        with self._lock:
            slot = self._slot(key)
            slot.raise_recent_failure(self._now())
            if not self._backlog.admit(size):
                raise PoolError(
                    f"the collector for the dataset {key.dataset!r} is still being opened, and "
                    "too many images wait for that: this one is not kept"
                )
            slot.waiting.append((job, size))
            if slot.opening:
                return
            if not self._started("al-pool-open", lambda: self._open_and_work(slot)):
                slot.waiting.pop()
                self._backlog.dismiss(size)
                raise PoolError(
                    f"no thread can be started to open the collector for the dataset "
                    f"{key.dataset!r}: this image is not kept"
                )
            slot.opening = True
            slot.users += 1

    def stats(self) -> Mapping[str, Counts]:
        """Return the counts of every open collector, by a name that tells no key.

        One whose spool cannot be read is left out, which is logged.
        """
        with self._lock:
            found = {slot.key.name: slot.collector for slot in self._slots.values()}
        counts: dict[str, Counts] = {}
        for name, collector in found.items():
            if collector is None:
                continue
            try:
                counts[name] = collector.stats()
            except SpoolError as exc:
                logger.warning("the collector %s cannot be counted: %s", name, exc)
        return counts

    def close(self) -> None:
        """Close every collector; safe to call twice.

        For five seconds in all they go on delivering; the rest is safe in their spools.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            threads = list(self._threads)
        atexit.unregister(self.close)
        deadline = self._now() + CLOSE_S
        for thread in threads:
            thread.join(self._left(deadline))
        with self._lock:
            self._finished = True
            slots = list(self._slots.values())
        for slot in slots:
            with self._lock:
                collector, slot.collector = slot.collector, None
            if collector is not None:
                collector.close(self._left(deadline))

    def _left(self, deadline: float) -> float:
        return max(0.0, deadline - self._now())

    def _slot(self, key: CollectorKey) -> Slot:
        """Return the place of a key, made if need be; the pool's lock is held."""
        if self._closed:
            raise PoolError("the pool of collectors is closed: the process is about to end")
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = Slot(key=key)
        self._slots.move_to_end(key)
        slot.used_at = self._now()
        return slot

    def _opened(self, slot: Slot) -> Collector:
        """Return the collector of a slot that is in use, made if need be."""
        collector = slot.collector
        if collector is not None:
            return collector
        with slot.lock:
            if slot.collector is not None:  # another thread was faster
                return slot.collector
            slot.raise_recent_failure(self._now())
            try:
                collector = self._made(slot.key)
            except PoolError as exc:
                self._note_failure(slot, exc)
                raise
            with self._lock:
                finished = self._finished
                if not finished:
                    slot.collector, slot.failure = collector, None
                    self._sweep()
        if finished:
            collector.close(0.0)
            raise PoolError("the pool of collectors was closed while this one was being opened")
        return collector

    def _made(self, key: CollectorKey) -> Collector:
        collector = made(key, lambda: self._built(key))
        # The pool closes them together, within one deadline instead of one each.
        atexit.unregister(collector.close)
        return collector

    def _built(self, key: CollectorKey) -> Collector:
        document = collection_document(
            key, api_url=self._api_url, spool_root=self._spool_root, sinks=self._sinks
        )
        return self._build(document, self.recent)

    def _note_failure(self, slot: Slot, failure: PoolError) -> None:
        text = str(failure)
        with self._lock:
            # A copy: the one in flight holds its frames, and with them the images of the call.
            slot.failure = PoolError(text, faults=failure.faults)
            slot.failed_at = self._now()
            known, slot.logged = slot.logged == text, text
        if not known:
            logger.error("%s", text)

    def _open_and_work(self, slot: Slot) -> None:
        """Open a collector and do what waits for it; the thread of `when_open`."""
        collector: Collector | None = None
        try:
            collector = self._opened(slot)
        except PoolError as exc:
            with self._lock:
                lost = len(slot.waiting)
            logger.error("%d images are lost: %s", lost, exc)  # noqa: TRY400 - the text says it all
        while True:
            with self._lock:
                if not slot.waiting:
                    slot.opening = False
                    self._threads.discard(threading.current_thread())
                    break
                job, size = slot.waiting.popleft()
                self._backlog.dismiss(size)
            job(collector)
        self._release(slot)

    def _release(self, slot: Slot) -> None:
        with self._lock:
            slot.users -= 1
            slot.used_at = self._now()
            if slot.used_at >= self._sweep_at or self._crowded():
                self._sweep()

    def _sweep(self) -> None:
        """Close what is not needed any more; the pool's lock is held."""
        if self._closed:
            return
        now = self._now()
        self._sweep_at = now + SWEEP_S
        surplus = sum(slot.collector is not None for slot in self._slots.values())
        surplus -= self._max_collectors
        crowded = self._crowded()
        for slot in [slot for slot in self._slots.values() if not slot.users]:
            if slot.collector is None:
                # Remembered for their failure, which is logged once; but never without end.
                forgotten = crowded or now - slot.used_at >= IDLE_S
                if forgotten and not slot.lock.locked():
                    del self._slots[slot.key]
            elif surplus > 0 or now - slot.used_at >= IDLE_S:
                self._retire(slot, unless_pending=surplus <= 0)
                surplus -= 1

    def _crowded(self) -> bool:
        return len(self._slots) > self._max_collectors * _SLOTS_PER_COLLECTOR

    def _retire(self, slot: Slot, *, unless_pending: bool) -> None:
        """Close one collector in the background; the pool's lock is held, and nobody uses it."""
        if not slot.lock.acquire(blocking=False):
            return
        used_at = slot.used_at

        def close() -> None:
            try:
                collector = self._taken_out(slot, used_at, unless_pending=unless_pending)
                if collector is not None:
                    collector.close(CLOSE_S)
            finally:
                slot.lock.release()
                with self._lock:
                    self._threads.discard(threading.current_thread())

        if not self._started("al-pool-close", close):
            slot.lock.release()

    def _taken_out(self, slot: Slot, used_at: float, *, unless_pending: bool) -> Collector | None:
        """Return the collector of a slot, which has none from now on; None if it is still needed.

        Not under the pool's lock: what one tenant has pending is read from the disk.
        """
        pending = unless_pending and slot.pending()
        with self._lock:
            if pending or slot.users or slot.used_at != used_at or self._finished:
                return None
            collector, slot.collector = slot.collector, None
        logger.info(
            "the collector %s rests and is closed; what it has not delivered stays in its spool "
            "until it is used again",
            slot.key.name,
        )
        return collector

    def _started(self, name: str, target: Callable[[], None]) -> bool:
        """Tell whether a thread could be started; the pool's lock is held."""
        thread = threading.Thread(target=target, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # too many of them, or the interpreter is about to end
            return False
        self._threads.add(thread)
        return True

    def _start_empty(self) -> None:
        self._lock = threading.Lock()
        self._slots: OrderedDict[CollectorKey, Slot] = OrderedDict()
        self._threads: set[threading.Thread] = set()
        self._backlog = Backlog()
        self._sweep_at = self._now() + SWEEP_S
        self._finished = False

    def _after_fork(self) -> None:
        """Begin anew in the child, where the parent's threads do not run.

        What was inherited is kept, idle, and never closed: its end is the parent's to declare.
        """
        self._inherited.append(self._slots)
        self._start_empty()


def _tell_after_fork(pool: CollectorPool) -> None:
    reference = weakref.ref(pool)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive._after_fork()  # noqa: SLF001 - this module's own class

    os.register_at_fork(after_in_child=call)
