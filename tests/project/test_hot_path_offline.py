"""What a run over a folder asks of its database and of the interpreter, however many names it has.

On a clock that stands still, so that nothing is done because a second has passed, and with nothing
in the background: what is counted is a matter of the frames alone.
"""

import os
import sqlite3
import sys
import threading

import pytest

import al_framework_local
import al_framework_roboflow
from al_framework.api import Predictor
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.testing import FakeClock, make_host, sample_detections, sample_jpeg

FEW, MANY = 256, 2_560
LAST = 128  # frames of a run are counted: two groups, as the runner hands them to the spool
TAKEN = 16  # one of so many
NEARLY = 0.005  # steps are counted by the ten
EITHER_WAY = 0.05
STEPS = 10  # of SQLite's machine, counted at a time


class FindsTwoNowAndThen(Predictor):
    type_name = "finds_two_now_and_then"

    def start(self):
        self.frames = 0

    def predict(self, frame):
        self.frames += 1
        return sample_detections(2 if self.frames % TAKEN == 0 else 1)


class Costs:
    """What is done for some frames."""

    statements = steps = lines = 0

    def begin(self):
        self.statements = self.steps = self.lines = 0
        self._before = sys.gettrace()  # whoever measures coverage
        sys.settrace(self.line)

    def end(self, frames):
        """Return it for each of so many."""
        sys.settrace(self._before)
        return {name: getattr(self, name) / frames for name in ("statements", "steps", "lines")}

    def statement(self, _text):
        self.statements += 1

    def step(self):
        self.steps += STEPS

    def line(self, _frame, event, _argument):
        """Count a line of Python that is reached, so each turn of a loop, too."""
        self.lines += event == "line"
        return self.line


@pytest.fixture
def costs(monkeypatch):
    """Count what is asked of every connection that is opened."""
    counted = Costs()
    connect = sqlite3.connect

    def connect_counting(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_trace_callback(counted.statement)
        connection.set_progress_handler(counted.step, STEPS)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_counting)
    return counted


@pytest.fixture
def assembled(tmp_path):
    """Make a run over a folder of so many names."""

    def make(names):
        folder = tmp_path / str(names)
        folder.mkdir()
        first = folder / "0.jpg"
        first.write_bytes(sample_jpeg())
        for name in range(1, names):
            os.link(first, folder / f"{name}.jpg")
        strategy = {"name": "two", "type": "detections_number_based", "more_than": 1}
        document = {
            "name": "offline",
            "sources": [{"name": "folder", "type": "directory", "path": str(folder)}],
            "predictor": {"type": FindsTwoNowAndThen.type_name},
            "active_learning": {
                "enabled": True,
                "persist_predictions": True,
                "sampling_strategies": [{**strategy, "probability": 1.0}],
                "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
            },
            "sinks": [{"type": "null"}],
            "spool": {"path": str(tmp_path / f"spool-{names}"), "min_free_bytes": 0},
        }
        host = make_host(
            FindsTwoNowAndThen, local=al_framework_local, roboflow=al_framework_roboflow
        )
        configuration = load_configuration(read_document(document), host)
        return assemble(configuration, host, with_sources=True, clock=FakeClock(), background=False)

    return make


@pytest.fixture
def per_frame(assembled, costs):
    """Run over so many names, and return what each of the last frames takes."""

    def run(names):
        assembly, done, counted = assembled(names), 0, {}

        def progress(_):
            nonlocal done
            done += 1
            if done == names - LAST:
                costs.begin()
            if done == names:
                counted.update(costs.end(LAST))

        runner = assembly.runner(again=False, wait_for_room=lambda: False)
        runner.run(assembly.sources, stop=threading.Event(), progress=progress)
        assert assembly.counts().accepted == names // TAKEN
        assembly.finish(deadline_s=0.0)
        return counted

    return run


def test_a_frame_of_a_long_run_costs_what_one_of_a_short_run_does(per_frame):
    few, many = per_frame(FEW), per_frame(MANY)

    assert few.keys() == {"statements", "steps", "lines"}
    assert many == pytest.approx(few, rel=NEARLY)


@pytest.mark.skipif(
    (sys.implementation.name, *sys.version_info[:2]) != ("cpython", 3, 11),
    reason="another interpreter counts otherwise: the numbers here are CPython 3.11's, as in CI",
)
def test_a_frame_of_a_run_costs_what_it_did(per_frame):
    counted = per_frame(FEW)

    # As measured. Whoever makes a number smaller enters the new one, or the next loss is not seen.
    assert counted["statements"] == pytest.approx(3.98, rel=EITHER_WAY)
    assert counted["lines"] == pytest.approx(1271, rel=EITHER_WAY)
