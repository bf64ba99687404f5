"""Places in a configuration: how they are held, found and written for a person."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]

MISSING: Final = object()
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# As `format_path` writes them: a key that is no plain word stands there as Python quotes it.
_LAST_STEP = re.compile(r"""(\.[^.\[\]]+|\[(\d+|'([^'\\]|\\.)*'|"([^"\\]|\\.)*")\]|[^.\[\]]+)$""")
_LONGEST_KEY = 60


def format_path(path: KeyPath) -> str:
    """Write a place as the user would: ``sinks[1].path``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{step[:_LONGEST_KEY]!r}]"
    return text


def parent_of(path: str) -> str:
    """Return the written place that a written place lies in; empty for the whole file."""
    parent = _LAST_STEP.sub("", path)
    return parent if parent != path else ""


def look_up(data: Any, path: KeyPath) -> Any:
    """Return what stands at a place, or `MISSING`."""
    for step in path:
        if not _holds(data, step):
            return MISSING
        data = data[step]
    return data


def position(
    data: Any, path: KeyPath, known: dict[int, Mapping[str, int]] | None = None
) -> tuple[int, ...]:
    """Return a key that sorts places as they follow each other in the file.

    A place that is not there, since something is missing, comes last in what it is missing from.

    Args:
        data: What the places are in.
        path: The place.
        known: Remembers from call to call where the keys of each mapping stand, for as long as
            the data live.
    """
    known = {} if known is None else known
    indices: list[int] = []
    for step in path:
        if isinstance(data, Mapping):
            if id(data) not in known:
                known[id(data)] = {key: index for index, key in enumerate(data)}
            indices.append(known[id(data)].get(str(step), len(data)))
        else:
            indices.append(step if isinstance(step, int) else 0)
        data = look_up(data, (step,))
    return tuple(indices)


def _holds(data: Any, step: str | int) -> bool:
    if isinstance(data, Mapping):
        return step in data
    is_list = isinstance(data, Sequence) and not isinstance(data, str)
    return is_list and isinstance(step, int) and step < len(data)
