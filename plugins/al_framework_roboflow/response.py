"""Adapter for the documents that Roboflow's models answer with.

Source: Roboflow inference 1.8.3, ``core/entities/responses/inference.py``: detection, instance
segmentation, keypoints, multi-class and multi-label classification, stubs.
"""

from collections.abc import Mapping
from typing import Any, TypedDict

from al_framework.api import (
    Classification,
    Detections,
    Frame,
    ImageSize,
    Prediction,
    PredictionAdapter,
    PredictionError,
    Unlabelled,
)
from al_framework_roboflow.entries import (
    Rows,
    UnreadableEntryError,
    finite_numbers,
    is_mapping,
    read_rows,
    shown,
    texts,
)

_DETECTION_TYPES = frozenset(
    {"object-detection", "instance-segmentation", "keypoint-detection", "keypoints-detection"}
)
_CLASSIFICATION_TYPE = "classification"
_MARKS = ("predictions", "top", "is_stub")
_MAX_SIDE = 1_000_000


class _Common(TypedDict):
    model_id: str | None
    inference_id: str | None
    document: object


class RoboflowResponse(PredictionAdapter):
    """Reads a response of Roboflow Inference or of the hosted API: a mapping or a response object.

    What a document is follows from the caller's prediction type, and where that is none of
    Roboflow's from its shape. Stubs and documents of other tasks (OCR, semantic segmentation,
    language models) become `Unlabelled`. Detections that state no box at all get one of size zero
    in the corner: a box cannot be left out, and this one claims no pixel.
    """

    type_name = "roboflow_response"

    def accepts(self, document: object) -> bool:
        """Tell whether this is a mapping, or a response object, with the keys of a response."""
        if is_mapping(document):
            return any(key in document for key in _MARKS)
        fields = getattr(type(document), "model_fields", ())
        return hasattr(document, "model_dump") and any(key in fields for key in _MARKS)

    def adapt(self, document: object, *, frame: Frame, prediction_type: str | None) -> Prediction:
        """Return the prediction that a document states.

        Raises:
            PredictionError: A number is missing or not finite, a class is no text, or the value is
                no document at all.
        """
        try:
            return self._adapt(document, frame, prediction_type)
        except UnreadableEntryError as exc:
            raise PredictionError(
                f"adapter {self.context.name!r}: {exc}", frame_id=frame.frame_id
            ) from exc

    def _adapt(self, document: object, frame: Frame, prediction_type: str | None) -> Prediction:
        if not is_mapping(document):
            document = _dumped(document)
        model_id, inference_id = document.get("model_id"), document.get("inference_id")
        common: _Common = {
            "model_id": model_id if isinstance(model_id, str) else None,
            "inference_id": inference_id if isinstance(inference_id, str) else None,
            "document": document,
        }
        if document.get("is_stub"):
            return _unlabelled(document, prediction_type, common)
        entries = document.get("predictions")
        if prediction_type in _DETECTION_TYPES:
            listed = entries is not None or "predictions" in document
            if listed and not is_mapping(entries):
                return _detections(document, entries, frame, prediction_type, common)
        elif "top" in document:
            return _multi_class(document, entries, frame, prediction_type, common)
        elif "predicted_classes" in document:
            return _multi_label(document, entries, frame, prediction_type, common)
        elif prediction_type != _CLASSIFICATION_TYPE and _looks_like_detections(entries):
            return _detections(document, entries, frame, prediction_type, common)
        return _unlabelled(document, prediction_type, common)


def _dumped(document: object) -> Mapping[str, Any]:
    dump = getattr(document, "model_dump", None)
    values = dump(by_alias=True, exclude_none=True) if callable(dump) else None
    if not is_mapping(values):
        raise UnreadableEntryError(
            f"an object of type {type(document).__name__!r} is no Roboflow response: pass one "
            "response as a mapping, or choose another adapter"
        )
    return values


def _looks_like_detections(entries: object) -> bool:
    if not isinstance(entries, list | tuple):
        return False
    first = entries[0] if entries else {"class": ""}
    return is_mapping(first) and ("class" in first or "confidence" in first)


def _unlabelled(
    document: Mapping[str, Any], prediction_type: str | None, common: _Common
) -> Unlabelled:
    # The frame is not asked: its header need not be read for a prediction without coordinates.
    return Unlabelled(
        image_size=_stated_size(document), prediction_type=prediction_type or "", **common
    )


def _detections(
    document: Mapping[str, Any],
    entries: object,
    frame: Frame,
    prediction_type: str | None,
    common: _Common,
) -> Detections:
    if not isinstance(entries, list | tuple):
        raise UnreadableEntryError(f"predictions is {shown(entries)}: it has to be a list")
    rows = read_rows(entries)
    if prediction_type is None:
        prediction_type = "object-detection"
        if rows.keypoints is not None:
            prediction_type = "keypoint-detection"
        elif rows.polygons is not None or rows.masks is not None:
            prediction_type = "instance-segmentation"
    _freeze(rows)
    return Detections(
        xyxy=rows.xyxy,
        confidence=rows.confidence,
        class_name=rows.class_name,
        image_size=_stated_size(document) or frame.image.size,
        prediction_type=prediction_type,
        class_id=rows.class_id,
        polygons=rows.polygons,
        masks=rows.masks,
        keypoints=rows.keypoints,
        data=rows.data,
        **common,
    )


def _freeze(rows: Rows) -> None:
    """Make our own arrays read-only: cheaper than the views the engine would make of them."""
    arrays = [rows.xyxy, rows.confidence]
    if rows.class_id is not None:
        rows.class_id.flags.writeable = False
    for rings in rows.polygons or ():
        arrays += rings
    for points in rows.keypoints or ():
        arrays.append(points.xy)
        if points.confidence is not None:
            arrays.append(points.confidence)
        if points.class_id is not None:
            points.class_id.flags.writeable = False
    for array in arrays:
        array.flags.writeable = False


def _multi_class(
    document: Mapping[str, Any],
    entries: object,
    frame: Frame,
    prediction_type: str | None,
    common: _Common,
) -> Classification:
    top = document["top"]
    if not isinstance(top, str):
        raise UnreadableEntryError(f"top is {shown(top)}: it has to be the name of a class")
    if entries is None:
        entries = ()
    if not isinstance(entries, list | tuple):
        raise UnreadableEntryError(f"predictions is {shown(entries)}: it has to be a list")
    stated = finite_numbers([document.get("confidence")], lambda _: "confidence")
    return Classification(
        class_name=texts(entries, "class"),
        confidence=finite_numbers(
            [entry.get("confidence") for entry in entries],
            lambda row: f"predictions[{row}].confidence",
        ),
        image_size=_stated_size(document) or frame.image.size,
        prediction_type=prediction_type or _CLASSIFICATION_TYPE,
        top=top,
        top_confidence=float(stated[0]),
        **common,
    )


def _multi_label(
    document: Mapping[str, Any],
    entries: object,
    frame: Frame,
    prediction_type: str | None,
    common: _Common,
) -> Classification:
    if not is_mapping(entries):
        raise UnreadableEntryError(
            f"predictions is {shown(entries)}: beside predicted_classes it has to map classes to "
            "their confidences"
        )
    predicted = document["predicted_classes"]
    named = isinstance(predicted, list | tuple) and all(isinstance(n, str) for n in predicted)
    if not named:
        raise UnreadableEntryError(
            f"predicted_classes is {shown(predicted)}: it has to be a list of names"
        )
    names = tuple(entries)
    values = entries.values()
    return Classification(
        class_name=names,
        confidence=finite_numbers(
            [value.get("confidence") if is_mapping(value) else value for value in values],
            lambda row: f"predictions[{names[row]!r}].confidence",
        ),
        image_size=_stated_size(document) or frame.image.size,
        prediction_type=prediction_type or _CLASSIFICATION_TYPE,
        predicted=tuple(predicted),
        **common,
    )


def _stated_size(document: Mapping[str, Any]) -> ImageSize | None:
    """Return the picture's size as the document states it, or None where it does not."""
    image = document.get("image")
    if not is_mapping(image):
        return None
    width, height = image.get("width"), image.get("height")
    if type(width) is int and type(height) is int and width > 0 and height > 0:
        return width, height
    if width is None or height is None:
        return None
    sides = finite_numbers([width, height], lambda row: f"image.{('width', 'height')[row]}")
    for name, side in zip(("width", "height"), sides.tolist(), strict=True):
        if not (side.is_integer() and 0 < side < _MAX_SIDE):
            raise UnreadableEntryError(f"image.{name} is {side!r}: it has to be a number of pixels")
    return int(sides[0]), int(sides[1])
