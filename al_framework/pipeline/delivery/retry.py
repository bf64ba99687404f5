"""When to try again, and when to stop trying: what each outcome means for datapoint and sink.

Delays are kept on disk, as the date on which a delivery is due; no thread ever sleeps for one. A
pause of a sink lives in memory: a restart is a good moment to look whether it is over.
"""

import math
import random
import threading
from dataclasses import dataclass

from al_framework.pipeline.spool.leases import MAX_DELAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """How often and how long.

    Attributes:
        max_attempts: Failed attempts after which a datapoint is given up.
        max_faults: How many of them may be errors that no sink should raise.
        min_delay_s: Shortest delay.
        max_backoff_s: Longest delay, unless the sink asks for a longer one.
        max_retry_after_s: Longest delay that a sink may ask for.
        first_pause_s: First pause of a sink whose key or configuration is at fault.
        max_pause_s: Longest pause; each one lasts twice as long as the one before.
    """

    max_attempts: int = 12
    max_faults: int = 3
    min_delay_s: float = 0.2
    max_backoff_s: float = 600.0
    max_retry_after_s: float = MAX_DELAY_S
    first_pause_s: float = 300.0
    max_pause_s: float = 3600.0

    def backoff_s(self, failures: int, rng: random.Random) -> float:
        """Return a delay after so many failures: anything up to a bound that doubles each time.

        Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015 (full
        jitter), with a floor.
        """
        bound = min(self.max_backoff_s, 2.0 ** min(failures, 63))
        return rng.uniform(self.min_delay_s, bound)

    def requested_s(self, retry_after_s: float) -> float:
        """Return the delay that a sink asked for, kept within reason."""
        if math.isnan(retry_after_s):
            return self.min_delay_s
        return min(max(retry_after_s, self.min_delay_s), self.max_retry_after_s)


class SinkState:
    """Whether one sink may be given anything at the moment.

    Args:
        rules: How long pauses are.
        slots: How many deliveries may run at the same time.

    Attributes:
        running: How many deliveries run.
        served: Number of the turn in which it was last given something.
        last_error: Why the last attempt failed; None if it succeeded, or there was none.
    """

    def __init__(self, rules: RetryRules, *, slots: int) -> None:
        self._rules = rules
        self._slots = slots
        self._waits_until = float("-inf")
        self._broken_until = float("-inf")
        self._next_pause_s = rules.first_pause_s
        self.served = 0
        self.last_error: str | None = None
        self.begin()

    def begin(self) -> None:
        """Start with nothing running: at first, and in the child of a fork."""
        self._lock = threading.Lock()
        self.running = 0

    def is_free(self, now: float) -> bool:
        """Tell whether it has a slot and is not paused, at a monotonic time."""
        return self.running < self._slots and now >= max(self._waits_until, self._broken_until)

    def is_broken(self, now: float) -> bool:
        """Tell whether it waits for a person to repair key or configuration."""
        return now < self._broken_until

    def waits_s(self, now: float) -> float:
        """Return the seconds that it still asks us to wait; 0 or less for none."""
        return self._waits_until - now

    def wait(self, now: float, delay_s: float) -> None:
        """Give it nothing for as long as it asked for."""
        self._waits_until = max(self._waits_until, now + delay_s)

    def pause(self, now: float) -> float | None:
        """Give it nothing for a while, twice as long as the last time.

        Returns:
            The seconds, or None if it is paused already: several deliveries that run into the same
            fault are one fault.
        """
        with self._lock:
            if self.is_broken(now):
                return None
            pause_s = self._next_pause_s
            self._broken_until = now + pause_s
            self._next_pause_s = min(2 * pause_s, self._rules.max_pause_s)
            return pause_s

    def succeed(self) -> bool:
        """Forget earlier pauses and errors; tell whether there was an error."""
        failed, self.last_error = self.last_error is not None, None
        self._next_pause_s = self._rules.first_pause_s
        return failed
