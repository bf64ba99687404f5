"""Components are built, started, told of a run and closed in order, and one that fails is named."""

import json
import logging
import random

import pytest

from al_framework.api import ComponentError, Frame, Image
from al_framework.assembly import assemble_from
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.testing import sample_jpeg

FULL = {
    "sources": [{"type": "noting", "name": "cam"}],
    "predictor": {"type": "noting", "name": "model"},
    "adapter": {"type": "noting", "name": "reader"},
}


def test_components_start_in_order_and_close_in_reverse(build, plugin, document, drive):
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


def test_a_run_is_told_in_order(build, plugin, document, drive):
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
    build, plugin, *, moment, change, who, closed, document
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
def test_an_error_that_explains_itself_is_not_dressed_up(build, error, text, document):
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
    build, plugin, caplog, *, moment, error, message, document, drive
):
    sinks = [{"type": "noting", "name": "a", "fail_at": moment, "error": error}]
    summary = drive(build(document(sinks=sinks, **FULL), with_sources=True))
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]

    assert summary.counts.sinks["a"].delivered == 3
    assert record.getMessage() == message
    assert bool(record.exc_info) is (error == "runtime")
    assert "run finished 3" in plugin.events
    assert plugin.events[-1] == "close cam"


def test_library_use_leaves_sources_and_predictor_alone(build, plugin, document):
    assembly = build(document(**FULL))

    assert assembly.sources == ()
    assert assembly.predictor is None
    assert "init cam" not in plugin.events
    assert "init model" not in plugin.events


def test_without_an_adapter_every_one_that_needs_no_options_is_asked(build, plugin, document):
    assembly = build(document())
    frame = Frame(frame_id="f", image=Image(sample_jpeg()))
    (offer,) = assembly.engine.offer(frame, "a word")

    assert "start noting" in plugin.events
    assert offer.pending is not None
    assert offer.pending.prediction.prediction_type == "a word"


@pytest.mark.parametrize(("seed", "same"), [({"seed": 7}, True), ({}, False)])
def test_the_seed_is_fixed_by_the_file_or_drawn_for_the_run(build, seed, same, document):
    first = build(document(**seed), dry_run=True, rng=random.Random(1)).run.seed
    second = build(document(**seed), dry_run=True, rng=random.Random(2)).run.seed

    assert (first == second == 7) is same
    assert 0 <= first < 2**64


def test_a_run_is_named_by_its_time(build, document):
    assembly = build(document(), dry_run=True)

    assert len(assembly.run.run_id) == 26
    assert assembly.run.started_at == 1_700_000_000.0
    assert assembly.run.configuration_hash == assembly.configuration.configuration_hash


def test_limits_may_live_in_memory(build, document):
    assembly = build(document(limits={"ledger": "memory"}))

    assert isinstance(assembly.engine.ledger, MemoryLedger)


def test_configuration_and_environment_reach_the_datapoint(build, tmp_path, document, drive):
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


def test_the_installed_plugins_are_found(tmp_path, monkeypatch, document):
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
