"""A process that collects while the clock of its machine is set, for which libfaketime stands in.

Usage: faked_time.py DIRECTORY NAME LIMIT. Ten times a second it offers a picture, until SIGTERM;
LIMIT are taken a minute. Each answer is a line of DIRECTORY/offers, each attempt to deliver one of
DIRECTORY/deliveries. Until DIRECTORY/open is there, the sink keeps most of what it is given.
"""

import contextlib
import itertools
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from collecting import ALL, collector

from al_framework.api import Receipt, Sink, TransientSinkError
from al_framework.pipeline.clock import ticks
from al_framework.testing import sample_jpeg

OFFER_EVERY_S = 0.1
LOOK_EVERY_S = 0.05
RETRY_S = 0.3
TRUSTED = 2  # deliveries; then there are several at a time
DRAIN_S = 60.0


class Log:
    """A file of lines of JSON, each with the wall's time and the ticks; one write a line."""

    def __init__(self, path):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, **values):
        line = {**values, "wall": time.time(), "tick": ticks(), "process": os.getpid()}
        os.write(self._file, json.dumps(line).encode() + b"\n")


class Door(Sink):
    """Lets some through, so that it is trusted; then one fails, and the others wait for it."""

    type_name = "door"
    directory = Path()
    log = None
    numbers = itertools.count(1)  # several threads ask

    def deliver(self, datapoint, checkpoint):
        number, door = next(self.numbers), self.directory / "open"
        words = {"frame": datapoint.frame_id, "decided_at": datapoint.decided_at}
        if number == TRUSTED + 1:
            self.log.add(what="failed", **words)
            raise TransientSinkError("sink 'door': closed", retry_after_s=RETRY_S)
        self.log.add(what="begun", **words)
        while number > TRUSTED and not door.exists():
            threading.Event().wait(LOOK_EVERY_S)
        self.log.add(what="stored", **words)
        return Receipt(status="created")


def main(directory, name, limit):
    directory = Path(directory)
    Door.directory, Door.log = directory, Log(directory / "deliveries")
    offers = Log(directory / "offers")
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    limits = [{"type": "minutely", "value": int(limit)}]
    one = collector(directory / "spool", Door, sink="door", strategy={**ALL, "limits": limits})
    picture, number = sample_jpeg(), 0
    with contextlib.closing(one):
        while not stopped.wait(OFFER_EVERY_S):
            frame = f"{name}-{number}"
            asked_at = time.time()
            ticket = one.submit(picture, frame_id=frame, wait_accepted_s=DRAIN_S)
            offers.add(frame=frame, status=ticket.status, asked_at=asked_at)
            number += 1
        one.close(DRAIN_S)
        sinks = one.stats().sinks
        sys.stdout.write(json.dumps({"pending": sinks["door"].pending, "dead": sinks["door"].dead}))


main(*sys.argv[1:])
