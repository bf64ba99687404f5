"""Every way we know in which a component breaks at work, driven by `al run`.

The plugins are the files of `broken/running`; each provides one component, whose type is the file's
name. Strategies, sources and sinks are independent of each other, so all of them run at once beside
sound ones: each is named in one message, and what the sound ones do is as if they were alone.
Those that fail before they have begun end the run instead, since half a configuration would collect
the wrong data.
"""

import importlib.util
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import al_framework_adapters
import al_framework_local
import al_framework_roboflow
from al_framework.api import AlFrameworkError
from al_framework.cli.run import run
from al_framework.host import PluginHost
from al_framework.testing import sample_jpeg

DIRECTORY = Path(__file__).parent / "broken" / "running"
FRAMES = 22  # more than the faults in a row that switch a strategy off
REMEDY = "repair or update the plugin, or take the strategy out"
GO_ON = "repair that, then run again to go on"
MUTE = "MuteError: its text cannot be told (ZeroDivisionError)"
CANCELLED = "CancelledError: too late"

STRATEGIES = {
    "cannot_say_why_in_evaluate": MUTE,
    "exits_in_evaluate": "SystemExit: 9",
    "is_cancelled_in_evaluate": CANCELLED,
    "has_an_odd_probability": "ValueError: probability 2.0 is not between 0 and 1",
    "raises_in_evaluate": "ZeroDivisionError: no boxes",
    "returns_no_verdict": "TypeError: evaluate returned True: return a Verdict",
    "writes_to_the_prediction": "ValueError: assignment destination is read-only",
}
SOURCES = {
    "cannot_say_why_in_frames": f"it stopped with {MUTE}: {GO_ON}",
    "is_cancelled_in_frames": f"it stopped with {CANCELLED}: {GO_ON}",
    "exits_half_way": f"it stopped with SystemExit: 9: {GO_ON}",
    "raises_half_way": f"it stopped with RuntimeError: the cable is out: {GO_ON}",
    "returns_no_frames": f"it stopped with TypeError: 'NoneType' object is not iterable: {GO_ON}",
    "yields_nameless_frames": "it named a frame None: a frame's name is text",
    "yields_no_frames": "it yielded an object of type 'bytes': yield frames",
}
# Sinks that take nothing, and what is told when the run ends.
SINKS = {
    "cannot_say_why_in_deliver": MUTE,
    "is_cancelled_in_deliver": CANCELLED,
    "exits_in_deliver": "SystemExit: 9",
    "hangs_in_deliver": "",
    "raises_in_deliver": "KeyError: 'bucket'",
    "returns_no_receipt": (
        "TypeError: sink 'returns_no_receipt' returned None instead of a Receipt"
    ),
}
# What is logged of a component that fails apart from frames and datapoints.
LOGGED = {
    "cannot_say_why_in_finish_run": (
        f"sink 'cannot_say_why_in_finish_run' could not finish the run: {MUTE}: what was delivered"
        " is safe, repair or update its plugin"
    ),
    "is_cancelled_in_finish_run": (
        f"sink 'is_cancelled_in_finish_run' could not finish the run: {CANCELLED}: what was"
        " delivered is safe, repair or update its plugin"
    ),
    "exits_in_a_notification": (
        "plugin 'exits_in_a_notification': al_datapoint_delivered failed, the run goes on"
    ),
    "exits_in_close": (
        "sink 'exits_in_close' (plugin 'exits_in_close') could not be closed: repair or update the"
        " plugin"
    ),
    "exits_in_finish_run": (
        "sink 'exits_in_finish_run' could not finish the run: SystemExit: 9: what was delivered is"
        " safe, repair or update its plugin"
    ),
    "hangs_in_close": (
        "sink 'hangs_in_close' (plugin 'hangs_in_close') has not closed within 0.2 s and is left"
        " behind: repair or update the plugin"
    ),
    "raises_in_a_notification": (
        "plugin 'raises_in_a_notification': al_run_started failed, the run goes on"
    ),
    "raises_in_close": (
        "sink 'raises_in_close' (plugin 'raises_in_close') could not be closed: repair or update"
        " the plugin"
    ),
    "raises_in_finish_run": (
        "sink 'raises_in_finish_run' could not finish the run: RuntimeError: no index: what was"
        " delivered is safe, repair or update its plugin"
    ),
}
# What is logged for each source, since each has an instance of a stateful strategy.
STATES = {
    "cannot_keep_its_state": (
        "the state of strategy 'cannot_keep_its_state' could not be kept, so the next run begins"
        " anew: repair or update its plugin"
    ),
}
# What is said in the summary alone, or nothing where nothing is lost.
OTHERS = {
    "cannot_say_why_in_location": (
        f"cannot_say_why_in_location: its location cannot be told: {MUTE}: repair its plugin"
    ),
    "cannot_say_why_in_target": (
        f"sink 'cannot_say_why_in_target': its target cannot be told: {MUTE}"
    ),
    "has_a_negative_length": None,
    "raises_in_location": (
        "raises_in_location: its location cannot be told: RuntimeError: nowhere: repair its plugin"
    ),
    "raises_in_recorded_prediction": (
        "frame 'raises_in_recorded_prediction/0': source 'raises_in_recorded_prediction' failed"
        " with ValueError: line 3: repair or update its plugin"
    ),
    "raises_in_target": (
        "sink 'raises_in_target': its target cannot be told: RuntimeError: nowhere"
    ),
}
READERS = {
    "cannot_say_why_in_adapt": (
        f"adapter 'cannot_say_why_in_adapt' failed with {MUTE}: repair or update its plugin"
    ),
    "is_cancelled_in_adapt": (
        f"adapter 'is_cancelled_in_adapt' failed with {CANCELLED}: repair or update its plugin"
    ),
    "adapts_to_nothing": (
        "adapter 'adapts_to_nothing' failed with TypeError: it returned an object of type"
        " 'NoneType': return Detections, a Classification or Unlabelled: repair or update its"
        " plugin"
    ),
    "predicts_nonsense": (
        "no adapter accepts a prediction of type 'builtins.object'; installed are 'roboflow_crops',"
        " 'roboflow_response', 'supervision', 'ultralytics'"
    ),
    "raises_in_adapt": (
        "adapter 'raises_in_adapt' failed with IndexError: no rows: repair or update its plugin"
    ),
    "raises_in_predict": (
        "predictor 'raises_in_predict' failed with RuntimeError: no memory: repair or update its"
        " plugin"
    ),
    "splits_into_nothing": (
        "adapter 'splits_into_nothing' failed with TypeError: 'NoneType' object is not iterable:"
        " repair or update its plugin"
    ),
}
STARTS = {
    "cannot_say_why_at_start": ("sink", MUTE),
    "is_cancelled_at_start": ("sink", CANCELLED),
    "exits_at_start": ("sink", "SystemExit: no key"),
    "raises_at_start": ("strategy", "RuntimeError: no model"),
    "raises_when_built": ("sink", "RuntimeError: no disk"),
}


def module(name):
    spec = importlib.util.spec_from_file_location(f"broken_{name}", DIRECTORY / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def plugins(*names):
    return {
        "adapters": al_framework_adapters,
        "local": al_framework_local,
        "roboflow": al_framework_roboflow,
        **{name: module(name) for name in names},
    }


def kinds(host):
    """Return the types of each kind that broken plugins provide."""
    found: dict[str, list[str]] = {}
    for registration in host.registry.registrations():
        if registration.component.__module__ == f"broken_{registration.type_name}":
            found.setdefault(registration.kind, []).append(registration.type_name)
    return found


def write_configuration(host):
    broken = kinds(host)

    def entries(kind):
        return [{"name": name, "type": name} for name in broken.get(kind, ())]

    document: dict[str, Any] = {
        "name": "line",
        "sources": [*entries("source"), {"name": "cam", "type": "directory", "path": "frames"}],
        "active_learning": {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": [
                *entries("strategy"),
                {"name": "all", "type": "random", "traffic_percentage": 1.0},
            ],
            "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
        },
        "sinks": [*entries("sink"), {"type": "directory", "path": "collected"}],
    }
    for kind, key in (("predictor", "predictor"), ("prediction_adapter", "adapter")):
        for entry in entries(kind):
            document[key] = entry
    Path("al.json").write_text(json.dumps(document))


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: int
    out: str
    logged: list[str]
    collected: set[str]


class Bench:
    """A directory with pictures, in which `al run` has the plugins that a test wants."""

    def __init__(self, capsys, caplog):
        self._capsys, self._caplog = capsys, caplog
        frames = Path("frames")
        frames.mkdir()
        box = {"x": 20, "y": 20, "width": 9, "height": 9, "confidence": 0.5}
        document = {
            "image": {"width": 64, "height": 48},
            "predictions": [{**box, "class": "cat", "class_id": 0}],
        }
        for number in range(FRAMES):
            (frames / f"{number:02d}.jpg").write_bytes(sample_jpeg(seed=number))
            (frames / f"{number:02d}.json").write_text(json.dumps(document))

    def run(self, host, *arguments):
        write_configuration(host)
        self._capsys.readouterr()
        try:
            run.main(["al.json", *arguments], obj={"host": host})
        except SystemExit as exc:
            status = exc.code
        else:
            raise AssertionError("the command has not ended")
        manifest = Path("collected/manifest.jsonl")
        lines = manifest.read_text().splitlines() if manifest.exists() else []
        return Outcome(
            status=status,
            out=self._capsys.readouterr().out,
            logged=[record.getMessage() for record in self._caplog.records],
            collected={json.loads(line)["frame_id"] for line in lines},
        )


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return Bench(capsys, caplog)


CAM = {f"cam/{number:02d}.jpg" for number in range(FRAMES)}


def test_the_tables_are_the_directory():
    tables = (STRATEGIES, SOURCES, SINKS, LOGGED, STATES, OTHERS, READERS, STARTS)

    assert sorted(name for table in tables for name in table) == sorted(
        file.stem for file in DIRECTORY.glob("*.py")
    )


def test_whatever_breaks_at_work_is_named_and_the_rest_goes_on(bench, monkeypatch):
    monkeypatch.setattr("al_framework.cli.run.STALLED_S", 2.0)  # without a delivery
    monkeypatch.setattr("al_framework.assembly.starting.CLOSE_S", 0.2)
    found = plugins(*STRATEGIES, *SOURCES, *SINKS, *LOGGED, *STATES, *OTHERS)
    host = PluginHost.without_discovery(found)
    threads = set(threading.enumerate())
    try:
        outcome = bench.run(host)
    finally:
        for name in ("hangs_in_close", "hangs_in_deliver"):
            found[name].Bad.released.set()
        for thread in set(threading.enumerate()) - threads:
            thread.join(60.0)
    said = outcome.out.splitlines()

    assert host.problems == ()
    assert outcome.status == 3
    assert outcome.collected >= CAM
    assert len(outcome.collected) == FRAMES + 3  # of the sources that break off, what they gave
    for name, error in STRATEGIES.items():
        who = f"  - strategy {name!r} (plugin {name!r})"
        first = "cam/00.jpg" if name == "writes_to_the_prediction" else "exits_half_way/0"
        assert [line for line in said if line.startswith(f"{who}: frame ")] == [
            f"{who}: frame {first!r}: {error}: {REMEDY}"
        ]
        assert (
            said.count(
                f"{who} is switched off after 20 faults in a row; the last was {error}: {REMEDY}"
            )
            == 1
        )
    for name, reason in SOURCES.items():
        assert said.count(f"  - source {name!r}: {reason}") == 1
    for name, reason in SINKS.items():
        (line,) = [line for line in said if line.startswith(f"  - sink {name!r}: ")]
        assert "still to be delivered" in line
        assert reason in line
        assert line.endswith("; they are safe in the spool, run again to go on")
    for message in LOGGED.values():
        assert outcome.logged.count(message) == 1
    assert set(STATES.values()) <= set(outcome.logged)
    for message in filter(None, OTHERS.values()):
        assert len([line for line in said if line.removeprefix("  - ") == message]) == 1


@pytest.mark.parametrize("name", READERS)
def test_a_frame_that_nobody_reads_is_left_out_and_says_why(bench, name):
    host = PluginHost.without_discovery(plugins(name))
    outcome = bench.run(host, "--json")
    summary = json.loads(outcome.out)

    assert outcome.collected == set()
    assert sum(summary["counts"]["dropped"].values()) == FRAMES
    assert summary["problems"][0] == f"frame 'cam/00.jpg': {READERS[name]}"


@pytest.mark.parametrize("name", STARTS)
def test_whatever_does_not_start_ends_the_run_before_it_begins(bench, name):
    kind, error = STARTS[name]
    host = PluginHost.without_discovery(plugins(name))

    with pytest.raises(AlFrameworkError) as caught:
        bench.run(host)

    assert str(caught.value) == (
        f"{kind} {name!r} (plugin {name!r}) could not start: {error}:"
        " repair or update the plugin, or use another type"
    )
    assert not Path("collected/manifest.jsonl").exists()
