"""A configuration provider that answers as told, and assemblies that ask it."""

import copy
import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr

import al_framework_local
import al_framework_roboflow
from al_framework.api import (
    ConfigurationProvider,
    Datapoint,
    FrameKey,
    Options,
    ProvidedConfiguration,
    Receipt,
    Sink,
    Strategy,
    Target,
    Verdict,
    hookimpl,
)
from al_framework.assembly import Assembly, assemble
from al_framework.assembly.refreshing import Refresher
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.offers import Offer
from al_framework.testing import FakeClock, sample_frame

LONG_S = 60.0
KEY = "s3cret/key+of=mine"
RANDOM = {"name": "all", "type": "random", "traffic_percentage": 1.0}
DOCUMENT = {
    "enabled": True,
    "persist_predictions": True,
    "sampling_strategies": [RANDOM],
    "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
}


def document_with(*strategies: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a good document with other strategies, or other keys."""
    found = copy.deepcopy(DOCUMENT) | changes
    if strategies:
        found["sampling_strategies"] = list(strategies)
    return found


class ProviderOptions(Options):
    api_key: SecretStr = Field(default=SecretStr(KEY), description="The key.")
    project: str = Field(default="parts", description="The project.")


class WordOptions(Options):
    word: str = Field(default="", description="Any word.")
    fail: bool = Field(default=False, description="Whether it cannot start.")


class Server:
    """What the provider asks: the next answer, or what holds when there is none."""

    def __init__(self) -> None:
        self.answer: Any = document_with()
        self.target = Target(workspace="works", project="parts")
        self.refresh_after_s = 900.0
        self.reason = ""
        self.identity: Any = "identity-1"
        self.asked = threading.Semaphore(0)
        self.done = threading.Semaphore(0)
        self.requests = 0
        self.gate = threading.Event()
        self.gate.set()
        self.threads: list[str] = []

    def fetch(self) -> Any:
        self.requests += 1
        self.threads.append(threading.current_thread().name)
        self.asked.release()
        self.gate.wait(LONG_S)
        answer = self.answer
        if isinstance(answer, BaseException):
            raise answer
        if answer is not None and not isinstance(answer, Mapping):
            return answer
        return ProvidedConfiguration(
            document=answer,
            reason=self.reason,
            target=self.target,
            refresh_after_s=self.refresh_after_s,
        )


class Plugin:
    """The provider, a sink that knows its target, and strategies that can be watched."""

    def __init__(self, server: Server) -> None:  # noqa: C901 - a whole plugin: a class of each kind
        self.events: list[str] = []
        self.sink_target: Any = Target()
        plugin, events = self, self.events

        class Scripted(ConfigurationProvider[ProviderOptions]):
            type_name = "scripted"

            @property
            def identity(self) -> str:
                if isinstance(server.identity, Exception):
                    raise server.identity
                return f"{server.identity}{self.options.api_key.get_secret_value()}"

            def fetch(self) -> ProvidedConfiguration:
                found: ProvidedConfiguration = server.fetch()
                return found

            def close(self) -> None:
                events.append("close provider")

        class Placed(Sink):
            type_name = "placed"

            @property
            def target(self) -> Target:
                if isinstance(plugin.sink_target, Exception):
                    raise plugin.sink_target
                found: Target = plugin.sink_target
                return found

            def deliver(self, datapoint: Any, checkpoint: Any) -> Receipt:
                return Receipt(status="created")

        class Watched(Strategy[WordOptions]):
            type_name = "watched"

            def start(self) -> None:
                events.append(f"start {self.context.name} {self.options.word}")
                if self.options.fail:
                    raise RuntimeError("no power")

            def evaluate(self, frame: Any, prediction: Any) -> Verdict:
                if self.options.word == "faulty":
                    raise RuntimeError("no idea")
                return Verdict(match=True, reason=self.options.word)

            def close(self) -> None:
                events.append(f"close {self.context.name} {self.options.word}")

        self.classes = ([Scripted], [Placed], [Watched])

    @hookimpl
    def al_register_configuration_providers(self) -> Any:
        return self.classes[0]

    @hookimpl
    def al_register_sinks(self) -> Any:
        return self.classes[1]

    @hookimpl
    def al_register_strategies(self) -> Any:
        return self.classes[2]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.gate.set()


@pytest.fixture
def plugin(server: Server) -> Plugin:
    return Plugin(server)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


Build = Callable[..., Assembly]


@pytest.fixture
def build(
    tmp_path: Path,
    plugin: Plugin,
    server: Server,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Build]:
    """A factory of assemblies; their threads look at the clock all the time.

    Every question that is dealt with releases `server.done`.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("al_framework.assembly.refreshing.POLL_S", 0.002)
    monkeypatch.setattr("al_framework.assembly.refreshing.CLOSE_S", 0.05)
    refresh = Refresher.refresh

    def told(self: Refresher) -> float:
        wait_s = refresh(self)
        server.done.release()
        return wait_s

    monkeypatch.setattr(Refresher, "refresh", told)
    assemblies: list[Assembly] = []

    def make(*, options: Mapping[str, Any] | None = None, **keywords: Any) -> Assembly:
        more = {key: keywords.pop(key) for key in ("limits", "sources") if key in keywords}
        host = PluginHost.without_discovery(
            {"local": al_framework_local, "roboflow": al_framework_roboflow, "fake": plugin}
        )
        text = {
            "name": "line",
            "configuration": {"type": "scripted", **(options or {})},
            "sinks": [{"type": "placed"}],
            "seed": 1,
            **more,
        }
        configuration = load_configuration(read_document(text), host, environ={})
        keywords = {"clock": clock, "rng": random.Random(1), "environ": {}, **keywords}
        assembly = assemble(configuration, host, **keywords)
        assemblies.append(assembly)
        return assembly

    yield make
    for assembly in assemblies:
        if assembly.delivery is not None:
            assembly.delivery.close(0.0)
        assembly.stack.close()


@pytest.fixture(name="document_with")
def document_with_fixture() -> Callable[..., dict[str, Any]]:
    return document_with


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
def make_key() -> Callable[[str], FrameKey]:
    return lambda name: FrameKey(source="cam", frame_id=name, size=1, mtime_ns=1)


@pytest.fixture
def answered(server: Server) -> Callable[..., None]:
    """Wait for the next question to be dealt with; let time pass before, if told how much."""

    def wait(clock: FakeClock | None = None, seconds: float = 0.0) -> None:
        if clock is not None:
            clock.advance(seconds)
        assert server.done.acquire(timeout=LONG_S)

    return wait


@pytest.fixture
def asked_again(answered: Callable[..., None], clock: FakeClock) -> Callable[..., None]:
    return lambda seconds=900.0: answered(clock, seconds)


def _offer(assembly: Assembly, name: str = "f") -> Offer:
    [found] = assembly.engine.offer(sample_frame(name), None)
    return found


@pytest.fixture
def offer() -> Callable[..., Offer]:
    """Offer one frame to an assembly."""
    return _offer


@pytest.fixture
def take() -> Callable[..., Datapoint]:
    """Return the datapoint that comes of a frame."""

    def run(assembly: Assembly, name: str = "f") -> Datapoint:
        candidate: Any = assembly.engine.prepare(_offer(assembly, name).pending)  # type: ignore[arg-type]  # it is one
        found: Datapoint = candidate.compose(candidate.matching[0])
        return found

    return run


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """Return what the assembly logged so far."""

    def run(level: int = logging.INFO) -> list[str]:
        return [
            record.getMessage()
            for record in caplog.records
            if record.levelno >= level and record.name.startswith("al_framework.assembly")
        ]

    return run
