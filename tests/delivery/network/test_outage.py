"""A server that works, fails, is gone, has no time and works again: nothing lost or doubled."""

import random
from collections import Counter

import pytest

from al_framework.testing import Answer, FaultServer

# What the server does, and for how many of its seconds; "up" lasts at the end.
PHASES = (("up", 8.0), ("500", 40.0), ("down", 60.0), ("429", 400.0))
REQUEST_S = 0.4  # what a request takes, by the test's clock
ASKED_S = 6.0


class Outage:
    """The service behind a server that has these phases.

    Args:
        service: What holds pictures.
        clock: Time; a request takes some of it.
        rng: Draws which requests are processed although the answer is an error.
    """

    def __init__(self, service, clock, rng):
        self._service, self._clock, self._rng = service, clock, rng
        self._began = clock.monotonic()
        self.seen = Counter()
        self.quiet_until = 0.0
        self.too_early = []

    @property
    def phase(self):
        at = self._clock.monotonic() - self._began
        for name, length in PHASES:
            if at < length:
                return name
            at -= length
        return "up"

    def __call__(self, request):
        phase = self.phase
        self.seen[phase] += 1
        if self._clock.monotonic() < self.quiet_until - 0.001:
            self.too_early.append(self._clock.monotonic())
        self._clock.advance(REQUEST_S)
        if phase == "up":
            return self._service(request)
        if self._rng.random() < 0.5:
            self._service(request)
        if phase == "500":
            return Answer(status=500)
        self.quiet_until = self._clock.monotonic() + ASKED_S
        return Answer(status=429, headers={"Retry-After": f"{ASKED_S:g}"})


@pytest.mark.parametrize("kind", ["webhook", "roboflow"])
def test_an_outage_loses_nothing_and_stores_nothing_twice(line, service, size, seed, kind):
    count = size.pick(ci=60, full=500, soak=5000)
    server, one = line(kind)
    one.accept(count)
    outage = Outage(service, one.clock, random.Random(seed))
    server.otherwise = outage
    down_attempts = 0
    while one.delivery.counts()[kind].pending:
        if outage.phase == "down":
            server.__exit__()
            while outage.phase == "down":
                down_attempts += one.delivery.step()
                one.clock.advance(1.0)
            server = FaultServer(port=server.port)
            server.otherwise = outage
            server.__enter__()
        if not one.delivery.step():
            one.clock.advance(0.5)
        assert one.clock.monotonic() < 3600 * count  # or it would never end
    server.__exit__()

    counts = one.delivery.counts()[kind]
    assert (count, 0, 0) == (counts.delivered, counts.dead, counts.pending)
    assert one.spool.stats().items == 0
    assert one.sent == service.held  # every name once, with its own bytes
    if kind == "roboflow":
        assert sorted(one.sent) == sorted(service.annotated)
    # The outage was one, and the sink was left alone in it: five failures open the breaker.
    assert outage.seen["up"] > 0
    assert 1 <= outage.seen["500"] <= 5 + 5
    assert 1 <= down_attempts <= 5
    assert outage.seen["429"] >= 1
    assert outage.too_early == []
