"""The sink `directory`: pictures, a manifest that keeps everything, and a page to look at.

Order of writes, so that a crash at any moment loses nothing and repeats nothing: the picture under
a ``.partial`` name, its bytes to the disk, its final name, the name to the disk, the manifest's
line, the line to the disk. A picture without a line is written again under the same name.
"""

import os
import sys
import uuid
from pathlib import Path
from typing import Literal

from pydantic import Field

from al_framework.api import (
    Checkpoint,
    Context,
    Datapoint,
    Options,
    PermanentSinkError,
    Receipt,
    RunSummary,
    Sink,
    SinkPausedError,
    datapoint_to_dict,
)
from al_framework_local.durable import create_file, delivery_error, sync_directory
from al_framework_local.manifest import Manifest
from al_framework_local.names import picture_name

_STALE_AFTER_S = 3600.0


class DirectorySinkOptions(Options):
    """Options of the sink `directory`."""

    path: str = Field(
        min_length=1,
        description="Directory to collect into, created where it is missing; a relative path "
        "starts at the configuration file.",
        examples=["collected"],
    )
    page: bool = Field(
        default=True, description="Whether to write index.html, a page to look at, after a run."
    )
    page_images: int = Field(
        default=200, ge=0, le=5000, description="How many pictures the page shows, newest first."
    )


class DirectorySink(Sink[DirectorySinkOptions]):
    """Collect into a directory, once per picture, whatever crashes."""

    type_name = "directory"

    def __init__(self, options: DirectorySinkOptions, context: Context) -> None:
        super().__init__(options, context)
        path = context.resolve(options.path)
        self._directory = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() raises in a loop of links
        self._images = self._directory / "images"
        self._manifest = Manifest(self._directory, logger=context.logger)

    @property
    def location(self) -> str:
        """The directory's absolute path."""
        return str(self._directory)

    def start(self) -> None:
        """Create the directory, repair the manifest and read what is there.

        Raises:
            SinkPausedError: The directory cannot be written.
        """
        where = f"sink {self.context.name!r}: the directory {self.location!r}"
        if sys.platform == "win32":
            raise SinkPausedError(
                f"{where} cannot be locked: this sink needs Linux or macOS, use another type"
            )
        try:
            self._images.mkdir(parents=True, exist_ok=True)
            if not os.access(self._images, os.W_OK | os.X_OK):
                raise SinkPausedError(
                    f"{where} is not writable: correct its permissions or choose another path"
                )
            sync_directory(self._directory.parent)
            with self._manifest.locked():
                self._remove_stale()
        except (FileExistsError, NotADirectoryError) as exc:
            raise SinkPausedError(
                f"{where} cannot be created: {str(_obstacle(self._images))!r} is a file: choose "
                "another path"
            ) from exc
        except OSError as exc:
            raise SinkPausedError(
                f"{where} cannot be written ({exc.strerror}): "
                "correct its permissions, free its disk or choose another path"
            ) from exc

    def deliver(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
        """Store the picture and its line; safe from several threads and processes at once.

        Raises:
            TransientSinkError: The disk is full or failed.
            SinkPausedError: The directory is gone or not writable any more.
            PermanentSinkError: The datapoint holds a number that JSON cannot express.
        """
        del checkpoint
        try:
            return self._store(datapoint)
        except OSError as exc:
            raise delivery_error(exc, sink=self.context.name, directory=self._directory) from exc
        except ValueError as exc:
            raise PermanentSinkError(
                f"sink {self.context.name!r}: the datapoint {datapoint.item_id!r} of frame "
                f"{datapoint.frame_id!r} cannot be written as JSON: {exc}"
            ) from exc

    def finish_run(self, summary: RunSummary) -> None:
        """Write the page, unless it is switched off."""
        if not self.options.page:
            return
        idle = summary.counts.offered == 0 and not any(
            counts.delivered for counts in summary.counts.sinks.values()
        )
        if idle and (self._directory / "index.html").exists():
            return  # nothing was looked at: the page still tells of the last run that did
        from al_framework_local.page import write_page

        write_page(self._directory, summary, sink=self.context.name, limit=self.options.page_images)

    def _store(self, datapoint: Datapoint) -> Receipt:
        with self._manifest.locked():
            held = self._find(datapoint)
        if held is not None:
            return self._receipt("duplicate", held)
        # Outside the lock: this is the slow part, and others may write theirs meanwhile.
        partial = self._images / f".{uuid.uuid4().hex}.partial"
        try:
            create_file(partial, datapoint.image)
            with self._manifest.locked():
                held = self._find(datapoint)
                if held is not None:
                    return self._receipt("duplicate", held)
                return self._receipt("created", self._publish(datapoint, partial))
        finally:
            partial.unlink(missing_ok=True)

    def _find(self, datapoint: Datapoint) -> str | None:
        return self._manifest.find(item_id=datapoint.item_id, content_key=datapoint.content_key)

    def _publish(self, datapoint: Datapoint, partial: Path) -> str:
        name = picture_name(datapoint.frame_id, datapoint.content_key)
        if self._manifest.is_taken(f"images/{name}", content_key=datapoint.content_key):
            name = picture_name(datapoint.frame_id, datapoint.content_key, digits=64)
        partial.replace(self._images / name)
        sync_directory(self._images)
        file = f"images/{name}"
        self._manifest.append(
            {
                "file": file,
                **datapoint_to_dict(datapoint),
                "delivered_at": self.context.clock.time(),
            }
        )
        return file

    def _receipt(self, status: Literal["created", "duplicate"], file: str) -> Receipt:
        path = self._directory / file
        return Receipt(status=status, remote_id=path.name, url=path.as_uri())

    def _remove_stale(self) -> None:
        # Younger ones may belong to a process that is writing at this moment.
        oldest = self.context.clock.time() - _STALE_AFTER_S
        for partial in self._images.glob(".*.partial"):
            if partial.stat().st_mtime < oldest:
                partial.unlink(missing_ok=True)


def _obstacle(path: Path) -> Path:
    """Return the nearest part of a path that exists: the file that is in the way."""
    return next(part for part in (path, *path.parents) if part.exists())
