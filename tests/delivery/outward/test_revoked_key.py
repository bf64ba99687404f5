"""A key that is revoked with hundreds of datapoints pending: none of them pays for it."""

import pytest

from al_framework.api import SinkPausedError
from al_framework.testing import FakeClock

HANG_S = 60.0
NO_KEY = "HTTP 401: the API key is refused"


class Guarded:
    """A server that looks at the key first."""

    def __init__(self, yard):
        self._yard = yard
        self.is_valid = True
        self.refused_at = []

    def __call__(self, datapoint, checkpoint):
        if not self.is_valid:
            self.refused_at.append(self._yard.clock.time())
            raise SinkPausedError(NO_KEY)
        return self._yard.remote.store(datapoint)


@pytest.fixture
def server(yard):
    yard.clock = FakeClock()
    return Guarded(yard)


def test_nothing_is_dead_and_everything_arrives_after_the_repair(yard, server, size, eventually):
    count = size.pick(ci=500, full=2000, soak=10_000)
    spool = yard.spool("s")
    delivery = yard.delivery(spool, {"s": server})
    yard.accept(spool, 100)
    delivery.start()
    assert eventually(lambda: spool.counts()["s"].delivered == 100, HANG_S)
    server.is_valid = False
    yard.accept(spool, count)
    for _ in range(8):  # hours of it
        assert eventually(lambda: delivery.health()["s"].state == "paused", HANG_S)
        said = delivery.health()["s"]
        yard.clock.advance(said.until - yard.clock.time())
    asked = len(server.refused_at)
    counts = delivery.counts()["s"]
    server.is_valid = True
    eventually(lambda: delivery.health()["s"].state == "paused", 0.1)  # the last trial, if it ran
    yard.clock.advance(3600)

    assert (0, count, NO_KEY) == (counts.dead, counts.pending, counts.trouble)
    assert said.reason == NO_KEY
    assert asked <= 4 + 8  # those under way when it was revoked, then one at a time
    assert eventually(lambda: spool.counts()["s"].pending == 0, HANG_S)
    assert delivery.counts()["s"].dead == 0
    yard.judge()


def test_restarts_in_the_meantime_cost_one_request_each_and_no_datapoint(yard, server):
    server.is_valid = False
    first = yard.spool("s")
    yard.accept(first, 50)
    first.close()
    for _ in range(20):
        with yard.spool("s") as spool:
            delivery = yard.delivery(spool, {"s": server})
            while delivery.step():
                pass
            delivery.close(1.0)
        yard.clock.advance(30)
    server.is_valid = True
    spool = yard.spool("s")
    delivery = yard.delivery(spool, {"s": server})

    assert len(server.refused_at) == 20
    assert delivery.drain(HANG_S)
    assert delivery.counts()["s"].dead == 0
    yard.judge()
