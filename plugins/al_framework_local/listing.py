"""List the files of a directory tree in natural order, without opening any of them."""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sort key that puts ``img2`` before ``img10``, whatever the case."""
    parts = _DIGITS.split(name.casefold())
    # Odd places are digits and even places are text, so two keys never compare text with numbers.
    return tuple(int(part) if i % 2 else part for i, part in enumerate(parts)), name


def matches(path: PurePosixPath, patterns: Sequence[str]) -> bool:
    """Tell whether a relative path matches one of the glob patterns, whatever the case.

    A pattern without ``/`` is about the file's name; in one with ``/``, ``*`` stays within one
    directory and ``**`` stands for any number of them.
    """
    parts = tuple(part.casefold() for part in path.parts)
    return any(_matches(parts, _parts_of(pattern)) for pattern in patterns)


def list_files(root: Path, *, recursive: bool, logger: logging.Logger) -> Iterator[PurePosixPath]:
    """Yield the relative path of every file, directory by directory, each in natural order.

    Hidden files and directories and ``.partial`` files are left out. Symbolic links are followed;
    a directory that can be reached twice is read once, so a loop of links ends.

    Raises:
        OSError: The root cannot be listed. A directory below it that cannot is logged.
    """
    seen = {_identity(root)}
    yield from _walk(root, PurePosixPath(), seen, recursive=recursive, logger=logger)


def _walk(
    root: Path,
    place: PurePosixPath,
    seen: set[tuple[int, int]],
    *,
    recursive: bool,
    logger: logging.Logger,
) -> Iterator[PurePosixPath]:
    with os.scandir(root / place) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in sorted(visible, key=lambda entry: natural_key(entry.name)):
        path = place / entry.name
        try:
            if entry.is_dir():
                identity = _identity(root / path)
                if recursive and identity not in seen:
                    seen.add(identity)
                    yield from _walk(root, path, seen, recursive=True, logger=logger)
            elif entry.is_file() and not entry.name.endswith(".partial"):
                yield path
        except OSError as exc:
            logger.warning("%s cannot be listed (%s): it is left out", root / path, exc.strerror)


def _identity(directory: Path) -> tuple[int, int]:
    status = directory.stat()
    return status.st_dev, status.st_ino


def _parts_of(pattern: str) -> tuple[str, ...]:
    parts = PurePosixPath(pattern.casefold()).parts
    return ("**", *parts) if len(parts) == 1 else parts


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or (bool(parts) and _matches(parts[1:], pattern))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
