"""Write dead letters where a person can look at them: a picture and what is known of it, each.

Every file is complete and on disk before it gets its name, names are item ids, and nothing is ever
written outside the directory, whatever the spool or the directory hold.
"""

import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from al_framework.api import AlFrameworkError, Datapoint
from al_framework.api.codec import datapoint_to_dict
from al_framework.pipeline.spool.dead import DeadLetter
from al_framework.pipeline.spool.groupfile import sync_directory

# What we make; an index that others have written in may hold anything.
_ITEM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class LetterDirectory:
    """A directory that dead letters are written to.

    Args:
        path: Where; it is created, for its owner alone, if it is missing.

    Raises:
        AlFrameworkError: It cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            missing = [parent for parent in (path, *path.parents) if not parent.exists()]
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for made in missing:
                sync_directory(made.parent)
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as exc:
            raise self._error(exc) from exc

    def write(self, letters: Sequence[DeadLetter], datapoint: Datapoint) -> None:
        """Write one datapoint; one that was written before is replaced.

        Args:
            letters: One for each sink that it was given up for.
            datapoint: The datapoint.

        Raises:
            AlFrameworkError: The directory cannot be written to, or the name is not one of ours.
        """
        item_id = letters[0].item_id
        if not _ITEM_ID.fullmatch(item_id):
            raise AlFrameworkError(
                f"dead letter {item_id!r}: its name is none that al-framework gives, so no file is"
                " named after it"
            )
        text = json.dumps(describe(letters, datapoint), indent=2)
        try:
            self._write(f"{item_id}.jpg", datapoint.image)
            self._write(f"{item_id}.json", text.encode("utf-8") + b"\n")
        except OSError as exc:
            raise self._error(exc) from exc

    def close(self) -> None:
        """Make the names durable and let go of the directory.

        Raises:
            AlFrameworkError: The disk does not take it.
        """
        try:
            os.fsync(self._descriptor)
        except OSError as exc:
            raise self._error(exc) from exc
        finally:
            os.close(self._descriptor)

    def _write(self, name: str, data: bytes) -> None:
        partial = f".{name}.partial"
        with suppress(FileNotFoundError):  # an earlier export was cut short
            os.unlink(partial, dir_fd=self._descriptor)
        descriptor = os.open(partial, _WRITE, 0o600, dir_fd=self._descriptor)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        # A link of that name is replaced, not followed.
        os.replace(partial, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def _error(self, exc: OSError) -> AlFrameworkError:
        return AlFrameworkError(
            f"export to '{self.path}': {exc.strerror or exc}; make room there, or give another"
            " directory"
        )


def describe(letters: Sequence[DeadLetter], datapoint: Datapoint | None) -> dict[str, Any]:
    """Return what is known of a dead letter, as JSON values.

    Args:
        letters: One for each sink that it was given up for.
        datapoint: The datapoint; None if it cannot be read any more.
    """
    first = letters[0]
    return {
        "item_id": first.item_id,
        "frame_id": first.frame_id,
        "batch_name": first.batch_name,
        "bytes": first.bytes,
        "sinks": [
            {
                "sink": letter.sink,
                "reason": letter.reason,
                "attempts": letter.attempts,
                "ended_at": letter.ended_at,
            }
            for letter in letters
        ],
        "datapoint": None if datapoint is None else datapoint_to_dict(datapoint),
    }
