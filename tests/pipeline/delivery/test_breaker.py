"""When a sink is left alone and for how long, and how it is tried again."""

import itertools
import logging

import pytest

from al_framework.api import PermanentSinkError, Receipt, SinkPausedError, TransientSinkError
from al_framework.pipeline.delivery import Breaker, RetryRules
from al_framework.pipeline.spool import SinkRecord

CREATED = Receipt(status="created")
RULES = RetryRules()
WALL = 1_700_000_000.0


class Server:
    """A sink that works or fails as it is told, and notes when it was asked."""

    def __init__(self, clock):
        self.clock = clock
        self.error = None
        self.at = []
        self.started = clock.time()

    def __call__(self, datapoint, checkpoint):
        self.at.append(round(self.clock.time() - self.started, 3))
        if self.error is not None:
            raise self.error
        return CREATED


@pytest.fixture
def server(bench):
    return Server(bench.clock)


def work(delivery, clock, *, seconds, tick=1.0):
    """Let time pass in ticks, and do whatever is due in each."""
    for _ in range(round(seconds / tick)):
        while delivery.step():
            pass
        clock.advance(tick)


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


def test_a_server_that_is_dead_for_a_week_dead_letters_nothing(bench, server, caplog):
    server.error = TransientSinkError("connection refused")
    delivery = bench.delivery({"s": server})
    bench.accept(3)
    work(delivery, bench.clock, seconds=7 * 86400, tick=60.0)
    asked = len(server.at)
    server.error = None
    work(delivery, bench.clock, seconds=600)

    counts = delivery.counts()["s"]
    assert (3, 0, 0) == (counts.delivered, counts.dead, counts.pending)
    assert asked < 2100  # one in five minutes
    (told,) = [m for m in caplog.messages if "left alone" in m]
    assert told == (
        "sink 's': fails too often, so it is left alone for 5 s and then tried with one datapoint;"
        " the others wait in the spool, and none of them is given up: connection refused"
    )


def test_one_bad_datapoint_does_not_hold_up_the_others_when_it_is_tried_alone(bench):
    def refuse_the_first(datapoint, checkpoint):
        if datapoint.item_id == "item-1":
            raise TransientSinkError("HTTP 500")
        return CREATED

    delivery = bench.delivery({"s": refuse_the_first})
    bench.accept()
    work(delivery, bench.clock, seconds=1000)
    pending = delivery.counts()["s"].pending
    bench.accept(3)
    work(delivery, bench.clock, seconds=700)

    assert pending == 1
    assert delivery.counts()["s"].delivered == 3


def test_a_datapoint_dies_of_age_in_seconds_of_trying_not_of_waiting(bench, server):
    def refuse_the_first(datapoint, checkpoint):
        if datapoint.item_id == "item-1" or down:
            raise TransientSinkError("HTTP 500")
        return CREATED

    down = False
    rules = RetryRules(max_attempts=10_000, max_age_s=3600.0)
    delivery = bench.delivery({"s": refuse_the_first}, rules=rules)
    bench.accept()

    def run(seconds):
        for _ in range(int(seconds // 10)):
            bench.accept()
            work(delivery, bench.clock, seconds=10, tick=5)

    run(1800)
    down = True
    work(delivery, bench.clock, seconds=86400, tick=60)
    down = False
    work(delivery, bench.clock, seconds=600, tick=5)  # the backlog of others
    alive = delivery.counts()["s"].dead == 0
    run(2400)

    assert alive
    assert delivery.counts()["s"].given_up == {"age": delivery.counts()["s"].dead} == {"age": 1}
    reason = bench.reason("s")
    assert reason.startswith("gave up after 1 hours of trying and ")
    assert reason.endswith(" attempts, the last of which: HTTP 500")


def test_refusals_of_datapoints_are_no_failures_of_the_sink(bench, server):
    server.error = PermanentSinkError("HTTP 400")
    delivery = bench.delivery({"s": server})
    bench.accept(30)
    work(delivery, bench.clock, seconds=1)

    assert len(server.at) == 30
    assert delivery.health()["s"].state == "delivering"


def test_a_faulty_sink_is_left_alone_too_and_kills_nothing_meanwhile(bench, server):
    server.error = RuntimeError("bug")
    delivery = bench.delivery({"s": server})
    bench.accept(40)
    work(delivery, bench.clock, seconds=3600, tick=5)
    server.error = None
    work(delivery, bench.clock, seconds=600)

    counts = delivery.counts()["s"]
    assert (40, 0) == (counts.delivered, counts.dead)


def test_health_tells_every_state_and_until_when(bench, server):
    delivery = bench.delivery({"s": server})
    bench.accept(9)
    seen = [delivery.health()["s"]]
    for error in (
        TransientSinkError("busy", retry_after_s=30.0),
        SinkPausedError("the key is refused"),
        TransientSinkError("down"),
    ):
        server.error = error
        while delivery.step():
            pass
        seen.append(delivery.health()["s"])
        bench.clock.advance(seen[-1].until - bench.clock.time())
        seen.append(delivery.health()["s"])
    server.error = None
    while delivery.step():
        pass
    seen.append(delivery.health()["s"])

    assert [
        ("delivering", ""),
        ("waiting", "busy"),
        ("half_open", "busy"),
        ("paused", "the key is refused"),
        ("half_open", "the key is refused"),
        ("open", "down"),
        ("half_open", "down"),
        ("delivering", ""),
    ] == [(one.state, one.reason) for one in seen]
    assert [9, 9, 9, 9, 9, 9, 9, 0] == [one.pending for one in seen]
    assert (None, None) == (seen[0].until, seen[0].lag_p50_s)
    assert (335.0, 335.0) == (seen[-1].lag_p50_s, seen[-1].lag_p99_s)


def test_a_follower_shows_what_the_leader_has_written_down(bench, server):
    server.error = SinkPausedError("the key is refused")
    leader = bench.delivery({"s": server})
    follower = bench.delivery({"s": server}, spool=bench.spool("s"))
    bench.accept(2)
    leader.step()

    assert not follower.step()
    health = follower.health()["s"]
    assert ("paused", "the key is refused", 2) == (health.state, health.reason, health.pending)
    assert health.until == bench.clock.time() + 300


@pytest.mark.parametrize(
    ("error", "next_at"),
    [(SinkPausedError("the key is refused"), 1.0), (TransientSinkError("down"), 5.0)],
)
def test_a_restart_tries_a_paused_sink_at_once_and_an_open_one_when_it_is_time(
    bench, server, error, next_at
):
    server.error = error
    delivery = bench.delivery({"s": server})
    bench.accept(6)
    work(delivery, bench.clock, seconds=1)
    delivery.close(1.0)
    server.at, server.error = [], None
    delivery = bench.delivery({"s": server})
    work(delivery, bench.clock, seconds=20, tick=0.5)

    assert server.at[0] == next_at
    assert delivery.counts()["s"].pending == 0


def test_why_a_sink_does_not_deliver_is_known_after_a_restart(bench, server):
    server.error = SinkPausedError("the key is refused")
    delivery = bench.delivery({"s": server})
    bench.accept()
    delivery.step()
    delivery.close(1.0)
    server.error = KeyboardInterrupt()  # before it has answered
    delivery = bench.delivery({"s": server})
    with pytest.raises(KeyboardInterrupt):
        delivery.step()

    assert delivery.counts()["s"].trouble == "the key is refused"


def test_what_a_sink_is_left_alone_for_is_said_when_it_begins_only(bench, server, caplog):
    caplog.set_level(logging.INFO, logger="al_framework.pipeline.delivery")
    server.error = TransientSinkError("down")
    delivery = bench.delivery({"s": server})
    bench.accept(6)
    work(delivery, bench.clock, seconds=120)
    server.error = None
    work(delivery, bench.clock, seconds=120)

    firsts = [message.split(",")[0] for message in caplog.messages]
    assert [
        "sink 's': does not deliver at the moment",
        "sink 's': fails too often",
        "sink 's': delivers again",
    ] == firsts


def test_requests_to_a_sink_that_is_down_come_at_most_once_in_each_period(bench, server):
    server.error = TransientSinkError("down")
    delivery = bench.delivery({"s": server})
    bench.accept(50)
    work(delivery, bench.clock, seconds=200)

    assert [0.0] * 5 + [5, 15, 35, 75, 155] == server.at
    assert [1] * 5 + [0] * 45 == sorted((a for *_, a in bench.rows("s")), reverse=True)
    assert all(b > a for a, b in itertools.pairwise(server.at[5:]))
