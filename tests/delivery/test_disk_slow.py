"""A disk that takes long for each sync: groups fill up meanwhile, so it is asked once for sixteen.

SQLite syncs once more for each transaction, and there is one for each group.
"""

import io
import os
import threading
import time
from collections import Counter

import pytest
from PIL import Image

from al_framework.collector import Collector
from al_framework.pipeline import handoff
from al_framework.pipeline.spool import Spool

SYNC_S = 0.02
PICTURES = 160
HANG_S = 60.0


class SlowDisk:
    """Lets every sync take long, and counts those of the thread that writes the spool.

    The first one goes on only when all pictures are offered: those that wait are many by then.
    """

    def __init__(self, monkeypatch):
        self.all_offered = threading.Event()
        self.syncs = Counter()
        for name in ("fdatasync", "fsync"):
            monkeypatch.setattr(os, name, self._slow(name, getattr(os, name)))

    def _slow(self, name, real):
        def sync(descriptor):
            if threading.current_thread().name == "al-spool":
                assert self.all_offered.wait(HANG_S)
                self.syncs[name] += 1
            time.sleep(SYNC_S)  # this is the fault, and nothing is waited for with it
            real(descriptor)

        return sync


def picture():
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def collector(tmp_path, monkeypatch):
    # A group's age is for pictures that come slowly; a busy machine must not end one of these.
    monkeypatch.setattr(handoff, "GROUP_AGE_S", HANG_S)
    config = {
        "name": "line",
        "active_learning": {
            "enabled": True,
            "persist_predictions": False,
            "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1.0}],
            "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "daily"},
        },
        "sinks": [{"type": "directory", "path": str(tmp_path / "out")}],
        "spool": {"path": str(tmp_path / "spool"), "min_free_bytes": 0},
        "handoff": {"max_items": 2 * PICTURES},
    }
    with Collector.from_config(config) as collector:
        yield collector


def test_a_slow_disk_is_asked_once_for_sixteen_pictures(collector, monkeypatch):
    groups = []
    accept = Spool.accept
    monkeypatch.setattr(
        Spool, "accept", lambda self, group: groups.append(len(group)) or accept(self, group)
    )
    disk = SlowDisk(monkeypatch)
    image = picture()
    for _ in range(PICTURES):
        assert collector.submit(image).status == "queued"
    disk.all_offered.set()

    assert collector.flush(HANG_S)
    # What was there when the first sync began may be a group of one.
    most = 1 + PICTURES // handoff.GROUP_ITEMS
    assert sum(groups) == PICTURES
    assert len(groups) == disk.syncs["fdatasync"] <= most
    assert disk.syncs["fsync"] <= most + 2  # the directory of the group, and once that of the hour
    counts = collector.stats()
    assert (PICTURES, PICTURES, {}) == (counts.offered, counts.accepted, dict(counts.dropped))
