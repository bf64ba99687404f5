"""Adapter for what crop steps of workflows hand on: pictures cut out of a frame."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from al_framework.api import (
    Frame,
    Image,
    ImageError,
    Prediction,
    PredictionAdapter,
    PredictionError,
    Unlabelled,
)
from al_framework_roboflow.elements.pictures import read_picture
from al_framework_roboflow.entries import UnreadableEntryError, is_mapping, shown
from al_framework_roboflow.response import read_response

ORIGIN_SIZE = "origin_image_size"


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Stands for the prediction of a crop that cannot be used; `adapt` says why."""

    reason: str


class RoboflowCrops(PredictionAdapter):
    """Splits the output of a crop step into frames of their own.

    Reads ``{"crops": […]}`` of `Crop`, `AbsoluteStaticCrop` and `RelativeStaticCrop`, both
    generations, about one frame. ``predictions`` beside it, where given, are the crops' own: one
    document, or one list of detections, for each crop, read as `roboflow_response` reads them.

    A crop is named after its frame and its position, ``<frame id>#crop-<n>`` from 0 on. It keeps
    the frame's time, source and attributes and says where it was cut: `Frame.parent` in pixels of
    the frame, and, as Roboflow states it, the size of the first picture of all as the attribute
    ``origin_image_size`` (``200x100``).

    Source: Roboflow inference 0.9.23 and 0.12.1, ``workflows``, crop steps.
    """

    type_name = "roboflow_crops"

    def accepts(self, document: object) -> bool:
        """Tell whether this is a mapping with a list of crops."""
        return is_mapping(document) and isinstance(document.get("crops"), list | tuple)

    def split(self, document: object, *, frame: Frame) -> Iterable[tuple[Frame, object]]:
        """Return one frame per crop, each with its own prediction.

        Raises:
            PredictionError: This is no crop step's output, or which prediction belongs to which
                crop cannot be known. A crop that cannot be used is left to `adapt`.
        """
        try:
            crops, predictions = _paired(document)
        except UnreadableEntryError as exc:
            raise PredictionError(
                f"adapter {self.context.name!r}: {exc}", frame_id=frame.frame_id
            ) from exc
        for index, (crop, prediction) in enumerate(zip(crops, predictions, strict=True)):
            name = f"{frame.frame_id}#crop-{index}"
            try:
                yield _cut(crop, frame, name), prediction
            except (ImageError, UnreadableEntryError) as exc:
                bare = replace(frame, frame_id=name, image=Image(b""))
                yield bare, _Unusable(f"crops[{index}]: {exc}")

    def adapt(self, document: object, *, frame: Frame, prediction_type: str | None) -> Prediction:
        """Return the prediction of one crop, which is no prediction at all where none was given.

        Raises:
            PredictionError: The crop cannot be used, or its prediction cannot be read.
        """
        if document is None or self.accepts(document):
            # Of the crops together there is nothing to say: each has its own prediction.
            return Unlabelled(prediction_type=prediction_type or "", document=document)
        try:
            if isinstance(document, _Unusable):
                raise UnreadableEntryError(document.reason)
            if isinstance(document, list | tuple):
                document = {"predictions": document}
            return read_response(document, frame, prediction_type)
        except UnreadableEntryError as exc:
            raise PredictionError(
                f"adapter {self.context.name!r}: {exc}", frame_id=frame.frame_id
            ) from exc


def _paired(document: object) -> tuple[Sequence[object], Sequence[object]]:
    crops = document.get("crops") if is_mapping(document) else None
    if not is_mapping(document) or not isinstance(crops, list | tuple):
        raise UnreadableEntryError(
            f"an object of type {type(document).__name__!r} is no output of a crop step: pass a "
            "mapping with a list of 'crops', or choose another adapter"
        )
    predictions = document.get("predictions")
    if predictions is None:
        return crops, [None] * len(crops)
    if not isinstance(predictions, list | tuple):
        raise UnreadableEntryError(
            f"predictions is {shown(predictions)}: beside crops it has to be a list with one "
            "prediction per crop"
        )
    if len(predictions) != len(crops):
        raise UnreadableEntryError(
            f"there are {len(crops)} crops and {len(predictions)} predictions: pass one prediction "
            "per crop"
        )
    return crops, predictions


def _cut(crop: object, frame: Frame, name: str) -> Frame:
    """Return the frame of one crop.

    Raises:
        ImageError: Its picture or its place cannot be read.
        UnreadableEntryError: It does not say where it was cut.
    """
    picture = read_picture(crop)
    if picture.parent is None or not is_mapping(crop):
        raise UnreadableEntryError(
            "origin_coordinates is missing: a crop says where it was cut out"
        )
    attributes = dict(frame.attributes)
    size = crop["origin_coordinates"].get(ORIGIN_SIZE)
    if is_mapping(size):
        attributes[ORIGIN_SIZE] = _in_words(size)
    return replace(
        frame,
        frame_id=name,
        image=Image(picture.value),
        attributes=attributes,
        parent=replace(picture.parent, frame_id=frame.frame_id),
    )


def _in_words(size: Mapping[str, Any]) -> str:
    width, height = size.get("width"), size.get("height")
    for side in (width, height):
        if type(side) is not int or side <= 0:
            raise UnreadableEntryError(
                f"{ORIGIN_SIZE} is {shown(size)}: it has to give width and height in pixels"
            )
    return f"{width}x{height}"
