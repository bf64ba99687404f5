"""A collector that only remembers, and the step that offers to it."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from al_framework.api import Counts, Ticket
from al_framework.testing import FakeClock
from al_framework_roboflow.pool import CollectorPool
from al_framework_roboflow.step import ActiveLearningDataCollector

HANG_S = 20.0
SECRET = "rf_abcdefgh12345678"


class FakeCollector:
    """Answers with one ticket, whatever it is offered."""

    def __init__(self, document):
        self.document = document
        self.submitted = []
        self.ticket = Ticket(status="accepted", reason="", frame_id="f1", item_id="i1")

    def submit(self, image, prediction=None, **given):
        self.submitted.append({"image": image, "prediction": prediction, **given})
        return self.ticket

    def stats(self):
        return Counts()

    def close(self, deadline_s=5.0):
        pass


class Workshop:
    """Makes collectors, or fails to, and can be held up."""

    def __init__(self):
        self.made = []
        self.attempts = 0
        self.fault = None
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, document, recent):
        self.attempts += 1
        self.begun.set()
        assert self.gate.wait(HANG_S)
        if self.fault is not None:
            raise self.fault
        self.made.append(FakeCollector(document))
        return self.made[-1]


@pytest.fixture
def arguments():
    """The factory of the arguments of a call: one picture and its box, but for what changes."""
    box = json.loads(Path(__file__).with_name("box.json").read_text())

    def make(**changes):
        return {
            "image": np.zeros((50, 100, 3), dtype=np.uint8),
            "predictions": [box],
            "target_dataset": "my-project",
            "api_key": SECRET,
            **changes,
        }

    return make


@pytest.fixture
def workshop():
    return Workshop()


@pytest.fixture
def pool(workshop, tmp_path):
    pool = CollectorPool(spool_root=tmp_path, clock=FakeClock(), build=workshop)
    yield pool
    workshop.gate.set()
    pool.close()


@pytest.fixture
def step(pool):
    return ActiveLearningDataCollector(pool, name="collect")
