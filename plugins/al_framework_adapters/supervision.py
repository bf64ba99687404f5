"""Adapter for the result objects of the library *supervision*, which it never imports.

Source: supervision 0.31.2, ``detection/core.py``, ``key_points/core.py``,
``classification/core.py``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from al_framework.api import (
    Classification,
    Detections,
    Frame,
    Keypoints,
    Prediction,
    PredictionAdapter,
    PredictionError,
    RleMask,
)
from al_framework_adapters.arrays import UnreadableObjectError, floats, ints, to_numpy

_NO_NAME = "object"


class SupervisionAdapter(PredictionAdapter):
    """Reads ``sv.Detections``, ``sv.KeyPoints`` and ``sv.Classifications``.

    Names come from ``data["class_name"]``, else the class id stands for the name. Objects without
    confidences (annotations, segment-anything masks) count as certain: 1.0.
    """

    type_name = "supervision"

    def accepts(self, document: object) -> bool:
        """Tell whether the object has the attributes of one of the three."""
        return _kind(document) is not None

    def adapt(self, document: object, *, frame: Frame, prediction_type: str | None) -> Prediction:
        """Return the prediction that the object holds.

        Raises:
            PredictionError: The object is none of the three, or holds no usable numbers.
        """
        kind = _kind(document)
        try:
            if kind == "detections":
                return _detections(document, frame, prediction_type)
            if kind == "keypoints":
                return _keypoints(document, frame, prediction_type)
            if kind == "classifications":
                return _classification(document, frame, prediction_type)
        except UnreadableObjectError as exc:
            raise PredictionError(
                f"adapter {self.context.name!r}: {exc}", frame_id=frame.frame_id
            ) from exc
        raise PredictionError(
            f"adapter {self.context.name!r}: an object of type {type(document).__name__!r} is no "
            "sv.Detections, sv.KeyPoints or sv.Classifications: choose another adapter",
            frame_id=frame.frame_id,
        )


def _kind(document: object) -> str | None:
    if not hasattr(document, "class_id") or isinstance(document, Mapping):
        return None
    if hasattr(document, "xyxy"):
        return "detections" if hasattr(document, "tracker_id") else None
    if hasattr(document, "xy"):
        # Our own `Keypoints` have no data; older versions have no detection_confidence.
        return "keypoints" if hasattr(document, "data") else None
    has_scores = hasattr(document, "confidence") and not hasattr(document, "class_name")
    return "classifications" if has_scores else None


def _detections(document: Any, frame: Frame, prediction_type: str | None) -> Detections:
    xyxy = floats(document.xyxy, (-1, 4), "xyxy")
    count = len(xyxy)
    class_id = _class_id(document, count)
    masks = None
    if document.mask is not None:
        masks = tuple(_mask(document.mask[row], row) for row in range(count))
    data = _columns(document.data, count)
    if document.tracker_id is not None:
        data["tracker_id"] = ints(document.tracker_id, count, "tracker_id").tolist()
    kind = "object-detection" if masks is None else "instance-segmentation"
    return Detections(
        xyxy=xyxy,
        confidence=_confidence(document.confidence, count, "confidence"),
        class_name=_names(data, class_id, count),
        image_size=frame.image.size,
        prediction_type=prediction_type or kind,
        class_id=class_id,
        masks=masks,
        data=data,
        document=document,
    )


def _keypoints(document: Any, frame: Frame, prediction_type: str | None) -> Detections:
    xy = floats(document.xy, (-1, -1, 2), "xy")
    count, points = xy.shape[:2]
    class_id = _class_id(document, count)
    data = _columns(document.data, count)
    # 0.31 renamed `confidence`; its alias warns, so the new name is asked for first.
    scores = (
        document.keypoint_confidence
        if hasattr(document, "keypoint_confidence")
        else getattr(document, "confidence", None)
    )
    if scores is not None:
        scores = floats(scores, (count, points), "keypoint_confidence")
    whole = getattr(document, "detection_confidence", None)
    if whole is None and scores is not None and points:
        whole = scores.mean(axis=1)
    return Detections(
        xyxy=_boxes_around(xy, getattr(document, "visible", None)),
        confidence=_confidence(whole, count, "detection_confidence"),
        class_name=_names(data, class_id, count),
        image_size=frame.image.size,
        prediction_type=prediction_type or "keypoint-detection",
        class_id=class_id,
        keypoints=tuple(
            Keypoints(xy=xy[row], confidence=None if scores is None else scores[row])
            for row in range(count)
        ),
        data=data,
        document=document,
    )


def _classification(document: Any, frame: Frame, prediction_type: str | None) -> Classification:
    class_id = ints(document.class_id, len(document.class_id), "class_id")
    names = tuple(map(str, class_id.tolist()))
    confidence = _confidence(document.confidence, len(names), "confidence")
    best = int(confidence.argmax()) if names else None
    return Classification(
        class_name=names,
        confidence=confidence,
        image_size=frame.image.size,
        prediction_type=prediction_type or "classification",
        top=None if best is None else names[best],
        top_confidence=None if best is None else float(confidence[best]),
        predicted=() if best is None else None,
        document=document,
    )


def _class_id(document: Any, count: int) -> npt.NDArray[np.int64] | None:
    return None if document.class_id is None else ints(document.class_id, count, "class_id")


def _confidence(value: Any, count: int, name: str) -> npt.NDArray[np.float64]:
    return np.ones(count) if value is None else floats(value, (count,), name)


def _columns(data: Mapping[str, Any], count: int) -> dict[str, Sequence[object]]:
    columns: dict[str, Sequence[object]] = {}
    for key, values in data.items():
        column = values.tolist() if isinstance(values, np.ndarray) else list(values)
        if len(column) != count:
            raise UnreadableObjectError(
                f"data[{key!r}] has {len(column)} entries: it has to have one for each of {count}"
            )
        columns[key] = column
    return columns


def _names(
    data: dict[str, Sequence[object]], class_id: npt.NDArray[np.int64] | None, count: int
) -> tuple[str, ...]:
    """Return the names, and take them out of the data."""
    names = data.pop("class_name", None)
    if names is None:
        names = [_NO_NAME] * count if class_id is None else class_id.tolist()
    return tuple(map(str, names))


def _mask(value: Any, row: int) -> RleMask:
    # A row of a CompactMask comes as a dense array too, so both kinds end here.
    mask = to_numpy(value)
    if mask.ndim != 2:
        raise UnreadableObjectError(f"mask[{row}] has the shape {mask.shape}: it has to be (h, w)")
    return RleMask.from_array(mask.astype(np.bool_, copy=False))


def _boxes_around(xy: npt.NDArray[np.float64], visible: Any) -> npt.NDArray[np.float64]:
    """Return boxes around the points that were found; (0, 0) is the mark of one that was not."""
    found = (xy != 0).any(axis=2)
    if visible is not None:
        found &= to_numpy(visible).astype(np.bool_)
    boxes = np.zeros((len(xy), 4))
    for row, mask in enumerate(found):
        if mask.any():
            points = xy[row, mask]
            boxes[row] = (*points.min(axis=0), *points.max(axis=0))
    return boxes
