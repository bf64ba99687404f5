"""The predictions of workflows: documents, lists of entries, a top class, and objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from al_framework.api import (
    Classification,
    Detections,
    ImageSize,
    PredictionError,
    Unlabelled,
)
from al_framework_roboflow.documents import stated_image
from al_framework_roboflow.elements.supervision import document_of, is_detections
from al_framework_roboflow.entries import shown
from al_framework_roboflow.tasks import CLASSIFICATION, DETECTION_TASKS

# Random sampling takes these too; nobody looks into them.
OTHER_TYPES = (
    "multi-label-classification",
    "semantic-segmentation",
    "ocr",
    "qrcode-detection",
    "barcode-detection",
)
PREDICTION_TYPES = (*DETECTION_TASKS, CLASSIFICATION, *OTHER_TYPES)

_NUMBERS = (int, float, np.integer, np.floating)
_DOCUMENT_KEYS = ("predictions", "top", "predicted_classes", "is_stub")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadPrediction:
    """A prediction as `Collector.submit` takes it.

    Attributes:
        document: A Roboflow document, one of the framework's own predictions, or None.
        prediction_type: The task, or None where there is neither a prediction nor a word of it.
    """

    document: object = field(repr=False)
    prediction_type: str | None


def read_prediction(given: object, prediction_type: object = None) -> ReadPrediction:
    """Return the prediction that a workflow passes; nothing of it is changed.

    Args:
        given: A response of a model, whole; its entries alone; the name of the top class;
            ``sv.Detections``; a prediction of the framework; or None.
        prediction_type: The task in Roboflow's words. By default the document says it, or else
            its shape does.

    Raises:
        PredictionError: It is none of these, or its type is unknown or contradicts its shape.
    """
    stated = _checked_type(prediction_type, "'prediction_type'")
    if given is None:
        return ReadPrediction(document=None, prediction_type=stated)
    if isinstance(given, Detections | Classification | Unlabelled):
        return ReadPrediction(document=given, prediction_type=stated or given.prediction_type)
    document = _document(given, stated)
    own = _checked_type(document.get("prediction_type"), "the document's 'prediction_type'")
    kind = stated or own or _type_of_shape(document)
    if isinstance(given, str) and kind != CLASSIFICATION:
        raise PredictionError(
            f"the prediction is the name of a class, {shown(given)}, and its type is {kind!r}: "
            f"pass detections, or {CLASSIFICATION!r} as 'prediction_type'"
        )
    return ReadPrediction(document=document, prediction_type=kind)


def stated_size(document: object) -> ImageSize | None:
    """Return ``(width, height)`` of the image that a prediction says it is about, or None."""
    if isinstance(document, Detections | Classification | Unlabelled):
        return document.image_size
    image = stated_image(document) if isinstance(document, Mapping) else None
    if image is None:
        return None
    width, height = image.get("width"), image.get("height")
    if not isinstance(width, _NUMBERS) or not isinstance(height, _NUMBERS):
        return None  # the adapter says what is wrong with them
    if width != width // 1 or height != height // 1:
        return None
    return int(width), int(height)


def lacks_size(document: object) -> bool:
    """Tell whether this is a document of labels that does not say how large their image is."""
    if not isinstance(document, Mapping) or document.get("is_stub"):
        return False
    image = stated_image(document)
    return image is None or None in (image.get("width"), image.get("height"))


def _document(given: object, stated: str | None) -> Mapping[str, Any]:
    if isinstance(given, str):
        return {"top": given}
    if is_detections(given):
        return document_of(given)
    if isinstance(given, Mapping):
        return _checked_document(given)
    if isinstance(given, list | tuple):
        return _document_of_entries(given, stated)
    dump = getattr(given, "model_dump", None)
    if callable(dump):
        values = dump(by_alias=True, exclude_none=True)
        if isinstance(values, Mapping):
            return _checked_document(values)
    raise PredictionError(
        f"a prediction of type {type(given).__name__!r} cannot be read: pass the model's document, "
        "its list of detections, its top class, or sv.Detections"
    )


def _checked_document(document: Mapping[str, Any]) -> Mapping[str, Any]:
    if any(key in document for key in _DOCUMENT_KEYS):
        return document
    if "class" in document or "x" in document:
        raise PredictionError(
            "the prediction is a single entry: pass the list of all entries of its image"
        )
    keys = ", ".join(repr(str(key)) for key in list(document)[:5]) or "nothing"
    raise PredictionError(
        f"the prediction is a mapping that holds {keys}: a document has 'predictions' or 'top'"
    )


def _document_of_entries(entries: Sequence[Any], stated: str | None) -> Mapping[str, Any]:
    """Return the entries as the document they were taken from; the entries are not copied."""
    for row, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise PredictionError(
                f"predictions[{row}] is of type {type(entry).__name__!r}: it has to be a mapping"
            )
    scored = [entry for entry in entries if "x" not in entry and "class" in entry]
    if stated not in (None, CLASSIFICATION) or not (stated or scored):
        return {"predictions": entries}
    if not entries or len(scored) != len(entries):
        if stated is None:
            return {"predictions": entries}  # the adapter says which entry lacks what
        raise PredictionError(
            "the entries hold no classes: of a classification pass its whole document, or its "
            "top class"
        )
    best = max(scored, key=_confidence)
    return {"predictions": entries, "top": best["class"], "confidence": _confidence(best)}


def _confidence(entry: Mapping[str, Any]) -> float:
    value = entry.get("confidence")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PredictionError(
            f"the class {shown(entry.get('class'))} has the confidence {shown(value)}: it has to "
            "be a number"
        )
    return value


def _type_of_shape(document: Mapping[str, Any]) -> str | None:
    """Return the type that a document shows without saying it; None for a stub."""
    if document.get("is_stub"):
        return None
    entries = document.get("predictions")
    if "top" in document or "predicted_classes" in document or isinstance(entries, Mapping):
        return CLASSIFICATION
    keys = {key for entry in entries or () if isinstance(entry, Mapping) for key in entry}
    if "keypoints" in keys:
        return "keypoint-detection"
    segmented = keys & {"points", "rle", "rle_mask", "mask"}
    return "instance-segmentation" if segmented else "object-detection"


def _checked_type(value: object, who: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and value in PREDICTION_TYPES:
        return value
    known = ", ".join(repr(one) for one in PREDICTION_TYPES)
    raise PredictionError(f"{who} is {shown(value)}, which is unknown: choose one of {known}")
