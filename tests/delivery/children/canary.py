"""Runs the product through failures with secrets in every place, and prints all that it can.

Usage: ``canary.py SCENARIO``, in a directory with the configurations; see ``test_canary.py``.
"""

import faulthandler
import json
import logging
import os
import signal
import sys
import time
import traceback
from dataclasses import asdict

from prometheus_client import CollectorRegistry, generate_latest

from al_framework import Collector
from al_framework.api import AlFrameworkError, Classification
from al_framework.metrics import collector_metrics
from al_framework.testing.fakes import sample_jpeg

HANG_S = 30.0


class Everything(logging.Formatter):
    """Prints the variables of every frame, as cgitb, rich and error trackers do."""

    def formatException(self, ei):  # noqa: N802 - logging's own name
        text = traceback.TracebackException(*ei, capture_locals=True, compact=False)
        return "".join(text.format())


def say(*things):
    sys.stdout.write(f"{' '.join(map(str, things))}\n")


def print_error(exc):
    """Print an error with its variables, then whatever hangs on it, suppressed or not."""
    sys.stderr.write(
        "".join(traceback.TracebackException.from_exception(exc, capture_locals=True).format())
    )
    waiting = [exc]
    while waiting:
        one = waiting.pop()
        if one is not None:
            sys.stderr.write(f"{one!r} {one.args!r} {vars(one)!r}\n")
            waiting += [one.__cause__, one.__context__]


def until(happened):
    deadline = time.monotonic() + HANG_S
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)


def sinks_of(collector):
    return collector.stats().sinks.values()


def use(name):
    """Collect while everything fails, and print what a program can learn of it."""
    import numpy as np

    with Collector.from_config(name) as collector:
        say(repr(collector), repr(vars(collector)))
        registry = CollectorRegistry()
        registry.register(collector_metrics(collector))
        for number in range(12):
            prediction = Classification(
                class_name=("a",), confidence=np.array([0.5]), image_size=(64, 48), top="a"
            )
            say(collector.submit(sample_jpeg(64, 48, seed=number), prediction))
        say(collector.submit(b"no picture", wait_accepted_s=1.0))
        collector.flush(10.0)
        sinks = collector.stats().sinks
        if collector.stats().accepted:
            until(lambda: all(one.trouble or one.delivered for one in sinks_of(collector)))
        say(generate_latest(registry).decode())
        say(json.dumps(asdict(collector.stats())), sinks)
        say(json.dumps(asdict(collector.health()), default=repr))
        if name == "crash.yaml":
            faulthandler.dump_traceback(file=sys.stdout)
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        collector.close(1.0)


def main(name):
    """Run one configuration."""
    handler = logging.StreamHandler()
    handler.setFormatter(Everything("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG, handlers=[handler, logging.FileHandler(f"{name}.log")])
    try:
        use(name)
    except AlFrameworkError as exc:
        print_error(exc)


if __name__ == "__main__":
    main(sys.argv[1])
