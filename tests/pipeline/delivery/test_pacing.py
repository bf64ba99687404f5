"""A sink with a pace is never given more than that, and no less where there is enough to give."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from al_framework.api import Receipt, TransientSinkError
from al_framework.pipeline.delivery import Pace
from al_framework.pipeline.delivery.pacing import Pacer

CREATED = Receipt(status="created")
PATIENCE_S = 60.0


class Asked:
    """Notes when it was asked, and fails so often first."""

    def __init__(self, clock, failures=0):
        self.clock = clock
        self.failures = failures
        self.at = []
        self.began = clock.monotonic()

    def __call__(self, datapoint, checkpoint):
        self.at.append(self.clock.monotonic() - self.began)
        if len(self.at) <= self.failures:
            raise TransientSinkError("sink 's': no", retry_after_s=None)
        return CREATED


def work(delivery, clock, *, seconds, tick):
    for _ in range(round(seconds / tick)):
        while delivery.step():
            pass
        clock.advance(tick)


@pytest.mark.parametrize(
    ("burst", "expected"),
    [
        (1, [0.0, 0.25, 0.5, 0.75, 1.0]),
        (3, [0.0, 0.0, 0.0, 0.25, 0.5]),
    ],
)
def test_after_a_burst_attempts_come_one_by_one(bench, burst, expected):
    sink = Asked(bench.clock)
    delivery = bench.delivery({"s": sink}, paces={"s": Pace(per_s=4, burst=burst)})
    bench.accept(5)
    work(delivery, bench.clock, seconds=2, tick=0.125)

    assert sink.at == expected


def test_a_time_without_any_allows_no_more_than_a_burst(bench):
    sink = Asked(bench.clock)
    delivery = bench.delivery({"s": sink}, paces={"s": Pace(per_s=4, burst=2)})
    work(delivery, bench.clock, seconds=10, tick=1)  # looks that find nothing cost nothing
    bench.accept(4)
    work(delivery, bench.clock, seconds=2, tick=0.125)

    assert sink.at == [10.0, 10.0, 10.25, 10.5]


def test_a_second_attempt_counts_as_the_first(bench):
    sink = Asked(bench.clock, failures=2)
    delivery = bench.delivery({"s": sink}, paces={"s": Pace(per_s=0.125)})
    bench.accept(2)
    work(delivery, bench.clock, seconds=40, tick=1)

    assert sink.at == [0.0, 8.0, 16.0, 24.0]


def test_a_sink_with_a_pace_holds_up_no_other(bench):
    slow, quick = Asked(bench.clock), Asked(bench.clock)
    delivery = bench.delivery({"slow": slow, "quick": quick}, paces={"slow": Pace(per_s=1)})
    bench.accept(3)
    work(delivery, bench.clock, seconds=4, tick=1)

    assert slow.at == [0.0, 1.0, 2.0]
    assert quick.at == [0.0, 0.0, 0.0]


def test_whoever_cannot_wait_for_the_pace_is_told_at_once(bench):
    sink = Asked(bench.clock)
    delivery = bench.delivery({"s": sink}, paces={"s": Pace(per_s=0.01)})
    first, second = bench.accept(2)

    assert delivery.deliver_now(first, 5.0)
    assert not delivery.deliver_now(second, 5.0)
    assert not delivery.drain(5.0)
    assert sink.at == [0.0]
    assert bench.clock.monotonic() == sink.began  # nobody has waited


def test_threads_do_not_sleep_past_the_moment(bench):
    # A pace far above one attempt a poll: who waits for the poll never ends in time.
    given = threading.Semaphore(0)

    def deliver(datapoint, checkpoint):
        given.release()
        bench.clock.advance(0.001)
        return CREATED

    delivery = bench.delivery({"s": deliver}, paces={"s": Pace(per_s=1000)}, poll_s=PATIENCE_S)
    bench.accept(50)
    delivery.start()

    for _ in range(50):
        assert given.acquire(timeout=PATIENCE_S / 2)


gaps = st.lists(st.sampled_from((0.0, 0.125, 0.25, 0.5, 3.0)), max_size=60)


@given(gaps=gaps, per_s=st.sampled_from((0.5, 1, 4, 64)), burst=st.integers(1, 8))
def test_no_span_of_time_sees_more_than_a_burst_and_the_rate(gaps, per_s, burst):
    pacer, now, taken = Pacer(Pace(per_s=per_s, burst=burst)), 0.0, []
    for gap in gaps:
        now += gap
        while pacer.waits_s(now) <= 0:
            pacer.take(now)
            taken.append(now)

    assert taken.count(taken[0]) == burst if taken else not gaps  # the first takes what it may
    for i, first in enumerate(taken):
        for j, last in enumerate(taken[i:]):
            assert j + 1 <= burst + (last - first) * per_s


@given(gaps=gaps, burst=st.integers(1, 8))
def test_what_is_given_back_leaves_no_trace(gaps, burst):
    pace = Pace(per_s=4, burst=burst)
    plain, other, now = Pacer(pace), Pacer(pace), 0.0
    for gap in gaps:
        now += gap
        if other.waits_s(now) <= 0:
            other.take(now)
            other.give_back()
        assert (other.waits_s(now) <= 0) == (plain.waits_s(now) <= 0)
        if plain.waits_s(now) <= 0:
            plain.take(now)
            other.take(now)
        assert other.waits_s(now) == plain.waits_s(now)


def test_without_a_pace_nothing_is_held_back():
    pacer = Pacer(None)
    for now in (5.0, 5.0, 4.0):
        assert pacer.waits_s(now) <= 0
        pacer.take(now)
