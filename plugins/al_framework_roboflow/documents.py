"""From whatever carries one response to the response itself, as a mapping.

Roboflow wraps its responses in several ways: as objects of the package, in the list that
``model.infer(image)`` answers with, in the list that the first generation of workflow steps keeps
(one response per image), and in the columns of the second (one list per key). Of these, a list or
columns of length one are unambiguous and are unwrapped; anything longer is about several images,
and which of them the frame shows nobody can know.
"""

from collections.abc import Mapping
from typing import Any

from al_framework_roboflow.entries import UnreadableEntryError, is_mapping

_MARKS = ("predictions", "top", "is_stub")
_OF_ANOTHER_ADAPTER = "crops"


def looks_like_a_response(document: object) -> bool:
    """Tell whether this is one response, by a cheap look."""
    if isinstance(document, list | tuple):
        return len(document) == 1 and _bears_a_mark(document[0])
    return _bears_a_mark(document)


def one_response(document: object) -> Mapping[str, Any]:
    """Return the one response that an object carries.

    Raises:
        UnreadableEntryError: It carries none, or several.
    """
    if isinstance(document, list | tuple):
        if len(document) != 1:
            raise UnreadableEntryError(
                f"a list of {len(document)} responses is about as many images: pass one response "
                "for one frame"
            )
        document = document[0]
    if not is_mapping(document):
        document = _dumped(document)
    if isinstance(document.get("prediction_type"), list):
        return _only_row(document)
    return document


def stated_image(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what a response says of its image, or None where it says nothing of that form."""
    image = document.get("image")
    if isinstance(image, list | tuple) and len(image) == 1:  # as responses to a batch of one
        image = image[0]
    return image if is_mapping(image) else None


def _bears_a_mark(document: object) -> bool:
    if is_mapping(document):
        return any(key in document for key in _MARKS) and _OF_ANOTHER_ADAPTER not in document
    kind = type(document)
    # Workflows use twins of the response models that are dataclasses.
    for dump, names in (("model_dump", "model_fields"), ("to_dict", "__dataclass_fields__")):
        fields = getattr(kind, names, ())
        if hasattr(kind, dump) and any(key in fields for key in _MARKS):
            return True
    return False


def _dumped(document: object) -> Mapping[str, Any]:
    values: object = None
    if callable(dump := getattr(document, "model_dump", None)):
        values = dump(by_alias=True, exclude_none=True)
    elif callable(dump := getattr(document, "to_dict", None)):
        values = dump()
    if not is_mapping(values):
        raise UnreadableEntryError(
            f"an object of type {type(document).__name__!r} is no Roboflow response: pass one "
            "response as a mapping, or choose another adapter"
        )
    return values


def _only_row(columns: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values of the one image that a step's columns are about."""
    count = len(columns["prediction_type"])
    for key, column in columns.items():
        if not isinstance(column, list) or len(column) != count:
            raise UnreadableEntryError(
                f"{key} is no list of {count}, as prediction_type is: a step's columns have one "
                "entry per image"
            )
    if count != 1:
        raise UnreadableEntryError(
            f"the columns of a step are about {count} images: pass one image's values for one frame"
        )
    return {key: column[0] for key, column in columns.items()}
