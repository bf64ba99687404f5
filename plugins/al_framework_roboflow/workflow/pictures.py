"""Pictures: what a caller gives for an image input, and what the two generations call a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from al_framework.api import Image, ImageError
from al_framework_roboflow.elements.pictures import read_picture
from al_framework_roboflow.workflow.elements import Failure, Picture
from al_framework_roboflow.workflow.execution import Generation


def input_pictures(
    name: str, given: object, generation: Generation
) -> tuple[Picture | Failure, ...]:
    """Return the pictures of an image input.

    Args:
        name: Name of the input.
        given: One image or a list of them: arrays in BGR, PIL images, encoded bytes, paths, or
            dictionaries of Roboflow Inference.
        generation: Whose names the pictures get.
    """
    root = f"$inputs.{name}" if generation == 1 else name
    if not isinstance(given, list | tuple):
        return (_input_picture(given, name, None, root),)
    return tuple(
        _input_picture(one, name, index, f"{root}.[{index}]") for index, one in enumerate(given)
    )


def _input_picture(
    given: object, name: str, index: int | None, parent_id: str
) -> Picture | Failure:
    key = (name, index or 0)
    label = f"$inputs.{name}" if index is None else f"$inputs.{name}[{index}]"
    try:
        if isinstance(given, Image):
            return Picture(
                key=key, label=label, image=given, given=given.pixels(), parent_id=parent_id
            )
        read = read_picture(given)
        image = Image(read.value)
        label = label if image.path is None else str(image.path)
        # A file is looked at once, and before anybody is asked about it.
        image.size  # noqa: B018 - raises where it is no picture
    except ImageError as exc:
        message = str(exc) if label in str(exc) else f"{label}: {exc}"
        return Failure(key=key, label=label, message=message)
    return Picture(key=key, label=label, image=image, given=given, parent_id=parent_id)


def picture_document(picture: Picture, generation: Generation) -> object:
    """Return a picture as a collector takes it: what was given, or a crop with its origin."""
    return picture.given if picture.cut is None else crop_document(picture, generation)


def crop_document(picture: Picture, generation: Generation) -> Mapping[str, object]:
    """Return a picture in the words of a generation."""
    document: dict[str, object] = {
        "type": "numpy_object",
        "value": picture.given,
        "parent_id": picture.parent_id,
    }
    cut = picture.cut
    if cut is not None:
        origin: dict[str, Any] = {}
        if generation == 1:
            origin["center_x"], origin["center_y"] = cut.center
        else:
            origin["left_top_x"], origin["left_top_y"] = cut.left, cut.top
        if cut.box_size is not None:
            origin["width"], origin["height"] = cut.box_size
        width, height = cut.origin_size
        origin["origin_image_size"] = {"height": height, "width": width}
        document["origin_coordinates"] = origin
    return document


def paired_images(
    images: object, names: Sequence[str]
) -> tuple[dict[str, object], list[tuple[str, str]]]:
    """Return the images by input, and what is wrong with them as places and messages.

    Args:
        images: A mapping of inputs to images; where there is one input, the images themselves.
        names: The workflow's image inputs.
    """
    given: Mapping[Any, object]
    if isinstance(images, Mapping) and not {"type", "value"} <= set(images):
        given = images
    elif len(names) == 1:
        given = {names[0]: images}
    else:
        listed = ", ".join(repr(name) for name in names) or "none"
        return {}, [("images", f"name the input of each: this workflow's are {listed}")]
    faults = [
        (
            f"images.{name}",
            f"is no image input of the workflow: it has {', '.join(names) or 'none'}",
        )
        for name in given
        if name not in names
    ]
    faults += [(f"inputs.{name}", "the image is not given") for name in names if name not in given]
    return {str(name): value for name, value in given.items()}, faults
