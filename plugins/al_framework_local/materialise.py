"""Put a whole directory in place at once, and never over something that is not ours."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Everything that an export writes at the top of its directory. The marker is what makes it ours:
# somebody's only copy of a data set may well consist of ``images`` and ``labels``.
_MARKER = ".al-export"
_OURS = frozenset({_MARKER, "annotations.json", "data.yaml", "images", "labels", "train"})


class OutputRefusedError(Exception):
    """The output directory holds something that must not be replaced."""


@contextmanager
def replaced_directory(output: Path, *, force: bool) -> Iterator[Path]:
    """Give a new directory to fill; it becomes `output` if nothing fails, and vanishes otherwise.

    Args:
        output: Where it goes. An empty directory there is replaced.
        force: Whether an earlier export there is replaced too.

    Raises:
        OutputRefusedError: There is a file, an export and no `force`, or anything else.
        OSError: A directory cannot be created or renamed.
    """
    _check(output, force=force)
    output.parent.mkdir(parents=True, exist_ok=True)
    unique = uuid.uuid4().hex[:8]
    partial = output.with_name(f".{output.name}-{unique}.partial")
    old = output.with_name(f".{output.name}-{unique}.old.partial")
    partial.mkdir()
    try:
        (partial / _MARKER).write_text("written by al export, replaced by al export --force\n")
        yield partial
        if output.exists():
            output.rename(old)
        partial.rename(output)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        if old.exists():
            old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no second names.

    Raises:
        OSError: It cannot be copied either.
    """
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _check(output: Path, *, force: bool) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise OutputRefusedError(f"{str(output)!r} is a file: choose another --output")
    names = sorted(entry.name for entry in output.iterdir())
    strangers = [name for name in names if name not in _OURS or _MARKER not in names]
    if strangers:
        raise OutputRefusedError(
            f"{str(output)!r} holds {strangers[0]!r}, which no export writes: "
            "choose another --output"
        )
    if names and not force:
        raise OutputRefusedError(
            f"{str(output)!r} holds an export already: "
            "choose another --output, or replace it with --force"
        )
