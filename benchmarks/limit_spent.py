"""What does a frame cost that a strategy wants and no limit allows any more?

On a busy day that is most of the frames that are wanted. Upstream decodes, scales and encodes the
picture before it asks for the credit that is not there; we ask before any pixel is touched. Both
sides have a limit of one a day, and have spent it. The floor asks the strategy's question once and
looks up the day's count.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np

from al_framework import Collector
from benchmarks import frames, peers
from benchmarks.collecting import collector
from benchmarks.comparing import Case, Comparison, Target, compare, here

CONFIDENCE = 0.4  # of every detection: as close to the strategy's threshold as can be
DAY_S = 86400
SPENT_WITHIN_S = 30.0  # the collector looks at what is left once a second
FAR_LESS, LITTLE = Target(1 / 300, "peer"), Target(40.0, "µs")


class Setting(NamedTuple):
    """What is submitted, and the size, ``(height, width)``, that it would be scaled down to."""

    size: str
    jpeg: bool
    most: tuple[int, int] | None
    target: Target


SETTINGS = (
    Setting("1080p", False, None, FAR_LESS),
    Setting("4K", False, None, FAR_LESS),
    Setting("4K", False, (1080, 1920), LITTLE),
    Setting("4K", False, (640, 640), LITTLE),
    Setting("1080p", True, None, FAR_LESS),
    Setting("4K", True, None, FAR_LESS),
    Setting("4K", True, (640, 640), FAR_LESS),
)


def run(*, quick: bool) -> list[Comparison]:
    """Measure arrays and JPEGs, scaled down and not."""
    with ExitStack() as stack:
        enter = stack.enter_context
        peer, files = enter(peers.interpreter()), enter(frames.files())
        cases = []
        for setting in SETTINGS:
            opened = enter(collector(document(setting.most)))
            cases.append(_case(setting, opened, peer, files))
        return compare(cases, quick=quick)


def document(most: Sequence[int] | None) -> dict[str, Any]:
    """Return a document whose one strategy takes the frames, and one of them a day."""
    others = {} if most is None else {"max_image_size": list(most)}
    return frames.document(frames.strategies(1, daily=1), **others)


def _case(setting: Setting, opened: Collector, peer: peers.Peer, files: frames.Files) -> Case:
    size = frames.SIZES[setting.size]
    answer = frames.response(size, confidence=CONFIDENCE)
    picture = frames.photograph(size) if setting.jpeg else frames.pixels(size)
    work = {
        "frame": files.jpeg(size) if setting.jpeg else files.array(size),
        "prediction": files.json(f"close-{setting.size}", answer),
        "prediction_type": frames.TASK,
        "document": document(setting.most),
        "before": 1,
    }

    coming = itertools.cycle(frames.fresh(answer))

    def submit() -> str:
        return opened.submit(picture, next(coming), prediction_type=frames.TASK).status

    spend(submit)
    outcome = peer.outcome("registering", **work)
    if outcome is not None and outcome["uploads"]:
        raise RuntimeError(f"the peer's limit is not spent: {outcome}")
    scaled = f", to {setting.most[1]}x{setting.most[0]}" if setting.most else ""
    return Case(
        group=f"a limit is spent: {'JPEG' if setting.jpeg else 'array'}, 10 detections",
        name=f"{setting.size}{scaled}",
        ours=here(submit),
        peer=peer.side("registering", **work),
        floor=here(_floor(answer)),
        targets=[setting.target],
        outputs={
            "our decision": submit(),
            "the peer's uploads": "not run" if outcome is None else str(outcome["uploads"]),
        },
    )


def spend(submit: Callable[[], str]) -> None:
    """Submit until there is nothing left.

    Raises:
        RuntimeError: It is not spent in time.
    """
    deadline = time.monotonic() + SPENT_WITHIN_S
    while (status := submit()) != "limited":
        if time.monotonic() > deadline:
            raise RuntimeError(f"the limit is not spent: the last frame is {status!r}")
        time.sleep(0.1)


def _floor(answer: dict[str, Any]) -> Callable[[], object]:
    used = {("close", int(time.time() // DAY_S)): 1}

    def ask() -> bool:
        confidence = np.array([entry["confidence"] for entry in answer["predictions"]])
        close = np.count_nonzero(np.abs(confidence - CONFIDENCE) < 0.1)
        return bool(close) and used.get(("close", int(time.time() // DAY_S)), 0) < 1

    return ask
