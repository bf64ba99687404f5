"""What does a frame cost that no strategy wants?

The answer decides whether collection can sit in the inference path: most frames are rejected.
Upstream decodes every JPEG before it asks a strategy. Ours is the whole of `Collector.submit`, the
adapter included. The floor reads the confidences and puts each strategy's question to them once,
and neither looks at the picture nor checks, counts or names anything. All sides go round a number
of predictions that are alike and share nothing, as those of one frame after the other.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np

from al_framework import Collector
from al_framework.api import Detections
from benchmarks import frames, peers
from benchmarks.collecting import collector
from benchmarks.comparing import Case, Comparison, Target, compare, here
from benchmarks.frames import photograph, response

COUNTS = (0, 10, 100, 1000)
STRATEGIES = (1, 4, 16)


class Setting(NamedTuple):
    """What is submitted: a JPEG or an array, with a response or typed arrays."""

    group: str
    name: str
    size: str
    jpeg: bool
    detections: int
    strategies: int = 4
    typed: bool = False
    targets: Sequence[Target] = ()


def run(*, quick: bool) -> list[Comparison]:
    """Measure arrays and JPEGs, few and many detections, few and many strategies."""
    with ExitStack() as stack:
        enter = stack.enter_context
        peer, files = enter(peers.interpreter()), enter(frames.files())
        opened = {n: enter(collector(frames.document(frames.strategies(n)))) for n in STRATEGIES}
        cases = [_case(one, opened[one.strategies], peer, files) for one in settings()]
        return compare(cases, quick=quick)


def settings() -> Iterator[Setting]:
    """Yield what is measured."""
    of_the_peer: Mapping[int, Sequence[Target]] = {
        10: [Target(2.0, "peer")],
        100: [Target(1.0, "peer")],
        1000: [Target(1.0, "peer")],
    }
    of_a_jpeg: Mapping[tuple[str, int], Sequence[Target]] = {
        ("4K", 10): [Target(1 / 1000, "peer"), Target(30.0, "µs")]
    }
    for size in frames.SIZES:
        for count in COUNTS:
            group, name = f"array {size}, 4 strategies", f"{count} detections"
            yield Setting(group, name, size, False, count, targets=of_the_peer.get(count, ()))
        for count in COUNTS:
            group, name = f"JPEG {size}, 4 strategies", f"{count} detections"
            yield Setting(group, name, size, True, count, targets=of_a_jpeg.get((size, count), ()))
    for count in COUNTS:
        targets = [Target(0.1, "peer")] if count == 1000 else []
        group, name = "array 1080p, typed arrays, 4 strategies", f"{count} detections"
        yield Setting(group, name, "1080p", False, count, typed=True, targets=targets)
    for count in STRATEGIES:
        name = f"{count} strateg{'y' if count == 1 else 'ies'}"
        yield Setting("array 1080p, 10 detections", name, "1080p", False, 10, strategies=count)


def _case(setting: Setting, opened: Collector, peer: peers.Peer, files: frames.Files) -> Case:
    size, count = frames.SIZES[setting.size], setting.detections
    answer = response(size, detections=count)
    picture = photograph(size) if setting.jpeg else frames.pixels(size)
    predictions: Sequence[Detections | Mapping[str, Any]]
    if setting.typed:
        predictions = [frames.arrays(size, detections=count) for _ in range(frames.ROUND)]
    else:
        predictions = frames.fresh(answer)
    work = {
        "frame": files.jpeg(size) if setting.jpeg else files.array(size),
        "prediction": files.json(f"response-{setting.size}-{count}", answer),
        "prediction_type": frames.TASK,
        "document": frames.document(frames.strategies(setting.strategies)),
    }
    outcome = peer.outcome("registering", **work)
    task = None if setting.typed else frames.TASK  # as the peer is told it, too
    ticket = opened.submit(picture, predictions[0], prediction_type=task)
    if ticket.status != "not_selected":
        raise RuntimeError(f"the frame was not rejected but {ticket.status!r}: {ticket.reason!r}")
    if outcome is not None and outcome["uploads"]:
        raise RuntimeError(f"the peer has not rejected the frame: {outcome}")
    coming, asked = itertools.cycle(predictions), itertools.cycle(predictions)
    return Case(
        group=setting.group,
        name=setting.name,
        ours=here(lambda: opened.submit(picture, next(coming), prediction_type=task)),
        peer=peer.side("registering", **work),
        floor=here(_floor(asked, setting.strategies)),
        targets=setting.targets,
        outputs={
            "our decision": ticket.status,
            "the peer's uploads": "not run" if outcome is None else str(outcome["uploads"]),
        },
    )


def _floor(
    predictions: Iterator[Detections | Mapping[str, Any]], strategies: int
) -> Callable[[], object]:
    """Return the bare questions: of four strategies, two look at every confidence."""
    questions = sum(number % 4 in (0, 2) for number in range(strategies))

    def ask() -> int:
        prediction = next(predictions)
        if isinstance(prediction, Detections):
            confidence = prediction.confidence
        else:
            confidence = np.array([entry["confidence"] for entry in prediction["predictions"]])
        return sum(int(np.count_nonzero(np.abs(confidence - 0.4) < 0.1)) for _ in range(questions))

    return ask
