"""Turn other libraries' arrays and tensors into ours: float64, int64, on the CPU."""

from typing import Any

import numpy as np
import numpy.typing as npt


class UnreadableObjectError(ValueError):
    """A library's object holds something that no prediction can be made of."""


def to_numpy(value: Any) -> npt.NDArray[Any]:
    """Return an array, or a tensor of any device, as a numpy array."""
    for step in ("detach", "cpu", "numpy"):
        method = getattr(value, step, None)
        if callable(method):
            value = method()
    return np.asarray(value)


def floats(value: Any, shape: tuple[int, ...], name: str) -> npt.NDArray[np.float64]:
    """Return finite float64 numbers of a shape; -1 stands for any length.

    Raises:
        UnreadableObjectError: The shape is another one, or a number is missing or not finite.
    """
    try:
        array = to_numpy(value).astype(np.float64)
    except (TypeError, ValueError) as exc:
        raise UnreadableObjectError(f"{name} does not hold numbers: {exc}") from exc
    known = len(array.shape) == len(shape) and all(
        want in (-1, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not known:
        raise UnreadableObjectError(
            f"{name} has the shape {array.shape}: it has to be {shape}, -1 meaning any"
        )
    if not np.isfinite(array).all():
        place = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
        raise UnreadableObjectError(f"{name}{place} is {array[tuple(place)]}: it has to be finite")
    return array


def ints(value: Any, count: int, name: str) -> npt.NDArray[np.int64]:
    """Return `count` whole numbers as int64; some libraries keep class ids as floats.

    Raises:
        UnreadableObjectError: There are more or fewer, or one is no whole number.
    """
    numbers = floats(value, (count,), name)
    if not (numbers == np.floor(numbers)).all():
        raise UnreadableObjectError(
            f"{name} holds {numbers.tolist()!r}: it has to be whole numbers"
        )
    return numbers.astype(np.int64)


def enclosing_boxes(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the smallest upright boxes ``(n, 4)`` around points ``(n, k, 2)``, k at least 1."""
    return np.concatenate((points.min(axis=1), points.max(axis=1)), axis=1)
