"""Read the entries of a detection document into columns, in one pass where they are alike.

This is the hot path of every frame. A model's entries nearly always have the same keys, so whole
columns are taken at once; whatever does not fit takes the slow road, which finds the entry and the
key at fault.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from numbers import Real
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from typing_extensions import TypeIs

from al_framework.api import Keypoints, RleMask
from al_framework_roboflow.rle import MASK_KEYS, read_mask

Floats = npt.NDArray[np.float64]
Column = Sequence[Any]

_BOX = ("x", "y", "width", "height")
_BOX_AND_CONFIDENCE = (*_BOX, "confidence")
_boxes_and_confidence = itemgetter(*_BOX_AND_CONFIDENCE)
_READ = frozenset({*_BOX, "confidence", "class", "class_id", "points", "keypoints"})
_MAX_ID = 2**63 - 1
# (x, y, width, height) to (left, top, right, bottom). Halving is exact and so are products with 0
# and 1, hence one rounding per corner, as in ``x - width / 2``.
_CORNERS = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]])
_CORNERS.setflags(write=False)


class UnreadableEntryError(ValueError):
    """A document states something that no prediction can be made of; the text says where."""


class Rows(NamedTuple):
    """What `Detections` needs to know of its rows."""

    xyxy: Floats
    confidence: Floats
    class_name: tuple[str, ...]
    class_id: npt.NDArray[np.int64] | None = None
    polygons: tuple[tuple[Floats, ...], ...] | None = None
    masks: tuple[RleMask | None, ...] | None = None
    keypoints: tuple[Keypoints, ...] | None = None
    data: Mapping[str, Sequence[object]] = {}


def read_rows(entries: Sequence[Any]) -> Rows:
    """Return the rows of a detection document.

    Raises:
        UnreadableEntryError: An entry lacks a key, or a value is of the wrong kind.
    """
    if not entries:
        return Rows(np.empty((0, 4)), np.empty(0), ())
    columns = _columns(entries)
    keys: tuple[str, ...] = _BOX_AND_CONFIDENCE
    try:
        numbers: tuple[Column, ...] = _boxes_and_confidence(columns)
    except KeyError:
        _check_boxes(entries)
        numbers, keys = (columns["confidence"],), ("confidence",)
    table = _table(numbers, keys)
    names = columns["class"]
    try:
        "".join(names)
    except TypeError:
        texts(entries, "class")
    return Rows(
        xyxy=table[:4].T @ _CORNERS if len(keys) > 1 else np.zeros((len(entries), 4)),
        confidence=table[-1],
        class_name=names,
        class_id=_class_ids(columns.get("class_id")),
        polygons=_polygons(columns["points"]) if "points" in columns else None,
        masks=_masks(columns),
        keypoints=_keypoints(columns["keypoints"]) if "keypoints" in columns else None,
        data={key: column for key, column in columns.items() if key not in _READ},
    )


def _table(columns: Sequence[Column], keys: Sequence[str]) -> Floats:
    """Return the columns as the rows of one array, every number of them finite."""
    try:
        # sum() refuses what numpy would quietly read: "0.5", None. NaN and infinities survive it.
        finite = math.isfinite(sum(map(sum, columns)))
    except (TypeError, ValueError, OverflowError):
        finite = False
    if not finite:
        for key, column in zip(keys, columns, strict=True):
            _check_numbers(column, _place(key))
    count = len(columns[0])
    flat = np.fromiter(chain.from_iterable(columns), np.float64, count * len(columns))
    return flat.reshape(-1, count)


def finite_numbers(values: Sequence[object], place: Callable[[int], str]) -> Floats:
    """Return the values as float64, or say which is no finite number."""
    _check_numbers(values, place)
    return np.array(values, dtype=np.float64)


def texts(entries: Sequence[Any], key: str) -> tuple[str, ...]:
    """Return one text per entry, or say which entry has none."""
    names: list[str] = []
    for row, entry in enumerate(entries):
        name = _mapping(entry, row).get(key)
        if not isinstance(name, str):
            raise UnreadableEntryError(
                f"predictions[{row}].{key} is {shown(name)}: it has to be the name of a class"
            )
        names.append(name)
    return tuple(names)


def is_mapping(value: object) -> TypeIs[Mapping[str, Any]]:
    """Tell whether the value is a mapping; a plain dictionary is recognised at a tenth the cost."""
    return type(value) is dict or isinstance(value, Mapping)


def shown(value: object) -> str:
    """Return the value for a message: short, and «missing» for None."""
    if value is None:
        return "missing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _columns(entries: Sequence[Any]) -> dict[str, Any]:
    """Return one tuple per key, in the order of the entries."""
    first = entries[0]
    if is_mapping(first) and "confidence" in first and "class" in first:
        keys = tuple(first)
        try:
            # As many keys as the first entry and each of its keys: the same keys.
            if set(map(len, entries)) == {len(keys)}:
                rows = map(itemgetter(*keys), entries)
                return dict(zip(keys, zip(*rows, strict=True), strict=True))
        except (KeyError, TypeError):
            pass  # the slow road finds the entry
    return _uneven_columns(entries)


def _uneven_columns(entries: Sequence[Any]) -> dict[str, Any]:
    """Return the columns of entries that differ in their keys, with None where one is missing."""
    keys: dict[str, None] = {}
    for row, entry in enumerate(entries):
        for key in ("class", "confidence"):
            if key not in _mapping(entry, row):
                raise UnreadableEntryError(f"predictions[{row}].{key} is missing: add it")
        keys.update(dict.fromkeys(entry))
    boxed = _check_boxes(entries)
    columns: dict[str, Any] = {key: tuple(entry.get(key) for entry in entries) for key in keys}
    if boxed:
        for key in _BOX:
            columns[key] = tuple(entry.get(key, 0.0) for entry in entries)
    return columns


def _check_boxes(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether any entry states a box; refuse one that states a part of it."""
    any_box = False
    for row, entry in enumerate(entries):
        missing = [key for key in _BOX if key not in entry]
        if 0 < len(missing) < len(_BOX):
            raise UnreadableEntryError(
                f"predictions[{row}].{missing[0]} is missing: a box needs x, y, width and height"
            )
        any_box = any_box or not missing
    return any_box


def _place(key: str) -> Callable[[int], str]:
    return lambda row: f"predictions[{row}].{key}"


def _mapping(entry: object, row: int) -> Mapping[str, Any]:
    if not is_mapping(entry):
        raise UnreadableEntryError(f"predictions[{row}] is {shown(entry)}: it has to be a mapping")
    return entry


def _check_numbers(values: Sequence[object], place: Callable[[int], str]) -> None:
    for row, value in enumerate(values):
        try:
            good = isinstance(value, Real) and math.isfinite(value)
        except OverflowError:  # an integer beyond the range of doubles
            good = False
        if not good:
            raise UnreadableEntryError(f"{place(row)} is {shown(value)}: it has to be finite")


def _class_ids(column: Column | None) -> npt.NDArray[np.int64] | None:
    if column is None:
        return None
    try:
        if set(map(type, column)) == {int}:
            return np.fromiter(column, np.int64, len(column))
    except OverflowError:
        pass  # the road below finds the row
    if any(value is None for value in column):
        return None
    for row, value in enumerate(column):
        if not _is_id(value):
            raise UnreadableEntryError(
                f"predictions[{row}].class_id is {shown(value)}: it has to be a whole number"
            )
    return np.array(column, dtype=np.int64)


def _is_id(value: object) -> bool:
    return isinstance(value, int | np.integer) and bool(-_MAX_ID <= value <= _MAX_ID)


def _is_empty(value: object) -> bool:
    """Tell whether there are no points; an array is refused later, and cannot be asked here."""
    return not isinstance(value, np.ndarray) and not value


def _points(value: object, place: str) -> Floats:
    """Return the x and y of a list of points as ``(k, 2)``."""
    if not isinstance(value, list | tuple) or not all(map(is_mapping, value)):
        raise UnreadableEntryError(f"{place} is {shown(value)}: it has to be a list of points")
    flat = [point.get(axis) for point in value for axis in ("x", "y")]
    numbers = finite_numbers(flat, lambda row: f"{place}[{row // 2}].{'xy'[row % 2]}")
    return numbers.reshape(-1, 2)


def _polygons(column: Column) -> tuple[tuple[Floats, ...], ...]:
    return tuple(
        () if _is_empty(value) else (_points(value, f"predictions[{row}].points"),)
        for row, value in enumerate(column)
    )


def _keypoints(column: Column) -> tuple[Keypoints, ...]:
    return tuple(
        _entry_keypoints(() if _is_empty(value) else value, f"predictions[{row}].keypoints")
        for row, value in enumerate(column)
    )


def _entry_keypoints(points: Sequence[Mapping[str, Any]], place: str) -> Keypoints:
    xy = _points(points, place)
    confidence = [point.get("confidence") for point in points]
    # ``class_name`` is the key of inference 0.9 to 0.12, ``class`` that of later versions.
    names = [point.get("class", point.get("class_name")) for point in points]
    ids = [point.get("class_id") for point in points]
    return Keypoints(
        xy=xy,
        confidence=None
        if None in confidence
        else finite_numbers(confidence, lambda row: f"{place}[{row}].confidence"),
        class_name=tuple(names) if all(isinstance(name, str) for name in names) else (),
        class_id=np.array(ids, dtype=np.int64) if all(map(_is_id, ids)) else None,
    )


def _masks(columns: dict[str, Any]) -> tuple[RleMask | None, ...] | None:
    """Return the run-length encoded masks; the column that holds them is taken out."""
    for key in MASK_KEYS:
        column = columns.get(key)
        if column is None:
            continue
        masks = []
        for row, value in enumerate(column):
            try:
                masks.append(read_mask(value))
            except (TypeError, ValueError) as exc:
                raise UnreadableEntryError(f"predictions[{row}].{key}: {exc}") from exc
        if any(mask is not None for mask in masks):
            del columns[key]
            return tuple(masks)
    return None
