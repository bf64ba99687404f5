"""Ten times more frames than can be stored: memory is bounded, every frame accounted for."""

import threading
import time
from collections import Counter

import numpy as np
import psutil
import pytest

import al_framework_adapters
import al_framework_roboflow
from al_framework import Collector
from al_framework.api import Receipt, Sink
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.testing import make_host

MIB = 1 << 20
RING_BYTES = 64 * MIB
LONG_S = 60.0
SLACK_BYTES = 64 * MIB


@pytest.fixture
def delivered():
    """Return the names of what was delivered, in order."""
    return []


@pytest.fixture
def collect(tmp_path, delivered):
    """Make collectors with one delivery worker, so that the order can be told."""
    made = []

    class Noting(Sink):
        type_name = "noting"

        def deliver(self, datapoint, checkpoint):
            delivered.append(datapoint.frame_id)
            return Receipt(status="created")

    def make(**handoff):
        host = make_host(Noting, adapters=al_framework_adapters, roboflow=al_framework_roboflow)
        document = {
            "name": "overload",
            "active_learning": {
                "enabled": True,
                "persist_predictions": True,
                "sampling_strategies": [
                    {"name": "all", "type": "random", "traffic_percentage": 1.0}
                ],
                "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
            },
            "sinks": [{"type": "noting"}],
            "spool": {"path": str(tmp_path / "spool"), "min_free_bytes": 0},
            "handoff": {"max_bytes": RING_BYTES, **handoff},
            "delivery": {"workers": 1},
        }
        configuration = load_configuration(read_document(document), host, environ={})
        made.append(Collector(assemble(configuration, host, environ={})))
        return made[-1]

    yield make
    for collector in made:
        collector.close()


def check_sums(counts):
    ends = counts.not_selected + counts.limited + counts.accepted + counts.queued
    assert counts.offered == ends + sum(counts.dropped.values())
    for sink in counts.sinks.values():
        ended = sink.delivered + sink.pending + sink.dead + sink.evicted
        assert sink.accepted + sink.recovered == ended


@pytest.mark.parametrize("when_full", ["reject_new", "drop_oldest"])
def test_ten_times_too_much_is_bounded_and_accounted_for(collect, delivered, size, when_full):
    """A picture of 1920x1080 is handed over in a fraction of the time that storing it takes."""
    collector = collect(when_full=when_full)
    wanted = size.pick(ci=40, full=600, soak=18_000)
    pixels = np.zeros((1080, 1920, 3), dtype=np.uint8)
    for n in range(20):  # what is loaded once: Pillow, SQLite, threads
        collector.submit(pixels, frame_id=f"warm-{n}")
    assert collector.flush(LONG_S)
    before = collector.stats()
    process, most = psutil.Process(), 0
    baseline = process.memory_info().rss
    tickets: Counter[str] = Counter()
    queued, end = [], time.monotonic() + size.pick(ci=30, full=600, soak=7200)
    while collector._engine.tally.counts({}).accepted < before.accepted + wanted:
        ticket = collector.submit(pixels, frame_id=str(tickets.total()))
        tickets[ticket.reason or ticket.status] += 1
        if ticket.status == "queued":
            queued.append(ticket.frame_id)
        if tickets.total() % 64 == 0:
            most = max(most, process.memory_info().rss)
            time.sleep(0.0001)  # as a model that works in C lets go of the interpreter
        assert collector._handoff.queued_bytes <= RING_BYTES
        assert time.monotonic() < end, tickets
    assert collector.flush(LONG_S)
    assert collector._assembly.delivery.drain(LONG_S)
    counts = collector.stats()
    accepted = counts.accepted - before.accepted

    check_sums(counts)
    assert most <= baseline + RING_BYTES + SLACK_BYTES
    assert tickets.total() == counts.offered - before.offered
    assert tickets.total() >= 10 * accepted
    assert set(counts.dropped) == {"ring_full"}
    assert accepted + counts.dropped["ring_full"] == tickets.total() + before.dropped.get(
        "ring_full", 0
    )
    sink = counts.sinks["noting"]
    assert (sink.delivered, sink.pending, sink.dead) == (counts.accepted, 0, 0)
    names = [name for name in delivered if not name.startswith("warm")]
    if when_full == "reject_new":
        assert names == queued  # all that were queued, the oldest first
    else:
        assert names == sorted(names, key=int)
        assert set(names) <= set(queued)


def test_eight_threads_and_a_small_ring_add_up_exactly(collect, size):
    collector = collect(max_items=4)
    pixels = np.zeros((48, 64, 3), dtype=np.uint8)
    tickets: Counter[str] = Counter()
    lock = threading.Lock()

    def work(thread):
        mine = Counter(
            (ticket := collector.submit(pixels, frame_id=f"{thread}-{n}")).reason or ticket.status
            for n in range(size.pick(ci=300, full=3000, soak=100_000))
        )
        with lock:
            tickets.update(mine)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(size.pick(ci=60, full=600, soak=7200))
    assert collector.flush(LONG_S)
    counts = collector.stats()

    check_sums(counts)
    assert counts.offered == tickets.total()
    assert counts.accepted == tickets["queued"]
    assert dict(counts.dropped) == {"ring_full": tickets["ring_full"]}


def test_an_offline_job_that_may_be_blocked_loses_nothing(collect, size):
    collector = collect(when_full="block", max_items=2)
    pixels = np.zeros((48, 64, 3), dtype=np.uint8)
    wanted = size.pick(ci=100, full=1000, soak=20_000)
    statuses = Counter(collector.submit(pixels).status for _ in range(wanted))
    assert collector.flush(LONG_S)

    assert statuses == {"queued": wanted}
    assert collector.stats().accepted == wanted
