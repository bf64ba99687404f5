"""What a workflow hands to the step: one element, or a batch of them, in any of its shapes.

Elements are read one at a time, so that a bad one is refused alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from al_framework.api import Crop, Image, ImageInput, PredictionError
from al_framework_roboflow.elements.pictures import Picture, read_picture
from al_framework_roboflow.elements.predictions import lacks_size, read_prediction, stated_size

__all__ = ["Element", "RawElement", "paired", "read_element"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawElement:
    """One image and what belongs to it, as they came.

    Attributes:
        image: In any form of `read_picture`.
        prediction: In any form of `read_prediction`.
        prediction_type: The caller's word for the task, or None.
        problem: Why the element cannot be used, whatever it holds; empty if nothing is known yet.
    """

    image: object = field(default=None, repr=False)
    prediction: object = field(default=None, repr=False)
    prediction_type: object = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Element:
    """One image with its prediction, as `Collector.submit` takes them.

    Attributes:
        image: The image; the caller's own object where it is an array.
        prediction: The document or None; it may hold the caller's own objects. Documents of
            labels state the image's size.
        prediction_type: The task, or None where there is no prediction.
        parent: Where the image was cut out, or None.
        attributes: What else is known of a crop.
    """

    image: ImageInput = field(repr=False)
    prediction: object = field(repr=False)
    prediction_type: str | None
    parent: Crop | None
    attributes: Mapping[str, str]


def paired(image: object, predictions: object, prediction_type: object) -> list[RawElement]:
    """Return the elements of one call, in order.

    A list or tuple of images is a batch, and its predictions are a list of as many; anything else
    is a single element. A prediction type may be given for all of them, or one each.
    """
    if not isinstance(image, list | tuple):
        if isinstance(prediction_type, list | tuple) and len(prediction_type) == 1:
            prediction_type = prediction_type[0]
        return [RawElement(image=image, prediction=predictions, prediction_type=prediction_type)]
    columns = {
        "predictions": _column("predictions", predictions, len(image), alone=predictions is None),
        "prediction_type": _column(
            "prediction_type",
            prediction_type,
            len(image),
            alone=not isinstance(prediction_type, list | tuple),
        ),
    }
    for column in columns.values():
        if isinstance(column, str):
            return [RawElement(problem=column) for _ in image]
    given, types = columns["predictions"], columns["prediction_type"]
    counts = f"there are {len(image)} images, {len(given)} predictions"
    if len(types) != len(image):
        counts = f"{counts} and {len(types)} prediction types"
    problem = f"{counts}: this position is not filled by all of them; pass as many of each"
    elements = [
        RawElement(image=one, prediction=prediction, prediction_type=kind)
        for one, prediction, kind in zip(image, given, types, strict=False)
    ]
    longest = max(len(image), len(given), len(types))
    extra = longest - len(elements)
    return [*elements, *(RawElement(problem=problem) for _ in range(extra))]


def read_element(raw: RawElement) -> Element:
    """Return an element that can be submitted.

    Raises:
        ImageError: The image is of no form that is read here, or its header cannot be read.
        PredictionError: The prediction cannot be read, is of an unknown type, or belongs to an
            image of another size.
    """
    picture = read_picture(raw.image)
    prediction = read_prediction(raw.prediction, raw.prediction_type)
    picture, document = _about_one_size(picture, prediction.document)
    return Element(
        image=picture.value,
        prediction=document,
        prediction_type=prediction.prediction_type,
        parent=picture.parent,
        attributes=picture.attributes,
    )


def _column(name: str, values: object, count: int, *, alone: bool) -> Sequence[object] | str:
    """Return one value per image, or what is wrong with them."""
    if alone:
        return [values] * count
    if isinstance(values, list | tuple):
        return values
    return (
        f"{name!r} is one value of type {type(values).__name__!r} for a batch of {count} images: "
        "pass a list with one for each"
    )


def _about_one_size(picture: Picture, document: object) -> tuple[Picture, object]:
    """Refuse a document about an image of another size (D30), and add the size where it lacks."""
    stated = stated_size(document)
    lacking = stated is None and lacks_size(document)
    if stated is None and not lacking:
        return picture, document
    image = Image(picture.value)
    size = image.size
    if stated not in (None, size):
        raise PredictionError(
            f"the prediction is about an image of {stated[0]}x{stated[1]} pixels and the image "
            f"has {size[0]}x{size[1]}: 'image' and 'predictions' have to come from the same step"
        )
    if lacking and isinstance(document, Mapping):
        rest = {key: value for key, value in document.items() if key != "image"}
        # In front, where models state it: the annotation is this document.
        document = {"image": {"width": size[0], "height": size[1]}, **rest}
    # A file has been read for its size; its bytes go on, so that it is read once.
    return picture if image.path is None else picture.of(image.encoded or b""), document
