"""Components that note what happens to them, and assemblies of them."""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

import al_framework_local
import al_framework_roboflow
from al_framework.api import (
    Frame,
    Image,
    MissingExtraError,
    Options,
    PredictionAdapter,
    Predictor,
    Receipt,
    RunSummary,
    Sink,
    Source,
    Strategy,
    TransientSinkError,
    Unlabelled,
    Verdict,
    hookimpl,
)
from al_framework.assembly import Assembly, assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
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


def make_document(
    *,
    strategies: Sequence[Mapping[str, Any]] = ({"name": "all", "type": "plain"},),
    sinks: Sequence[Mapping[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any]:
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


@pytest.fixture(scope="session")
def document() -> Callable[..., dict[str, Any]]:
    """The factory of documents."""
    return make_document


def run_to_its_end(assembly: Assembly) -> RunSummary:
    runner = assembly.runner(again=False, wait_for_room=lambda: False)
    runner.run(assembly.sources, stop=threading.Event(), progress=lambda _: None)
    assert assembly.delivery is None or assembly.delivery.drain(30.0)
    return assembly.finish(deadline_s=1.0)


@pytest.fixture(scope="session")
def drive() -> Callable[[Assembly], RunSummary]:
    """Run an assembly to its end and return the summary."""
    return run_to_its_end
