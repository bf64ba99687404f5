"""The wall clock is set back and forth: budgets hold, nothing waits for a date that never comes.

Wall and ticks are numbers of the test; spool, ledger, deliveries and their clock are the real ones.
"""

import random
from collections import Counter

import pytest

from al_framework.api import TransientSinkError
from al_framework.pipeline.clock import BELIEVABLE_AHEAD_S, SteadyClock
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.delivery.retry import RetryRules
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Spool, SpoolLimits

START = 1_699_999_990.0  # ten seconds before the end of an hour
HOUR, DAY = 3600.0, 86400.0
LIMITS = {"minutely": 3, "hourly": 40, "daily": 400}
LENGTHS = {"minutely": 60.0, "hourly": HOUR, "daily": DAY}
SHIFTS = (0.5, -0.5, 1.0, -1.0, 59.0, -59.0, 61.0, -61.0, HOUR, -HOUR, DAY, -DAY)
RULES = RetryRules()
# A process that finds the clock set back lets time pass at half speed until the two meet.
SLOWEST = 2.0


class Machine:
    """Two clocks of one machine, moved by hand."""

    def __init__(self):
        self.wall, self.tick = START, 1000.0
        self._away = 0.0

    def jump(self, seconds):
        """Set the wall, unless an earlier credit could then be too far ahead to be believed."""
        if abs(self._away + seconds) <= BELIEVABLE_AHEAD_S / 2:
            self._away += seconds
            self.wall += seconds

    def pass_by(self, seconds):
        self.wall += seconds
        self.tick += seconds

    def clock(self):
        return SteadyClock(wall=lambda: self.wall, ticks=lambda: self.tick)


class Process:
    """One life with the spool: a clock of its own, a ledger, deliveries on the calling thread.

    Args:
        yard: The spool's directory, and what has to arrive.
        machine: Has the clocks.
        sink: Takes what is delivered.
        limits: The budget, by period.
        follows: Whether its clock is told when the last credit was taken.
    """

    def __init__(self, yard, machine, sink, *, limits, follows):
        self._yard = yard
        self.clock = yard.clock = machine.clock()
        rules = {"a": [LimitRule(period=p, value=n) for p, n in limits.items()]}
        ledger = SqliteLedger(
            rules, scope="s", not_before=self.clock.not_before if follows else None
        )
        self.spool = Spool(
            yard.directory,
            sinks=("s",),
            ledger=ledger,
            clock=self.clock,
            limits=SpoolLimits(min_free_bytes=0),
        )
        self.spool.open()
        self.delivery = Delivery(
            self.spool, {"s": sink}, clock=self.clock, rng=random.Random(3), rules=RULES
        )

    def offer(self, name):
        """Offer one datapoint; return when it was paid for, or None."""
        candidate = self._yard.candidate(name)
        (one,) = self.spool.accept([candidate])
        if one.status == "accepted":
            return candidate.decided_at
        del self._yard.sent[name]
        return None

    def step(self):
        while self.delivery.step():
            pass

    def close(self):
        self.delivery.close(0.0)
        self.spool.close()


class Fails:
    """A sink that can be told to fail."""

    def __init__(self, yard):
        self._yard = yard
        self.is_down = False
        self.tries = 0

    def __call__(self, datapoint, checkpoint):
        self.tries += 1
        if self.is_down:
            raise TransientSinkError("no connection")
        return self._yard.remote.store(datapoint)


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def sink(yard):
    return Fails(yard)


@pytest.fixture
def begin(yard, machine, sink):
    """Begin a life with the spool; what is still open at the end is closed."""
    running = []

    def make(limits=LIMITS, *, follows=True):
        running.append(Process(yard, machine, sink, limits=limits, follows=follows))
        return running[-1]

    yield make
    for process in running:
        process.close()


def delivered_within(process, machine, yard, seconds):
    """Let time pass until all that was accepted is delivered; tell whether it was in time."""
    end = machine.tick + seconds
    while machine.tick < end and yard.remote.bytes != yard.sent:
        machine.pass_by(1.0)
        process.step()
    return yard.remote.bytes == yard.sent


def test_whatever_the_clock_does_no_window_is_over_and_nothing_waits_for_ever(  # noqa: PLR0917 - fixtures
    begin, yard, machine, sink, size, seed
):
    rng = random.Random(seed)
    process, paid, restarts = begin(), [], 0
    for number in range(size.pick(ci=1500, full=10_000, soak=200_000)):
        if rng.random() < 0.03:
            machine.jump(rng.choice(SHIFTS))
        if rng.random() < 0.02:
            process.close()
            process = begin()
            restarts += 1
        if rng.random() < 0.05:
            sink.is_down = not sink.is_down
        machine.pass_by(rng.choice([0.2, 1.0, 7.0, 30.0]))
        at = process.offer(f"item-{number}")
        if at is not None:
            paid.append(at)
        process.step()
    sink.is_down = False
    longest_s = RULES.max_open_s + RULES.max_backoff_s

    assert restarts
    assert delivered_within(process, machine, yard, SLOWEST * longest_s)
    for period, limit in LIMITS.items():
        windows = Counter(at // LENGTHS[period] for at in paid)
        assert max(windows.values()) <= limit, period
    counts = process.spool.counts()["s"]
    assert (counts.pending, counts.dead) == (0, 0)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("shift", SHIFTS)
def test_a_budget_that_is_spent_stays_spent_when_the_clock_is_set(begin, machine, shift, restarts):
    machine.pass_by(20.0)  # into the next hour, which all of them leave but the smallest
    process = begin({"hourly": 2})
    spent = [process.offer(f"item-{number}") for number in range(3)]
    machine.wall += shift
    machine.pass_by(5.0)
    if restarts:
        process.close()
        process = begin({"hourly": 2})
    after = process.offer("item-after")

    assert [at is None for at in spent] == [False, False, True]
    # A new process can but believe the wall where that is ahead; a running one waits.
    assert (after is None) == (not restarts or shift < HOUR)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("shift", SHIFTS)
def test_a_sink_that_was_left_alone_is_tried_again_in_time(  # noqa: PLR0917 - fixtures
    begin, yard, machine, sink, shift, restarts
):
    process, sink.is_down = begin(), True
    process.offer("item-1")
    while machine.tick < 1000.0 + HOUR:  # until it is left alone for the longest time
        machine.pass_by(1.0)
        process.step()
    machine.wall += shift
    if restarts:
        process.close()
        process = begin()
    sink.is_down = False
    longest_s = RULES.max_open_s + RULES.max_backoff_s

    assert delivered_within(process, machine, yard, SLOWEST * longest_s)
    assert process.spool.counts()["s"].dead == 0


@pytest.mark.parametrize("shift", SHIFTS)
def test_what_a_living_process_has_in_hand_is_nobody_elses_when_the_clock_is_set(
    begin, machine, shift
):
    process = begin()
    process.offer("item-1")
    deliveries = process.spool.deliveries
    lease = deliveries.take("s")
    machine.wall += shift
    other = begin()
    other.spool.deliveries.reclaim(["s"])
    kept = other.spool.deliveries.take("s")
    deliveries.checkpoint(lease, {"remote_id": "7"})  # it is still its own
    machine.pass_by(61.0)  # longer than anything may be in hand without a word
    other.spool.deliveries.reclaim(["s"])
    taken = other.spool.deliveries.take("s")

    assert kept is None
    assert taken is not None
    assert taken.checkpoint == {"remote_id": "7"}


# How far the writer's clock is ahead of the leader's.
AHEAD = (*SHIFTS, HOUR / 2, -HOUR / 2)


@pytest.mark.parametrize("late", ["writer", "leader"])
@pytest.mark.parametrize("ahead", AHEAD)
def test_processes_that_do_not_agree_on_the_time_deliver_for_each_other(
    begin, yard, machine, ahead, late
):
    """Who runs does not believe a jump for five minutes; who begins after it knows no other."""
    early = begin()
    machine.wall += ahead if late == "writer" else -ahead
    latecomer = begin(follows=False)  # as where Redis keeps the budget
    writer, leader = (latecomer, early) if late == "writer" else (early, latecomer)
    leader.step()
    writer.offer("item-1")

    assert delivered_within(leader, machine, yard, 61.0)  # it looks at such things every minute
