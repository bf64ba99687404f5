"""A model's answer, of whatever kind, as a document of Roboflow's.

Steps read and write Roboflow's documents, while predictors answer with our own values, with
documents, or with response objects.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from al_framework.api import (
    Classification,
    Detections,
    ImageSize,
    Keypoints,
    PredictionError,
    RleMask,
    Unlabelled,
)


def answer_document(answer: object, size: ImageSize) -> dict[str, Any]:
    """Return a new document that says what a model answered about one picture.

    Members that are null are left out, as Roboflow's steps do.

    Args:
        answer: A `Detections` or `Classification`, a response document, a response object with
            ``model_dump``, or a list of just one of them.
        size: ``(width, height)`` of the picture, for answers that do not state it.

    Raises:
        PredictionError: The answer is nothing of that.
    """
    if isinstance(answer, list | tuple) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, Detections | Classification | Unlabelled):
        document = answer.document
        # The source document repeats the model's digits; corners have been computed.
        if not isinstance(document, Mapping) or "predictions" not in document:
            document = _written(answer)
    elif isinstance(answer, Mapping):
        document = answer
    else:
        dump = getattr(answer, "model_dump", None)
        document = dump(by_alias=True, exclude_none=True) if callable(dump) else None
    if not isinstance(document, Mapping):
        raise PredictionError(
            f"an answer of type {type(answer).__name__!r} is no prediction: have the predictor "
            "return Detections, a Classification or a Roboflow response document"
        )
    copied: dict[str, Any] = copied_without_nulls(document)
    if not isinstance(copied.get("image"), Mapping):
        copied = {"image": {"width": size[0], "height": size[1]}} | copied
    return copied


def copied_without_nulls(value: Any) -> Any:
    """Return a copy of a document, down to the last list, without the members that are null."""
    if isinstance(value, Mapping):
        return {k: copied_without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [copied_without_nulls(one) for one in value]
    return value


def detections_document(detections: Detections) -> dict[str, Any]:
    """Return detections as a document of object detection, segmentation or keypoints.

    A row with several rings gets the largest one: a document holds one ring for each object.
    """
    return {
        "image": _size(detections.image_size),
        "predictions": [_entry(detections, row) for row in range(len(detections))],
    }


def classification_document(classification: Classification) -> dict[str, Any]:
    """Return a classification as a multi-class document, or multi-label where it has no `top`."""
    scores = zip(classification.class_name, classification.confidence.tolist(), strict=True)
    document: dict[str, Any] = {"image": _size(classification.image_size)}
    if classification.top is None:
        document["predictions"] = {
            name: {"confidence": confidence, "class_id": index}
            for index, (name, confidence) in enumerate(scores)
        }
        document["predicted_classes"] = list(classification.predicted or ())
        return document
    entries = [
        {"class": name, "class_id": index, "confidence": confidence}
        for index, (name, confidence) in enumerate(scores)
    ]
    document |= {"predictions": entries, "top": classification.top}
    confidence = classification.top_confidence
    if confidence is None:
        known = dict(zip(classification.class_name, classification.confidence, strict=True))
        confidence = known.get(classification.top)
    if confidence is not None:
        document["confidence"] = float(confidence)
    return document


def _written(answer: Detections | Classification | Unlabelled) -> dict[str, Any] | None:
    if isinstance(answer, Detections):
        return detections_document(answer)
    return classification_document(answer) if isinstance(answer, Classification) else None


def _size(size: ImageSize) -> dict[str, int]:
    return {"width": size[0], "height": size[1]}


def _entry(detections: Detections, row: int) -> dict[str, Any]:
    left, top, right, bottom = detections.xyxy[row].tolist()
    entry: dict[str, Any] = {
        "x": (left + right) / 2,
        "y": (top + bottom) / 2,
        "width": right - left,
        "height": bottom - top,
        "confidence": float(detections.confidence[row]),
        "class": detections.class_name[row],
    }
    if detections.class_id is not None:
        entry["class_id"] = int(detections.class_id[row])
    if detections.polygons is not None and detections.polygons[row]:
        ring = max(detections.polygons[row], key=_area)
        entry["points"] = [{"x": x, "y": y} for x, y in ring.tolist()]
    mask = None if detections.masks is None else detections.masks[row]
    if mask is not None:
        entry["rle"] = _rle(mask)
    if detections.keypoints is not None:
        entry["keypoints"] = _keypoints(detections.keypoints[row])
    for key, column in detections.data.items():
        value = column[row]
        entry.setdefault(key, value.item() if isinstance(value, np.generic) else value)
    return entry


def _area(ring: Any) -> float:
    """Return twice the area of a ring, by the shoelace formula."""
    x, y = ring[:, 0], ring[:, 1]
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))


def _rle(mask: RleMask) -> dict[str, Any]:
    width, height = mask.size
    return {"size": [height, width], "counts": list(mask.counts)}


def _keypoints(keypoints: Keypoints) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = [{"x": x, "y": y} for x, y in keypoints.xy.tolist()]
    columns: list[tuple[str, Sequence[object] | None]] = [
        ("confidence", None if keypoints.confidence is None else keypoints.confidence.tolist()),
        ("class_id", None if keypoints.class_id is None else keypoints.class_id.tolist()),
        ("class", keypoints.class_name or None),
    ]
    for key, column in columns:
        for point, value in zip(points, column or (), strict=False):
            point[key] = value
    return points
