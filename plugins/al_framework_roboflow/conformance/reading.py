"""Read files of vectors: one JSON object a line, with ``id``, ``input`` and ``expected``."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SUFFIX = ".jsonl"


class VectorFileError(ValueError):
    """A file cannot be read; the text names file and line."""


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


def read_vectors(path: Path) -> Iterator[Vector]:
    """Yield the cases of a file.

    Raises:
        VectorFileError: It cannot be read, or a line is no case.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as exc:
        raise VectorFileError(f"{path}: cannot be read: {exc.strerror}") from exc
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _vector(line, number, path)


def _vector(line: bytes, number: int, path: Path) -> Vector:
    try:
        case = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise VectorFileError(f"{path}:{number}: is no JSON: {exc}") from exc
    if not isinstance(case, dict):
        raise VectorFileError(f"{path}:{number}: is no JSON object: give one case a line")
    missing = [key for key in ("id", "input", "expected") if key not in case]
    if missing:
        raise VectorFileError(f"{path}:{number}: lacks {', '.join(map(repr, missing))}")
    if not isinstance(case["input"], dict):
        raise VectorFileError(f"{path}:{number}: its 'input' is no JSON object")
    return Vector(id=str(case["id"]), line=number, input=case["input"], expected=case["expected"])
