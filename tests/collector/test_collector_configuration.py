"""A collector whose configuration comes from a server, and collectors that share what they send."""

import subprocess
import sys
import threading

import pytest
from pydantic import Field, SecretStr

from al_framework import Collector, RecentImages
from al_framework.api import (
    ConfigurationProvider,
    Crop,
    Options,
    ProvidedConfiguration,
    Receipt,
    Sink,
    Strategy,
    Target,
    Verdict,
)
from al_framework.testing import sample_jpeg

LONG_S = 60.0


def document(name="all", **changes):
    return {
        "enabled": True,
        "persist_predictions": True,
        "sampling_strategies": [
            {"name": name, "type": "random", "traffic_percentage": 1, "tags": [f"tag-{name}"]}
        ],
        "batching_strategy": {"batches_name_prefix": name, "recreation_interval": "never"},
        "tags": [name],
        **changes,
    }


class SinkOptions(Options):
    api_key: SecretStr = Field(default=SecretStr(""), description="The key")
    project: str | None = Field(default=None, description="The project")


class Plugin:
    def __init__(self):
        self.answer = document()
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Semaphore(0)
        self.slow = threading.Event()
        self.slow.set()
        self.delivered = []
        plugin = self

        class Scripted(ConfigurationProvider):
            type_name = "scripted"

            def fetch(self):
                plugin.asked.release()
                plugin.gate.wait(LONG_S)
                return ProvidedConfiguration(document=plugin.answer)

        class Kept(Sink[SinkOptions]):
            type_name = "kept"

            @property
            def target(self):
                return Target(project=self.options.project)

            def deliver(self, datapoint, checkpoint):
                plugin.delivered.append(datapoint)
                return Receipt(status="created")

        class Slow(Strategy):
            type_name = "slow"
            needs_pixels = True

            def evaluate(self, frame, prediction):
                plugin.slow.wait(LONG_S)
                return Verdict(match=True)

        self.components = (Scripted, Kept, Slow)


@pytest.fixture
def plugin():
    plugin = Plugin()
    yield plugin
    plugin.gate.set()
    plugin.slow.set()


@pytest.fixture
def collect(tmp_path, plugin, monkeypatch, build):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("al_framework.assembly.refreshing.CLOSE_S", 0.05)

    def make(*, recent=None, name="line", sink=(), **source):
        text = {
            "name": name,
            "sinks": [{"type": "kept", **dict(sink)}],
            **(source or {"configuration": {"type": "scripted"}}),
        }
        return build(text, *plugin.components, recent=recent)

    yield make
    plugin.gate.set()
    plugin.slow.set()


def test_a_server_that_never_answers_delays_neither_start_nor_submit_nor_close(collect, plugin):
    plugin.gate.clear()
    collector = collect()
    assert plugin.asked.acquire(timeout=LONG_S)
    tickets = [collector.submit(sample_jpeg()) for _ in range(3)]
    waited = collector.wait_for_configuration(0.01)
    collector.close()  # while the question still hangs

    assert {(t.status, t.reason) for t in tickets} == {("dropped", "no_configuration")}
    assert not waited
    assert collector.stats().dropped == {"no_configuration": 3}
    assert not collector.wait_for_configuration(LONG_S)


def test_one_can_wait_for_the_first_document(collect, plugin):
    collector = collect()

    assert collector.wait_for_configuration(LONG_S)
    assert collector.submit(sample_jpeg(), wait_accepted_s=LONG_S).status == "accepted"


def test_with_a_document_in_the_file_there_is_nothing_to_wait_for(collect):
    assert collect(active_learning=document()).wait_for_configuration(0.0)


def test_a_collection_that_the_file_switches_off_looks_at_no_frame(collect):
    ticket = collect(active_learning={"enabled": False}).submit(sample_jpeg(), object())

    assert (ticket.status, ticket.reason) == (
        "not_selected",
        "active_learning.enabled is false",
    )


def test_queued_frames_keep_strategies_that_are_gone_meanwhile(collect, plugin, settle):
    slow = {"name": "slow", "type": "slow", "tags": ["slow"]}
    plugin.answer = document("old", sampling_strategies=[slow])
    collector = collect()
    assert collector.wait_for_configuration(LONG_S)
    plugin.slow.clear()
    queued = [collector.submit(sample_jpeg(seed=n), frame_id=f"q{n}") for n in range(5)]
    plugin.answer = document("new")
    collector._assembly.refresher.refresh()
    plugin.slow.set()
    last = collector.submit(sample_jpeg(seed=9), frame_id="last")
    settle(collector)
    by_name = {d.frame_id: (d.strategy, d.batch_name, d.tags) for d in plugin.delivered}

    assert {ticket.status for ticket in (*queued, last)} == {"queued"}
    assert by_name == {
        **{f"q{n}": ("slow", "old", ("old", "slow")) for n in range(5)},
        "last": ("new", "new", ("new", "tag-new")),
    }
    assert collector.stats().accepted == 6


def test_while_documents_change_every_frame_is_of_one_of_them(collect, plugin, settle):
    plugin.answer = document("a")
    collector = collect()
    assert collector.wait_for_configuration(LONG_S)
    stop = threading.Event()

    def submit():
        number = 0
        while not stop.is_set():
            number += 1
            collector.submit(
                sample_jpeg(seed=number % 8),
                frame_id=f"{threading.get_ident()}-{number}",
                wait_accepted_s=LONG_S,
            )

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(8):
        plugin.answer = document("ba"[number % 2])
        collector._assembly.refresher.refresh()
        known = collector.stats().offered
        while collector.stats().offered <= known + len(threads):  # one more than may be on the way
            stop.wait(0.001)
    stop.set()
    for thread in threads:
        thread.join(LONG_S)
    settle(collector)
    counts = collector.stats()
    seen = {(d.strategy, d.batch_name, d.tags) for d in plugin.delivered}

    assert seen == {(n, n, (n, f"tag-{n}")) for n in "ab"}
    assert counts.accepted == counts.offered == len(plugin.delivered)
    assert sum(one.paid for one in counts.strategies.values()) == counts.accepted


def test_a_crop_is_delivered_with_its_parent(collect, plugin, settle):
    collector = collect(active_learning=document())
    crop = Crop(frame_id="whole", detection_id="d", left=1, top=2, width=64, height=48)
    collector.submit(sample_jpeg(), parent=crop)
    settle(collector)

    assert [d.parent for d in plugin.delivered] == [crop]


def test_a_parent_that_is_none_is_refused(collect):
    collector = collect(active_learning=document())
    ticket = collector.submit(sample_jpeg(), frame_id="f", parent={"frame_id": "whole"})

    assert (ticket.status, ticket.reason) == (
        "invalid",
        "parent is a dict: pass an al_framework.api.Crop, or None",
    )
    assert collector.stats().dropped == {"invalid_prediction": 1}


SINKS = [
    # what the second collector delivers to, and whether that is where the first one does
    ({"project": "p", "api_key": "k"}, "sent once"),
    ({"project": "q", "api_key": "k"}, "sent twice"),
    ({"project": "p"}, "sent twice"),
    ({}, "sent twice"),
]


@pytest.mark.parametrize(("other", "expected"), SINKS)
def test_collectors_that_share_send_a_picture_once_to_each_dataset(
    collect, plugin, other, expected
):
    recent = RecentImages()
    first = collect(
        recent=recent,
        name="model",
        active_learning=document(),
        sink={"project": "p", "api_key": "k"},
    )
    second = collect(
        recent=recent, name="step", active_learning=document(tags=["other"]), sink=other
    )
    first.submit(sample_jpeg(), wait_accepted_s=LONG_S)
    ticket = second.submit(sample_jpeg(), wait_accepted_s=LONG_S)

    assert (ticket.status, ticket.reason) == {
        "sent once": ("dropped", "recently_sent"),
        "sent twice": ("accepted", ""),
    }[expected]


def test_collectors_that_do_not_share_send_what_they_get(collect):
    sink = {"project": "p"}
    collectors = [collect(name=n, active_learning=document(), sink=sink) for n in ("model", "step")]
    tickets = [c.submit(sample_jpeg(), wait_accepted_s=LONG_S) for c in collectors]

    assert [ticket.status for ticket in tickets] == ["accepted", "accepted"]


def test_a_collector_made_from_a_mapping_shares_as_well(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = {"active_learning": document(), "sinks": [{"type": "null"}]}
    recent = RecentImages()
    with (
        Collector.from_config({"name": "a", **text}, recent=recent) as first,
        Collector.from_config({"name": "b", **text}, recent=recent) as second,
    ):
        tickets = [c.submit(sample_jpeg(), wait_accepted_s=LONG_S) for c in (first, second)]

    assert [t.status for t in tickets] == ["accepted", "dropped"]


FORKED = """
import os, sys, threading
import al_framework_local, al_framework_roboflow
from al_framework import Collector
from al_framework.api import ConfigurationProvider, ProvidedConfiguration, hookimpl
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.testing import sample_jpeg

DOCUMENT = {
    "enabled": True, "persist_predictions": True,
    "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1}],
    "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
}

class Scripted(ConfigurationProvider):
    type_name = "scripted"
    parent = os.getpid()

    def fetch(self):
        if os.getpid() == self.parent:  # of which the child inherits nothing but the wait
            threading.Event().wait()
        return ProvidedConfiguration(document=DOCUMENT)

class Plugin:
    @hookimpl
    def al_register_configuration_providers(self):
        return [Scripted]

host = PluginHost.without_discovery(
    {"local": al_framework_local, "roboflow": al_framework_roboflow, "fake": Plugin()}
)
text = {"configuration": {"type": "scripted"}, "sinks": [{"type": "null"}]}
configuration = load_configuration(read_document(text), host, environ={})
collector = Collector(assemble(configuration, host))
before = collector.submit(sample_jpeg())
child = os.fork()
if child == 0:
    ready = collector.wait_for_configuration(60)
    ticket = collector.submit(sample_jpeg(), wait_accepted_s=60)
    collector.close()
    os._exit(0 if ready and ticket.status == "accepted" else 9)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
after = collector.submit(sample_jpeg())
collector.close()
sys.exit(status or {before.reason, after.reason} != {"no_configuration"})
"""


def test_the_child_of_a_fork_asks_for_itself(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
