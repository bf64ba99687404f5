"""A collector whose sink hangs and whose ring is full, told to stop by SIGTERM.

Usage: drain.py DIRECTORY DEADLINE_S; prints ``ready`` when it may be stopped, then a JSON report.
"""

import json
import signal
import sys
import threading
from pathlib import Path

from collecting import collector

from al_framework.api import Sink, Strategy, Verdict
from al_framework.testing import sample_jpeg

RING = 24
HANG_S = 60.0
OPENED = threading.Event()


class Hangs(Sink):
    """Takes a datapoint and never comes back."""

    type_name = "hangs"
    inside = 0

    def deliver(self, datapoint, checkpoint):
        type(self).inside += 1
        threading.Event().wait()


class Gated(Strategy):
    """Holds up the spool's thread until the process is told to stop, so that the ring fills."""

    type_name = "gated"
    needs_pixels = True
    seen = 0

    def evaluate(self, frame, prediction):
        type(self).seen += 1
        if type(self).seen > 1:  # one goes through, for the sink to hang on
            OPENED.wait(HANG_S)
        return Verdict(match=True)


def main(directory, deadline_s):
    strategy = {"name": "all", "type": "gated"}
    handoff = {"max_items": RING}
    one = collector(directory, Hangs, Gated, sink="hangs", strategy=strategy, handoff=handoff)
    picture = sample_jpeg()
    stopped = threading.Event()

    def stop(number, frame):
        OPENED.set()
        one.close(deadline_s)
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    tick = threading.Event()
    one.submit(picture)
    while not Hangs.inside:
        tick.wait(0.01)
    while one.submit(picture).status != "dropped":  # until the ring is full
        tick.wait(0.001)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not stopped.wait(0.05):
        pass
    counts = one.stats()
    (sink,) = counts.sinks.values()
    report = {
        "offered": counts.offered,
        "accepted": counts.accepted,
        "queued": counts.queued,
        "dropped": dict(counts.dropped),
        "pending": sink.pending,
        "left": sorted(t.name for t in threading.enumerate() if t.name != "MainThread"),
    }
    sys.stdout.write(json.dumps(report))


main(Path(sys.argv[1]), float(sys.argv[2]))
