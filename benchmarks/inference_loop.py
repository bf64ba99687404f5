"""Does a loop of 60 frames a second notice that its collector is in trouble?

A frame is a few milliseconds of Python and numpy; every sixth one is offered and taken, ten a
second. The same loop runs without a collector, with one that is well, with a sink that does not
answer, with a full disk, and with a Redis that is gone: in turns, a second at a time, in one
process. What is measured is the time from the beginning of a frame to its end.
"""

import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from al_framework import Collector
from benchmarks.frames import photograph, response
from benchmarks.handoff import SIZE, SURE, configuration
from benchmarks.latencies import Bound, Latency, percentile

PERIOD_S = 1 / 60
EVERY = 6
BASELINE = "no collector"
NO_WORSE = Bound("ratio", 1 / 1.25)


def run(*, quick: bool) -> list[Latency]:
    """Measure the loop in each of these states."""
    turns = 3 if quick else 30
    data, document = photograph(SIZE), response(SIZE, confidence=SURE)
    frame = _model()
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        enter, root = stack.enter_context, Path(directory)
        nobody = enter(closed_port())
        cases: dict[str, Callable[[], object]] = {BASELINE: lambda: None}
        for name, opened in (
            ("all is well", enter(_opened(root / "well"))),
            ("sink down", enter(_opened(root / "sink", sinks=_webhook(nobody)))),
            ("disk full", enter(_opened(root / "disk", min_free_bytes=2**60))),
            ("Redis down", enter(_opened(root / "redis", limits=_redis(nobody)))),
        ):
            cases[name] = _offering(opened, data, document)
        taken: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(turns):
            for name, offer in cases.items():
                taken[name] += _second(frame, offer)
    base = percentile(taken[BASELINE], 0.99)
    late = {name: percentile(found, 0.95) * 1e6 for name, found in taken.items()}
    return [
        Latency(
            group="a loop of 60 frames a second, ten of them offered",
            case=name,
            p50_us=percentile(found, 0.5) * 1e6,
            p99_us=(p99 := percentile(found, 0.99)) * 1e6,
            max_us=max(found) * 1e6,
            calls=len(found),
            ratio=base / p99,
            bounds=[] if name == BASELINE else [NO_WORSE],
            outputs={
                "p95": f"{late[name]:,.0f} µs, {late[name] / late[BASELINE]:.2f} x {BASELINE}"
            },
        )
        for name, found in taken.items()
    ]


@contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port of this host that nobody answers on."""
    with socket.socket() as held:  # bound and not listening: connecting is refused
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def _model() -> Callable[[], object]:
    """Return what a frame is: a few milliseconds, half of them with the interpreter held."""
    matrix = np.random.default_rng(0).random((256, 256))

    def think() -> object:
        total = 0
        for number in range(60_000):
            total += number
        return (matrix @ matrix @ matrix).sum() + total

    return think


def _second(frame: Callable[[], object], offer: Callable[[], object]) -> list[float]:
    taken, due = [], time.perf_counter()
    for number in range(round(1 / PERIOD_S)):
        start = time.perf_counter()
        frame()
        if number % EVERY == 0:
            offer()
        end = time.perf_counter()
        taken.append(end - start)
        due += PERIOD_S
        time.sleep(max(0.0, due - end))
    return taken


def _offering(opened: Collector, data: bytes, document: object) -> Callable[[], object]:
    return lambda: opened.submit(data, document)


@contextmanager
def _opened(spool: Path, *, min_free_bytes: int = 0, **others: object) -> Iterator[Collector]:
    # No disk has 2**60 bytes free, so with that it counts as full.
    given = configuration(spool, SURE, **others)
    given["spool"] = {"path": str(spool), "min_free_bytes": min_free_bytes}
    opened = Collector.from_config(given)
    try:
        yield opened
    finally:
        opened.close(1.0)


def _webhook(port: int) -> list[dict[str, object]]:
    url = f"http://127.0.0.1:{port}/"
    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # an example; nobody answers
    return [{"type": "webhook", "url": url, "secret": secret, "allow_insecure": True}]


def _redis(port: int) -> dict[str, object]:
    return {"ledger": "redis", "redis_url": f"redis://127.0.0.1:{port}/0"}
