"""What the model's thread pays for: no lock, no wake-up, no call that leaves the interpreter.

Everything is counted and nothing is timed; `python -m benchmarks handoff` tells the microseconds.
"""

import json
import shutil

import numpy as np
import PIL.Image
import pytest

from al_framework import Collector

CALLS = 200
LONG_S = 60.0


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("taken", "queued"),
        ("not_taken", "not_selected"),
        ("limited", "limited"),
        ("full", "ring_full"),
    ],
)
def test_submit_takes_no_lock_wakes_nobody_and_touches_no_file(run_child, tmp_path, kind, status):
    told = json.loads(run_child("hot_path", tmp_path / "spool", kind).splitlines()[-1])

    assert told["statuses"] == {status: CALLS}
    # A picture brings a lock for who decodes it; making one is a little memory, no more.
    told["seen"].pop("made a lock", None)
    assert told["seen"] == {}
    assert {"made a lock", "took a lock", "Event.set", "audited open"} <= told["control"].keys()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("kind", ["taken", "not_taken"])
def test_submit_makes_no_system_call(start_child, tmp_path, kind):
    trace = tmp_path / "trace"
    prefix = ("strace", "-f", "-qq", "-e", "signal=none", "-o", str(trace))
    process = start_child("hot_path", tmp_path / "spool", kind, "marked", prefix=prefix)
    output, errors = process.communicate(timeout=LONG_S * 2)
    if "ptrace" in errors:
        pytest.skip(f"strace may not trace here: {errors.strip()}")
    told = json.loads(output.splitlines()[-1])
    calls = between_marks(trace.read_text(errors="replace").splitlines())

    assert sum(told["statuses"].values()) == CALLS
    # Threads of one interpreter hand it to each other by futex, and memory comes from the system.
    allowed = {"futex", "mmap", "munmap", "brk", "madvise", "sched_yield", "mremap"}
    assert set(calls) <= allowed, calls
    assert calls.get("futex", 0) < CALLS


def between_marks(lines):
    """Return how often the submitting thread made each system call between its two marks."""
    found, thread = {}, None
    for line in lines:
        caller, _, rest = line.partition(" ")
        call = rest.strip().partition("(")[0]
        if call == "getpgid":
            if thread is not None:
                return found
            thread = caller
        elif caller == thread and not call.startswith(("<", "+", "-")):
            found[call] = found.get(call, 0) + 1
    raise AssertionError("the marks are not in the trace")


@pytest.fixture
def collected(tmp_path):
    """A collector that keeps what it is given, and the pictures that arrived."""
    configuration = {
        "name": "copies",
        "active_learning": {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1.0}],
            "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
        },
        "sinks": [{"type": "directory", "path": str(tmp_path / "out"), "page": False}],
        "spool": {"path": str(tmp_path / "spool"), "min_free_bytes": 0},
    }

    def arrived():
        lines = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
        entries = {entry["frame_id"]: entry for entry in map(json.loads, lines)}
        return {
            name: np.asarray(PIL.Image.open(tmp_path / "out" / entry["file"]).convert("RGB"))
            for name, entry in entries.items()
        }

    with Collector.from_config(configuration) as collector:
        yield collector, arrived


def test_a_buffer_that_is_overwritten_at_once_arrives_as_it_was(collected, seed):
    collector, arrived = collected
    rng = np.random.default_rng(seed)
    buffer = np.empty((48, 64, 3), dtype=np.uint8)
    expected = {}
    for n in range(60):
        colour = rng.integers(0, 256, 3, dtype=np.uint8)
        buffer[:] = colour
        ticket = collector.submit(buffer, frame_id=str(n))
        buffer[:] = 255 - colour
        if ticket.status == "queued":
            expected[str(n)] = colour[::-1].astype(int)
    collector.close(LONG_S)
    pictures = arrived()

    assert expected.keys() == pictures.keys()
    assert len(expected) >= 16
    for name, colour in expected.items():
        assert np.abs(pictures[name] - colour).max() <= 8
