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
    Scores,
    Unlabelled,
)
from al_framework_roboflow.documents import looks_like_a_response, one_response, stated_image
from al_framework_roboflow.entries import (
    Rows,
    UnreadableEntryError,
    finite_numbers,
    is_mapping,
    read_rows,
    shown,
    texts,
)
from al_framework_roboflow.scores import read_scores
from al_framework_roboflow.tasks import CLASSIFICATION, DETECTION_TASKS

_MAX_SIDE = 1_000_000


class _Common(TypedDict):
    model_id: str | None
    inference_id: str | None
    document: object


class RoboflowResponse(PredictionAdapter):
    """Reads a response of Roboflow Inference or of the hosted API, or a workflow step's output.

    The task is the caller's prediction type, else the document's own ``prediction_type``. A
    document of one of Roboflow's detection types or of ``classification`` has to state what its
    type promises. Where the task is unknown, the shape says what the document is: classes,
    detections, or something else (OCR, semantic segmentation, language models), which becomes
    `Unlabelled`, as stubs do; where the task has a name of its own, so does what cannot be read.

    A list of one response, as ``model.infer`` answers, and step columns of one image are unwrapped.
    Detections that state no box at all get one of size zero in the corner: a box cannot be left
    out, and this one claims no pixel.
    """

    type_name = "roboflow_response"

    def accepts(self, document: object) -> bool:
        """Tell whether this is a mapping, or a response object, with the keys of a response."""
        return looks_like_a_response(document)

    def scores(self, document: object, *, prediction_type: str | None) -> Scores | None:
        """Return the classes and confidences of a detection response in its usual form."""
        return read_scores(document, prediction_type)

    def adapt(self, document: object, *, frame: Frame, prediction_type: str | None) -> Prediction:
        """Return the prediction that a document states.

        Raises:
            PredictionError: A number is missing or not finite, a class is no text, or the value is
                no document at all.
        """
        try:
            return read_response(document, frame, prediction_type)
        except UnreadableEntryError as exc:
            raise PredictionError(
                f"adapter {self.context.name!r}: {exc}", frame_id=frame.frame_id
            ) from exc


def read_response(document: object, frame: Frame, prediction_type: str | None) -> Prediction:
    """Return the prediction that a document states.

    Raises:
        UnreadableEntryError: It states something that no prediction can be made of.
    """
    response = one_response(document)
    if prediction_type is None:
        stated = response.get("prediction_type")
        prediction_type = stated if isinstance(stated, str) else None
    model_id, inference_id = response.get("model_id"), response.get("inference_id")
    common: _Common = {
        "model_id": model_id if isinstance(model_id, str) else None,
        "inference_id": inference_id if isinstance(inference_id, str) else None,
        "document": response,
    }
    if response.get("is_stub"):
        return _unlabelled(response, prediction_type, common)
    if prediction_type in DETECTION_TASKS:
        return _detections(response, frame, prediction_type, common)
    if prediction_type is None or prediction_type == CLASSIFICATION:
        return _by_shape(response, frame, prediction_type, common)
    try:
        return _by_shape(response, frame, prediction_type, common)
    except UnreadableEntryError:  # of a task that is not ours to judge
        return _unlabelled(response, prediction_type, common)


def _by_shape(
    document: Mapping[str, Any], frame: Frame, prediction_type: str | None, common: _Common
) -> Prediction:
    if "top" in document:
        return _multi_class(document, frame, prediction_type, common)
    if "predicted_classes" in document:
        return _multi_label(document, frame, prediction_type, common)
    if prediction_type == CLASSIFICATION:
        raise UnreadableEntryError(
            "top is missing: a classification states its top class, or predicted_classes where an "
            "image can have several"
        )
    entries = document.get("predictions")
    if _look_like_detections(entries):
        return _detections(document, frame, prediction_type, common)
    return _unlabelled(document, prediction_type, common)


def _look_like_detections(entries: object) -> bool:
    """Tell detections from another task's predictions.

    Raises:
        UnreadableEntryError: They are no task's.
    """
    if entries is None or is_mapping(entries):
        return False
    if not isinstance(entries, list | tuple):
        raise UnreadableEntryError(
            f"predictions is {shown(entries)}: it has to be a list of detections, or a mapping"
        )
    first = entries[0] if entries else {"class": ""}
    if not is_mapping(first):
        raise UnreadableEntryError(f"predictions[0] is {shown(first)}: it has to be a mapping")
    return "class" in first or "x" in first


def _unlabelled(
    document: Mapping[str, Any], prediction_type: str | None, common: _Common
) -> Unlabelled:
    # The frame is not asked: its header need not be read for a prediction without coordinates.
    return Unlabelled(
        image_size=_stated_size(document), prediction_type=prediction_type or "", **common
    )


def _detections(
    document: Mapping[str, Any], frame: Frame, prediction_type: str | None, common: _Common
) -> Detections:
    entries = document.get("predictions")
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
    document: Mapping[str, Any], frame: Frame, prediction_type: str | None, common: _Common
) -> Classification:
    top, confidence = document["top"], document.get("confidence")
    if not isinstance(top, str):
        raise UnreadableEntryError(f"top is {shown(top)}: it has to be the name of a class")
    if confidence is not None:
        confidence = float(finite_numbers([confidence], lambda _: "confidence")[0])
    entries = document.get("predictions")
    if entries is None:  # the top class is all that was scored
        entries = [] if confidence is None else [{"class": top, "confidence": confidence}]
    if not isinstance(entries, list | tuple):
        raise UnreadableEntryError(f"predictions is {shown(entries)}: it has to be a list")
    return Classification(
        class_name=texts(entries, "class"),
        confidence=finite_numbers(
            [entry.get("confidence") for entry in entries],
            lambda row: f"predictions[{row}].confidence",
        ),
        image_size=_stated_size(document) or frame.image.size,
        prediction_type=CLASSIFICATION if prediction_type is None else prediction_type,
        top=top,
        top_confidence=confidence,
        **common,
    )


def _multi_label(
    document: Mapping[str, Any], frame: Frame, prediction_type: str | None, common: _Common
) -> Classification:
    entries = document.get("predictions")
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
            [value.get("confidence") if is_mapping(value) else None for value in values],
            lambda row: f"predictions[{names[row]!r}].confidence",
        ),
        image_size=_stated_size(document) or frame.image.size,
        prediction_type=CLASSIFICATION if prediction_type is None else prediction_type,
        predicted=tuple(predicted),
        **common,
    )


def _stated_size(document: Mapping[str, Any]) -> ImageSize | None:
    """Return the picture's size as the document states it, or None where it does not."""
    image = stated_image(document)
    if image is None:
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
