"""Datapoints, sinks and what they collect, for the tests of `al_framework_local`."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al_framework.api import Datapoint, Decision, Detections, Prediction, RleMask
from al_framework.testing.fakes import FakeCheckpoint, FakeClock, make_context, sample_jpeg
from al_framework_local.page import write_page
from al_framework_local.sink import DirectorySink


def make_datapoint(
    number: int = 1, prediction: Prediction | None = None, **changes: Any
) -> Datapoint:
    image = changes.pop("image", None) or sample_jpeg(64, 48, seed=number)
    frame_id = changes.pop("frame_id", f"cam/img_{number}.png")
    decision = Decision(
        frame_id=frame_id,
        decided_at=1_700_000_000.0,
        seed=7,
        verdicts=(),
        matching=("hard", "random"),
        outcome="selected",
        configuration_hash="c0ffee",
    )
    values: dict[str, Any] = {
        "item_id": f"item-{number}",
        "frame_id": frame_id,
        "content_key": hashlib.sha256(image).hexdigest(),
        "image": image,
        "image_size": (64, 48),
        "prediction": prediction,
        "source_size": (128, 96),
        "batch_name": "al_batch_2023_11_14",
        "tags": ("night", "line-3"),
        "strategy": "hard",
        "utility": 0.25,
        "probability": 0.5,
        "reason": "cat 0.412 is near 0.4",
        "model_id": "pets/3",
        "inference_id": None,
        "captured_at": None,
        "decided_at": 1_700_000_000.0,
        "attributes": {},
        "source": "cam",
        "parent": None,
        "decision": decision,
    }
    return Datapoint(**{**values, **changes})


def make_sink(base: Path, *, clock: FakeClock | None = None, **options: object) -> DirectorySink:
    chosen = DirectorySink.Options.model_validate({"path": "collected", **options})
    return DirectorySink(chosen, make_context(base, name="store", clock=clock))


@pytest.fixture
def datapoint() -> Callable[..., Datapoint]:
    """The factory of datapoints; equal arguments give equal ones."""
    return make_datapoint


@pytest.fixture
def new_sink(tmp_path: Path) -> Callable[..., DirectorySink]:
    """The factory of sinks that collect into ``collected``; none is started."""

    def factory(**options: Any) -> DirectorySink:
        return make_sink(tmp_path, **options)

    return factory


@pytest.fixture
def sink(new_sink: Callable[..., DirectorySink]) -> DirectorySink:
    """A started sink."""
    started = new_sink()
    started.start()
    return started


@dataclass(frozen=True)
class Collected:
    """What a sink has stored."""

    path: Path

    @property
    def pictures(self) -> list[str]:
        return sorted(path.name for path in (self.path / "images").iterdir())

    @property
    def lines(self) -> list[dict[str, Any]]:
        text = (self.path / "manifest.jsonl").read_text()
        assert text.endswith("\n") or not text
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def collected(tmp_path: Path) -> Collected:
    return Collected(tmp_path / "collected")


@pytest.fixture
def collect(
    sink: DirectorySink, datapoint: Callable[..., Datapoint]
) -> Callable[..., list[str | None]]:
    """Collect one picture per prediction; answer their file names."""

    def collect(*predictions: Any, **changes: Any) -> list[str | None]:
        return [
            sink.deliver(datapoint(number, prediction, **changes), FakeCheckpoint()).remote_id
            for number, prediction in enumerate(predictions)
        ]

    return collect


def make_boxes(*rows: tuple[float, float, float, float, float, str], **more: Any) -> Detections:
    return Detections(
        xyxy=np.array([row[:4] for row in rows], dtype=np.float64).reshape(-1, 4),
        confidence=np.array([row[4] for row in rows], dtype=np.float64),
        class_name=tuple(row[5] for row in rows),
        image_size=(64, 48),
        **more,
    )


@pytest.fixture
def boxes() -> Callable[..., Detections]:
    """The factory of detections, from rows of corners, confidence and class."""
    return make_boxes


@pytest.fixture
def ring() -> RleMask:
    """An ellipse with a hole, as large as the pictures."""
    y, x = np.mgrid[:48, :64]
    distance = ((x - 30) / 20) ** 2 + ((y - 24) / 15) ** 2
    return RleMask.from_array((distance < 1) & (distance > 0.2))


@pytest.fixture
def page(
    tmp_path: Path, sink: DirectorySink, datapoint: Callable[..., Datapoint]
) -> Callable[..., str]:
    """Collect one picture per prediction, write the page and read it."""

    def page(*predictions: Any, summary: Any = None, limit: int = 200, **changes: Any) -> str:
        for number, prediction in enumerate(predictions):
            sink.deliver(datapoint(number, prediction, **changes), FakeCheckpoint())
        path = write_page(tmp_path / "collected", summary, sink="store", limit=limit)
        return path.read_text(encoding="utf-8")

    return page
