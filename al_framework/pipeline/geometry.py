"""Carry a prediction from the pixels it was made in to those of the stored picture."""

import dataclasses

import numpy as np

from al_framework.api import Detections, ImageSize, Keypoints, Prediction
from al_framework.api.predictions import Floats


def rescale_prediction(prediction: Prediction, size: ImageSize) -> Prediction:
    """Return the prediction in pixels of a picture of another size.

    Each axis has its own factor, from the prediction's own ``image_size``: truncation makes the two
    differ. Boxes and polygons are clipped to the picture; keypoints are not, since a model may
    place a hidden joint outside. Whatever need not change is kept by reference, ``data`` and
    ``document`` always; nothing is written to. With factor one every number stays as it is.

    Args:
        prediction: One that `check_placement` let pass.
        size: ``(width, height)`` of the stored picture.

    Deviation from Roboflow inference, active_learning/core.py, 2026-08, which divides by one
    factor and leaves keypoints alone: there coordinates fit neither the original nor the stored
    picture.
    """
    if not isinstance(prediction, Detections):
        return dataclasses.replace(prediction, image_size=size)
    width, height = prediction.image_size
    factor = np.array((size[0] / width, size[1] / height))
    limit = np.array(size, dtype=np.float64)
    polygons, masks, keypoints = prediction.polygons, prediction.masks, prediction.keypoints
    return dataclasses.replace(
        prediction,
        xyxy=_scaled(prediction.xyxy.reshape(-1, 2, 2), factor, limit).reshape(-1, 4),
        polygons=None
        if polygons is None
        else tuple(tuple(_scaled(ring, factor, limit) for ring in rings) for rings in polygons),
        masks=None if masks is None else tuple(mask and mask.resized(size) for mask in masks),
        keypoints=None if keypoints is None else tuple(_moved(k, factor) for k in keypoints),
        image_size=size,
    )


def _scaled(points: Floats, factor: Floats, limit: Floats) -> Floats:
    moved: Floats = np.clip(points * factor, 0.0, limit)
    return moved


def _moved(keypoints: Keypoints, factor: Floats) -> Keypoints:
    return dataclasses.replace(keypoints, xy=keypoints.xy * factor)
