"""Find the names of a network's classes: in the configuration, in the model, or COCO's."""

import ast
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from al_framework.api import AlFrameworkError


def class_names(
    given: Path | Sequence[str] | None,
    *,
    metadata: Mapping[str, str],
    count: int,
    model: Path,
) -> tuple[str, ...]:
    """Return one name per class.

    Args:
        given: A file with one name a line, or the names; None to ask the model, and to take
            COCO's 80 names where the model says nothing and scores 80 classes.
        metadata: The model's own metadata; ultralytics writes ``names`` there.
        count: How many classes the model scores.
        model: The model's file, for messages.

    Raises:
        AlFrameworkError: The names cannot be read, or there are more or fewer than classes.
    """
    if isinstance(given, Path):
        names, origin = _read(given), f"the file {str(given)!r} names"
    elif given is not None:
        names, origin = tuple(given), "'classes' names"
    elif (own := _from_metadata(metadata)) is not None:
        names, origin = own, "its metadata names"
    elif count == len(coco := _coco()):
        return coco
    else:
        raise AlFrameworkError(
            f"the model {str(model)!r} scores {count} classes and does not name them: give "
            "'classes', a list or a text file with one name a line"
        )
    if len(names) != count:
        raise AlFrameworkError(
            f"the model {str(model)!r} scores {count} classes, but {origin} {len(names)}: give "
            "one name for each class, in the model's order"
        )
    return names


def _coco() -> tuple[str, ...]:
    text = files("al_framework_onnx").joinpath("coco80.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def _read(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as exc:
        raise AlFrameworkError(
            f"the file of class names {str(path)!r} cannot be read: {exc.strerror}"
        ) from exc
    except UnicodeDecodeError as exc:
        raise AlFrameworkError(
            f"the file of class names {str(path)!r} is not text in UTF-8: write one name a line"
        ) from exc
    return tuple(name for line in lines if (name := line.strip()))


def _from_metadata(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Read ``{0: 'person', 1: 'car'}`` as ultralytics writes it; None for anything else."""
    try:
        names = ast.literal_eval(metadata.get("names", ""))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(names, dict) or set(names) != set(range(len(names))):
        return None
    return tuple(str(names[index]) for index in range(len(names)))
