"""Read files of vectors: one JSON object a line, with ``id``, ``input`` and ``expected``."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SUFFIX = ".jsonl"


class VectorFileError(ValueError):
    """A file cannot be read; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One case.

    Attributes:
        id: Names it.
        line: Where it stands in the file, from 1.
        input: What goes in.
        expected: What Roboflow made of it.
    """

    id: str
    line: int
    input: Mapping[str, Any] = field(repr=False)
    expected: object = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A case whose answer is neither Roboflow's nor one that a deviation demands, or no case.

    Attributes:
        id: Of the case.
        line: Of the file.
        expected: What Roboflow answered; None where the line is no case.
        seen: What we answer, the exception that was raised, or what is wrong with the line.
        deviation: Which deviation the input names, or None.
    """

    id: str
    line: int
    expected: object
    seen: object
    deviation: str | None = None


def read_vectors(path: Path) -> Iterator[Vector | Failure]:
    """Yield the cases of a file; a line that is none is a failure and hides no other.

    Raises:
        VectorFileError: It cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as exc:
        raise VectorFileError(f"{path}: cannot be read: {exc.strerror}") from exc
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _vector(line, number)


def _vector(line: bytes, number: int) -> Vector | Failure:
    try:
        case = json.loads(line)
    except (ValueError, RecursionError) as exc:
        return _no_case(number, f"is no JSON: {exc}")
    if not isinstance(case, dict):
        return _no_case(number, "is no JSON object: give one case a line")
    missing = [key for key in ("id", "input", "expected") if key not in case]
    if missing:
        return _no_case(number, f"lacks {', '.join(map(repr, missing))}")
    if not isinstance(case["input"], dict):
        return _no_case(number, "its 'input' is no JSON object")
    return Vector(id=str(case["id"]), line=number, input=case["input"], expected=case["expected"])


def _no_case(number: int, reason: str) -> Failure:
    return Failure(id=f"line {number}", line=number, expected=None, seen=f"no case: {reason}")
