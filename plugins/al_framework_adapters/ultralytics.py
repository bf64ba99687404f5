"""Adapter for the ``Results`` of *ultralytics*, which it never imports.

Source: ultralytics 8.4.190, ``engine/results.py``. Parts that a model does not give are None;
values are tensors on any device, or arrays after ``Results.numpy()``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from al_framework.api import (
    Classification,
    Detections,
    Frame,
    ImageSize,
    Keypoints,
    Prediction,
    PredictionAdapter,
    PredictionError,
    Unlabelled,
)
from al_framework_adapters.arrays import (
    UnreadableObjectError,
    enclosing_boxes,
    floats,
    ints,
)

Floats = npt.NDArray[np.float64]


class UltralyticsAdapter(PredictionAdapter):
    """Reads one ``Results``: detection, segmentation, pose, classification, rotated boxes.

    Masks become the polygons of ``masks.xy``. A rotated box becomes a polygon with the upright
    box around it, which can reach out of the picture.
    """

    type_name = "ultralytics"

    def accepts(self, document: object) -> bool:
        """Tell whether the object has the attributes of a ``Results``."""
        return (
            hasattr(document, "orig_shape")
            and hasattr(document, "names")
            and hasattr(document, "boxes")
        )

    def adapt(self, document: object, *, frame: Frame, prediction_type: str | None) -> Prediction:
        """Return the prediction that a ``Results`` holds.

        Raises:
            PredictionError: The object is no ``Results``, or holds no usable numbers.
        """
        if not self.accepts(document):
            hint = " (pass one entry of the list)" if isinstance(document, list | tuple) else ""
            raise PredictionError(
                f"adapter {self.context.name!r}: an object of type {type(document).__name__!r} is "
                f"no Results of ultralytics{hint}: choose another adapter",
                frame_id=frame.frame_id,
            )
        try:
            return _adapt(document, prediction_type)
        except UnreadableObjectError as exc:
            raise PredictionError(
                f"adapter {self.context.name!r}: {exc}", frame_id=frame.frame_id
            ) from exc


class _Shapes(NamedTuple):
    """What a model says of an object beyond its box."""

    polygons: tuple[tuple[Floats, ...], ...] | None = None
    keypoints: tuple[Keypoints, ...] | None = None


def _adapt(document: Any, prediction_type: str | None) -> Prediction:
    if getattr(document, "probs", None) is not None:
        return _classification(document, prediction_type)
    obb = getattr(document, "obb", None)
    if obb is not None:
        corners = _corners(floats(obb.xywhr, (-1, 5), "obb.xywhr"))
        shapes = _Shapes(polygons=tuple((ring,) for ring in corners))
        kind = prediction_type or "object-detection"
        return _rows(document, obb, enclosing_boxes(corners), kind, shapes)
    boxes = document.boxes
    if boxes is None:
        return Unlabelled(
            image_size=_size(document), prediction_type=prediction_type or "", document=document
        )
    xyxy = floats(boxes.xyxy, (-1, 4), "boxes.xyxy")
    kind, shapes = "object-detection", _Shapes()
    if getattr(document, "masks", None) is not None:
        kind = "instance-segmentation"
        shapes = _Shapes(polygons=_polygons(document.masks, len(xyxy)))
    elif getattr(document, "keypoints", None) is not None:
        kind = "keypoint-detection"
        shapes = _Shapes(keypoints=_keypoints(document.keypoints, len(xyxy)))
    return _rows(document, boxes, xyxy, prediction_type or kind, shapes)


def _rows(
    document: Any, rows: Any, xyxy: Floats, prediction_type: str, shapes: _Shapes
) -> Detections:
    count = len(xyxy)
    class_id = ints(rows.cls, count, "cls")
    tracker = getattr(rows, "id", None)
    data = {} if tracker is None else {"tracker_id": ints(tracker, count, "id").tolist()}
    return Detections(
        xyxy=xyxy,
        confidence=floats(rows.conf, (count,), "conf"),
        class_name=tuple(_name(document.names, index) for index in class_id.tolist()),
        image_size=_size(document),
        prediction_type=prediction_type,
        class_id=class_id,
        polygons=shapes.polygons,
        keypoints=shapes.keypoints,
        data=data,
        document=document,
    )


def _classification(document: Any, prediction_type: str | None) -> Classification:
    confidence = floats(document.probs.data, (-1,), "probs.data")
    names = tuple(_name(document.names, index) for index in range(len(confidence)))
    top = int(document.probs.top1)
    if not 0 <= top < len(names):
        raise UnreadableObjectError(f"probs.top1 is {top}: there are {len(names)} classes")
    return Classification(
        class_name=names,
        confidence=confidence,
        image_size=_size(document),
        prediction_type=prediction_type or "classification",
        top=names[top],
        top_confidence=float(confidence[top]),
        document=document,
    )


def _size(document: Any) -> ImageSize:
    height, width = document.orig_shape
    return int(width), int(height)


def _name(names: Any, index: int) -> str:
    """Return a class's name; older models keep a list, and an unnamed class keeps its number."""
    if isinstance(names, Mapping):
        return str(names.get(index, index))
    return str(names[index]) if 0 <= index < len(names) else str(index)


def _polygons(masks: Any, count: int) -> tuple[tuple[Floats, ...], ...]:
    outlines = list(masks.xy)
    if len(outlines) != count:
        raise UnreadableObjectError(
            f"masks.xy has {len(outlines)} entries: it has to have one for each of {count} boxes"
        )
    rings = (
        floats(outline, (-1, 2), f"masks.xy[{row}]") if len(outline) else None
        for row, outline in enumerate(outlines)
    )
    return tuple(() if ring is None else (ring,) for ring in rings)


def _keypoints(keypoints: Any, count: int) -> tuple[Keypoints, ...]:
    if count == 0:  # an empty result has shapes of its own
        return ()
    xy = floats(keypoints.xy, (count, -1, 2), "keypoints.xy")
    scores = keypoints.conf
    if scores is not None:
        scores = floats(scores, xy.shape[:2], "keypoints.conf")
    return tuple(
        Keypoints(xy=xy[row], confidence=None if scores is None else scores[row])
        for row in range(count)
    )


def _corners(xywhr: Floats) -> Floats:
    """Return the corners ``(n, 4, 2)`` of boxes turned by r radians around their centres.

    Source: ultralytics 8.4.190, ``utils/ops.py``, ``xywhr2xyxyxyxy``.
    """
    centre, (width, height, angle) = xywhr[:, :2], xywhr[:, 2:].T
    cos, sin = np.cos(angle), np.sin(angle)
    along = np.stack((width / 2 * cos, width / 2 * sin), axis=-1)
    across = np.stack((-height / 2 * sin, height / 2 * cos), axis=-1)
    sides = (along + across, along - across, -along - across, across - along)
    return np.stack([centre + side for side in sides], axis=1)
