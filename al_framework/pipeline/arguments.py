"""What a caller passes beside image and prediction, checked where it comes in."""

import math
import numbers
import threading
from collections.abc import Mapping

from al_framework.api import Crop, ImageError, PredictionError


def texts(attributes: Mapping[str, str]) -> Mapping[str, str]:
    """Return attributes as text, whatever the caller takes for it."""
    return {str(key): str(value) for key, value in attributes.items()}


def seconds(value: float) -> float:
    """Return a time that a thread can wait; infinity is as long as the platform can."""
    return max(0.0, min(float(value), threading.TIMEOUT_MAX))


def timeout_seconds(value: object) -> float:
    """Return the time limit of inline delivery.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, numbers.Real) and float(value) >= 0:
        return seconds(float(value))
    raise ValueError(f"inline_timeout_s is {value!r}: pass seconds, 0 or more, such as 30")


def wait_seconds(value: object) -> float:
    """Return how long a caller waits for its frame to be accepted.

    Raises:
        ImageError: It is no time.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ImageError(f"wait_accepted_s is {value!r}: pass seconds, such as 1.5, or None")
    return seconds(float(value))


def crop(parent: object) -> Crop:
    """Return where a frame was cut from.

    Raises:
        PredictionError: It is something else.
    """
    if isinstance(parent, Crop):
        return parent
    kind = type(parent).__name__
    raise PredictionError(f"parent is a {kind}: pass an al_framework.api.Crop, or None")


def epoch_seconds(moment: float) -> float:
    """Return when a frame was taken.

    Raises:
        ImageError: It is no date.
    """
    if isinstance(moment, bool | str) or not math.isfinite(float(moment)):
        raise ImageError(f"captured_at is {moment!r}: pass UTC epoch seconds, as time.time() does")
    return float(moment)
