"""A collector is closed while its sink hangs: the deadline holds, and nothing is lost."""

import threading
import time

import pytest

import al_framework_adapters
import al_framework_roboflow
from al_framework import Collector
from al_framework.api import Sink, hookimpl
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.delivery import Delivery
from al_framework.testing import sample_jpeg

LONG_S = 60.0
DEADLINE_S = 0.2
HANG_S = 2.0  # ten times the deadline: a busy machine is no failure, waiting for longer is one


class Hanging:
    """The sink and its plugin."""

    def __init__(self):
        self.inside, self.let_go = threading.Semaphore(0), threading.Event()
        plugin = self

        class Hangs(Sink):
            type_name = "hangs"

            def deliver(self, datapoint, checkpoint):
                plugin.inside.release()
                plugin.let_go.wait(LONG_S)
                raise SystemExit

        self._sink = Hangs

    @hookimpl
    def al_register_sinks(self):
        return [self._sink]


@pytest.fixture
def hanging():
    plugin = Hanging()
    yield plugin
    plugin.let_go.set()


@pytest.fixture
def collector(hanging, tmp_path):
    plugins = {
        "adapters": al_framework_adapters,
        "roboflow": al_framework_roboflow,
        "own": hanging,
    }
    host = PluginHost.without_discovery(plugins)
    document = {
        "name": "line",
        "active_learning": {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1.0}],
            "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
        },
        "sinks": [{"type": "hangs"}],
        "spool": {"path": str(tmp_path / "spool"), "min_free_bytes": 0},
    }
    configuration = load_configuration(read_document(document), host, environ={})
    return Collector(assemble(configuration, host, environ={}))


def test_closing_keeps_its_deadline_while_every_delivery_hangs(collector, hanging, monkeypatch):
    asked = []
    for name in ("drain", "close"):
        original = getattr(Delivery, name)

        def noted(self, deadline_s, *, original=original, name=name):
            asked.append((name, deadline_s))
            return original(self, deadline_s)

        monkeypatch.setattr(Delivery, name, noted)
    for number in range(4):
        ticket = collector.submit(sample_jpeg(seed=number), wait_accepted_s=LONG_S)
        assert ticket.status == "accepted"
        assert hanging.inside.acquire(timeout=LONG_S)
    began = time.monotonic()
    collector.close(DEADLINE_S)
    took_s = time.monotonic() - began

    assert took_s < HANG_S
    assert [name for name, _ in asked] == ["drain", "close"]
    (_, drained_s), (_, closed_s) = asked
    assert 0.0 <= closed_s <= drained_s <= DEADLINE_S
    counts = collector.stats()
    assert (4, 4) == (counts.accepted, counts.sinks["hangs"].pending)
