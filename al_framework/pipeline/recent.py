"""Remember which pictures were sent lately, so that one offered in two places is sent once.

In an inference server the same picture passes the model and a later workflow step, each with a
collector of its own. Within one process they can share what they have sent.
"""

import threading
from collections import OrderedDict

from al_framework.api import Clock
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.forking import tell_after_fork

WINDOW_S = 600.0
MAX_PICTURES = 100_000


class RecentImages:
    """Pictures by dataset and content; share one between the collectors of a process.

    Args:
        clock: Time; the system's by default.
        window_s: Seconds for which a picture is remembered.
        max_pictures: Pictures remembered at most; the oldest are forgotten first.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        window_s: float = WINDOW_S,
        *,
        max_pictures: int = MAX_PICTURES,
    ) -> None:
        self._clock = clock if clock is not None else SystemClock()
        self._window_s = window_s
        self._max_pictures = max_pictures
        self._claimed: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = threading.Lock()
        tell_after_fork(self)

    def claim(self, dataset: str, content_key: str) -> bool:
        """Take a picture for oneself; False if somebody did so within the window."""
        now = self._clock.monotonic()
        with self._lock:
            while self._claimed:
                oldest, at = next(iter(self._claimed.items()))
                if now - at < self._window_s and len(self._claimed) < self._max_pictures:
                    break
                del self._claimed[oldest]
            if (dataset, content_key) in self._claimed:
                return False
            self._claimed[dataset, content_key] = now
            return True

    def release(self, dataset: str, content_key: str) -> None:
        """Give a picture back that was not sent after all; unknown ones are ignored."""
        with self._lock:
            self._claimed.pop((dataset, content_key), None)

    def after_fork(self) -> None:
        """Go on in the child with a lock that nobody holds."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many pictures are remembered."""
        return len(self._claimed)
