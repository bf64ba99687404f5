"""Refuse predictions that cannot be used: malformed, not finite, or of another picture.

Two steps, since every frame pays for the first one: `check_prediction` runs in the caller's thread
before the strategies, `check_placement` only for frames that are about to be accepted.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from al_framework.api import (
    Classification,
    Detections,
    ImageSize,
    Prediction,
    PredictionError,
    Scores,
    Unlabelled,
)
from al_framework.api._faults import named_text_of
from al_framework.api._formats import MAX_PIXELS
from al_framework.api.predictions import Floats

# A model has nothing to say in so many rows; somebody wants our memory.
MAX_DETECTIONS = 10_000
MAX_CLASSES = 100_000
MAX_POINTS = 1_000_000
MAX_MASK_PIXELS = 10_000_000_000  # of all rows together; a thousand masks of 4K
_FLOAT64 = np.dtype(np.float64)
_COLUMNS = ("class_id", "polygons", "masks", "keypoints")


def check_prediction(prediction: Prediction) -> None:
    """Check that numbers are finite and that every row is complete; a few microseconds.

    Raises:
        PredictionError: An array is of another type or shape, holds NaN or infinity, or has
            another number of rows than there are class names.
    """
    if isinstance(prediction, Unlabelled):
        return
    try:
        plausible = _is_plausible(prediction)
    except (AttributeError, TypeError, ValueError):
        plausible = False
    if plausible:
        return
    with _blaming_the_prediction():
        # Only now look for the place; squares that overflow come here for nothing.
        _explain(prediction)


def are_plausible(scores: Scores) -> bool:
    """Tell whether scores can be used: one finite number for each name, and not too many."""
    confidence, rows = scores.confidence, len(scores.class_name)
    return (
        type(confidence) is np.ndarray
        and confidence.shape == (rows,)
        and confidence.dtype is _FLOAT64
        and rows <= MAX_DETECTIONS
        and math.isfinite(np.vdot(confidence, confidence))
    )


def check_placement(prediction: Prediction, image_size: ImageSize) -> None:
    """Check that a prediction belongs to the picture it came with.

    A box that overhangs the picture is fine: models make them, and storing clips it. The size that
    the prediction refers to may differ from the picture's where the aspect agrees within a pixel.

    Args:
        prediction: One that `check_prediction` let pass.
        image_size: Upright ``(width, height)`` of the frame.

    Raises:
        PredictionError: The prediction is of a picture of another shape, a box lies wholly outside
            or is inverted, a polygon or keypoint is not finite, or any of them is malformed.
    """
    with _blaming_the_prediction():
        size = prediction.image_size
        if size is not None and size != image_size:
            _check_size(size, image_size)
        if isinstance(prediction, Detections):
            _check_boxes(prediction)
            _check_shapes(prediction)
            _check_masks(prediction)


def aspect_agrees(one: ImageSize, other: ImageSize) -> bool:
    """Tell whether two sizes are of one picture, up to a pixel of the smaller one."""
    if min(*one, *other) < 1:
        return False
    (width, height), (large_width, large_height) = sorted((one, other), key=math.prod)
    return (
        abs(large_height * width / large_width - height) <= 1
        or abs(large_width * height / large_height - width) <= 1
    )


@contextmanager
def _blaming_the_prediction() -> Iterator[None]:
    """Let what goes wrong while a prediction is looked at be said of the prediction."""
    try:
        yield
    except (AttributeError, TypeError, ValueError) as exc:
        raise PredictionError(
            f"the prediction is malformed ({named_text_of(exc)}): "
            "the adapter has to fill the fields as al_framework.api describes them"
        ) from exc


def _is_plausible(prediction: Detections | Classification) -> bool:
    rows = len(prediction.class_name)
    confidence, embedding = prediction.confidence, prediction.embedding
    # vdot: a third of the price of isfinite().all(); NaN and infinity cannot cancel in squares.
    if (
        confidence.shape != (rows,)
        or confidence.dtype is not _FLOAT64
        or not math.isfinite(np.vdot(confidence, confidence))
        or (embedding is not None and not math.isfinite(np.vdot(embedding, embedding)))
    ):
        return False
    if isinstance(prediction, Classification):
        top = prediction.top_confidence
        return rows <= MAX_CLASSES and (top is None or math.isfinite(top))
    xyxy = prediction.xyxy
    if (
        rows > MAX_DETECTIONS
        or xyxy.shape != (rows, 4)
        or xyxy.dtype is not _FLOAT64
        or not math.isfinite(np.vdot(xyxy, xyxy))
    ):
        return False
    for name in _COLUMNS:
        column = getattr(prediction, name)
        if column is not None and len(column) != rows:
            return False
    return all(len(values) == rows for values in prediction.data.values())


def _explain(prediction: Detections | Classification) -> None:
    rows = len(prediction.class_name)
    most = MAX_CLASSES if isinstance(prediction, Classification) else MAX_DETECTIONS
    if rows > most:
        raise PredictionError(
            f"the prediction has {rows} rows, more than the {most} we take: "
            "leave out those of low confidence"
        )
    _check_array("confidence", prediction.confidence, (rows,))
    if prediction.embedding is not None:
        _check_array("embedding", prediction.embedding, (len(prediction.embedding),))
    if isinstance(prediction, Classification):
        top = prediction.top_confidence
        if top is not None and not math.isfinite(top):
            raise PredictionError(
                f"the prediction's top_confidence is {top!r}: give a finite number or None"
            )
        return
    _check_array("xyxy", prediction.xyxy, (rows, 4))
    columns = {name: getattr(prediction, name) for name in _COLUMNS}
    for name, column in [*columns.items(), *prediction.data.items()]:
        if column is not None and len(column) != rows:
            raise PredictionError(
                f"the prediction has {rows} class names but {len(column)} rows of {name!r}: "
                "give one entry per row"
            )


def _check_array(name: str, array: object, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != _FLOAT64:
        seen = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise PredictionError(
            f"the prediction's {name} is of type {str(seen)!r}, not a float64 array: "
            "convert it in the adapter"
        )
    if array.shape != shape:
        raise PredictionError(
            f"the prediction's {name} has the shape {array.shape}, not {shape}: "
            "give one row per class name"
        )
    for row in np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1)):
        raise PredictionError(
            f"row {row} of the prediction's {name} is {array[row].tolist()!r}, not finite: "
            "leave out what the model could not compute"
        )


def _check_size(size: ImageSize, image_size: ImageSize) -> None:
    if aspect_agrees(size, image_size):
        return
    seen, real = "x".join(map(str, size)), "x".join(map(str, image_size))
    hint = (
        "give the model the picture with its EXIF orientation applied"
        if aspect_agrees(size, (image_size[1], image_size[0]))
        else "pass the prediction that was made on this picture, in its pixels"
    )
    raise PredictionError(
        f"the prediction refers to a picture of {seen} pixels, but this one is {real}: {hint}"
    )


def _check_boxes(detections: Detections) -> None:
    if not len(detections):
        return
    left, top, right, bottom = detections.xyxy.T
    width, height = detections.image_size
    for row in np.flatnonzero((right < left) | (bottom < top)):
        raise PredictionError(
            f"row {row} of the prediction has the inverted box {_box(detections, int(row))}: "
            "give left, top, right, bottom"
        )
    outside = (right < 0) | (bottom < 0) | (left > width) | (top > height)
    for row in np.flatnonzero(outside):
        raise PredictionError(
            f"row {row} of the prediction has the box {_box(detections, int(row))}, wholly "
            f"outside the picture of {width}x{height} pixels: pass pixels of this picture, neither "
            "normalised coordinates nor those of another one"
        )


def _box(detections: Detections, row: int) -> str:
    return f"{detections.xyxy[row].tolist()!r} ({detections.class_name[row]!r})"


def _check_shapes(detections: Detections) -> None:
    outlines = [len(ring) for rings in detections.polygons or () for ring in rings]
    count = sum(outlines) + sum(len(points.xy) for points in detections.keypoints or ())
    if count > MAX_POINTS:
        raise PredictionError(
            f"the prediction's polygons and keypoints have {count} points, more than the "
            f"{MAX_POINTS} we take: simplify its outlines"
        )
    for row, rings in enumerate(detections.polygons or ()):
        for ring in rings:
            _check_points(row, "polygon", ring)
    for row, keypoints in enumerate(detections.keypoints or ()):
        _check_points(row, "keypoint", keypoints.xy)
        count = len(keypoints.xy)
        columns = {
            "confidence": keypoints.confidence,
            "class_name": keypoints.class_name or None,
            "class_id": keypoints.class_id,
        }
        for name, column in columns.items():
            if column is not None and len(column) != count:
                raise PredictionError(
                    f"row {row} of the prediction has {count} keypoints but {len(column)} entries "
                    f"of {name!r}: give one per keypoint"
                )


def _check_points(row: int, name: str, points: Floats) -> None:
    if points.ndim != 2 or points.shape[1] != 2:
        raise PredictionError(
            f"row {row} of the prediction has a {name} of the shape {points.shape}: give (k, 2)"
        )
    if not np.isfinite(points).all():
        raise PredictionError(
            f"row {row} of the prediction has a {name} that is not finite: "
            "leave out what the model could not compute"
        )


def _check_masks(detections: Detections) -> None:
    left = MAX_MASK_PIXELS
    for row, mask in enumerate(detections.masks or ()):
        if mask is None:
            continue
        width, height = mask.size
        if not aspect_agrees(mask.size, detections.image_size):
            raise PredictionError(
                f"row {row} of the prediction has a mask of {width}x{height} pixels for a picture "
                f"of {'x'.join(map(str, detections.image_size))}: give it in the picture's shape"
            )
        left -= width * height
        if width * height > MAX_PIXELS or left < 0:
            raise PredictionError(
                f"row {row} of the prediction has a mask of {width}x{height} pixels, more than we "
                f"decode ({MAX_PIXELS} for one, {MAX_MASK_PIXELS} for all): scale it down"
            )
        if min(mask.counts, default=0) < 0 or sum(mask.counts) != width * height:
            raise PredictionError(
                f"row {row} of the prediction has a mask whose runs add up to {sum(mask.counts)}, "
                f"not to {width}x{height}: encode it as COCO's uncompressed RLE"
            )
