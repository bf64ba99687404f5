"""Inference's image objects as elements of the step."""

from typing import Any


def element_of(image: Any) -> dict[str, object]:
    """Return one ``WorkflowImageData`` as an image dictionary of Inference.

    A crop says where it lies in the picture that it was cut from, and is called after the detection
    that it was cut around; one that was not cut around a detection states no size and is called
    after the workflow's input, as does a whole picture.
    Source: roboflow-workflows 0.2.13: only ``dynamic_crop`` calls its crops after detections, the
    names of all others are ``<block>.<uuid>``.
    """
    parent, root = image.parent_metadata, image.workflow_root_ancestor_metadata
    pixels, name = image.numpy_image, str(parent.parent_id)
    element: dict[str, object] = {"type": "numpy_object", "value": pixels, "parent_id": name}
    if name == str(root.parent_id):
        return element
    place = parent.origin_coordinates
    coordinates: dict[str, object] = {
        "left_top_x": int(place.left_top_x),
        "left_top_y": int(place.left_top_y),
        "origin_image_size": {"height": int(place.origin_height), "width": int(place.origin_width)},
    }
    if "." in name:
        element["parent_id"] = str(root.parent_id)
    else:
        coordinates |= {"width": int(pixels.shape[1]), "height": int(pixels.shape[0])}
    element["origin_coordinates"] = coordinates
    return element


def size_of(image: Any) -> tuple[int, int]:
    """Return ``(width, height)`` in pixels."""
    height, width = image.numpy_image.shape[:2]
    return int(width), int(height)


def place_in_root(image: Any) -> tuple[int, int]:
    """Return ``(left, top)`` of the image in the workflow's input image."""
    place = image.workflow_root_ancestor_metadata.origin_coordinates
    return int(place.left_top_x), int(place.left_top_y)
