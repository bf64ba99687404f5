"""What does the model's thread pay for handing a frame over, while another holds the interpreter?

The hand-off is `Collector.submit` without the adapter, the strategies, and the copies of picture
and prediction: these have done their work beforehand and answer at once. Beside it, in the same run
and in turns, stands what upstream does: ``queue.Queue(512).put_nowait`` with a thread waiting on
the other side.
"""

import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from al_framework import Collector
from al_framework.api import Frame, Image
from al_framework.pipeline.offers import Offer
from al_framework.pipeline.snapshot import keep_copies
from benchmarks.latencies import Latency, measure_latencies
from benchmarks.rejected_frame import photograph, response

SIZE = (1920, 1080)
THINK_S = 0.001
TAKEN, NOT_TAKEN = 0.9, 0.4  # thresholds, where all detections are sure by 0.9
QUEUE = "queue.Queue(512).put_nowait"


def run(*, quick: bool) -> list[Latency]:
    """Measure frames that are taken and frames that are not, as JPEG and as an array."""
    calls = 300 if quick else 5000
    data = photograph(SIZE)
    pixels = np.zeros((SIZE[1], SIZE[0], 3), dtype=np.uint8)
    document = response(SIZE)
    rows: list[Latency] = []
    for who, busy in (("while another thread is busy", True), ("alone", False)):
        with ExitStack() as stack:
            enter = stack.enter_context
            cases: dict[str, Callable[[], object]] = {
                QUEUE: partial(enter(waiting_queue()), data),
                "ring alone": (bare := Bare(enter(collector(TAKEN)), data, document)).put,
                "hand-off, JPEG, taken": bare,
                "hand-off, array, taken": Bare(enter(collector(TAKEN)), pixels, document),
                "hand-off, not taken": Bare(enter(collector(NOT_TAKEN)), data, document),
            }
            enter(spinning(busy))
            group = f"hand-off, {who}"
            rows += measure_latencies(group, cases, reference=QUEUE, calls=calls, between=think)
        with ExitStack() as stack:
            enter = stack.enter_context
            yes, no = enter(collector(TAKEN)).submit, enter(collector(NOT_TAKEN)).submit
            cases = {
                QUEUE: partial(enter(waiting_queue()), data),
                "submit, JPEG, taken": partial(yes, data, document),
                "submit, array, taken": partial(yes, pixels, document),
                "submit, not taken": partial(no, data, document),
            }
            enter(spinning(busy))
            group = f"submit as a whole, storing and delivering behind it, {who}"
            some = calls // 5
            rows += measure_latencies(group, cases, reference=QUEUE, calls=some, between=think)
    return rows


def think() -> None:
    """Do what the model's thread does between two frames: a millisecond of Python."""
    until = time.perf_counter() + THINK_S
    while time.perf_counter() < until:
        pass


class Bare:
    """A collector whose adapter, strategies and copies have done their work beforehand.

    What is left of `submit` is the hand-off.
    """

    def __init__(self, opened: Collector, image: Any, document: object) -> None:
        self._submit = opened.submit
        self._image = image
        self._tally = opened._engine.tally  # noqa: SLF001 - replaced within: subtracting would be guessing
        engine: Any = opened._engine  # noqa: SLF001 - as above
        frame = Frame(frame_id="frame", image=Image(image))
        [(_, prediction)] = engine._adaptation.read(document, frame, None)  # noqa: SLF001 - as above
        verdicts = engine.plan.sampler.evaluate(frame, prediction, pixels=False)
        kept = keep_copies(frame, prediction)
        engine._adaptation.read = lambda _, frame, __: ((frame, prediction),)  # noqa: SLF001 - as above
        engine.plan.sampler.evaluate = lambda *_, **__: verdicts
        handoff: Any = opened._handoff  # noqa: SLF001 - as above
        full = handoff._full  # noqa: SLF001 - as above
        # Nor does the other side do more than take it out: storing has benchmarks of its own.
        engine.prepare = lambda _: engine.tally.drop("benchmark") or Offer(status="dropped")
        handoff.keep = lambda frame, _: full(frame) or kept
        [offer] = engine.offer(frame, document)
        if offer.pending is not None:
            engine.tally.drop("benchmark")
        self._put = partial(handoff.put, offer.pending, wait_accepted_s=None)

    def put(self) -> None:
        """Do what is beside ``put_nowait``: pass the frame to the other side, and no more."""
        self._tally.offer()
        self._put()

    def __call__(self) -> None:
        """Hand a frame over."""
        self._submit(self._image)


@contextmanager
def collector(threshold: float) -> Iterator[Collector]:
    """Yield a collector that takes detections about as sure as `threshold`."""
    with tempfile.TemporaryDirectory() as directory:
        strategy = {
            "name": "hard_examples",
            "type": "close_to_threshold",
            "threshold": threshold,
            "epsilon": 0.05,
            "probability": 1.0,
        }
        configuration = {
            "name": "benchmark",
            "adapter": {"type": "roboflow_response"},
            "active_learning": {
                "enabled": True,
                "persist_predictions": True,
                "sampling_strategies": [strategy],
                "batching_strategy": {
                    "batches_name_prefix": "benchmark",
                    "recreation_interval": "never",
                },
            },
            "sinks": [{"type": "null"}],
            "spool": {"path": str(Path(directory) / "spool")},
        }
        with Collector.from_config(configuration) as opened:
            yield opened


@contextmanager
def waiting_queue() -> Iterator[Callable[[object], None]]:
    """Yield upstream's way: a queue that a thread waits on."""
    waiting: queue.Queue[object] = queue.Queue(512)

    def take() -> None:
        while waiting.get() is not None:
            pass

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    yield waiting.put_nowait
    waiting.put(None)
    taker.join()


@contextmanager
def spinning(busy: bool) -> Iterator[None]:
    """Let another thread hold the interpreter all the while, as a model's Python does."""
    over = False

    def spin() -> None:
        while not over:
            pass

    thread = threading.Thread(target=spin, daemon=True)
    if busy:
        thread.start()
    try:
        yield
    finally:
        over = True
        if busy:
            thread.join()
