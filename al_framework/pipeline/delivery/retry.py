"""When to try again, and when to stop trying.

Delays are kept on disk, as the date on which a delivery is due; no thread ever sleeps for one.
"""

import math
import random
from dataclasses import dataclass

from al_framework.pipeline.spool.leases import MAX_DELAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """How often and how long.

    Attributes:
        max_attempts: Failed attempts after which a datapoint is given up; those made while its sink
            is down, paused or asked us to wait do not count.
        max_faults: How many of them may be errors that no sink should raise.
        max_age_s: Seconds of trying after which a datapoint that fails is given up; counted from
            its first attempt, while its sink is given datapoints.
        max_crashes: Times in a row that the process may die with a datapoint in hand before it is
            given up.
        min_delay_s: Shortest delay.
        max_backoff_s: Longest delay, unless the sink asks for a longer one.
        max_retry_after_s: Longest delay that a sink may ask for.
        first_pause_s: First pause of a sink whose key or configuration is at fault.
        max_pause_s: Longest pause; each one lasts twice as long as the one before.
        failures_to_open: Failures in a row after which a sink is left alone.
        window: So many of the last attempts are looked at; half of them failed, and it is too.
        first_open_s: For how long a sink is left alone at first.
        max_open_s: For how long at most; each time lasts twice as long as the one before.
    """

    max_attempts: int = 12
    max_faults: int = 3
    max_age_s: float = 72 * 3600.0
    max_crashes: int = 3
    min_delay_s: float = 0.2
    max_backoff_s: float = 600.0
    max_retry_after_s: float = MAX_DELAY_S
    first_pause_s: float = 300.0
    max_pause_s: float = 3600.0
    failures_to_open: int = 5
    window: int = 20
    first_open_s: float = 5.0
    max_open_s: float = 300.0

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
