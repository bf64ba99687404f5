"""Cases of `rescale`: a prediction and a factor, and the prediction for the stored picture.

A recorded case gives the factor alone. Ours are of whole pixels, so a picture is made up that has
it: of the size that the prediction states, and stored at that size times the factor.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from al_framework.api import Frame, Image, ImageSize, Options, PredictionError, Unlabelled
from al_framework.testing import make_context
from al_framework_roboflow.annotation import in_stored_frame
from al_framework_roboflow.conformance.outcomes import as_roboflow_sends
from al_framework_roboflow.conformance.strategies import REFUSED, Refusal
from al_framework_roboflow.documents import stated_image
from al_framework_roboflow.response import RoboflowResponse

STORED_FRAME: Final = "stored-frame"
AS_STATED: Final = "unread-as-stated"

DEVIATIONS: Final[Mapping[str, str]] = {
    REFUSED: "a coordinate or a size is no number, an entry lacks its box, or there is no picture "
    "of that factor: Roboflow fails when it scales, or sends it as it is (D26)",
    STORED_FRAME: "every coordinate of boxes, points, keypoints and masks is multiplied by the "
    "exact factor of its own axis, and image is the stored size; Roboflow divides by one factor, "
    "forgets keypoints and fails for masks (D5, D6, D7, D8)",
    AS_STATED: "a document whose coordinates are not read here stays as it is, with the size that "
    "it states; Roboflow changes that size and leaves the coordinates (D6)",
}

Case: TypeAlias = Mapping[str, Any]
Document: TypeAlias = Mapping[str, Any]

_UNSTATED: Final[ImageSize] = (1920, 1080)
_SAME = 1e-5  # Roboflow leaves a prediction alone whose factor is nearer to one
_ROUNDING = 4 * np.finfo(np.float64).eps
_LARGEST_SIDE = 1 << 24
_HORIZONTAL, _VERTICAL = ("x", "width"), ("y", "height")
_POINTS = ("points", "keypoints")
_MASKS = ("rle", "rle_mask", "mask")
# Drawn on another picture, or about the way to it: not for the stored one.
_ANOTHER_PICTURES = frozenset({"visualization", "mask_metadata", "original_image"})


def answer(case: Case) -> Document | Refusal:
    """Return the prediction as it is written for the stored picture.

    Args:
        case: ``prediction``, ``scaling_factor`` and ``prediction_type``.
    """
    fault = _fault(case)
    if fault is not None:
        return fault
    document: Document = case["prediction"]
    if _is_unread(case):
        return document
    source, stored = _sizes(case)
    return in_stored_frame(document, source_size=source, image_size=stored)


def deviation(case: Case) -> str | None:
    """Return the name of the rule by which our answer may differ, a key of `DEVIATIONS`."""
    if _fault(case) is not None:
        return REFUSED
    source, stored = _sizes(case)
    if abs(case["scaling_factor"] - 1) < _SAME and source == stored:
        return None
    return AS_STATED if _is_unread(case) else STORED_FRAME


def follows(name: str, case: Case, given: Any) -> bool:
    """Tell whether an answer is the one that a deviation demands, by a calculation of its own."""
    if name == REFUSED or isinstance(given, Refusal):
        return name == REFUSED and isinstance(given, Refusal)
    before: Document = case["prediction"]
    if name == AS_STATED:
        return bool(given == before)
    source, stored = _sizes(case)
    if source == stored:
        return bool(given == before)
    return _is_moved_document(before, given, source, stored)


def explains(name: str, case: Case, expected: Any) -> bool:
    """Tell whether a recorded answer is what a deviation says of Roboflow."""
    if name == REFUSED or "error" in expected:
        return True
    theirs = as_roboflow_sends(case["prediction"], case["scaling_factor"], case["prediction_type"])
    return bool(expected == theirs)


def _is_moved_document(
    before: Document, given: Document, source: ImageSize, stored: ImageSize
) -> bool:
    image = {**(stated_image(before) or {}), "width": stored[0], "height": stored[1]}
    rest = before.keys() - {"image", "predictions"} - _ANOTHER_PICTURES
    if given["image"] != image or any(before[key] != given.get(key) for key in rest):
        return False
    if not given.keys() <= {*before, "image"}:
        return False
    factors = (Fraction(stored[0], source[0]), Fraction(stored[1], source[1]))
    entries, moved = before.get("predictions"), given.get("predictions")
    if not isinstance(entries, list) or not isinstance(moved, list):
        return bool(entries == moved)
    return len(entries) == len(moved) and all(
        _is_moved_entry(*pair, factors, stored) for pair in zip(entries, moved, strict=True)
    )


def _is_moved_entry(
    before: Document, after: Document, factors: tuple[Fraction, Fraction], stored: ImageSize
) -> bool:
    nested = {*_POINTS, *_MASKS}
    if not _is_moved(before, after, factors, leaving=nested):
        return False
    for key in (key for key in _POINTS if isinstance(before.get(key), list)):
        pairs = list(zip(before[key], after[key], strict=True))
        if not all(_is_moved(*pair, factors, leaving=()) for pair in pairs):
            return False
    masks = [after[key] for key in _MASKS if isinstance(after.get(key), Mapping)]
    return all(list(mask["size"]) == [stored[1], stored[0]] for mask in masks)


def _is_moved(
    before: Document,
    after: Document,
    factors: tuple[Fraction, Fraction],
    *,
    leaving: Sequence[str] | set[str],
) -> bool:
    """Tell whether coordinates are multiplied, each by its axis, and the rest is as it was."""
    if before.keys() != after.keys():
        return False
    for key in before.keys() - set(leaving):
        factor = factors[0] if key in _HORIZONTAL else factors[1]
        if key in {*_HORIZONTAL, *_VERTICAL} and factor != 1:
            exact = Fraction(before[key]) * factor
            if not math.isclose(float(exact), after[key], rel_tol=_ROUNDING):
                return False
        elif before[key] != after[key]:
            return False
    return True


def _sizes(case: Case) -> tuple[ImageSize, ImageSize]:
    """Return the size of the picture that the prediction is of, and of the stored one."""
    factor, image = case["scaling_factor"], stated_image(case["prediction"])
    source = (image["width"], image["height"]) if image else _UNSTATED
    width, height = (max(1, round(side * factor)) for side in source)
    return source, (width, height)


def _fault(case: Case) -> Refusal | None:
    """Return what does not pass our validation, or None."""
    for key, kind in (("prediction", Mapping), ("prediction_type", str)):
        if not isinstance(case[key], kind):
            return Refusal(place=key, message=f"{case[key]!r} is no {kind.__name__}")
    factor = case["scaling_factor"]
    if not 0 < factor * max(_UNSTATED) < _LARGEST_SIDE:
        return Refusal(place="scaling_factor", message=f"there is no picture of factor {factor!r}")
    try:
        _adapted(case)
    except PredictionError as exc:
        return Refusal(place="prediction", message=str(exc.__cause__ or exc))
    given, image = case["prediction"].get("image"), stated_image(case["prediction"])
    if given is not None and image is None:
        return Refusal(place="prediction.image", message=f"{given!r} is no mapping")
    sides = () if image is None else (image.get("width"), image.get("height"))
    if any(type(side) is not int or side < 1 for side in sides):
        return Refusal(place="prediction.image", message=f"{image!r} is no size in pixels")
    return None


def _is_unread(case: Case) -> bool:
    """Tell whether the prediction is of a task whose coordinates are not read."""
    return isinstance(_adapted(case), Unlabelled)


def _adapted(case: Case) -> object:
    """Read the prediction; what else an entry has to have is added, and is beside the point.

    Raises:
        PredictionError: It cannot be read.
    """
    document = dict(case["prediction"])
    entries = document.get("predictions")
    if isinstance(entries, list):
        document["predictions"] = [
            {"class": "a", "confidence": 0.5, **entry} if isinstance(entry, Mapping) else entry
            for entry in entries
        ]
    adapter = RoboflowResponse(Options(), make_context(Path(), name="roboflow_response"))
    width, height = _UNSTATED
    frame = Frame(frame_id="case", image=Image(np.zeros((height, width, 3), np.uint8)))
    return adapter.adapt(document, frame=frame, prediction_type=case["prediction_type"])
