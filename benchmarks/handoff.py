"""What does the model's thread pay for handing a frame over, while another holds the interpreter?

The hand-off is `Collector.submit` without the adapter (which reads and checks a prediction), the
strategies and the copies. It is measured twice: by itself, where these have done their work before
and answer at once; and within submit, where they do it as ever, and a watch around each of them
tells what to subtract: there it finds the processor's caches full of their data. What the copy of
the prediction costs is shown apart. Beside it, in the same run and in turns, stands what upstream
does: ``queue.Queue(512).put_nowait`` with a thread waiting on the other side.
"""

import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeAlias

from al_framework import Collector
from al_framework.api import Frame, Image, Ticket, image
from al_framework.pipeline import snapshot
from al_framework.pipeline.offers import Ended
from benchmarks.company import neighbours, spinning
from benchmarks.frames import photograph, pixels, response
from benchmarks.latencies import (
    Bound,
    Latency,
    Timed,
    measure_latencies,
    measure_timed,
    outside,
    percentile,
)

# Pictures with their predictions, by the name of the row.
Offered: TypeAlias = Mapping[str, tuple[Any, object]]

SIZE = (1920, 1080)
THINK_STEPS = 25_000  # a millisecond on a processor of 2023
# The first calls after another case find the caches cold; so long, they are no hundredth of all.
BLOCK = 1000
MOST_WAITING = 48  # of the ring's 64; the other side comes every 20 ms, so there are fewer
_ROOM = {"max_bytes": 1 << 30}  # for as many arrays
SURE, UNSURE = 0.9, 0.4  # the strategy takes frames whose detections are about as sure as `SURE`
QUEUE = "queue.Queue(512).put_nowait"
BOUNDS = (Bound("p50", 5.0), Bound("p99", 50.0))  # where the machine is not overloaded
AFTER, OTHERWISE = "right after the other side's turn", "otherwise"
BETTER = Bound("ratio", 20.0)  # where it is: there a thread that is woken takes the processor


class Setting(NamedTuple):
    """How the machine is kept busy meanwhile, and how many calls each case gets."""

    who: str
    spinning: bool
    neighbours: int
    calls: int


def run(*, quick: bool) -> list[Latency]:
    """Measure frames that are taken and frames that are not, as JPEG and as an array."""
    most, some = (400, 400) if quick else (10_000, 2_000)
    data, array = photograph(SIZE), pixels(SIZE)
    wanted, unwanted = response(SIZE, confidence=SURE), response(SIZE, confidence=UNSURE)
    offered: Offered = {
        "JPEG, taken": (data, wanted),
        "array, taken": (array, wanted),
        "not taken": (data, unwanted),
    }
    rows: list[Latency] = []
    for setting in (
        Setting("while another thread is busy", True, 0, most),
        Setting("on a machine with more work than processors", False, 2, some),
        Setting("alone", False, 0, some),
    ):
        # Each with one collector, as a program has it: others' threads would want the interpreter.
        with collector(SURE) as opened:
            bare = Bare(opened, data, wanted, unwanted)
            rows += _beside_a_queue(f"hand-off, {setting.who}", bare, offered, setting)
        with collector(SURE) as opened:
            parts = Parts(opened)
            with parts.watched():
                group = f"hand-off within submit, {setting.who}"
                rows += _beside_a_queue(group, parts, offered, setting)
        if not setting.neighbours:
            rows += _by_turn(data, wanted, setting)
            rows += _as_a_whole(offered, setting._replace(calls=some))
    return rows


def _beside_a_queue(
    group: str, opened: "Bare | Parts", offered: Offered, setting: Setting
) -> list[Latency]:
    """Measure hand-offs that time themselves, and a queue."""
    calls = setting.calls
    with (
        WaitingQueue() as waiting,
        neighbours(setting.neighbours * (os.cpu_count() or 1)),
        spinning(setting.spinning),
    ):
        put = outside(QUEUE, partial(waiting.put, offered["JPEG, taken"][0]))
        timed: list[tuple[Timed, Callable[[], object]]] = [(put, waiting.think)]
        timed += [(partial(opened, name, *frame), opened.think) for name, frame in offered.items()]
        found = measure_timed(group, timed, reference=QUEUE, calls=calls, block=min(BLOCK, calls))
    bounds = (BETTER,) if setting.neighbours else BOUNDS
    return [replace(row, bounds=bounds if row.case in offered else ()) for row in found]


def _by_turn(data: bytes, wanted: object, setting: Setting) -> list[Latency]:
    """Tell the calls right after the other side's turn from the others."""
    with collector(SURE) as opened, spinning(setting.spinning):
        bare = Bare(opened, data, wanted)
        group = f"the hand-off of a JPEG that is taken, {setting.who}"
        timed = [(partial(bare.by_turn, data, wanted), bare.think)]
        return measure_timed(group, timed, reference=OTHERWISE, calls=setting.calls)


def _as_a_whole(offered: Offered, setting: Setting) -> list[Latency]:
    """Measure all of `submit`, while frames are stored and delivered."""
    with (
        collector(SURE) as opened,
        WaitingQueue() as waiting,
        spinning(setting.spinning),
    ):
        cases: dict[str, Callable[[], object]] = {
            QUEUE: partial(waiting.put, offered["JPEG, taken"][0]),
            **{f"submit, {name}": partial(opened.submit, *it) for name, it in offered.items()},
        }
        group = f"submit as a whole, storing and delivering behind it, {setting.who}"
        calls = setting.calls
        return measure_latencies(group, cases, reference=QUEUE, calls=calls, between=think)


def think() -> None:
    """Do what the model's thread does between two frames: about a millisecond of Python.

    A fixed amount of work, not of time: whoever waits for the interpreter meanwhile has its work
    still to do, and does not call the moment that it is woken.
    """
    total = 0
    for number in range(THINK_STEPS):
        total += number


def checked(ticket: Ticket) -> None:
    """Stop where a frame has ended otherwise than it was to: it would cost less.

    Raises:
        RuntimeError: It has.
    """
    if ticket.status not in ("queued", "not_selected"):
        raise RuntimeError(f"the frame was not taken as expected: {ticket}")


class Submitting:
    """A collector whose other side does no more than take frames out: storing is measured apart.

    Args:
        opened: The collector.
    """

    def __init__(self, opened: Collector) -> None:
        self._submit = opened.submit
        inside: Any = opened
        self._handoff = inside._handoff  # noqa: SLF001 - changed within: guessing its parts would not do
        self._engine = inside._engine  # noqa: SLF001 - as above
        self._engine.prepare = self._take_out

    def _take_out(self, _: object) -> Ended:
        self._engine.tally.drop("benchmark")
        return Ended(status="dropped")

    def think(self) -> None:
        """Think, and go on until the other side has come for the frames before."""
        think()
        while self._handoff.queued_items > MOST_WAITING:
            think()


class Bare(Submitting):
    """One whose adapter, strategies and copies have done their work before.

    Args:
        opened: The collector.
        picture: A picture that the documents are of.
        documents: What will be submitted.
    """

    def __init__(self, opened: Collector, picture: Any, *documents: object) -> None:
        super().__init__(opened)
        frame = Frame(frame_id="frame", image=Image(picture))
        adaptation, sampler = self._engine._adaptation, self._engine.plan.sampler  # noqa: SLF001 - as above
        has_room = self._handoff._ring.has_room  # noqa: SLF001 - as above
        read, judged = {}, {}
        for document in documents:
            [(_, prediction)] = adaptation.read(document, frame, None)
            prediction = snapshot.snapshot(adaptation.complete(prediction))
            read[id(document)] = prediction
            judged[id(prediction)] = sampler.evaluate(frame, prediction, pixels=False)
        adaptation.read = lambda document, frame, _: ((frame, read[id(document)]),)
        sampler.evaluate = lambda _, prediction, pixels: judged[id(prediction)]  # noqa: ARG005 - passed by name
        self._waiting = 0
        self._handoff.keep = lambda frame, prediction: (
            (frame, prediction) if has_room(frame.image.nbytes) else "ring_full"
        )

    def __call__(self, name: str, picture: Any, document: object) -> Mapping[str, float]:
        """Hand a frame over; return its seconds."""
        start = time.perf_counter()
        ticket = self._submit(picture, document)
        seconds = time.perf_counter() - start
        checked(ticket)
        return {name: seconds}

    def by_turn(self, picture: Any, document: object) -> Mapping[str, float]:
        """Hand a frame over; return its seconds by whether the other side has just been there."""
        name = AFTER if self._handoff.queued_items < self._waiting else OTHERWISE
        found = self(name, picture, document)
        self._waiting = self._handoff.queued_items
        return found


class Parts(Submitting):
    """One of which everything that is no part of the hand-off is subtracted, watches included.

    Args:
        opened: The collector.
    """

    def __init__(self, opened: Collector) -> None:
        super().__init__(opened)
        self._others_s = 0.0
        self._prediction_s = 0.0
        self._watch_s = self._cost_of_a_watch()

    def __call__(self, name: str, picture: Any, document: object) -> Mapping[str, float]:
        """Submit a frame; return the seconds of its hand-off, without and with the snapshot."""
        self._others_s = self._prediction_s = 0.0
        start = time.perf_counter()
        ticket = self._submit(picture, document)
        seconds = time.perf_counter() - start - self._others_s
        checked(ticket)
        if not self._prediction_s:
            return {name: seconds}
        return {name: seconds - self._prediction_s, f"{name}, and its prediction copied": seconds}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Put a watch around each part."""
        engine, sampler = self._engine, self._engine.plan.sampler
        places = [
            (engine._adaptation, "read", self._other),  # noqa: SLF001 - as above
            (engine._adaptation, "complete", self._other),  # noqa: SLF001 - as above
            (sampler, "evaluate", self._other),
            (image, "_copied", self._other),
            (snapshot, "snapshot", self._copying),
        ]
        before = [getattr(place, name) for place, name, _ in places]
        for (place, name, watch), part in zip(places, before, strict=True):
            setattr(place, name, watch(part))
        try:
            yield
        finally:
            for (place, name, _), part in zip(places, before, strict=True):
                setattr(place, name, part)

    def _other(self, part: Callable[..., Any]) -> Callable[..., Any]:
        def watch(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = part(*args, **options)
            self._others_s += time.perf_counter() - start + self._watch_s
            return result

        return watch

    def _copying(self, part: Callable[..., Any]) -> Callable[..., Any]:
        def watch(prediction: Any) -> Any:
            start = time.perf_counter()
            result = part(prediction)
            self._prediction_s += time.perf_counter() - start
            self._others_s += self._watch_s
            return result

        return watch

    def _cost_of_a_watch(self) -> float:
        """Return what a watch adds to the call that it is in, beside what it measures."""

        def nothing(*_: object) -> None:
            return None

        self._watch_s, costs = 0.0, []
        for watched in [self._other(nothing)] * 2000:
            self._others_s = 0.0
            start = time.perf_counter()
            nothing(None, None, None)
            bare_s = time.perf_counter() - start
            start = time.perf_counter()
            watched(None, None, None)
            costs.append(time.perf_counter() - start - bare_s)
        return percentile(costs, 0.1)  # rather too little than too much


@contextmanager
def collector(threshold: float) -> Iterator[Collector]:
    """Yield a collector that takes detections about as sure as `threshold`."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Collector.from_config(
            configuration(Path(directory) / "spool", threshold, handoff=_ROOM)
        ) as opened,
    ):
        yield opened


def configuration(spool: Path, threshold: float, **others: object) -> dict[str, object]:
    """Return the configuration of such a collector.

    Args:
        spool: Directory of the spool.
        threshold: How sure the detections are that it takes.
        others: What else is to stand in it, or instead.
    """
    strategy = {
        "name": "hard_examples",
        "type": "close_to_threshold",
        "threshold": threshold,
        "epsilon": 0.05,
        "probability": 1.0,
    }
    return {
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
        "spool": {"path": str(spool)},
        **others,
    }


class WaitingQueue:
    """Upstream's way: a queue that a thread waits on."""

    def __init__(self) -> None:
        self._queue: queue.Queue[object] = queue.Queue(512)
        self.put = self._queue.put_nowait
        self._waiters = partial(getattr, self._queue.not_empty, "_waiters")  # nothing else tells
        self._taker = threading.Thread(target=self._take, daemon=True)

    def think(self) -> None:
        """Think, and go on until the other side waits again, as it does between two frames."""
        think()
        while not self._waiters():
            think()

    def _take(self) -> None:
        while self._queue.get() is not None:
            pass

    def __enter__(self) -> Self:
        self._taker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.put(None)
        self._taker.join()
