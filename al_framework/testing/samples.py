"""Values of every kind that a component can meet, read-only as the engine shares them."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from al_framework.api import (
    Classification,
    Counts,
    Datapoint,
    Decision,
    Detections,
    Keypoints,
    Prediction,
    RleMask,
    RunInfo,
    RunSummary,
    SinkCounts,
    StrategyVerdict,
    Unlabelled,
    Verdict,
)
from al_framework.testing.fakes import sample_jpeg

_SIZE = (64, 48)
_PredictionT = TypeVar("_PredictionT", bound=Prediction)


def freeze(prediction: _PredictionT) -> _PredictionT:
    """Return the prediction with every array in it made read-only, so that a writer is caught."""
    _freeze(prediction)
    return prediction


def sample_detections(count: int = 3, *, prediction_type: str = "object-detection") -> Detections:
    """Return detections in a picture of 64 x 48 pixels; confidences fall from 0.9 to 0.1."""
    rows = np.arange(count, dtype=np.float64)
    left, top = rows % 40, rows % 30
    return freeze(
        Detections(
            xyxy=np.stack((left, top, left + 20.5, top + 15.25), axis=1),
            confidence=np.linspace(0.9, 0.1, count),
            class_name=tuple(("person", "cup", "dog")[row % 3] for row in range(count)),
            class_id=np.arange(count, dtype=np.int64) % 3,
            image_size=_SIZE,
            prediction_type=prediction_type,
            data={"detection_id": tuple(f"detection-{row}" for row in range(count))},
            document={"predictions": [{"row": row} for row in range(count)]},
            model_id="sample/1",
        )
    )


def sample_predictions() -> Mapping[str, Prediction]:
    """Return predictions of every kind by a name that says what is special about them."""
    boxes = sample_detections()
    filled = np.zeros((48, 64), dtype=np.bool_)
    filled[5:20, 5:25] = True
    ring = np.array([[1.0, 1.0], [20.5, 1.0], [20.5, 15.25]])
    points = Keypoints(
        xy=np.array([[2.0, 3.0], [10.0, 12.0]]),
        confidence=np.array([0.9, 0.4]),
        class_name=("nose", "tail"),
        class_id=np.array([0, 1]),
    )
    segmented = dataclasses.replace(boxes, prediction_type="instance-segmentation")
    posed = dataclasses.replace(boxes, prediction_type="keypoint-detection")
    scores = np.array([0.55, 0.4, 0.05])
    names = ("cat", "dog", "bird")
    samples: dict[str, Prediction] = {
        "detections": boxes,
        "no detections": sample_detections(0),
        "one detection": sample_detections(1),
        "many detections": sample_detections(300),
        "polygons": dataclasses.replace(segmented, polygons=((ring,), (), (ring, ring + 1.0))),
        "masks": dataclasses.replace(
            segmented, masks=(RleMask.from_array(filled), None, RleMask.from_array(~filled))
        ),
        "no segments": sample_detections(0, prediction_type="instance-segmentation"),
        "keypoints": dataclasses.replace(posed, keypoints=(points, Keypoints(xy=ring), points)),
        "no poses": sample_detections(0, prediction_type="keypoint-detection"),
        "one class": Classification(
            class_name=names, confidence=scores, image_size=_SIZE, top="cat", top_confidence=0.55
        ),
        "one class of none listed": Classification(
            class_name=(), confidence=np.empty(0), image_size=_SIZE, top="cat", top_confidence=0.5
        ),
        "several classes": Classification(
            class_name=names, confidence=scores, image_size=_SIZE, predicted=("cat", "dog")
        ),
        "no classes": Classification(
            class_name=(), confidence=np.empty(0), image_size=_SIZE, predicted=()
        ),
        "unlabelled": Unlabelled(),
        "stub": Unlabelled(prediction_type="object-detection", document={"is_stub": True}),
    }
    for sample in samples.values():
        _freeze(sample)
    return samples


def sample_decision(frame_id: str = "frame-1", *, strategy: str = "hard_examples") -> Decision:
    """Return the decision to take a frame."""
    verdict = Verdict(match=True, utility=0.5, probability=1.0, reason="a sample")
    return Decision(
        frame_id=frame_id,
        decided_at=1_700_000_000.0,
        seed=7,
        verdicts=(StrategyVerdict(strategy, verdict, 0.25),),
        matching=(strategy,),
        outcome="selected",
        configuration_hash="0123456789abcdef",
    )


def sample_datapoint(number: int = 0, **changes: Any) -> Datapoint:
    """Return a datapoint; each number has a picture, a frame and an item id of its own.

    Args:
        number: Which one.
        changes: Fields to set to other values.
    """
    image = sample_jpeg(*_SIZE, seed=number)
    datapoint = Datapoint(
        item_id=f"item-{number:06d}",
        frame_id=f"cam/{number:06d}.jpg",
        content_key=hashlib.sha256(image).hexdigest(),
        image=image,
        image_size=_SIZE,
        prediction=sample_detections(),
        source_size=_SIZE,
        batch_name="al_batch_2026_01_31",
        tags=("sample",),
        strategy="hard_examples",
        utility=0.5,
        probability=1.0,
        reason="a sample",
        model_id="sample/1",
        inference_id=None,
        captured_at=1_699_999_999.0,
        decided_at=1_700_000_000.0,
        attributes={"camera": "north"},
        source="cam",
        parent=None,
        decision=sample_decision(f"cam/{number:06d}.jpg"),
    )
    return dataclasses.replace(datapoint, **changes)


def sample_summary(*, delivered: int = 1, sink: str = "test") -> RunSummary:
    """Return the summary of a run that offered as many frames as it delivered."""
    return RunSummary(
        run=RunInfo(
            run_id="run-1",
            name="sample",
            configuration_hash="0123456789abcdef",
            seed=7,
            started_at=1_700_000_000.0,
        ),
        finished_at=1_700_000_060.0,
        counts=Counts(
            offered=delivered,
            matched=delivered,
            accepted=delivered,
            sinks={sink: SinkCounts(accepted=delivered, delivered=delivered)},
        ),
    )


def _freeze(value: object) -> None:
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    elif isinstance(value, tuple):
        for item in value:
            _freeze(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _freeze(getattr(value, field.name))
