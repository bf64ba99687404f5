"""When a sink is left alone and for how long, and how it is tried again."""

import pytest

from al_framework.pipeline.delivery import Breaker, RetryRules
from al_framework.pipeline.spool import SinkRecord

RULES = RetryRules()
WALL = 1_700_000_000.0


def breaker(slots=4):
    return Breaker("s", RULES, slots=slots)


def fill(one, now=0.0):
    """Take every permit there is."""
    permits = []
    while (permit := one.enter(now)) is not None:
        permits.append(permit)
    return permits


def open_it(one, now=0.0):
    for _ in range(5):
        permit = one.enter(now)
        one.fail(permit, now)
        one.leave(permit)


def trial(one, now):
    """Make the one attempt of the half-open state, with success."""
    permit = one.enter(now)
    assert permit.is_trial
    one.succeed(permit)
    one.leave(permit)


def test_five_failures_in_a_row_open_it_for_five_seconds():
    one = breaker()
    open_it(one)

    assert one.enter(4.99) is None
    assert one.enter(5.0).is_trial
    assert one.enter(5.0) is None  # exactly one


def test_half_of_twenty_failures_open_it_though_never_five_in_a_row():
    one = breaker()
    setbacks = []
    for number in range(20):
        permit = one.enter(0.0)
        if number % 2:
            setbacks.append(one.fail(permit, 0.0))
        else:
            one.succeed(permit)
        one.leave(permit)

    assert [None] * 9 + [5.0] == [setback.alone_s for setback in setbacks]
    assert all(setback.counts for setback in setbacks)


def test_it_stays_open_twice_as_long_each_time_up_to_five_minutes():
    one, now, lengths = breaker(), 0.0, []
    open_it(one)
    for _ in range(8):
        lengths.append(one.waits_s(now))
        now += lengths[-1]
        permit = one.enter(now)
        setback = one.fail(permit, now)
        one.leave(permit)
        assert (False, False) == (setback.counts, setback.is_news)

    assert [5, 10, 20, 40, 80, 160, 300, 300] == lengths


def test_after_a_trial_deliveries_grow_from_one_to_all_slots():
    one = breaker()
    open_it(one)
    trial(one, 5.0)
    widths = []
    for _ in range(4):
        permits = fill(one)
        widths.append(len(permits))
        for permit in permits:
            one.succeed(permit)
            one.leave(permit)

    assert [1, 2, 4, 4] == widths


def test_a_sink_that_recovered_fully_is_left_alone_for_five_seconds_again():
    one = breaker(slots=1)
    open_it(one)
    trial(one, 5.0)
    open_it(one, 5.0)

    assert one.waits_s(5.0) == 5.0


def test_one_that_fails_again_while_deliveries_grow_is_left_alone_for_longer():
    one = breaker()
    open_it(one)
    trial(one, 5.0)
    open_it(one, 5.0)

    assert one.waits_s(5.0) == 10.0


def test_outcomes_of_an_earlier_period_say_nothing_about_this_one():
    one = breaker()
    early = fill(one)
    for _ in range(5):
        one.fail(early[0], 0.0)
    late = [one.fail(permit, 2.0) for permit in early[1:3]]
    one.succeed(early[3])

    assert [(False, 3.0)] * 2 == [(setback.counts, setback.alone_s) for setback in late]
    assert one.enter(5.0) is None  # all four slots are still taken by those of before
    for permit in early:
        one.leave(permit)
    trial(one, 5.0)
    setback = one.fail(early[0], 6.0)
    assert (False, None) == (setback.counts, setback.alone_s)
    assert one.record(now=6.0, wall=WALL).state == "closed"


def test_a_sink_that_asks_to_wait_longer_than_it_is_left_alone_gets_it():
    one = breaker()
    permits = fill(one)
    for _ in range(5):
        one.fail(permits[0], 0.0)
    one.fail(permits[1], 1.0, asked_s=30.0)

    assert one.waits_s(1.0) == 30.0


def test_one_that_only_ever_asks_to_wait_a_little_is_left_alone_all_the_same():
    one, now, lengths = breaker(), 0.0, []
    for _ in range(7):
        permit = one.enter(now)
        lengths.append(one.fail(permit, now, asked_s=0.2).alone_s)
        one.leave(permit)
        now += lengths[-1]

    assert [0.2] * 4 + [5.0, 10.0, 20.0] == lengths


def test_a_trial_without_an_outcome_is_made_again():
    one = breaker()
    open_it(one)
    one.leave(one.enter(5.0))

    assert one.enter(5.0).is_trial


def test_a_failed_trial_of_a_paused_sink_is_no_pause_but_a_failure():
    one = breaker()
    permit = one.enter(0.0)
    assert one.pause(permit, 0.0) == 300.0
    one.leave(permit)
    permit = one.enter(300.0)
    setback = one.fail(permit, 300.0)

    assert setback.alone_s == 5.0
    assert one.record(now=300.0, wall=WALL).state == "open"


def test_several_deliveries_that_meet_one_fault_pause_once():
    one = breaker()
    first, second, *_ = fill(one)

    assert [300.0, None] == [one.pause(first, 0.0), one.pause(second, 0.0)]


@pytest.mark.parametrize(
    ("state", "left_s", "at_once", "expected_s"),
    [
        ("open", 100.0, True, 100.0),
        ("open", 1e6, True, 300.0),  # the clock was set back
        ("open", -50.0, True, 0.0),
        ("waiting", 3000.0, True, 3000.0),
        ("waiting", 1e6, True, 3600.0),
        ("paused", 2000.0, True, 0.0),  # a restart may be the repair
        ("paused", 2000.0, False, 2000.0),
        ("paused", 1e6, False, 3600.0),
    ],
)
def test_another_process_goes_on_where_the_last_one_stopped(state, left_s, at_once, expected_s):
    one = breaker()
    record = SinkRecord(
        name="s", state=state, until=WALL + left_s, next_s=40.0, failures=7, reason="down",
        active_s=12.0,
    )  # fmt: skip
    one.restore(record, now=50.0, wall=WALL, tries_at_once=at_once)

    assert one.waits_s(50.0) == pytest.approx(expected_s)
    assert one.last_error == "down"
    assert one.active_s(50.0) == 12.0
    assert one.enter(50.0 + expected_s).is_trial


def test_a_restart_in_a_long_outage_does_not_start_with_short_periods():
    one = breaker()
    open_it(one)
    permit = one.enter(5.0)
    one.fail(permit, 5.0)
    again = breaker()
    again.restore(one.record(now=5.0, wall=WALL), now=0.0, wall=WALL, tries_at_once=True)

    assert again.waits_s(0.0) == 10.0
    permit = again.enter(10.0)
    assert again.fail(permit, 10.0).alone_s == 20.0


def test_time_counts_while_it_is_given_datapoints_only():
    one = breaker()
    one.active_s(0.0)
    assert one.active_s(30.0) == 30.0
    assert one.active_s(1030.0) == 150.0  # the process was stopped, most of that time
    open_it(one, 1040.0)
    assert one.active_s(1200.0) == 160.0
    trial(one, 1200.0)
    one.active_s(1200.0)
    assert one.active_s(1210.0) == 170.0
