"""What the steps of today's engine exchange, made ready for our step.

The step reads ``sv.Detections`` and documents itself. Added here is what needs the engine: the
polygon of a dense mask, exactly the one that the engine would answer with, and a look at where in
the input image the prediction was made.
Source: roboflow-workflows 0.2.13, ``core_steps/common/serializers.py``. Deviation: an instance
with an empty mask is kept, without points, since the strategies count instances.
"""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from al_framework_roboflow.elements.supervision import document_of, is_detections

Outline: TypeAlias = Callable[[Any], Any]
"""From a boolean mask ``(h, w)`` to its polygon ``(k, 2)``, or None for an empty mask."""


class MisplacedPredictionError(ValueError):
    """A prediction was made on another part of the picture; the text says on which."""


def readable(
    prediction: Any, *, image_size: tuple[int, int], place: tuple[int, int], outline: Outline
) -> tuple[object, str | None]:
    """Return a prediction as the step reads it, with its type where it is detections.

    Args:
        prediction: ``sv.Detections``; anything else is handed on as it is.
        image_size: ``(width, height)`` of the image that it belongs to.
        place: ``(left, top)`` of that image in the workflow's input image.
        outline: Makes a polygon of a mask.

    Raises:
        MisplacedPredictionError: It was made on another part of the input image.
        PredictionError: A column has not as many rows as there are boxes.
    """
    if not is_detections(prediction):
        return prediction, None
    _check_place(prediction, place)
    masks = prediction.mask
    document = document_of(_without_masks(prediction))
    document.setdefault("image", {"width": image_size[0], "height": image_size[1]})
    kind = str(document.pop("prediction_type"))
    if masks is None:
        return document, kind
    rows = zip(document["predictions"], masks, prediction.xyxy, strict=True)
    for entry, mask, box in rows:
        if "points" not in entry and "rle_mask" not in entry:
            polygon = _polygon(np.asarray(mask, dtype=np.bool_), box, outline)
            if polygon is not None:
                entry["points"] = [{"x": float(x), "y": float(y)} for x, y in polygon]
    # Without its masks, and without a word of the model's, it passed for plain detections.
    return document, "instance-segmentation" if kind == "object-detection" else kind


def _polygon(mask: npt.NDArray[np.bool_], box: Any, outline: Outline) -> Any:
    """Return a mask's polygon, looked for within its box alone where all of it lies there.

    That is a tenth of the time for twenty instances of a large picture, on the path of every frame.
    """
    left, top = np.maximum(np.floor(box[:2]).astype(int) - 1, 0)
    right, bottom = np.ceil(box[2:]).astype(int) + 1
    part = mask[top:bottom, left:right]
    if np.count_nonzero(part) != np.count_nonzero(mask):
        return outline(mask)
    polygon = outline(part) if part.size else None
    return None if polygon is None else np.add(polygon, (left, top))


def _without_masks(detections: Any) -> Any:
    """Return a shallow copy without dense masks, which would be encoded for nothing."""
    if detections.mask is None:
        return detections
    bare = copy(detections)
    bare.mask = None
    return bare


def _check_place(detections: Any, place: tuple[int, int]) -> None:
    """Refuse detections of another part of the picture: their coordinates mean nothing here."""
    column = detections.data.get("root_parent_coordinates")
    metadata: Mapping[str, Any] = getattr(detections, "metadata", None) or {}
    # Without rows it stands in the metadata.
    stated = column[0] if column is not None and len(column) else None
    stated = metadata.get("root_parent_coordinates") if stated is None else stated
    if stated is None:
        return
    left, top = (int(value) for value in stated)
    if (left, top) != place:
        raise MisplacedPredictionError(
            f"the predictions were made at {(left, top)!r} of the input image and the image lies "
            f"at {place!r}: 'images' and 'predictions' have to come from the same step"
        )
