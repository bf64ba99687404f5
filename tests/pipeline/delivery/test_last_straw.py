"""The twelfth failure counts only while the sink works; and closing waits for nobody for longer."""

import threading
import time

import pytest

from al_framework.api import Receipt, SinkPausedError, TransientSinkError
from al_framework.pipeline.delivery import worker

CREATED = Receipt(status="created")
VICTIM = "item-1"
PENDING, DEAD = 0, 2
DAYS_S = 3 * 86400.0
DEADLINE_S = 0.2
HANG_S = 2.0  # ten times the deadline: a busy machine is no failure, waiting for longer is one


class Server:
    """Never takes the first datapoint, and the others as long as it works.

    Attributes:
        trouble: What it raises for all of them, or None.
        victim_states: State of the sink at each attempt of the first one.
    """

    def __init__(self):
        self.trouble = None
        self.breaker = None
        self.victim_states = []

    def __call__(self, datapoint, checkpoint):
        if datapoint.item_id == VICTIM:
            self.victim_states.append(self.breaker._state)
            raise self.trouble or TransientSinkError("HTTP 503: not this one")
        if self.trouble is not None:
            raise self.trouble
        return CREATED


def steps(delivery):
    while delivery.step():
        pass


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def delivery(bench, server):
    """Return one with a datapoint that has failed eleven times, while others got through."""
    delivery = bench.delivery({"s": server})
    server.breaker = delivery._breakers["s"]
    bench.accept()
    for _ in range(11):
        bench.accept(2)  # so that most get through, and the sink is none that fails
        steps(delivery)
        bench.clock.advance(600)
    assert (VICTIM, PENDING, 11) == (*bench.rows("s")[0][:2], bench.rows("s")[0][3])
    assert server.breaker._state == "closed"
    server.victim_states.clear()
    return delivery


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        (TransientSinkError("no connection"), "open"),
        (TransientSinkError("HTTP 429", retry_after_s=30.0), "waiting"),
        (SinkPausedError("the key is refused"), "paused"),
    ],
)
def test_a_sink_that_is_down_is_not_the_last_straw(bench, server, delivery, trouble, state):
    # Others go first, until the sink is known to be down: the first failure may be anybody's.
    with bench.spools[0]._database.locked(), bench.spools[0]._database.transaction() as tx:
        tx.execute("UPDATE delivery SET due = ?", (bench.clock.time() + 4.0,))
    server.trouble = trouble
    bench.accept(5)
    steps(delivery)
    assert server.breaker._state == state
    assert server.victim_states == []

    until = bench.clock.time() + DAYS_S
    while len(server.victim_states) < 3:  # its turn to be the one that is tried comes again
        bench.clock.advance(300)
        steps(delivery)
        assert bench.clock.time() < until

    assert server.victim_states == [state] * 3
    assert (VICTIM, PENDING, 11) == (*bench.rows("s")[0][:2], bench.rows("s")[0][3])
    assert delivery.counts()["s"].dead == 0

    server.trouble = None
    server.victim_states.clear()
    while delivery.counts()["s"].pending:
        steps(delivery)
        bench.clock.advance(300)
        assert bench.clock.time() < until + DAYS_S
    assert (5 + 2 * 11, 1) == (delivery.counts()["s"].delivered, delivery.counts()["s"].dead)
    assert server.victim_states[-1] == "closed"
    assert server.victim_states.count("closed") == 1
    assert bench.reason("s") == (
        "gave up after 12 attempts, the last of which: HTTP 503: not this one"
    )


def test_the_twelfth_failure_beside_a_working_sink_is_the_last(bench, server, delivery):
    bench.clock.advance(600)
    steps(delivery)

    assert server.victim_states == ["closed"]
    assert (VICTIM, DEAD, 12) == (*bench.rows("s")[0][:2], bench.rows("s")[0][3])


def test_an_attempt_that_ends_after_the_sink_went_down_is_not_the_last_straw(
    bench, server, delivery
):
    """It began while the sink was given datapoints, and proves nothing any more."""
    bench.clock.advance(600)
    turn = delivery._take()
    assert turn.lease.item_id == VICTIM
    server.trouble = TransientSinkError("no connection")
    bench.accept(5)
    steps(delivery)
    assert server.breaker._state == "open"

    delivery._run(turn)

    assert (VICTIM, PENDING, 11) == (*bench.rows("s")[0][:2], bench.rows("s")[0][3])


class Joins(threading.Thread):
    """A thread that notes for how long it was waited for, in all."""

    waited_s: float = 0.0

    def join(self, timeout=None):
        if self.name == "al-delivery":
            assert timeout is not None
            type(self).waited_s += timeout
        super().join(timeout)


@pytest.mark.parametrize("hanging", [1, 4])
def test_closing_waits_for_a_sink_that_hangs_until_its_deadline_and_not_longer(
    bench, monkeypatch, hanging
):
    monkeypatch.setattr(Joins, "waited_s", 0.0)
    monkeypatch.setattr(worker.threading, "Thread", Joins)
    let_go, inside = threading.Event(), threading.Semaphore(0)

    def hang(datapoint, checkpoint):
        inside.release()
        let_go.wait(60.0)
        return CREATED

    delivery = bench.delivery({"s": hang}, workers=hanging)
    delivery.start()
    bench.accept(hanging)
    for _ in range(hanging):
        assert inside.acquire(timeout=60.0)
    began = time.monotonic()
    delivery.close(DEADLINE_S)
    took_s = time.monotonic() - began
    owners = [owner for (owner,) in _owners(bench)]
    let_go.set()

    assert took_s < HANG_S
    # The clock stands still, so that nothing but the waits themselves can end it.
    assert DEADLINE_S - worker._TICK_S < Joins.waited_s <= DEADLINE_S + worker._TICK_S
    assert owners == [None] * hanging


def _owners(bench):
    with bench.spools[0]._database.read() as tx:
        return tx.execute("SELECT owner FROM delivery").fetchall()
