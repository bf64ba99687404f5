"""What the end of a collector leaves: everything safe, nothing running, numbers that add up."""

import json
import math
import os
import subprocess
import sys
import threading
import time

import pytest

from al_framework import Collector
from al_framework.api import TransientSinkError
from al_framework.collector import RING_DEADLINE_S
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.delivery.batch_looks import FIRST_LOOK_S
from al_framework.testing import sample_jpeg

LONG_S = 60.0
ALL = {"name": "all", "type": "random", "traffic_percentage": 1.0}
GATED = {"name": "gated", "type": "gated"}


def test_flush_waits_until_everything_is_settled(collect, plugin):
    plugin.gate.clear()
    collector = collect(GATED)
    for number in range(5):
        collector.submit(sample_jpeg(seed=number))
    too_early = collector.flush(0.0)
    plugin.gate.set()

    assert too_early is False
    assert collector.flush() is True
    assert collector.stats().accepted == 5


def test_flush_does_not_wait_for_a_thread_that_is_gone(collect, plugin):
    collector = collect()
    collector._handoff.close(LONG_S)
    collector._engine.tally.offer()

    assert collector.flush() is False


def test_close_writes_everything_and_may_be_called_twice(collect, check_sums):
    collector = collect()
    for number in range(30):
        collector.submit(sample_jpeg(seed=number), frame_id=f"f{number}")
    collector.close(LONG_S)
    collector.close()
    counts = collector.stats()

    check_sums(counts)
    assert (counts.accepted, counts.queued) == (30, 0)
    sink = counts.sinks["directory"]
    assert sink.delivered + sink.pending == 30


def test_after_the_end_frames_are_dropped(collect, check_sums):
    collector = collect()
    collector.close()
    ticket = collector.submit(sample_jpeg(), frame_id="late")

    assert (ticket.status, ticket.reason, ticket.frame_id) == ("dropped", "shutdown", "late")
    assert collector.stats().dropped == {"shutdown": 1}
    check_sums(collector.stats())


@pytest.mark.parametrize("deadline", [math.inf, 0, -1.0])
def test_any_deadline_is_fine(collect, deadline):
    collector = collect()
    collector.close(deadline)

    assert collector.submit(sample_jpeg()).reason == "shutdown"


def test_a_context_manager_closes(collect):
    with collect() as collector:
        collector.submit(sample_jpeg(), frame_id="f")

    assert collector.submit(sample_jpeg()).reason == "shutdown"
    assert collector.stats().accepted == 1


def test_a_second_collector_delivers_what_the_first_one_left(collect, plugin, settle):
    plugin.away = True
    first = collect(sinks=[{"type": "flaky"}])
    for number in range(3):
        first.submit(sample_jpeg(seed=number), frame_id=f"f{number}", wait_accepted_s=LONG_S)
    first.close(0.0)
    plugin.away = False
    second = collect(sinks=[{"type": "flaky"}])
    settle(second)
    counts = second.stats().sinks["flaky"]

    assert first.stats().sinks["flaky"].pending == 3
    assert sorted(plugin.names) == ["f0", "f1", "f2"]
    assert (counts.recovered, counts.delivered, counts.pending) == (3, 3, 0)


PROGRAM = """
import sys
from al_framework import Collector
from al_framework.testing import sample_jpeg

collector = Collector.from_config("al.json")
for number in range(5):
    collector.submit(sample_jpeg(seed=number), frame_id=f"f{number}")
"""


def test_a_program_that_forgets_to_close_loses_nothing(tmp_path, manifest, settle, document):
    (tmp_path / "al.json").write_text(json.dumps(document(ALL)))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )
    with Collector.from_config(tmp_path / "al.json") as collector:
        settle(collector)

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(line["frame_id"] for line in manifest(tmp_path)) == [f"f{n}" for n in range(5)]


def test_closing_never_raises_and_says_what_is_wrong(collect, tmp_path, caplog):
    collector = collect()
    (database,) = tmp_path.rglob("spool.db")
    database.unlink()
    collector.close()

    assert "the collector could not be closed properly: spool '" in caplog.text


def test_closing_says_what_is_still_to_be_delivered(collect, plugin, caplog):
    collector = collect(sinks=[{"type": "flaky"}])
    plugin.away = True
    assert collector.submit(sample_jpeg(), wait_accepted_s=LONG_S).status == "accepted"
    collector.close(0.0)

    assert "sink 'flaky': 1 still to be delivered, safe in the spool" in caplog.text


def test_closing_names_a_sink_and_no_datapoint_where_it_says_why(collect, plugin, caplog):
    text = "sink 'flaky': datapoint '01m': nobody answers"
    collector = collect(sinks=[{"type": "flaky"}])
    plugin.errors = [TransientSinkError(text, retry_after_s=LONG_S)]
    assert collector.submit(sample_jpeg(), wait_accepted_s=LONG_S).status == "accepted"
    assert not collector._assembly.delivery.drain(LONG_S / 2)  # it was tried, and asked for more
    collector.close(0.0)

    assert caplog.messages[-1] == (
        "sink 'flaky': 1 still to be delivered, safe in the spool: nobody answers"
    )


FORKED = """
import os, sys
from al_framework import Collector
from al_framework.testing import sample_jpeg

collector = Collector.from_config("al.json")
collector.submit(sample_jpeg(seed=1), wait_accepted_s=60)
child = os.fork()
if child == 0:
    ticket = collector.submit(sample_jpeg(seed=2), frame_id="child", wait_accepted_s=60)
    counts = collector.stats()
    collector.close()
    os._exit(0 if (ticket.status, counts.offered, counts.accepted) == ("accepted", 1, 1) else 9)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
collector.close()
sys.exit(status)
"""


def test_a_forked_child_collects_on_its_own(tmp_path, manifest, document):
    (tmp_path / "al.json").write_text(json.dumps(document(ALL)))
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert len(manifest(tmp_path)) == 2


def test_closing_at_once_writes_down_what_is_queued(collect):
    collector = collect()
    for seed in range(5):
        assert collector.submit(sample_jpeg(seed=seed)).status == "queued"
    collector.close(0.0)
    counts = collector.stats()

    assert (counts.accepted, counts.queued, counts.dropped) == (5, 0, {})


def test_the_end_waits_for_longer_than_a_sink_may_take_to_tell_the_size_of_a_batch():
    """Else a short program would lose the frames behind a server that does not answer."""
    assert RING_DEADLINE_S >= FIRST_LOOK_S + 1.0


def test_closing_keeps_its_deadline_while_every_delivery_hangs(collect, plugin, monkeypatch):
    asked, deadline_s = [], 0.2
    for name in ("drain", "close"):
        original = getattr(Delivery, name)

        def noted(self, deadline_s, *, original=original, name=name):
            asked.append((name, deadline_s))
            return original(self, deadline_s)

        monkeypatch.setattr(Delivery, name, noted)
    plugin.hang = threading.Event()
    collector = collect(sinks=[{"type": "flaky"}])
    for number in range(4):
        ticket = collector.submit(sample_jpeg(seed=number), wait_accepted_s=LONG_S)
        assert ticket.status == "accepted"
        assert plugin.inside.acquire(timeout=LONG_S)
    began = time.monotonic()
    collector.close(deadline_s)
    took_s = time.monotonic() - began

    # Ten times the deadline: a busy machine is no failure, waiting for longer is one.
    assert took_s < 10 * deadline_s
    assert [name for name, _ in asked] == ["drain", "close"]
    (_, drained_s), (_, closed_s) = asked
    assert 0.0 <= closed_s <= drained_s <= deadline_s
    counts = collector.stats()
    assert (4, 4) == (counts.accepted, counts.sinks["flaky"].pending)
