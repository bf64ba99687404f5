"""Write a prediction of ours as the document that Roboflow's models would have answered with.

For predictions that came as arrays, from another adapter or in a document of another kind.
"""

from typing import Any

import numpy as np

from al_framework.api import Classification, Detections, Keypoints
from al_framework.api.predictions import Floats
from al_framework_roboflow.masks import mask_values


def document_of(prediction: Detections | Classification) -> dict[str, Any]:
    """Return the document, in pixels of the prediction's own ``image_size``."""
    width, height = prediction.image_size
    document: dict[str, Any] = {}
    if prediction.inference_id is not None:
        document["inference_id"] = prediction.inference_id
    document["image"] = {"width": width, "height": height}
    if isinstance(prediction, Detections):
        document["predictions"] = [_entry(prediction, row) for row in range(len(prediction))]
    elif prediction.predicted is not None:
        confidence = prediction.confidence.tolist()
        document["predictions"] = {
            name: {"confidence": value}
            for name, value in zip(prediction.class_name, confidence, strict=True)
        }
        document["predicted_classes"] = list(prediction.predicted)
    else:
        document["predictions"] = [
            {"class": name, "confidence": value}
            for name, value in zip(
                prediction.class_name, prediction.confidence.tolist(), strict=True
            )
        ]
        if prediction.top is not None:
            document["top"] = prediction.top
        if prediction.top_confidence is not None:
            document["confidence"] = prediction.top_confidence
    return document


def _entry(prediction: Detections, row: int) -> dict[str, Any]:
    left, top, right, bottom = prediction.xyxy[row].tolist()
    entry: dict[str, Any] = {
        "x": (left + right) / 2,
        "y": (top + bottom) / 2,
        "width": right - left,
        "height": bottom - top,
        "confidence": float(prediction.confidence[row]),
        "class": prediction.class_name[row],
    }
    if prediction.class_id is not None:
        entry["class_id"] = int(prediction.class_id[row])
    for key, column in prediction.data.items():
        entry.setdefault(key, column[row])
    rings = None if prediction.polygons is None else prediction.polygons[row]
    mask = None if prediction.masks is None else prediction.masks[row]
    if mask is not None:
        entry |= {"rle": mask_values(mask), "mask_format": "rle"}
    elif rings:
        # The form has room for one ring: the largest, as upstream does with a mask's contours.
        ring = max(rings, key=_area)
        entry |= {
            "points": [{"x": x, "y": y} for x, y in ring.tolist()],
            "mask_format": "polygon",
        }
    if prediction.keypoints is not None:
        entry["keypoints"] = _keypoints(prediction.keypoints[row])
    return entry


def _keypoints(keypoints: Keypoints) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = []
    for index, (x, y) in enumerate(keypoints.xy.tolist()):
        point: dict[str, Any] = {"x": x, "y": y}
        if keypoints.confidence is not None:
            point["confidence"] = float(keypoints.confidence[index])
        if keypoints.class_id is not None:
            point["class_id"] = int(keypoints.class_id[index])
        if keypoints.class_name:
            point["class"] = keypoints.class_name[index]
        points.append(point)
    return points


def _area(ring: Floats) -> float:
    """Return twice the area of a polygon (the shoelace formula)."""
    x, y = ring.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
