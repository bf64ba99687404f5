"""Cases of `downscale`: a picture's size and the largest allowed, and the size it is stored at."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from al_framework.testing.rules import scaled_size
from al_framework_roboflow.conformance.strategies import REFUSED, Refusal

ONE_PIXEL: Final = "at-least-one-pixel"
WITH_A_POINT: Final = "whole-size-with-a-point"

DEVIATIONS: Final[Mapping[str, str]] = {
    REFUSED: "max_image_size is not two whole numbers above zero, or the picture has no pixels; "
    "Roboflow fails with an error of OpenCV or Python, or takes a fraction (D26)",
    ONE_PIXEL: "where a side of an extremely long picture truncates to nothing one pixel is left; "
    "Roboflow loses the picture with an error of OpenCV (D9)",
    WITH_A_POINT: "640.0 is the whole number 640, since JSON has one kind of number; Roboflow "
    "loses every picture that it would scale down to such a side with an error of OpenCV",
}

Case: TypeAlias = Mapping[str, Any]


def answer(case: Case) -> dict[str, float] | Refusal:
    """Return the size and the factors of both axes.

    Args:
        case: ``h``, ``w`` and ``max_image_size``, which is ``[height, width]`` or None.
    """
    limit = _limit(case["max_image_size"])
    if isinstance(limit, Refusal):
        return limit
    height, width = case["h"], case["w"]
    for side, pixels in (("h", height), ("w", width)):
        if pixels < 1:
            return Refusal(place=side, message=f"a picture of {width}x{height} pixels is empty")
    new_width, new_height = scaled_size(width, height, limit)
    return {
        "h": new_height,
        "w": new_width,
        "scaling_factor": new_height / height,
        "scale_x": new_width / width,
        "scale_y": new_height / height,
    }


def deviation(case: Case) -> str | None:
    """Return the name of the rule by which our answer may differ, a key of `DEVIATIONS`."""
    limit = _limit(case["max_image_size"])
    height, width = case["h"], case["w"]
    if isinstance(limit, Refusal) or min(height, width) < 1:
        return REFUSED
    if limit is None or (height <= limit[0] and width <= limit[1]):
        return None
    # In whole numbers: the side that does not bind would be less than one.
    if limit[1] * height < width or limit[0] * width < height:
        return ONE_PIXEL
    return WITH_A_POINT if any(isinstance(n, float) for n in case["max_image_size"]) else None


def follows(name: str, case: Case, given: dict[str, float] | Refusal) -> bool:
    """Tell whether an answer is the one that a deviation demands."""
    if name == REFUSED or isinstance(given, Refusal):
        return name == REFUSED and isinstance(given, Refusal)
    height, width = case["max_image_size"]
    sizes = (given["h"], given["w"])
    if name == WITH_A_POINT:
        fitting = min(sizes) > 0 and (sizes[0] == height or sizes[1] == width)
    else:
        fitting = sizes in {(1, width), (height, 1)}
    return fitting and given["scale_x"] == given["w"] / case["w"]


def explains(name: str, _case: Case, expected: Any) -> bool:
    """Tell whether a recorded answer is what a deviation says of Roboflow."""
    return name == REFUSED or "error" in expected


def _limit(given: object) -> tuple[int, int] | Refusal | None:
    """Return the limit as the loader reads it: JSON has one kind of number."""
    if given is None:
        return None
    if not isinstance(given, list) or len(given) != 2:
        return Refusal(place="max_image_size", message=f"{given!r} is no list of two numbers")
    sides = []
    for n, side in enumerate(given):
        whole = int(side) if isinstance(side, float) and side.is_integer() else side
        if type(whole) is not int or whole < 1:
            message = f"{side!r} is no whole number above zero"
            return Refusal(place=f"max_image_size[{n}]", message=message)
        sides.append(whole)
    return sides[0], sides[1]
