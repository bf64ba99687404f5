"""Plugins that were written for an earlier version of the API run unchanged.

`v1_0` holds one of every kind, which between them use all that version 1.0 gives: every method,
every field, every hook. They are never edited; a new version of the API adds a directory.
"""

import hashlib
import importlib.util
import json
import random
import sys
import threading
from pathlib import Path

import pytest

import al_framework_local
from al_framework import Collector
from al_framework.api import COMPONENT_KINDS
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.host import PluginHost
from al_framework.host.loading import REGISTRATION_HOOKS
from al_framework.host.notifying import NOTIFICATION_HOOKS
from al_framework.testing import sample_pixels

V1_0 = Path(__file__).parent / "v1_0"
CHECKSUMS = {
    "adapters.py": "f91714c64f5fecb4c1b7454f31719736f9de8b24b708a8d640f03471963e63e7",
    "listeners.py": "cb460045913355b02f5f0d2052133403de7510eb97b1c47e052500b86b92ff2e",
    "predictors.py": "9a561a34215bae470e88c669d0f99e603763b4abee3890a481a9b281c6983617",
    "providers.py": "9cfdc9367713792afff64b6ad01abfe4edb51f13d675ca7fc4e451db2f2bc298",
    "sinks.py": "42e1cdb95844bb7ab2b8adbd735641857979598945552bfca749c1b0dfbacc37",
    "sources.py": "fb4205bb7aaa4f0ce4db742c79db576ebe608a704d6aead7ed029920b74e924e",
    "strategies.py": "a61075b60f209e1bfed685a17659329afa8ef855cb4969f826e53d2164857566",
    "surface.json": "838641ee645bfb9aa6483ee85cd2996c9963bb345920d5f1d1db08cfc3d13085",
}


def checksums(directory):
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(directory.iterdir())
        if file.is_file()
    }


def module(file):
    name = f"v1_0_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made  # pydantic looks up the types of a model there
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def plugins():
    found = {file.stem: module(file) for file in sorted(V1_0.glob("*.py"))}
    yield found
    for made in found.values():
        sys.modules.pop(made.__name__)


@pytest.fixture
def start(tmp_path, monkeypatch, plugins):
    """A factory of assemblies with these plugins and nothing else but the sink `null`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "note.txt").write_text("a note")
    started = []

    def make(document, **keywords):
        host = PluginHost.without_discovery({**plugins, "local": al_framework_local})
        configuration = load_configuration(read_document(document), host, environ={})
        assembly = assemble(configuration, host, rng=random.Random(1), environ={}, **keywords)
        started.append(assembly)
        return assembly

    yield make
    for assembly in started:
        assembly.stack.close()


def document(*strategies, **more):
    return {
        "name": "line",
        "active_learning": {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": [{"name": name, "type": name} for name in strategies],
            "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
        },
        "sinks": [{"name": "box", "type": "v1_box", "path": "box", "key": "k"}],
        **more,
    }


def drive(assembly):
    broken = assembly.runner(again=False, wait_for_room=lambda: False).run(
        assembly.sources, stop=threading.Event(), progress=lambda _: None
    )
    delivered = assembly.delivery.drain(60.0)
    summary = assembly.finish(deadline_s=1.0)

    assert (broken, delivered) == ({}, True)
    return summary


def facts():
    found = [json.loads(file.read_text()) for file in Path("box").glob("*.facts")]
    return {each["frame_id"]: each for each in found}


def test_what_is_frozen_has_not_been_edited():
    assert checksums(V1_0) == CHECKSUMS, "never edit these: add a directory for a new version"


def test_every_kind_and_every_hook_is_among_what_is_frozen(plugins):
    host = PluginHost.without_discovery(plugins)
    hooks = {name for made in plugins.values() for name in vars(made) if name.startswith("al_")}

    assert host.problems == ()
    assert {registration.kind for registration in host.registry.registrations()} == set(
        COMPONENT_KINDS
    )
    assert hooks == {*REGISTRATION_HOOKS, *NOTIFICATION_HOOKS}


def test_plugins_of_1_0_run_from_source_to_sink(start, plugins):
    strategies = ("v1_every_other", "v1_bright", "v1_unsure")
    given = document(
        *strategies,
        sources=[{"name": "belt", "type": "v1_belt"}],
        predictor={"name": "oracle", "type": "v1_oracle"},
    )
    assembly = start(given, with_sources=True)
    summary = drive(assembly)
    counts, delivered = summary.counts, facts()

    assert summary.problems == ("frame 'belt/0': brightness 0.0 is too little",)
    assert (counts.offered, counts.dropped) == (6, {"invalid_prediction": 1})
    assert {name: each["strategy"] for name, each in delivered.items()} == {
        "belt/1": "v1_unsure",
        "belt/2": "v1_every_other",
        "belt/3": "v1_bright",
        "belt/4": "v1_every_other",
        "belt/5": "v1_bright",
    }
    assert delivered["belt/1"]["inference_id"] == "inference-1"
    assert delivered["belt/4"]["attributes"] == "{'note': 'a note'}"
    assert [len(counts.strategies), counts.strategies["v1_unsure"].not_eligible] == [3, 2]
    assert counts.sinks["box"].delivered == 5
    assert json.loads(Path("box/summary.json").read_text())["sinks"] == {"box": 5}
    heard = plugins["listeners"].heard
    assert [heard[0], heard[-1]] == ["started line", "finished line 5"]
    assert sorted(heard[1:-1]) == [f"delivered box belt/{number} created" for number in range(1, 6)]
    box = assembly.sinks["box"]
    assert (box.location, box.target.project) == (str(Path("box").resolve()), "box")
    assert box.batch_size("al", box.target) == 5
    assert assembly.predictor.missing == ("no_such_module_at_all", "oracle", "al-framework")


def test_a_stateful_strategy_of_1_0_goes_on_in_the_next_run(start):
    given = document("v1_every_other", sources=[{"name": "belt", "type": "v1_belt", "frames": 4}])
    drive(start(given, with_sources=True))
    given["sources"][0]["frames"] = 5
    drive(start(given, with_sources=True))

    assert sorted(facts()) == ["belt/2", "belt/4"]


def test_a_provider_and_a_splitting_adapter_of_1_0_serve_the_library(start):
    given = document()
    del given["active_learning"]
    given["configuration"] = {"type": "v1_desk", "strategy": "v1_bright"}
    with Collector(start(given)) as collector:
        assert collector.wait_for_configuration(60.0)
        picture = sample_pixels() // 2 + 128
        ticket = collector.submit(picture, {"v1_quarters": ["left", "right"]}, frame_id="f")
        assert collector.flush(60.0)
        assert collector._assembly.delivery.drain(60.0)

    assert ticket.status == "queued"
    assert sorted(facts()) == ["f#left", "f#right"]
    assert "detection_id='left'" in facts()["f#left"]["parent"]
