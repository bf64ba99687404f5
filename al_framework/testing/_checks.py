"""What the contracts look at: whether a value is well-formed, and whether two are the same."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, SecretBytes, SecretStr

from al_framework.api import Classification, Detections, Prediction, Unlabelled, Verdict


def check(condition: object, message: str) -> None:
    """Fail the test with a message if the condition does not hold."""
    __tracebackhide__ = True  # what interests is the check that asked
    if not condition:
        raise AssertionError(message)


def verdict_fault(verdict: object) -> str | None:
    """Return what is wrong with a verdict, or None."""
    if not isinstance(verdict, Verdict):
        return f"it is a {type(verdict).__name__!r}, not a Verdict"
    if not isinstance(verdict.match, bool):
        return f"match is {verdict.match!r}: it has to be a bool"
    if not _is_number(verdict.utility):
        return f"utility is {verdict.utility!r}: it has to be a finite number"
    if not (_is_number(verdict.probability) and 0 <= verdict.probability <= 1):
        return f"probability is {verdict.probability!r}: it has to be from 0 to 1"
    if not isinstance(verdict.reason, str):
        return f"reason is {verdict.reason!r}: it has to be a str"
    return None


def prediction_fault(prediction: object) -> str | None:
    """Return what is wrong with a prediction, or None."""
    if isinstance(prediction, Detections):
        return _detections_fault(prediction)
    if isinstance(prediction, Classification):
        count = len(prediction.class_name)
        return _array_fault("confidence", prediction.confidence, (count,)) or _names_fault(
            prediction.class_name
        )
    if isinstance(prediction, Unlabelled):
        return None
    return f"it is a {type(prediction).__name__!r}, not a Prediction"


def same(one: Any, other: Any) -> bool:
    """Tell whether two values hold the same, arrays and plain objects included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and one.dtype == other.dtype and bool((one == other).all())
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    names = [*getattr(one, "__dict__", ()), *getattr(type(one), "__slots__", ())]
    if names:
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    return bool(one == other)


def same_prediction(one: Prediction, other: Prediction) -> bool:
    """Tell whether two predictions say the same, whatever objects they were read from."""
    if type(one) is not type(other):
        return False
    return all(
        same(getattr(one, name), getattr(other, name))
        for name in type(one).__slots__
        if name != "document"
    )


def secrets_of(value: object) -> list[str]:
    """Return every secret in a component's options, however deep."""
    if isinstance(value, SecretStr):
        return [value.get_secret_value()] if value.get_secret_value() else []
    if isinstance(value, SecretBytes):
        text = value.get_secret_value().decode(errors="replace")
        return [text] if text else []
    if isinstance(value, BaseModel):
        return [
            one for name in type(value).model_fields for one in secrets_of(getattr(value, name))
        ]
    if isinstance(value, Mapping):
        return [one for item in value.values() for one in secrets_of(item)]
    if isinstance(value, list | tuple | set | frozenset):
        return [one for item in value for one in secrets_of(item)]
    return []


def chain_of(exc: BaseException | None) -> Iterator[BaseException]:
    """Give an error and everything that it came from."""
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def _detections_fault(detections: Detections) -> str | None:
    count = len(detections.class_name)
    fault = (
        _array_fault("xyxy", detections.xyxy, (count, 4))
        or _array_fault("confidence", detections.confidence, (count,))
        or _names_fault(detections.class_name)
    )
    if fault is not None:
        return fault
    columns: dict[str, Any] = {
        name: getattr(detections, name) for name in ("class_id", "polygons", "masks", "keypoints")
    }
    columns |= {f"data[{key!r}]": column for key, column in detections.data.items()}
    for name, column in columns.items():
        if column is not None and len(column) != count:
            return f"{name} has {len(column)} entries for {count} rows"
    return None


def _array_fault(name: str, array: object, shape: tuple[int, ...]) -> str | None:
    if not isinstance(array, np.ndarray) or array.dtype != np.float64:
        kind = getattr(array, "dtype", type(array).__name__)
        return f"{name} is of type {kind}: it has to be a float64 array"
    if array.shape != shape:
        return f"{name} has the shape {array.shape}: it has to be {shape}"
    return None if np.isfinite(array).all() else f"{name} holds a number that is not finite"


def _names_fault(names: object) -> str | None:
    if isinstance(names, tuple) and all(isinstance(name, str) for name in names):
        return None
    return f"class_name is {names!r}: it has to be a tuple of str"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
