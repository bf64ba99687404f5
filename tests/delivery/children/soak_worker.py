"""One of the processes of a soak: a collector that is offered pictures at a steady rate.

Usage: soak_worker.py DIRECTORY NAME. What to do stands in DIRECTORY/plan.json. SIGUSR1 ends the
offers, SIGTERM closes the collector; then what it counted is in DIRECTORY/NAME.end. Whatever is
reported as accepted is a line of DIRECTORY/acks: frame, digest of the picture, moment.
"""

import contextlib
import functools
import gc
import hashlib
import io
import json
import logging
import mmap
import os
import signal
import struct
import sys
import threading
import time
import tracemalloc
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

import al_framework_adapters
import al_framework_roboflow
import al_framework_webhook
from al_framework import Collector
from al_framework.assembly import assemble, building
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.clock import SteadyClock, ticks
from al_framework.pipeline.delivery import RetryRules

SIDE_PX = 160  # of a picture of noise: some 30 KB
CAMERAS = 4  # threads that each wait until a picture is safe
WAIT_S = 30.0
GROWN = 15
TICK_S = 0.05
CLOSE_S = 5.0


class Wall:
    """A wall clock that is set for all processes at once, through a file of eight bytes."""

    def __init__(self, path):
        descriptor = os.open(path, os.O_RDONLY)
        self._offset = mmap.mmap(descriptor, 8, prot=mmap.PROT_READ)
        os.close(descriptor)

    def __call__(self):
        return time.time() + struct.unpack_from("d", self._offset)[0]


def picture(name):
    """Return a picture that has no other name: a JPEG that passes through as it is."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    pixels = rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def make_collector(directory, plan):
    host = PluginHost.without_discovery(
        {
            "adapters": al_framework_adapters,
            "roboflow": al_framework_roboflow,
            "webhook": al_framework_webhook,
        }
    )
    limits = [{"type": "minutely", "value": plan["limit"]}]
    strategy = {"name": "all", "type": "random", "traffic_percentage": 1.0, "limits": limits}
    document = {
        "name": "soak",
        "active_learning": {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": [strategy],
            "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
        },
        "sinks": [
            {
                "type": "webhook",
                "url": plan["url"],
                "allow_insecure": True,
                "secret": plan["secret"],
                "timeout_s": 5.0,
            }
        ],
        "spool": {"path": str(directory / "spool"), "min_free_bytes": 0},
        "limits": plan["limits"],
    }
    # Whoever waits for longer than the server's phases last, or than all of it, misses it.
    pace, usual = plan["pace"], RetryRules()
    building.RetryRules = functools.partial(
        RetryRules,
        first_open_s=pace * usual.first_open_s,
        max_open_s=pace * usual.max_open_s,
        max_backoff_s=min(usual.max_backoff_s, plan["lasts_s"] / 4),
    )
    configuration = load_configuration(read_document(document), host, environ={})
    clock = SteadyClock(wall=Wall(directory / "clock"))
    return Collector(assemble(configuration, host, clock=clock, environ={}))


class Samples:
    """How large the process is, again and again: one line of a file for each look.

    Args:
        path: The file.
        plan: Says how often to look, and whether memory is traced.
    """

    def __init__(self, path, plan):
        self._path, self._every_s = path, plan["sample_s"]
        self._process = psutil.Process()
        self._next = 0.0
        self._warm_at = ticks() + plan["lasts_s"] / 12 if plan["traces"] else None
        self._warm = path.with_suffix(".warm")

    def look(self, counts):
        if ticks() < self._next:
            return
        self._next = ticks() + self._every_s
        gc.collect()
        line = {
            "at": ticks(),
            "rss": self._process.memory_info().rss,
            "traced": tracemalloc.get_traced_memory()[0],
            "fds": self._process.num_fds(),
            "threads": self._process.num_threads(),
            "offered": counts().offered,
        }
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self._warm_at is not None and ticks() > self._warm_at:
            self._warm_at = None
            tracemalloc.take_snapshot().dump(self._warm)

    def grown(self):
        """Return the lines of code whose memory has grown most since everything was loaded."""
        if not self._warm.exists():
            return []
        now, then = tracemalloc.take_snapshot(), tracemalloc.Snapshot.load(self._warm)
        return [str(line) for line in now.compare_to(then, "lineno")[:GROWN]]


class Orders:
    """What signals have told this process to do: plain flags, as a handler may take no lock."""

    def __init__(self):
        self.stop = self.close = False
        signal.signal(signal.SIGUSR1, self._take)
        signal.signal(signal.SIGTERM, self._take)

    def _take(self, number, _):
        self.stop = True
        self.close = self.close or number == signal.SIGTERM


def offer(collector, name, *, acks, rate_per_s, orders):
    """Offer a picture whenever it is time, until told to stop."""
    due, number = ticks(), 0
    while not orders.stop:
        frame = f"{name}.{number}"
        image = picture(frame)
        ticket = collector.submit(image, frame_id=frame, wait_accepted_s=WAIT_S)
        if ticket.status == "accepted":
            line = f"{frame} {hashlib.sha256(image).hexdigest()} {ticks()}\n"
            os.write(acks, line.encode())
        number += 1
        # What was missed within the last second is made up for.
        due = max(due + 1 / rate_per_s, ticks() - 1.0)
        time.sleep(max(0.0, due - ticks()))


def counts_of(collector):
    counts = collector.stats()
    return {
        **{name: getattr(counts, name) for name in ("offered", "not_selected", "limited")},
        "accepted": counts.accepted,
        "queued": counts.queued,
        "dropped": dict(counts.dropped),
        "sinks": {name: asdict(sink) for name, sink in counts.sinks.items()},
    }


def main(directory, name):
    """Collect until told to close."""
    directory = Path(directory)
    plan = json.loads((directory / "plan.json").read_text())
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(filename=directory / f"{name}.log", level=logging.INFO, format=form)
    if plan["traces"]:  # the best way to see a leak, and a slow one
        tracemalloc.start()
    orders = Orders()
    acks = os.open(directory / "acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    samples = Samples(directory / f"{name}.samples", plan)
    with contextlib.closing(make_collector(directory, plan)) as collector:
        cameras = [
            threading.Thread(
                target=offer,
                args=(collector, f"{name}.{number}"),
                kwargs={"acks": acks, "rate_per_s": plan["rate_per_s"] / CAMERAS, "orders": orders},
            )
            for number in range(CAMERAS)
        ]
        for camera in cameras:
            camera.start()
        while not orders.close:
            samples.look(collector.stats)
            time.sleep(TICK_S)
        for camera in cameras:
            camera.join(2 * WAIT_S)
        gc.collect()
        grown = samples.grown()
        collector.close(CLOSE_S)
        end = {**counts_of(collector), "grown": grown}
        (directory / f"{name}.end").write_text(json.dumps(end))


if __name__ == "__main__":
    main(*sys.argv[1:])
