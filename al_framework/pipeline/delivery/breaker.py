"""Whether one sink may be given anything at the moment, and how much.

A sink is given datapoints until it asks to be left alone (``waiting``), fails too often (``open``),
or needs a person (``paused``). When that time is over exactly one datapoint is tried, and if it
gets through, deliveries grow from one at a time to as many as there are slots: a server that has
just come back should not meet everything that has waited for it.

An outcome counts for the time in which its attempt began: one that comes in late says nothing
about the sink of now. Whatever its state, it is given no more than its pace allows.
"""

import threading
from collections import deque
from dataclasses import dataclass

from al_framework.pipeline.delivery.pacing import Pace, Pacer
from al_framework.pipeline.delivery.retry import RetryRules
from al_framework.pipeline.spool import SinkRecord
from al_framework.pipeline.spool.sinks import BreakerState

# A process that was stopped has not tried anything meanwhile, whatever its clock says.
_MOST_AT_ONCE_S = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """The right to make one attempt.

    Attributes:
        period: In which of the sink's states it began.
        is_trial: Whether it is the one attempt that shows whether the sink works again.
    """

    period: int
    is_trial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """What a failure means.

    Attributes:
        counts: Whether it is the datapoint's, too.
        alone_s: Seconds for which the sink is left alone; None if it goes on.
        is_news: Whether it began with this failure.
    """

    counts: bool
    alone_s: float | None = None
    is_news: bool = False


class Breaker:
    """The state of one sink; times are those of a monotonic clock.

    Args:
        name: The sink.
        rules: When it is left alone, and for how long.
        slots: How many deliveries may run at the same time.
        pace: How fast they may begin; None for as fast as they come.

    Attributes:
        running: How many deliveries run.
        served: Number of the turn in which it was last given something.
        last_error: Why the last attempt failed; None if it succeeded, or there was none.
        is_changed: Whether it should be written down.
    """

    def __init__(
        self, name: str, rules: RetryRules, *, slots: int, pace: Pace | None = None
    ) -> None:
        self._name = name
        self._rules = rules
        self._slots = slots
        self._pacer = Pacer(pace)
        self._state: BreakerState = "closed"
        self._until = float("-inf")
        self._period = 0
        self._next_open_s = rules.first_open_s
        self._next_pause_s = rules.first_pause_s
        self._failures = 0
        self._outcomes: deque[bool] = deque(maxlen=rules.window)
        self._width = slots
        self._streak = 0
        self._active_s = 0.0
        self._active_since: float | None = None
        self.served = 0
        self.last_error: str | None = None
        self.is_changed = False
        self.begin()

    def begin(self) -> None:
        """Start with nothing running: at first, and in the child of a fork."""
        self._lock = threading.Lock()
        self._current = 0
        self._has_trial = False
        self._active_since = None
        self.running = 0

    def may_learn(self, record: SinkRecord) -> bool:
        """Tell whether what was written down says more than is known here."""
        with self._lock:
            if self.running or (self.is_changed and self._state != "closed"):
                return False  # what this process has met itself is newer
            return record.state != "closed" or self._state != "closed"

    def restore(self, record: SinkRecord, *, now: float, wall: float, tries_at_once: bool) -> None:
        """Go on where another process has stopped.

        Args:
            record: What was written down.
            now: The time.
            wall: The same in UTC epoch seconds.
            tries_at_once: Whether a pause ends: a restart may well be the repair.
        """
        with self._lock:
            self._change(record.state)
            longest = {
                "waiting": self._rules.max_retry_after_s,
                "open": self._rules.max_open_s,
                "paused": 0.0 if tries_at_once else self._rules.max_pause_s,
                "closed": 0.0,
            }[record.state]
            # No longer than that, even if the wall clock was set back.
            self._until = now + min(max(record.until - wall, 0.0), longest)
            if record.state == "paused":
                self._next_pause_s = max(record.next_s, self._rules.first_pause_s)
            elif record.state != "closed":
                self._next_open_s = max(record.next_s, self._rules.first_open_s)
            self._failures = record.failures
            self._active_s = record.active_s
            self._active_since = None
            self.last_error = record.reason or None
            self.is_changed = False

    def record(self, *, now: float, wall: float) -> SinkRecord:
        """Return what to write down; from then on it is not changed."""
        with self._lock:
            self._count_active(now)
            self.is_changed = False
        return self.snapshot(now=now, wall=wall)

    def snapshot(self, *, now: float, wall: float) -> SinkRecord:
        """Return the same, to be shown."""
        with self._lock:
            is_closed = self._state == "closed"
            return SinkRecord(
                name=self._name,
                state=self._state,
                until=0.0 if is_closed else wall + self._until - now,
                next_s=self._next_pause_s if self._state == "paused" else self._next_open_s,
                failures=self._failures,
                reason="" if is_closed else self.last_error or "",
                active_s=self._active_s,
            )

    def enter(self, now: float) -> Permit | None:
        """Take a slot if there is one."""
        with self._lock:
            if not self._is_free(now):
                return None
            self._has_trial = is_trial = self._state != "closed"
            self.running += 1
            self._current += 1
            self._pacer.take(now)
            return Permit(self._period, is_trial)

    def is_free(self, now: float) -> bool:
        """Tell whether there is a slot to take."""
        with self._lock:
            return self._is_free(now)

    def leave(self, permit: Permit) -> None:
        """Give a slot back; a trial without an outcome is made again."""
        with self._lock:
            self.running -= 1
            if permit.period == self._period:
                self._current -= 1
                self._has_trial = False

    def give_back(self, permit: Permit) -> None:
        """Give a slot back in which nothing was tried, for want of anything to try."""
        with self._lock:
            self._pacer.give_back()
        self.leave(permit)

    def needs_person(self, now: float) -> bool:
        """Tell whether it waits for a person to repair key or configuration."""
        return self._state == "paused" and now < self._until

    def waits_s(self, now: float) -> float:
        """Return the seconds for which it is given nothing; 0 or less for none."""
        left_alone_s = float("-inf") if self._state == "closed" else self._until - now
        return max(left_alone_s, self.paced_s(now))

    def paced_s(self, now: float) -> float:
        """Return the seconds for which its pace forbids to give it anything; 0 or less for none."""
        return self._pacer.waits_s(now)

    def active_s(self, now: float) -> float:
        """Return the seconds for which it was given datapoints, by all processes that led."""
        with self._lock:
            return self._count_active(now)

    def succeed(self, permit: Permit) -> None:
        """Note that it answered as it should."""
        with self._lock:
            if permit.period != self._period:
                return
            self._failures = 0
            self._outcomes.append(True)
            self._next_pause_s = self._rules.first_pause_s
            if permit.is_trial:
                self._change("closed")
                self._width = 1
            else:
                self._streak += 1
                if self._width < self._slots and self._streak >= self._width:
                    self._width, self._streak = min(2 * self._width, self._slots), 0
            if self._width >= self._slots:
                self._next_open_s = self._rules.first_open_s

    def fail(self, permit: Permit, now: float, *, asked_s: float | None = None) -> Setback:
        """Note that it did not answer as it should.

        Args:
            permit: That of the attempt.
            now: The time.
            asked_s: Seconds for which it asked to be left alone.
        """
        with self._lock:
            if permit.period != self._period:
                if self._state == "closed":
                    return Setback(counts=False)
                if asked_s is not None:
                    self._until = max(self._until, now + asked_s)
                    self.is_changed = True
                return Setback(counts=False, alone_s=max(self._until - now, 0.0))
            self._failures += 1
            self._outcomes.append(False)
            self._streak = 0
            fails_often = self._failures >= self._rules.failures_to_open or self._fails_half()
            if asked_s is not None and not fails_often:
                alone_s = asked_s
            elif fails_often or permit.is_trial:
                alone_s = max(asked_s or 0.0, self._next_open_s)
                self._next_open_s = min(2 * self._next_open_s, self._rules.max_open_s)
            else:
                return Setback(counts=True)
            self._count_active(now)
            self._change("open" if asked_s is None else "waiting")
            self._until = now + alone_s
            return Setback(counts=not permit.is_trial, alone_s=alone_s, is_news=not permit.is_trial)

    def pause(self, permit: Permit, now: float) -> float | None:
        """Give it nothing for a while, twice as long as the last time.

        Returns:
            The seconds, or None if it is paused already: several deliveries that run into the same
            fault are one fault.
        """
        with self._lock:
            if self._state == "paused" and permit.period != self._period:
                return None
            pause_s = self._next_pause_s
            self._next_pause_s = min(2 * pause_s, self._rules.max_pause_s)
            self._count_active(now)
            self._change("paused")
            self._until = now + pause_s
            return pause_s

    def _is_free(self, now: float) -> bool:
        if self.running >= self._slots or self._pacer.waits_s(now) > 0:
            return False
        if self._state == "closed":
            return self._current < self._width
        return now >= self._until and not self._has_trial

    def _fails_half(self) -> bool:
        seen = self._outcomes
        return len(seen) == seen.maxlen and 2 * seen.count(False) >= len(seen)

    def _count_active(self, now: float) -> float:
        if self._active_since is not None:
            self._active_s += min(max(now - self._active_since, 0.0), _MOST_AT_ONCE_S)
        self._active_since = now if self._state == "closed" else None
        return self._active_s

    def _change(self, state: BreakerState) -> None:
        self._state = state
        self._active_since = None
        self._period += 1
        self._current = 0
        self._has_trial = False
        self._width = self._slots
        self._streak = 0
        self._outcomes.clear()
        self.is_changed = True
