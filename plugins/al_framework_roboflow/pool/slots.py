"""One place of a pool: a collector, or why there is none, and who waits for it."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from al_framework import Collector
from al_framework.api import SpoolError
from al_framework_roboflow.pool.keys import CollectorKey, PoolError

Job: TypeAlias = Callable[[Collector | None], None]

RETRY_S = 60.0


@dataclass(kw_only=True, eq=False)
class Slot:
    """The collector of one key; every field but `lock` is guarded by the pool's lock.

    Attributes:
        key: Whose it is.
        lock: Held while the collector is being made or closed, which may take seconds; so nobody
            else's collector waits, and one spool is never open twice.
        collector: The collector, while it is open.
        failure: Why there is none, after an attempt that failed.
        failed_at: When that was.
        logged: What has been logged about it.
        users: Threads that use it at the moment.
        used_at: When it was last used.
        waiting: What to do once it is open.
        opening: Whether a thread is there to do that.
    """

    key: CollectorKey
    lock: threading.Lock = field(default_factory=threading.Lock)
    collector: Collector | None = None
    failure: PoolError | None = None
    failed_at: float = 0.0
    logged: str = ""
    users: int = 0
    used_at: float = 0.0
    waiting: deque[tuple[Job, int]] = field(default_factory=deque)
    opening: bool = False

    def failed_recently(self, now: float) -> bool:
        """Tell whether it is too early to try again."""
        return self.failure is not None and now - self.failed_at < RETRY_S

    def raise_recent_failure(self, now: float) -> None:
        """Raise why there is no collector, if that was found out lately."""
        if self.failure is not None and self.failed_recently(now):
            # A new one each time: a shared exception would collect everybody's tracebacks.
            raise PoolError(str(self.failure), faults=self.failure.faults)

    def pending(self) -> int:
        """Return how many datapoints it can still deliver; it reads its spool for that."""
        if self.collector is None:
            return 0
        try:
            counts = self.collector.stats()
        except SpoolError:
            return 0  # nothing can be had from a spool that cannot be read
        return counts.queued + sum(sink.pending for sink in counts.sinks.values())
