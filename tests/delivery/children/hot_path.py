"""Submit frames, and say which locks, events and audited calls the submitting thread came upon.

Run as ``hot_path.py DIRECTORY KIND [marked]``. KIND is ``taken``, ``not_taken``, ``limited`` or
``full``. `threading` is replaced before anything of ours is imported, so no lock of ours escapes;
not where it is ``marked``: then a system call that nobody else makes stands before and after.
"""

import functools
import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path

WARM_UP = 20
CALLS = 200
watched: dict[str, object] = {"on": False}
seen: Counter[str] = Counter()


def is_watched() -> bool:
    return watched["on"] is True and threading.get_ident() == threading.main_thread().ident


class Watched:
    """A lock that tells when the submitting thread makes or takes it."""

    def __init__(self, inner):
        if is_watched():
            seen["made a lock"] += 1
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def acquire(self, *arguments, **keywords):
        if is_watched():
            seen["took a lock"] += 1
        return self._inner.acquire(*arguments, **keywords)

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *error):
        self._inner.release()


def watch_locks(name):
    make = getattr(threading, name)
    setattr(threading, name, lambda: Watched(make()))


def watch_method(kind, name):
    """Classes stay what they are, since annotations name them; their methods tell."""
    plain = getattr(kind, name)

    @functools.wraps(plain)
    def told(*arguments, **keywords):
        if is_watched():
            seen[f"{kind.__name__}.{name}"] += 1
        return plain(*arguments, **keywords)

    setattr(kind, name, told)


MARKED = sys.argv[3:] == ["marked"]
if not MARKED:
    for kind in (threading.Condition, threading.Event, threading.Semaphore):
        for method in ("__init__", "acquire", "notify", "notify_all", "release", "set", "wait"):
            if method in vars(kind):
                watch_method(kind, method)
    watch_method(threading.Thread, "start")
    watch_locks("Lock")
    watch_locks("RLock")


def audit(event, arguments):
    if is_watched():
        seen[f"audited {event}"] += 1


def mark():
    os.getpgid(0)


def control():
    """Do what `submit` must not, and return what is seen of it."""
    seen.clear()
    watched["on"] = True
    lock = threading.Lock()
    with lock:
        threading.Event().set()
        os.close(os.open(os.devnull, os.O_RDONLY))
    watched["on"] = False
    return dict(seen)


def main():
    directory, kind = sys.argv[1:3]
    import numpy as np

    from al_framework import Collector
    from al_framework.testing import sample_detections, sample_jpeg

    strategy = {
        "name": "all",
        "type": "random",
        "traffic_percentage": 0.0 if kind == "not_taken" else 1.0,
    }
    if kind == "limited":
        strategy["limits"] = [{"type": "daily", "value": WARM_UP // 2}]
    collector = Collector.from_config(
        {
            "name": "hot",
            "active_learning": {
                "enabled": True,
                "persist_predictions": True,
                "sampling_strategies": [strategy],
                "batching_strategy": {
                    "batches_name_prefix": "hot",
                    "recreation_interval": "never",
                },
            },
            "sinks": [{"type": "null"}],
            "spool": {"path": directory, "min_free_bytes": 0},
            "handoff": {"max_items": 8 if kind == "full" else 10_000},
        }
    )
    array = np.zeros((48, 64, 3), dtype=np.uint8)
    path = Path(f"{directory}.jpg")
    path.write_bytes(sample_jpeg())
    images = [sample_jpeg(), array, path]
    prediction = sample_detections(3)
    for n in range(WARM_UP):  # the first calls of a thread may take a lock, and import
        collector.submit(images[n % len(images)], prediction)
    collector.flush(60.0)
    if kind == "full":  # its thread is held up in the middle of a group
        gate = threading.Event()
        collector._engine.prepare = lambda _: gate.wait(60.0)
        while collector.submit(images[0], prediction).reason != "ring_full":
            time.sleep(0.001)
    if not MARKED:
        sys.addaudithook(audit)
    statuses: Counter[str] = Counter()
    mark()
    for n in range(CALLS):
        watched["on"] = not MARKED
        ticket = collector.submit(images[n % len(images)], prediction)
        watched["on"] = False
        statuses[ticket.reason or ticket.status] += 1
    mark()
    told = {"seen": dict(seen), "statuses": statuses, "control": control()}
    print(json.dumps(told), flush=True)  # noqa: T201 - what the parent reads
    os._exit(0)  # nothing here is worth closing


if __name__ == "__main__":
    main()
