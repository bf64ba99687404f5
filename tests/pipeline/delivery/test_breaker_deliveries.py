"""What becomes of datapoints, health and restarts while a sink is left alone."""

import itertools
import logging

import pytest

from al_framework.api import PermanentSinkError, Receipt, SinkPausedError, TransientSinkError
from al_framework.pipeline.delivery import RetryRules

CREATED = Receipt(status="created")


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
