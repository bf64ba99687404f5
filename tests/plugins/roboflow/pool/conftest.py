"""Collectors that only remember, and a pool of two of them at most."""

import threading

import pytest

from al_framework.api import Counts, SinkCounts
from al_framework.testing import FakeClock
from al_framework_roboflow.pool import CollectorPool

HANG_S = 20.0


class FakeCollector:
    """A collector that only remembers."""

    def __init__(self, document, recent):
        self.document = document
        self.recent = recent
        self.closed = []
        self.pending = 0
        self.submitted = []

    def submit(self, image, prediction=None, **given):
        self.submitted.append((image, prediction, given))

    def stats(self):
        return Counts(offered=len(self.submitted), sinks={"s": SinkCounts(pending=self.pending)})

    def close(self, deadline_s=5.0):
        self.closed.append(deadline_s)


class Workshop:
    """Makes collectors, or fails to, and can be held up."""

    def __init__(self):
        self.made = []
        self.attempts = 0
        self.faults = {}
        self.gates = {}
        self.begun = threading.Event()

    def __call__(self, document, recent):
        self.attempts += 1
        self.begun.set()
        name = document["sinks"][0]["project"]
        if name in self.gates:
            assert self.gates[name].wait(HANG_S)
        if name in self.faults:
            raise self.faults[name]
        self.made.append(FakeCollector(document, recent))
        return self.made[-1]


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def workshop():
    return Workshop()


@pytest.fixture
def pool(clock, workshop, tmp_path):
    pool = CollectorPool(spool_root=tmp_path, clock=clock, build=workshop, max_collectors=2)
    yield pool
    pool.close()
