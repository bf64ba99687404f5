"""The source `directory`: the pictures of a directory, with the predictions beside them."""

import difflib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from pydantic import Field, field_validator

from al_framework.api import (
    Context,
    Frame,
    FrameKey,
    Image,
    Options,
    PredictionError,
    Source,
    SourceError,
)
from al_framework_local.listing import list_files, matches
from al_framework_local.strict_json import parse_json

_MAX_PREDICTION_BYTES = 1024 * 1024
_PICTURES = ("*.jpg", "*.jpeg", "*.png", "*.webp", "*.bmp", "*.tif", "*.tiff")


class DirectoryOptions(Options):
    """Options of the source `directory`."""

    path: str = Field(
        min_length=1,
        description="Directory of the pictures; a relative path starts at the configuration file.",
        examples=["frames"],
        json_schema_extra={"format": "directory-path"},
    )
    pattern: str | tuple[str, ...] = Field(
        default=_PICTURES,
        description="Glob pattern, or a list of them, for the pictures' names; upper and lower "
        "case are alike. A pattern with a slash is matched against the path below `path`.",
    )
    recursive: bool = Field(default=True, description="Whether to read directories below `path`.")
    beside: bool = Field(
        default=True,
        description="Whether a file <name>.json beside <name>.jpg is the picture's prediction.",
    )

    @field_validator("pattern")
    @classmethod
    def _no_empty_pattern(cls, value: str | tuple[str, ...]) -> tuple[str, ...]:
        patterns = (value,) if isinstance(value, str) else value
        if not patterns or not all(patterns):
            raise ValueError("name at least one pattern, and none that is empty")
        return patterns


class DirectorySource(Source[DirectoryOptions]):
    """Yield the pictures of a directory in natural order; none is opened here."""

    type_name = "directory"

    def __init__(self, options: DirectoryOptions, context: Context) -> None:
        super().__init__(options, context)
        path = context.resolve(options.path)
        self._root = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() raises in a loop of links
        self._files: list[PurePosixPath] = []

    def start(self) -> None:
        """List the directory.

        Raises:
            SourceError: It is missing, is no directory, cannot be listed or has no such file.
        """
        name = self.context.name
        try:
            listed = list(
                list_files(self._root, recursive=self.options.recursive, logger=self.context.logger)
            )
        except FileNotFoundError as exc:
            raise SourceError(
                f"source {name!r}: the directory {str(self._root)!r} does not exist: "
                f"{_nearest(self._root)}"
            ) from exc
        except NotADirectoryError as exc:
            raise SourceError(
                f"source {name!r}: {str(self._root)!r} is a file, not a directory: "
                "set path to the directory that holds it"
            ) from exc
        except OSError as exc:
            raise SourceError(
                f"source {name!r}: the directory {str(self._root)!r} cannot be listed "
                f"({exc.strerror}): check its permissions"
            ) from exc
        self._files = [path for path in listed if matches(path, self.options.pattern)]
        if not self._files:
            raise SourceError(self._nothing_found(listed))

    def frames(self, skip: Callable[[FrameKey], bool]) -> Iterator[Frame]:
        """Yield the pictures that `skip` does not refuse; only their status is read."""
        name, root = self.context.name, str(self._root)
        for path in self._files:
            # Text, not a Path: taking paths apart and joining them took half of the time here.
            file = os.path.join(root, path)  # noqa: PTH118 - as above
            try:
                status = os.stat(file)  # noqa: PTH116 - as above
            except OSError as exc:
                self.context.logger.warning("%s is gone (%s): it is left out", file, exc.strerror)
                continue
            key = FrameKey(
                source=name,
                frame_id=f"{name}/{_text(path)}",
                size=status.st_size,
                mtime_ns=status.st_mtime_ns,
            )
            if not skip(key):
                yield Frame(
                    frame_id=key.frame_id,
                    image=Image(file),
                    captured_at=status.st_mtime_ns / 1e9,
                    source=name,
                )

    def recorded_prediction(self, frame: Frame) -> object | None:
        """Return what the JSON file beside the picture holds; None where there is none.

        Raises:
            PredictionError: The file cannot be read, is too large, or is no finite JSON.
        """
        picture = frame.image.path
        if not self.options.beside or picture is None:
            return None
        file = picture.with_suffix(".json")
        try:
            with file.open("rb") as stream:
                data = stream.read(_MAX_PREDICTION_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise PredictionError(
                f"the prediction {str(file)!r} cannot be read: {exc.strerror}",
                frame_id=frame.frame_id,
            ) from exc
        if len(data) > _MAX_PREDICTION_BYTES:
            raise PredictionError(
                f"the prediction {str(file)!r} holds more than {_MAX_PREDICTION_BYTES} bytes: "
                "set beside: false if it is no prediction",
                frame_id=frame.frame_id,
            )
        try:
            document: object = parse_json(data)
        except ValueError as exc:
            raise PredictionError(
                f"the prediction {str(file)!r} is not usable JSON: {exc}", frame_id=frame.frame_id
            ) from exc
        return document

    def __len__(self) -> int:
        """Return how many pictures the directory held at the start."""
        return len(self._files)

    def _nothing_found(self, listed: Sequence[PurePosixPath]) -> str:
        patterns = ", ".join(repr(pattern) for pattern in self.options.pattern)
        where = f"source {self.context.name!r}: no file in {str(self._root)!r} matches {patterns}"
        if listed:
            suffixes = Counter(path.suffix or "without suffix" for path in listed).most_common(4)
            seen = ", ".join(f"{count} {suffix}" for suffix, count in suffixes)
            files = "1 file" if len(listed) == 1 else f"{len(listed)} files"
            return f"{where}: it holds {files} ({seen}): correct path or pattern"
        if not self.options.recursive and any(entry.is_dir() for entry in self._root.iterdir()):
            return f"{where}: it holds directories only: set recursive: true or correct path"
        return f"{where}: it is empty: correct path or put pictures there"


def _text(path: PurePosixPath) -> str:
    # A name that is not UTF-8 could be stored nowhere; its bytes stay readable as \xff.
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _nearest(directory: Path) -> str:
    try:
        siblings = [entry.name for entry in directory.parent.iterdir() if entry.is_dir()]
    except OSError:
        return f"{str(directory.parent)!r} does not exist either: correct path"
    near = difflib.get_close_matches(directory.name, siblings, n=1)
    return f"did you mean {near[0]!r}" if near else "create it or correct path"
