"""``sv.Detections``, as today's workflow engine passes them, to a Roboflow document.

Without the library: it is recognised by its attributes. Engines put what `sv.Detections` has no
place for into its ``data``.
Source: roboflow-workflows 0.2.13, ``core_steps/common/serializers.py``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from al_framework.api import PredictionError, RleMask

_NO_NAME = "object"
# Said once, for the whole document.
_SHARED = ("prediction_type", "inference_id", "image_dimensions")
# Written in another form, or of use inside the engine only.
_LEFT_OUT = frozenset(
    {
        *_SHARED,
        "class_name",
        "class_names",
        "polygon",
        "rle_mask",
        "keypoints_xy",
        "keypoints_confidence",
        "keypoints_class_name",
        "keypoints_class_id",
        "parent_coordinates",
        "parent_dimensions",
        "root_parent_coordinates",
        "root_parent_dimensions",
        "scaling_relative_to_parent",
        "scaling_relative_to_root_parent",
    }
)


def is_detections(value: object) -> bool:
    """Tell whether the value has the attributes of ``sv.Detections``."""
    names = ("xyxy", "mask", "confidence", "class_id", "tracker_id", "data")
    return not isinstance(value, Mapping) and all(hasattr(value, name) for name in names)


def document_of(detections: Any) -> dict[str, Any]:
    """Return a document with the same detections; nothing of it is shared with them.

    Raises:
        PredictionError: A column has not as many rows as there are boxes.
    """
    xyxy = np.asarray(detections.xyxy, dtype=np.float64)
    data: Mapping[str, Any] = detections.data
    _check_rows(detections, len(xyxy))
    shared = _shared(detections, len(xyxy))
    document: dict[str, Any] = {
        "predictions": [_entry(detections, data, row, box) for row, box in enumerate(xyxy.tolist())]
    }
    dimensions = shared.get("image_dimensions")
    if isinstance(dimensions, Sequence) and len(dimensions) == 2:
        document["image"] = {"width": int(dimensions[1]), "height": int(dimensions[0])}
    document.update({key: str(shared[key]) for key in _SHARED[:2] if shared.get(key) is not None})
    document.setdefault("prediction_type", _type_of(detections, data))
    return document


def _check_rows(detections: Any, count: int) -> None:
    columns = {
        key: getattr(detections, key) for key in ("mask", "confidence", "class_id", "tracker_id")
    }
    columns |= {f"data[{key!r}]": column for key, column in detections.data.items()}
    for name, column in columns.items():
        if column is not None and len(column) != count:
            raise PredictionError(
                f"the detections have {count} boxes and {len(column)} values in {name}: every "
                "column needs one for each box"
            )


def _shared(detections: Any, count: int) -> dict[str, Any]:
    """Return what is said once for all rows; without rows it stands in the metadata."""
    metadata = getattr(detections, "metadata", None) or {}
    found: dict[str, Any] = {}
    for key in _SHARED:
        column = detections.data.get(key)
        value = column[0] if column is not None and count else metadata.get(key)
        found[key] = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    return found


def _type_of(detections: Any, data: Mapping[str, Any]) -> str:
    if "keypoints_xy" in data:
        return "keypoint-detection"
    segmented = detections.mask is not None or "rle_mask" in data
    return "instance-segmentation" if segmented else "object-detection"


def _entry(
    detections: Any, data: Mapping[str, Any], row: int, box: Sequence[float]
) -> dict[str, Any]:
    left, top, right, bottom = box
    width, height = abs(right - left), abs(bottom - top)
    entry = {key: _plain(column[row]) for key, column in data.items() if key not in _LEFT_OUT}
    # After the data: blocks write the sides of another rectangle under the same names.
    entry |= {"x": left + width / 2, "y": top + height / 2, "width": width, "height": height}
    scores, ids, tracks = detections.confidence, detections.class_id, detections.tracker_id
    # Without confidences they count as certain, as the adapter `supervision` has it.
    entry["confidence"] = 1.0 if scores is None else float(scores[row])
    if ids is not None:
        entry["class_id"] = int(ids[row])
    names = data.get("class_name")
    unnamed = _NO_NAME if ids is None else str(int(ids[row]))
    entry["class"] = unnamed if names is None else str(names[row])
    if tracks is not None:
        entry["tracker_id"] = int(tracks[row])
    _add_outline(entry, detections.mask, data, row)
    if "keypoints_xy" in data:
        entry["keypoints"] = _keypoints(data, row)
    return entry


def _add_outline(entry: dict[str, Any], masks: Any, data: Mapping[str, Any], row: int) -> None:
    polygon = data["polygon"][row] if "polygon" in data else None
    if polygon is not None and len(polygon) > 2:
        entry["points"] = [{"x": float(x), "y": float(y)} for x, y in polygon]
    elif "rle_mask" in data:
        entry["rle_mask"] = _plain(data["rle_mask"][row])
    elif masks is not None:
        mask = RleMask.from_array(np.asarray(masks[row], dtype=np.bool_))
        entry["rle_mask"] = {"size": [mask.size[1], mask.size[0]], "counts": list(mask.counts)}


def _keypoints(data: Mapping[str, Any], row: int) -> list[dict[str, Any]]:
    """Return the keypoints of a row, without the nameless ones that fill it up at its end."""
    scores, names = data.get("keypoints_confidence"), data.get("keypoints_class_name")
    ids = data.get("keypoints_class_id")
    points: list[dict[str, Any]] = []
    for index, (x, y) in enumerate(data["keypoints_xy"][row]):
        name = None if names is None else names[row][index]
        if name is not None and not str(name):
            break
        point: dict[str, Any] = {"x": float(x), "y": float(y)}
        if scores is not None:
            point["confidence"] = float(scores[row][index])
        if ids is not None:
            point["class_id"] = int(ids[row][index])
        if name is not None:
            point["class"] = str(name)
        points.append(point)
    return points


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value.decode("latin-1") if isinstance(value, bytes) else value
