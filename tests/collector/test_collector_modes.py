"""How frames are handed over: what the ring does when it is full, inline delivery, asyncio."""

import asyncio
import functools
import json
import math
import threading
import time
from typing import Any

import pytest

from al_framework import Collector
from al_framework.api import (
    ConfigurationProvider,
    PermanentSinkError,
    ProvidedConfiguration,
    SpoolError,
    TransientSinkError,
)
from al_framework.testing import sample_jpeg

LONG_S = 60.0
GATED = {"name": "gated", "type": "gated"}


@pytest.fixture
def collect(collect):
    """The collectors here deliver to the plugin's sink."""
    return functools.partial(collect, sinks=[{"type": "flaky"}])


def test_inline_a_frame_is_delivered_when_submit_returns_and_no_thread_is_left(
    collect, plugin, monkeypatch
):
    started, start = [], threading.Thread.start

    def note(thread):
        started.append(thread)
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", note)
        collector = collect(delivery="inline")
        ticket = collector.submit(sample_jpeg(), frame_id="f")
        counts = collector.stats()

        assert ("accepted", "") == (ticket.status, ticket.reason)
        assert [("f", "al-inline")] == plugin.delivered
        assert (1, 0) == (counts.sinks["flaky"].delivered, counts.queued)
        assert collector.flush(0.0)
        assert [("al-inline", False)] == [(thread.name, thread.is_alive()) for thread in started]

    collector.close()

    assert "shutdown" == collector.submit(sample_jpeg()).reason


def test_inline_a_sink_that_hangs_holds_nobody_beyond_the_time(collect, plugin):
    plugin.hang = threading.Event()
    collector = collect(delivery="inline", timeout_s=0.2)
    started = time.monotonic()
    ticket = collector.submit(sample_jpeg(), frame_id="f")
    held_s = time.monotonic() - started
    started = time.monotonic()
    collector.close(deadline_s=0.2)
    closed_s = time.monotonic() - started
    plugin.hang.set()

    assert ("accepted", "safe in the spool, and still to be delivered") == (
        ticket.status,
        ticket.reason,
    )
    assert held_s < 5.0
    assert closed_s < 5.0
    assert [] == plugin.delivered


def test_inline_what_waits_at_a_sink_that_hangs_does_not_hold_up_the_end(collect, plugin):
    plugin.errors = [TransientSinkError("busy")]
    collector = collect(delivery="inline", timeout_s=0.0)
    assert collector.submit(sample_jpeg()).status == "accepted"
    plugin.hang = threading.Event()
    started = time.monotonic()
    collector.close(deadline_s=0.3)
    closed_s = time.monotonic() - started
    plugin.hang.set()

    assert closed_s < 5.0


def test_inline_a_sink_that_recovers_within_the_time_has_the_frame(collect, plugin):
    plugin.errors = [TransientSinkError("away for a moment", retry_after_s=0.05)]
    ticket = collect(delivery="inline").submit(sample_jpeg(), frame_id="f")

    assert ("accepted", "") == (ticket.status, ticket.reason)
    assert ["f"] == plugin.names


def test_inline_what_is_not_delivered_in_time_is_safe_and_delivered_later(collect, plugin):
    plugin.errors = [TransientSinkError("the line is dead", retry_after_s=600.0)]
    collector = collect(delivery="inline", timeout_s=0.2)
    ticket = collector.submit(sample_jpeg(), frame_id="f")

    assert "accepted" == ticket.status
    assert ticket.reason.startswith("safe in the spool, and still to be delivered")
    assert 1 == collector.stats().sinks["flaky"].pending


def test_inline_a_frame_that_a_sink_refuses_for_good_is_a_dead_letter(collect, plugin):
    plugin.errors = [PermanentSinkError("no such thing")]
    collector = collect(delivery="inline")
    ticket = collector.submit(sample_jpeg(), frame_id="f")

    assert "accepted" == ticket.status
    assert (1, 0) == (
        collector.stats().sinks["flaky"].dead,
        collector.stats().sinks["flaky"].pending,
    )


def test_inline_the_document_is_asked_for_on_the_calling_thread(collect, active_learning):
    asked = []

    class Own(ConfigurationProvider):
        type_name = "own"

        def fetch(self):
            asked.append(threading.current_thread().name)
            return ProvidedConfiguration(document=active_learning())

    collector = collect(delivery="inline", configuration={"type": "own"}, components=(Own,))
    ticket = collector.submit(sample_jpeg(), frame_id="f")

    assert "accepted" == ticket.status
    assert [threading.current_thread().name] == asked


def test_inline_is_chosen_with_the_configuration(tmp_path, monkeypatch, document):
    monkeypatch.chdir(tmp_path)
    given = document(sinks=[{"type": "null"}])
    (tmp_path / "al.json").write_text(json.dumps(given))
    with Collector.from_config("al.json", delivery="inline", inline_timeout_s=5) as collector:
        ticket = collector.submit(sample_jpeg())

    assert ("accepted", "") == (ticket.status, ticket.reason)


def test_another_way_of_delivery_is_refused():
    given: dict[str, Any] = {"delivery": "sometimes"}
    with pytest.raises(
        ValueError, match="delivery is 'sometimes': choose 'background' or 'inline'"
    ):
        Collector.from_config({}, **given)


@pytest.mark.parametrize(
    ("when_full", "last", "kept"),
    [("reject_new", "dropped", ["0", "1"]), ("drop_oldest", "queued", ["0", "3"])],
)
def test_the_configuration_says_what_a_full_ring_does(collect, plugin, when_full, last, kept):
    plugin.gate.clear()
    collector = collect(GATED, handoff={"max_items": 1, "when_full": when_full})
    collector.submit(sample_jpeg(), frame_id="0")
    while collector.health().queued_items:  # its thread has taken the first one
        pass
    tickets = [collector.submit(sample_jpeg(seed=n), frame_id=str(n)) for n in range(1, 4)]
    plugin.gate.set()
    assert collector.flush(LONG_S)
    collector.close(LONG_S)

    assert last == tickets[-1].status
    assert kept == sorted(plugin.names)
    assert {"ring_full": 2} == collector.stats().dropped


def test_a_blocked_caller_is_dropped_when_its_time_is_up(collect, plugin):
    handoff = {"max_items": 1, "when_full": "block", "block_s": 0.02}
    plugin.gate.clear()
    collector = collect(GATED, handoff=handoff)
    statuses = [collector.submit(sample_jpeg(seed=n)).reason for n in range(4)]
    plugin.gate.set()

    assert "ring_full" == statuses[-1]


def test_health_tells_what_waits_in_memory(collect, plugin):
    plugin.gate.clear()
    collector = collect(GATED)
    for n in range(3):
        collector.submit(sample_jpeg(), frame_id=str(n))
    while collector.health().queued_items > 2:
        pass
    health = collector.health()
    plugin.gate.set()
    assert collector.flush(LONG_S)

    assert (2, 2 * len(sample_jpeg())) == (health.queued_items, health.queued_bytes)
    assert health.spool is not None
    assert ["flaky"] == list(health.sinks)
    assert 0 == collector.health().queued_bytes


def test_asyncio_is_not_held_up(collect, plugin):
    plugin.gate.clear()
    collector = collect(GATED)

    async def work():
        first = await collector.asubmit(sample_jpeg(), frame_id="first")
        waiting = asyncio.create_task(
            collector.asubmit(sample_jpeg(), frame_id="second", wait_accepted_s=LONG_S)
        )
        await asyncio.sleep(0)
        plugin.gate.set()  # else it would wait for as long as it may
        return first, await waiting

    first, second = asyncio.run(work())

    assert ["queued", "accepted"] == [first.status, second.status]


def test_asyncio_waits_for_inline_delivery_on_another_thread(collect, plugin):
    collector = collect(delivery="inline")
    ticket = asyncio.run(collector.asubmit(sample_jpeg(), frame_id="f"))
    [(name, thread)] = plugin.delivered

    assert ("accepted", "f") == (ticket.status, name)
    assert threading.current_thread().name != thread


def own_threads(before):
    return sorted({thread.name for thread in set(threading.enumerate()) - before})


@pytest.mark.parametrize("place", ["refresher", "drain", "ring"])
@pytest.mark.parametrize(
    "error", [SpoolError("unable to open"), RuntimeError("bug"), KeyboardInterrupt()]
)
def test_an_end_that_is_cut_short_leaves_no_thread_and_no_lead(
    collect, caplog, monkeypatch, place, error
):
    def fail(*_):
        raise error

    before = set(threading.enumerate())
    collector = collect()
    assert collector.submit(sample_jpeg(), wait_accepted_s=LONG_S).status == "accepted"
    assembly = collector._assembly
    if place == "drain":
        monkeypatch.setattr(assembly.delivery, "drain", fail)
    elif place == "refresher":
        assembly.refresher = type("Refresher", (), {"close": fail, "skipped": 0})()
    else:
        close = collector._handoff.close
        monkeypatch.setattr(collector._handoff, "close", lambda s: (close(s), fail()))
    if place == "ring" or isinstance(error, KeyboardInterrupt):
        with pytest.raises(type(error)):
            collector.close(LONG_S)
    else:
        collector.close(LONG_S)
        assert f"the collector could not be closed properly: {error}" in caplog.messages

    assert own_threads(before) == []
    assert not assembly.delivery._lead.holds
    again = collect()
    assert again.submit(sample_jpeg(), wait_accepted_s=LONG_S).status == "accepted"


def test_limits_that_cannot_be_looked_up_are_told_of_once_and_stop_nothing(collect, caplog):
    collector = collect()
    moments = []

    def fail(now):
        moments.append(now)
        raise MemoryError("no room")

    collector._engine.ledger.refresh = fail
    while len(moments) < 3:
        assert collector._handoff.alive
        threading.Event().wait(0.002)

    assert collector.submit(sample_jpeg(), wait_accepted_s=LONG_S).status == "accepted"
    text = "what is left of the limits cannot be looked up: MemoryError('no room')"
    assert caplog.messages.count(text) == 1


@pytest.mark.parametrize("timeout", [-1, -0.5, math.nan, "5"])
def test_a_time_that_is_none_is_refused_before_anything_starts(timeout):
    given: Any = timeout
    with pytest.raises(ValueError, match=r"inline_timeout_s is .*: pass seconds, 0 or more, such"):
        Collector.from_config("missing.yaml", delivery="inline", inline_timeout_s=given)
