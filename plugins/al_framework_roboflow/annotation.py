"""Write a prediction as the annotation that goes after an uploaded picture.

Detections become the model's own document as JSON, with coordinates in pixels of the stored
picture; a class becomes its name as text; several classes become their names, joined by commas.

Source: Roboflow inference 1.8.3, active_learning/core.py and post_processing.py. Deviations:

* ``stored-frame`` (D5 to D8): upstream divides by one factor, leaves keypoints alone and loses
  run-length encoded masks. Here every coordinate is multiplied by the exact factor of its axis.
* ``multi-label-text`` (D10): upstream uploads the picture and then fails. The form is that of
  upstream's newer upload block, dataset_upload/v1.py.
* ``checked-before-upload`` (D32): what JSON cannot express is found before the picture is sent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from typing_extensions import TypeIs

from al_framework.api import (
    Classification,
    Datapoint,
    Detections,
    ImageSize,
    Prediction,
    Unlabelled,
)
from al_framework_roboflow.columns import document_of
from al_framework_roboflow.documents import stated_image
from al_framework_roboflow.masks import resized_values
from al_framework_roboflow.rle import MASK_KEYS

Extension: TypeAlias = Literal["json", "txt"]
_AXES = (("x", "width"), ("y", "height"))
_POINT_KEYS = ("points", "keypoints")


class AnnotationError(ValueError):
    """A prediction cannot be written as an annotation; the text says why."""


class NoFormError(AnnotationError):
    """There is no form of annotation for such a prediction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """An annotation as it is sent.

    Attributes:
        body: The request's body.
        extension: What its name ends in.
    """

    body: bytes
    extension: Extension


def annotation_for(datapoint: Datapoint) -> Annotation | None:
    """Return the annotation of a datapoint, or None where none is to be sent.

    It is written from the model's own document where that is a Roboflow document that JSON can
    express, and from our columns otherwise. A document of a task whose coordinates we do not read
    is written as it is, in the frame that it states.

    Raises:
        NoFormError: There is no form for a prediction of this type.
        AnnotationError: The prediction holds what its form cannot express.
    """
    prediction = datapoint.prediction
    if prediction is None:
        return None
    document, kind = _own_document(prediction), prediction.prediction_type
    if isinstance(prediction, Unlabelled):
        return None if document is None else _annotation(document, kind)
    if document is not None:
        document = in_stored_frame(
            document, source_size=datapoint.source_size, image_size=datapoint.image_size
        )
        try:
            return _annotation(document, kind)
        except NoFormError:
            raise
        except AnnotationError:
            pass  # a value in it that we do not need may be at fault: the columns will tell
    return _annotation(document_of(prediction), kind)


def is_annotation_forbidden(
    document: Mapping[str, Any], persist_predictions: object, image_id: str | None
) -> bool:
    """Tell whether no annotation is to be sent.

    Args:
        document: The prediction.
        persist_predictions: As configured; only False itself forbids.
        image_id: The uploaded picture's id, or None if it is not known.
    """
    if image_id is None or persist_predictions is False or document.get("is_stub") is True:
        return True
    return not document.get("predictions") and "top" not in document


def encode_prediction(document: Mapping[str, Any], prediction_type: str) -> tuple[str, Extension]:
    """Return the text of an annotation, and what its name ends in.

    Args:
        document: The prediction, in the frame that it is to be sent in.
        prediction_type: The caller's word for the task. With ``classification`` in it the class
            names are the annotation, otherwise the whole document is.

    Raises:
        NoFormError: A classification names neither ``top`` nor ``predicted_classes``.
        AnnotationError: A name is no text, or JSON cannot express the document.
    """
    if "classification" not in prediction_type:
        return _to_json(document), "json"
    if "top" in document:
        return _class_name(document["top"], "top"), "txt"
    if "predicted_classes" in document:
        return _joined(document["predicted_classes"]), "txt"
    raise NoFormError(
        f"a prediction of type {prediction_type!r} names neither top nor predicted_classes"
    )


def in_stored_frame(
    document: Mapping[str, Any], *, source_size: ImageSize, image_size: ImageSize
) -> Mapping[str, Any]:
    """Return a document with its coordinates in pixels of the stored picture.

    An axis that keeps its size keeps its numbers, digit for digit. The document itself is not
    written to.

    Args:
        document: A Roboflow document, in the frame that it states.
        source_size: ``(width, height)`` that it refers to where it states none.
        image_size: ``(width, height)`` of the stored picture.
    """
    moved = dict(document)
    moved.pop("visualization", None)  # a picture with the boxes drawn in, which upstream excludes
    if moved.get("mask_metadata") and moved.get("original_image"):
        # How to get from a mask's grid back to the picture, which is done here; as upstream.
        del moved["mask_metadata"], moved["original_image"]
    stated = _stated_size(document)
    width, height = stated or source_size
    factors = (image_size[0] / width, image_size[1] / height)
    if factors != (1, 1):
        image = stated_image(document) if stated else None
        moved["image"] = {**(image or {}), "width": image_size[0], "height": image_size[1]}
    entries = document.get("predictions")
    if isinstance(entries, list | tuple):
        moved["predictions"] = [_moved_entry(entry, factors, image_size) for entry in entries]
    return moved


def _annotation(document: Mapping[str, Any], prediction_type: str) -> Annotation | None:
    # Asked with any id: that of the picture is not known yet.
    if is_annotation_forbidden(document, persist_predictions=True, image_id=""):
        return None
    text, extension = encode_prediction(document, prediction_type)
    try:
        return Annotation(body=text.encode(), extension=extension)
    except UnicodeEncodeError as exc:
        raise AnnotationError(f"the class {text!r} is no valid Unicode text") from exc


def _own_document(prediction: Prediction) -> Mapping[str, Any] | None:
    """Return the prediction's document if it is one of Roboflow's."""
    document = prediction.document
    if not isinstance(document, Mapping):
        return None
    if isinstance(prediction, Classification):
        return document if "top" in document or "predicted_classes" in document else None
    if isinstance(prediction, Detections):
        entries = document.get("predictions")
        if not isinstance(entries, list | tuple) or len(entries) != len(prediction):
            return None
        if not all(isinstance(e, Mapping) and {"class", "confidence"} <= e.keys() for e in entries):
            return None
    return document


def _moved_entry(entry: object, factors: tuple[float, float], image_size: ImageSize) -> object:
    if not isinstance(entry, Mapping):
        return entry
    moved = dict(entry) if factors == (1, 1) else _moved_shape(entry, factors)
    for key in MASK_KEYS:
        if key in moved:
            moved[key] = resized_values(moved[key], image_size)
    return moved


def _moved_shape(entry: Mapping[str, Any], factors: tuple[float, float]) -> dict[str, Any]:
    moved = _moved(entry, factors)
    for key in _POINT_KEYS:
        if isinstance(moved.get(key), list | tuple):
            moved[key] = [
                _moved(point, factors) if isinstance(point, Mapping) else point
                for point in moved[key]
            ]
    return moved


def _moved(values: Mapping[str, Any], factors: tuple[float, float]) -> dict[str, Any]:
    moved = dict(values)
    for factor, keys in zip(factors, _AXES, strict=True):
        for key in keys:
            # Whatever the adapter has read as a coordinate, a bool too.
            if factor != 1 and isinstance(moved.get(key), int | float | np.number):
                moved[key] = float(moved[key]) * factor
    return moved


def _is_number(value: Any) -> TypeIs[float]:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _stated_size(document: Mapping[str, Any]) -> tuple[float, float] | None:
    image = stated_image(document)
    if image is None:
        return None
    width, height = image.get("width"), image.get("height")
    if _is_number(width) and _is_number(height) and width > 0 and height > 0:
        return float(width), float(height)
    return None


def _joined(names: object) -> str:
    if not isinstance(names, list | tuple):
        raise AnnotationError(f"predicted_classes is {names!r}: it has to be a list of names")
    return ",".join(
        _class_name(name, f"predicted_classes[{row}]") for row, name in enumerate(names)
    )


def _class_name(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise AnnotationError(f"{place} is {value!r}: it has to be the name of a class")
    return value


def _to_json(document: Mapping[str, Any]) -> str:
    try:
        return json.dumps(document, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as exc:
        raise AnnotationError(f"the prediction cannot be written as JSON: {exc}") from exc


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"a value of type {type(value).__name__!r}")
