import json
import logging
import random
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import Field

import al_framework_local
import al_framework_roboflow
from al_framework.api import (
    ComponentError,
    Frame,
    Image,
    MissingExtraError,
    Options,
    PredictionAdapter,
    Predictor,
    Receipt,
    Sink,
    Source,
    Strategy,
    TransientSinkError,
    Unlabelled,
    Verdict,
    hookimpl,
)
from al_framework.assembly import assemble, assemble_from
from al_framework.assembly.starting import _directory_name
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.testing import FakeClock, sample_jpeg


class Life(Options):
    fail_at: str = Field(default="", description="Where to fail: init, start, finish or close.")
    error: str = Field(default="runtime", description="What to raise.")


class Demands(Options):
    word: str = Field(description="It cannot guess.")


def raise_chosen(error):
    if error == "extra":
        raise MissingExtraError(package="camlib", extra="cameras", distribution="al-lives")
    if error == "named":
        raise TransientSinkError("sink 'a': the door is shut")
    if error == "os":
        raise PermissionError(13, "Permission denied", "door")
    raise RuntimeError("no power")


class Plugin:
    """Components that note what happens to them, in one list."""

    def __init__(self):  # noqa: C901 - a whole plugin: one component of each kind
        self.events: list[str] = []
        self.loaded: list[Any] = []
        self.directories: list[Path] = []
        noted, events = self, self.events

        class Noting:
            def __init__(self, options, context):
                super().__init__(options, context)
                self._pass("init")

            def start(self):
                self._pass("start")

            def close(self):
                self._pass("close")

            def _pass(self, moment):
                events.append(f"{moment} {self.context.name}")
                if self.options.fail_at == moment:
                    raise_chosen(self.options.error)

        class NotingSink(Noting, Sink[Life]):
            type_name = "noting"

            def deliver(self, datapoint, checkpoint):
                events.append(f"deliver {datapoint.frame_id}")
                return Receipt(status="created")

            def finish_run(self, summary):
                self._pass("finish")

        class NotingSource(Noting, Source[Life]):
            type_name = "noting"

            def frames(self, skip):
                for number in range(3):
                    yield Frame(
                        frame_id=f"{self.context.name}/{number}",
                        image=Image(sample_jpeg(seed=number)),
                        source=self.context.name,
                    )

        class NotingPredictor(Noting, Predictor[Life]):
            type_name = "noting"

            def predict(self, frame):
                return "a word"

        class NotingAdapter(Noting, PredictionAdapter[Life]):
            type_name = "noting"

            def accepts(self, document):
                return isinstance(document, str)

            def adapt(self, document, *, frame, prediction_type):
                return Unlabelled(prediction_type=document)

        class Demanding(PredictionAdapter[Demands]):
            type_name = "demanding"

            def accepts(self, document):
                raise AssertionError

            def adapt(self, document, *, frame, prediction_type):
                raise AssertionError

        class Plain(Noting, Strategy[Life]):
            type_name = "plain"

            def evaluate(self, frame, prediction):
                return Verdict(match=True, reason=prediction.prediction_type)

        class Counting(Noting, Strategy[Life]):
            type_name = "counting"
            stateful = True

            def __init__(self, options, context):
                super().__init__(options, context)
                self.count = 0
                noted.directories.append(context.state_dir)

            def evaluate(self, frame, prediction):
                self.count += 1
                return Verdict(match=True)

            def state_dict(self):
                if self.options.error == "state":
                    raise RuntimeError("no state")
                return {"count": self.count}

            def load_state_dict(self, state):
                noted.loaded.append(dict(state))
                self.count = state["count"]

        self.components = {
            "sinks": [NotingSink],
            "sources": [NotingSource],
            "predictors": [NotingPredictor],
            "prediction_adapters": [NotingAdapter, Demanding],
            "strategies": [Plain, Counting],
        }

    @hookimpl
    def al_register_sinks(self):
        return self.components["sinks"]

    @hookimpl
    def al_register_sources(self):
        return self.components["sources"]

    @hookimpl
    def al_register_predictors(self):
        return self.components["predictors"]

    @hookimpl
    def al_register_prediction_adapters(self):
        return self.components["prediction_adapters"]

    @hookimpl
    def al_register_strategies(self):
        return self.components["strategies"]

    @hookimpl
    def al_run_started(self, run):
        self.events.append(f"run started {run.name}")

    @hookimpl
    def al_datapoint_delivered(self, sink, datapoint, receipt):
        self.events.append(f"delivered {sink} {datapoint.frame_id} {receipt.status}")

    @hookimpl
    def al_run_finished(self, summary):
        self.events.append(f"run finished {summary.counts.accepted}")


@pytest.fixture
def plugin():
    return Plugin()


@pytest.fixture
def build(tmp_path, plugin, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assemblies = []

    def make(document, **keywords):
        host = PluginHost.without_discovery(
            {"local": al_framework_local, "roboflow": al_framework_roboflow, "lives": plugin}
        )
        configuration = load_configuration(read_document(document), host, environ={})
        keywords = {"clock": FakeClock(), "rng": random.Random(1), "environ": {}, **keywords}
        assembly = assemble(configuration, host, **keywords)
        assemblies.append(assembly)
        return assembly

    yield make
    for assembly in assemblies:
        assembly.stack.close()


def document(*, strategies=({"name": "all", "type": "plain"},), sinks=None, **more):
    return {
        "name": "line",
        "active_learning": {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": list(strategies),
            "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
        },
        "sinks": [{"type": "noting", "name": "a"}] if sinks is None else sinks,
        **more,
    }


def drive(assembly):
    runner = assembly.runner(again=False, wait_for_room=lambda: False)
    runner.run(assembly.sources, stop=threading.Event(), progress=lambda _: None)
    assert assembly.delivery is None or assembly.delivery.drain(30.0)
    return assembly.finish(deadline_s=1.0)


FULL = {
    "sources": [{"type": "noting", "name": "cam"}],
    "predictor": {"type": "noting", "name": "model"},
    "adapter": {"type": "noting", "name": "reader"},
}


def test_components_start_in_order_and_close_in_reverse(build, plugin):
    assembly = build(document(**FULL), with_sources=True)
    started = list(plugin.events)
    summary = drive(assembly)
    closed = [event for event in plugin.events if event.startswith("close")]

    names = ["cam", "reader", "model", "all", "a"]
    assert started == [f"{moment} {n}" for n in names for moment in ("init", "start")] + [
        "run started line"
    ]
    assert closed == [f"close {name}" for name in reversed(names)]
    assert summary.counts.accepted == 3


def test_a_run_is_told_in_order(build, plugin):
    drive(build(document(**FULL), with_sources=True))
    told = [event for event in plugin.events if not event.startswith(("init", "start", "close"))]

    assert told[0] == "run started line"
    assert sorted(told[1:-2]) == sorted(
        event
        for number in range(3)
        for event in (f"deliver cam/{number}", f"delivered a cam/{number} created")
    )
    assert told[-2:] == ["finish a", "run finished 3"]
    assert plugin.events.index("run finished 3") < plugin.events.index("close cam")


@pytest.mark.parametrize("moment", ["init", "start"])
@pytest.mark.parametrize(
    ("change", "who", "closed"),
    [
        ({"source": "cam"}, "source 'cam'", []),
        ({"adapter": "reader"}, "prediction adapter 'reader'", ["cam"]),
        ({"predictor": "model"}, "predictor 'model'", ["reader", "cam"]),
        ({"strategy": "all"}, "strategy 'all'", ["model", "reader", "cam"]),
        ({"sink": "a"}, "sink 'a'", ["all", "model", "reader", "cam"]),
    ],
)
def test_a_component_that_fails_is_named_and_those_before_are_closed(
    build, plugin, *, moment, change, who, closed
):
    (kind, name) = next(iter(change.items()))
    failing = {"type": "plain" if kind == "strategy" else "noting", "name": name, "fail_at": moment}
    given = document(**FULL)
    if kind == "strategy":
        given["active_learning"]["sampling_strategies"] = [failing]
    elif kind in ("sink", "source"):
        given[f"{kind}s"] = [failing]
    else:
        given[kind] = failing
    with pytest.raises(ComponentError) as caught:
        build(given, with_sources=True)
    events = [event for event in plugin.events if event.startswith("close")]

    assert str(caught.value) == (
        f"{who} (plugin 'lives') could not start: RuntimeError: no power:"
        " repair or update the plugin, or use another type"
    )
    assert (caught.value.plugin, caught.value.component) == ("lives", name)
    # One that was built is closed although it did not start; one that was not built cannot be.
    own = [f"close {name}"] if moment == "start" else []
    assert events == own + [f"close {one}" for one in closed]
    assert not any(event.startswith("run") for event in plugin.events)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            "extra",
            "the package 'camlib' is not installed: run pip install 'al-lives[cameras]'",
        ),
        ("named", "the door is shut"),
        ("os", "[Errno 13] Permission denied: 'door'"),
    ],
)
def test_an_error_that_explains_itself_is_not_dressed_up(build, error, text):
    sinks = [{"type": "noting", "name": "a", "fail_at": "start", "error": error}]
    with pytest.raises(ComponentError) as caught:
        build(document(sinks=sinks))

    assert str(caught.value) == f"sink 'a' (plugin 'lives') could not start: {text}"


@pytest.mark.parametrize(
    ("moment", "error", "message"),
    [
        (
            "finish",
            "runtime",
            (
                "sink 'a' could not finish the run: RuntimeError: no power: what was delivered is"
                " safe, repair or update its plugin"
            ),
        ),
        ("finish", "os", "sink 'a' could not finish the run: [Errno 13] Permission denied: 'door'"),
        (
            "close",
            "runtime",
            "sink 'a' (plugin 'lives') could not be closed: repair or update the plugin",
        ),
    ],
)
def test_a_sink_that_fails_at_the_end_is_logged_and_nothing_else(
    build, plugin, caplog, *, moment, error, message
):
    sinks = [{"type": "noting", "name": "a", "fail_at": moment, "error": error}]
    summary = drive(build(document(sinks=sinks, **FULL), with_sources=True))
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]

    assert summary.counts.sinks["a"].delivered == 3
    assert record.getMessage() == message
    assert bool(record.exc_info) is (error == "runtime")
    assert "run finished 3" in plugin.events
    assert plugin.events[-1] == "close cam"


COUNTING = {"name": "count [x]/..", "type": "counting"}


def test_a_stateful_strategy_is_built_for_each_source_and_keeps_its_state(build, plugin):
    sources = [{"type": "noting", "name": "cam"}, {"type": "noting", "name": "belt"}]
    given = document(strategies=[COUNTING], sources=sources)
    drive(build(given, with_sources=True))
    first = [event for event in plugin.events if COUNTING["name"] in event]
    drive(build(given, with_sources=True))

    assert first.count(f"start {COUNTING['name']}") == 2
    assert first.count(f"close {COUNTING['name']}") == 2
    assert plugin.loaded == [{"count": 3}, {"count": 3}]


def test_a_state_that_cannot_be_read_is_named_and_begins_anew(build, plugin, caplog):
    given = document(strategies=[COUNTING], **FULL)
    drive(build(given, with_sources=True))
    (file,) = plugin.directories[0].iterdir()
    file.write_text('{"cou')
    summary = drive(build(given, with_sources=True))

    assert plugin.loaded == []
    assert summary.counts.strategies[COUNTING["name"]].failed == 0
    assert f"the state of strategy {COUNTING['name']!r} cannot be read (" in caplog.text
    assert json.loads(file.read_text()) == {"count": 3}


def test_a_state_that_is_refused_is_named_with_what_to_do_and_nothing_begins(build, plugin):
    given = document(strategies=[COUNTING], **FULL)
    drive(build(given, with_sources=True))
    (file,) = plugin.directories[0].iterdir()
    file.write_text('{"frames": 3}')  # as another version of the strategy may have kept it
    with pytest.raises(ComponentError) as caught:
        build(given, with_sources=True)

    assert str(caught.value) == (
        f"strategy {COUNTING['name']!r} (plugin 'lives') could not start: it refuses the state in"
        f" '{file}' (KeyError: 'count'): repair or update the plugin, or remove that file to begin"
        " anew"
    )
    assert json.loads(file.read_text()) == {"frames": 3}


def test_a_strategy_that_forgets_its_base_is_named_only_where_that_matters(build, plugin):
    class Careless(plugin.components["strategies"][0]):
        type_name = "careless"

        def __init__(self, options, context):
            pass

    class Counting(Careless):
        type_name = "careless_counting"
        stateful = True

    plugin.components["strategies"] += [Careless, Counting]
    Careless.start = Careless.close = lambda self: None
    build(document(strategies=[{"name": "a", "type": "careless"}]))
    message = r"^strategy 'b' \(plugin 'lives'\) could not start: AttributeError: .*'context'"

    with pytest.raises(ComponentError, match=message):
        build(document(strategies=[{"name": "b", "type": "careless_counting"}]))


def test_a_state_that_cannot_be_kept_is_logged_and_nothing_else(build, caplog):
    given = document(strategies=[{**COUNTING, "error": "state"}], **FULL)
    summary = drive(build(given, with_sources=True))

    assert summary.counts.accepted == 3
    assert f"the state of strategy {COUNTING['name']!r} could not be kept" in caplog.text


def test_a_dry_run_keeps_no_state_and_builds_no_sink(build, plugin, tmp_path):
    before = list(tmp_path.rglob("*"))
    given = document(strategies=[COUNTING], **FULL)
    assembly = build(given, with_sources=True, dry_run=True)
    summary = drive(assembly)

    assert (assembly.spool, assembly.delivery, assembly.sinks) == (None, None, {})
    assert (summary.counts.accepted, summary.counts.sinks) == (3, {})
    assert list(tmp_path.rglob("*")) == before
    assert "start a" not in plugin.events


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("hard_examples", "strategy-hard_examples"),
        ("../../etc", "strategy--etc-"),
        ("/", "strategy---"),
        ("..", "strategy---"),
        ("a\0b", "strategy-a-b-"),
        ("süß", "strategy-s-"),
        ("x" * 300, "strategy-xxx"),
        ("", "strategy-"),
    ],
)
def test_a_strategy_of_any_name_has_a_directory_that_is_safe(name, start):
    entry: Any = SimpleNamespace(kind="strategy", name=name)
    made = _directory_name(entry)

    assert made.startswith(start)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,99}", made)


def test_names_that_look_alike_have_different_directories():
    names = ["a/b", "a b", "a:b", "a-b", "x" * 300, "x" * 301]
    entries: list[Any] = [SimpleNamespace(kind="strategy", name=name) for name in names]
    made = {_directory_name(entry) for entry in entries}

    assert len(made) == len(names)


def test_the_state_directory_lies_in_the_spool(build, plugin, tmp_path):
    drive(build(document(strategies=[COUNTING], **FULL), with_sources=True))

    assert plugin.directories[0].parent == tmp_path / ".al" / "line" / "state"


def test_library_use_leaves_sources_and_predictor_alone(build, plugin):
    assembly = build(document(**FULL))

    assert assembly.sources == ()
    assert assembly.predictor is None
    assert "init cam" not in plugin.events
    assert "init model" not in plugin.events


def test_without_an_adapter_every_one_that_needs_no_options_is_asked(build, plugin):
    assembly = build(document())
    frame = Frame(frame_id="f", image=Image(sample_jpeg()))
    (offer,) = assembly.engine.offer(frame, "a word")

    assert "start noting" in plugin.events
    assert offer.pending is not None
    assert offer.pending.prediction.prediction_type == "a word"


@pytest.mark.parametrize(("seed", "same"), [({"seed": 7}, True), ({}, False)])
def test_the_seed_is_fixed_by_the_file_or_drawn_for_the_run(build, seed, same):
    first = build(document(**seed), dry_run=True, rng=random.Random(1)).run.seed
    second = build(document(**seed), dry_run=True, rng=random.Random(2)).run.seed

    assert (first == second == 7) is same
    assert 0 <= first < 2**64


def test_a_run_is_named_by_its_time(build):
    assembly = build(document(), dry_run=True)

    assert len(assembly.run.run_id) == 26
    assert assembly.run.started_at == 1_700_000_000.0
    assert assembly.run.configuration_hash == assembly.configuration.configuration_hash


def test_limits_may_live_in_memory(build):
    assembly = build(document(limits={"ledger": "memory"}))

    assert isinstance(assembly.engine.ledger, MemoryLedger)


def test_configuration_and_environment_reach_the_datapoint(build, tmp_path):
    sinks = [{"type": "directory", "path": "collected", "page": False}]
    given = document(sinks=sinks, batch_time_zone="Pacific/Auckland", **FULL)
    given["active_learning"]["batching_strategy"]["recreation_interval"] = "daily"
    given["active_learning"]["max_image_size"] = [24, 32]
    given["active_learning"]["tags"] = ["everything"]
    given["active_learning"]["sampling_strategies"][0]["tags"] = ["mine"]
    drive(build(given, with_sources=True))
    lines = (tmp_path / "collected" / "manifest.jsonl").read_text().splitlines()
    record = json.loads(lines[0])

    assert record["batch_name"] == "al_2023_11_15"  # the 14th in UTC
    assert record["image_size"] == [32, 24]
    assert record["source_size"] == [64, 48]
    assert record["tags"][-2:] == ["everything", "mine"] or "mine" in record["tags"]


def test_the_installed_plugins_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    strategy = {"name": "all", "type": "random", "traffic_percentage": 1.0}
    assembly = assemble_from(
        document(
            strategies=[strategy],
            sinks=[{"type": "null"}],
            plugins={"disable": ["onnx", "video"]},
        )
    )
    states = {record.name: record.state for record in assembly.host.records}
    assembly.finish(deadline_s=1.0)

    assert states["onnx"] == states["video"] == "disabled"
    assert states["local"] == states["roboflow"] == "loaded"
