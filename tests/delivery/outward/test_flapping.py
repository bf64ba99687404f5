"""A sink that comes and goes: nothing lost, nothing twice, and it is never stormed.

The clock of the delivery runs faster than ours, so that minutes of it pass in seconds.
"""

import random
import threading

from al_framework.api import TransientSinkError
from al_framework.pipeline.delivery import breaker as breakers

# What the server does, and for how many of its seconds.
PHASES = (("up", 10), ("HTTP 500", 5), ("HTTP 429", 5), ("no connection", 5), ("slow", 5))
CYCLE_S = sum(length for _, length in PHASES)
SPEED = 20.0
ALWAYS_UP_S = 40.0  # at the end, so that what is left can arrive
HANG_S = 120.0


class Flapping:
    """A server that goes through its phases, and notes what it was asked in each.

    Args:
        yard: Where its pictures go, and its clock.
        rng: Draws which requests are processed although no answer comes back.
        lasts_s: After so many seconds it is up for good.
    """

    def __init__(self, yard, rng, lasts_s):
        self._yard, self._rng, self._lasts_s = yard, rng, lasts_s
        self._lock = threading.Lock()
        self.requests = []

    def phase(self, now):
        if now >= self._lasts_s:
            return "up"
        at = now % CYCLE_S
        for name, length in PHASES:
            if at < length:
                return name
            at -= length
        raise AssertionError(at)

    def __call__(self, datapoint, checkpoint):
        now = self._yard.clock.monotonic()
        phase = self.phase(now)
        with self._lock:
            self.requests.append((now, phase))
            is_processed = self._rng.random() < 0.1
        if phase == "slow":
            threading.Event().wait(1.0 / SPEED)
        if phase in {"up", "slow"}:
            return self._yard.remote.store(datapoint)
        if phase != "HTTP 429" and is_processed:
            self._yard.remote.store(datapoint)
        raise TransientSinkError(phase, retry_after_s=2.0 if phase == "HTTP 429" else None)


class Watched(breakers.Breaker):
    """A breaker that notes what it lets through."""

    def __init__(self, *arguments, **options):
        self.events = []
        super().__init__(*arguments, **options)

    def enter(self, now):
        permit = super().enter(now)
        if permit is not None:
            self.events.append(("trial" if permit.is_trial else "begin", permit.period))
        return permit

    def leave(self, permit):
        self.events.append(("end", permit.period))
        super().leave(permit)


def most_at_once(events):
    """Return how many attempts ran at once at most, by period, and which periods had a trial."""
    running, most, trials = {}, {}, set()
    for kind, period in events:
        running[period] = running.get(period, 0) + (-1 if kind == "end" else 1)
        most[period] = max(most.get(period, 0), running[period])
        if kind == "trial":
            trials.add(period)
    return most, trials


def before_the_first_end(events, period):
    """Return how many attempts of a period were begun before one of them had ended."""
    kinds = [kind for kind, of in events if of == period]
    return kinds.index("end") if "end" in kinds else len(kinds)


def test_a_flapping_sink_loses_nothing_and_is_not_stormed(  # noqa: PLR0917 - fixtures
    yard, size, seed, fast_clock, eventually, monkeypatch
):
    lasts_s = size.pick(ci=180.0, full=1800.0, soak=7200.0)
    yard.clock = fast_clock(SPEED)
    watched = []

    def watch(*arguments, **options):
        watched.append(Watched(*arguments, **options))
        return watched[-1]

    monkeypatch.setattr("al_framework.pipeline.delivery.worker.Breaker", watch)
    server = Flapping(yard, random.Random(seed), lasts_s)
    spool = yard.spool("s")
    delivery = yard.delivery(spool, {"s": server})
    yard.accept(spool, 48)
    delivery.start()
    while yard.clock.monotonic() < lasts_s:
        # Always some that wait, whatever the machine; never so many that time is too short.
        if spool.counts()["s"].pending < 100:
            yard.accept(spool, 16)
        threading.Event().wait(0.02)

    assert eventually(lambda: spool.counts()["s"].pending == 0, HANG_S)
    counts = delivery.counts()["s"]
    assert (len(yard.sent), 0) == (counts.delivered, counts.dead)
    yard.judge()
    (breaker,) = watched
    most, trials = most_at_once(breaker.events)
    # One attempt in each half-open window; one that gets through ends its period, and the next
    # one begins with a single delivery as well.
    assert trials
    assert {1} == {most[period] for period in trials}
    recoveries = [period for period in most if period - 1 in trials and period not in trials]
    assert {1} == {before_the_first_end(breaker.events, period) for period in recoveries}
    assert max(most.values()) == 4  # and yet it comes to run at full width
    # Five failures and three more under way, for each of three kinds of trouble, at the very most.
    failed = [phase for _, phase in server.requests if phase not in {"up", "slow"}]
    assert len(failed) <= 24 * (lasts_s / CYCLE_S + 1)


def test_a_backlog_drains_after_recovery_growing_from_one_at_a_time(yard, size, eventually):
    """The delivery's threads on one side, a server that counts who is inside on the other."""
    backlog = size.pick(ci=300, full=1000, soak=5000)
    inside, seen, lock = [0], [], threading.Lock()
    is_up, gate = threading.Event(), threading.Semaphore(0)

    def serve(datapoint, checkpoint):
        if not is_up.is_set():
            raise TransientSinkError("no connection")
        with lock:
            inside[0] += 1
            seen.append(inside[0])
        assert gate.acquire(timeout=HANG_S)
        receipt = yard.remote.store(datapoint)
        with lock:
            inside[0] -= 1
        return receipt

    rules = breakers.RetryRules(first_open_s=1.0, max_open_s=1.0, max_backoff_s=0.3)
    spool = yard.spool("s")
    delivery = yard.delivery(spool, {"s": serve}, rules=rules)
    yard.accept(spool, backlog)
    delivery.start()
    breaker = delivery._breakers["s"]
    # Open, and the other attempts of that moment have ended too: what comes now is the trial.
    assert eventually(lambda: breaker.waits_s(yard.clock.monotonic()) > 0.3, HANG_S)
    assert eventually(lambda: not breaker.running, HANG_S)
    is_up.set()
    widths = []
    for passed in (1, 1, 2, 4):  # the trial, then as many as are let in at a time
        assert eventually(lambda n=passed: inside[0] == n, HANG_S)
        widths.append(inside[0])
        gate.release(passed)
        assert eventually(lambda: inside[0] < max(widths) or len(seen) > sum(widths), HANG_S)
    gate.release(10 * backlog)

    assert [1, 1, 2, 4] == widths
    assert eventually(lambda: spool.counts()["s"].pending == 0, HANG_S)
    yard.judge()
