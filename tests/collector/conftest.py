"""Collectors over components of our own: a sink that fails as told, and a gate before encoding."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import al_framework_adapters
import al_framework_local
import al_framework_roboflow
from al_framework import Collector
from al_framework.api import (
    Component,
    Counts,
    Detections,
    Receipt,
    Sink,
    Strategy,
    TransientSinkError,
    Verdict,
)
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.testing import make_host

# As good as for ever; what is waited for comes within milliseconds.
LONG_S = 60.0
ALL = {"name": "all", "type": "random", "traffic_percentage": 1.0}


class Plugin:
    """A sink and a strategy that a test holds the strings of.

    Attributes:
        away: Whether the sink fails for a moment, whatever it is given.
        errors: What it raises first, one a call.
        hang: What it waits for, if anything.
        inside: Counts the calls that have come to wait.
        gate: What the strategy ``gated`` waits for, on the thread that encodes.
        delivered: Frame and thread of each delivery.
    """

    def __init__(self) -> None:
        self.away = False
        self.errors: list[Exception] = []
        self.hang: threading.Event | None = None
        self.inside = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.delivered: list[tuple[str, str]] = []
        plugin = self

        class Flaky(Sink):
            type_name = "flaky"

            def deliver(self, datapoint, checkpoint):
                if plugin.errors:
                    raise plugin.errors.pop(0)
                if plugin.away:
                    raise TransientSinkError("the line is dead", retry_after_s=0.01)
                if plugin.hang is not None:
                    plugin.inside.release()
                    plugin.hang.wait(LONG_S)
                    raise TransientSinkError("it hung")
                plugin.delivered.append((datapoint.frame_id, threading.current_thread().name))
                return Receipt(status="created")

        class Gated(Strategy):
            type_name = "gated"
            needs_pixels = True

            def evaluate(self, frame, prediction):
                plugin.gate.wait(LONG_S)
                return Verdict(match=True)

        self.components: tuple[type[Component[Any]], ...] = (Flaky, Gated)

    @property
    def names(self) -> list[str]:
        """Return the frames that were delivered, in order."""
        return [name for name, _ in self.delivered]


@pytest.fixture
def plugin() -> Plugin:
    return Plugin()


@pytest.fixture
def build() -> Iterator[Callable[..., Collector]]:
    """Return a function that makes a collector of a document, with components of the test's own.

    What it has made is closed at the end.
    """
    made: list[Collector] = []

    def make(
        text: Mapping[str, object],
        *components: type[Component[Any]],
        delivery: Any = "background",
        timeout_s: float = 30.0,
        recent: Any = None,
    ) -> Collector:
        host = make_host(
            *components,
            adapters=al_framework_adapters,
            local=al_framework_local,
            roboflow=al_framework_roboflow,
        )
        assembly = assemble(
            load_configuration(read_document(text), host, environ={}),
            host,
            environ={},
            background=delivery == "background",
            recent=recent,
        )
        made.append(Collector(assembly, delivery=delivery, inline_timeout_s=timeout_s))
        return made[-1]

    yield make
    for collector in made:
        collector.close()


@pytest.fixture(scope="session")
def active_learning() -> Callable[..., dict[str, object]]:
    """Return a function that writes an Active Learning document of these strategies."""

    def make(*strategies: Mapping[str, object]) -> dict[str, object]:
        return {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": list(strategies or (ALL,)),
            "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
        }

    return make


@pytest.fixture(scope="session")
def document(active_learning: Callable[..., dict[str, object]]) -> Callable[..., dict[str, object]]:
    """Return a function that writes a configuration; by default all is collected in a directory."""

    def make(*strategies: Mapping[str, object], **more: object) -> dict[str, object]:
        is_elsewhere = "configuration" in more
        return {
            "name": "line",
            **({} if is_elsewhere else {"active_learning": active_learning(*strategies)}),
            "sinks": [{"type": "directory", "path": "collected", "page": False}],
            **more,
        }

    return make


@pytest.fixture
def collect(
    tmp_path: Path,
    plugin: Plugin,
    monkeypatch: pytest.MonkeyPatch,
    build: Callable[..., Collector],
    document: Callable[..., dict[str, object]],
) -> Iterator[Callable[..., Collector]]:
    """Return a function that makes a collector with these strategies, in a directory of its own."""
    monkeypatch.chdir(tmp_path)

    def make(
        *strategies: Mapping[str, object],
        delivery: str = "background",
        timeout_s: float = 30.0,
        components: tuple[type[Component[Any]], ...] = (),
        **more: object,
    ) -> Collector:
        text = document(*strategies, **more)
        own = (*plugin.components, *components)
        return build(text, *own, delivery=delivery, timeout_s=timeout_s)

    yield make
    plugin.gate.set()
    if plugin.hang is not None:
        plugin.hang.set()


@pytest.fixture(scope="session")
def settle() -> Callable[[Collector], None]:
    """Return a function that waits until everything is accepted and delivered."""

    def wait(collector: Collector) -> None:
        assert collector.flush(LONG_S)
        assert collector._assembly.delivery is not None
        assert collector._assembly.delivery.drain(LONG_S)

    return wait


@pytest.fixture(scope="session")
def manifest() -> Callable[..., list[Any]]:
    """Return a function that reads what the directory sink has written."""

    def read(directory: Path = Path()) -> list[Any]:
        path = directory / "collected" / "manifest.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return read


@pytest.fixture(scope="session")
def check_sums() -> Callable[[Counts], None]:
    """Return a function that checks the equations that counts promise."""

    def check(counts: Counts) -> None:
        ends = counts.not_selected + counts.limited + counts.accepted + counts.queued
        assert counts.offered == ends + sum(counts.dropped.values())
        for sink in counts.sinks.values():
            ended = sink.delivered + sink.pending + sink.dead + sink.evicted
            assert sink.accepted + sink.recovered == ended

    return check


@pytest.fixture(scope="session")
def make_box() -> Callable[..., Detections]:
    """Return a function that makes one detection of that confidence."""

    def make(confidence: float = 0.5) -> Detections:
        return Detections(
            xyxy=np.array([[1.0, 2.0, 30.0, 40.0]]),
            confidence=np.array([confidence]),
            class_name=("cat",),
            class_id=np.array([0]),
            image_size=(64, 48),
        )

    return make
