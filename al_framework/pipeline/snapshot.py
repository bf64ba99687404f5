"""Keep a frame and its prediction as they were when they were offered.

The library returns before the frame is stored, and the caller may go on to change what it passed.
Only frames that a strategy takes are copied.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from al_framework.api import Detections, Frame, Keypoints, Prediction, Unlabelled
from al_framework.api.codec import json_values
from al_framework.pipeline.making import make_frame

T = TypeVar("T")


def snapshot(prediction: Prediction) -> Prediction:
    """Return a prediction that shares no array and no document with the caller's.

    A document that JSON cannot express is dropped: no sink could write it.
    """
    document = json_values(prediction.document)
    if isinstance(prediction, Unlabelled):
        return replace(prediction, document=document)
    changes: dict[str, Any] = {
        "document": document,
        "confidence": prediction.confidence.copy(),
        "embedding": _copy(prediction.embedding),
    }
    if isinstance(prediction, Detections):
        changes |= {
            "xyxy": prediction.xyxy.copy(),
            "class_id": _copy(prediction.class_id),
            "polygons": _each(
                prediction.polygons, lambda rings: tuple(ring.copy() for ring in rings)
            ),
            "keypoints": _each(prediction.keypoints, _copy_keypoints),
            "data": {
                key: [json_values(value) for value in column]
                for key, column in prediction.data.items()
            },
        }
    return replace(prediction, **changes)


def keep_copies(frame: Frame, prediction: Prediction) -> tuple[Frame, Prediction]:
    """Return a frame and its prediction as copies that the caller cannot change any more."""
    # A path is left to the spool's thread: reading it here would block the caller.
    image = frame.image if frame.image.path is not None else frame.image.owned()
    if image is not frame.image:
        frame = make_frame(
            frame.frame_id,
            image,
            frame.captured_at,
            frame.source,
            frame.attributes,
            frame.parent,
        )
    return frame, snapshot(prediction)


def keep_owned(frame: Frame, prediction: Prediction) -> tuple[Frame, Prediction]:
    """Return the picture itself, which is ours, with a copy of its prediction."""
    return frame, snapshot(prediction)


def _copy(array: Any) -> Any:
    return None if array is None else array.copy()


def _each(rows: tuple[T, ...] | None, copy: Callable[[T], T]) -> tuple[T, ...] | None:
    return None if rows is None else tuple(copy(row) for row in rows)


def _copy_keypoints(points: Keypoints) -> Keypoints:
    return replace(
        points,
        xy=points.xy.copy(),
        confidence=_copy(points.confidence),
        class_id=_copy(points.class_id),
    )
