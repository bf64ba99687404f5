"""Read a collection back: its manifest, line by line, with whatever is wrong named by its line."""

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from al_framework.api import Classification, Datapoint, Detections, datapoint_from_dict
from al_framework_local.manifest import MANIFEST
from al_framework_local.strict_json import parse_json

# A manifest may come from a stranger: nothing but a plain file in ``images`` is ever followed.
_FILE = re.compile(r"images/[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """One line of a manifest.

    Attributes:
        file: The picture's path below the collection.
        datapoint: Everything but the picture's bytes, which are left empty.
    """

    file: str
    datapoint: Datapoint

    @property
    def name(self) -> str:
        """The picture's file name."""
        return self.file.removeprefix("images/")


def read_record(line: bytes) -> Record:
    """Return what a line of a manifest says.

    Raises:
        ValueError: The line is no JSON, no datapoint, or names no file in ``images``.
    """
    values = parse_json(line)
    if not isinstance(values, dict):
        raise ValueError(f"it holds {type(values).__name__!r}, not a datapoint")  # noqa: TRY004 - the data is wrong, not the caller
    file = values.get("file")
    if not isinstance(file, str) or not _FILE.fullmatch(file):
        raise ValueError(f"its file {file!r} is no picture in images/")
    datapoint = datapoint_from_dict(values, image=b"")
    _check_size(datapoint.image_size)
    if isinstance(datapoint.prediction, Detections):
        _check_rows(datapoint.prediction)
    elif isinstance(datapoint.prediction, Classification):
        _check_classes(datapoint.prediction)
    return Record(file=file, datapoint=datapoint)


def _check_size(size: tuple[object, ...]) -> None:
    if not all(isinstance(side, int) and side > 0 for side in size):
        raise ValueError(f"its image size is {size!r}")


def _check_rows(detections: Detections) -> None:
    rows = len(detections)
    columns = (
        detections.xyxy,
        detections.confidence,
        detections.polygons,
        detections.masks,
        detections.keypoints,
    )
    if any(column is not None and len(column) != rows for column in columns):
        raise ValueError(f"its detections name {rows} classes, but other columns differ")
    for mask in detections.masks or ():
        if mask is not None and (
            sum(mask.counts) != mask.size[0] * mask.size[1] or min(mask.counts, default=0) < 0
        ):
            raise ValueError("the runs of one of its masks do not add up to the mask's size")
    for keypoints in detections.keypoints or ():
        if keypoints.class_name and len(keypoints.class_name) != len(keypoints.xy):
            raise ValueError("one of its objects has not as many keypoints as names of them")


def _check_classes(classification: Classification) -> None:
    if len(classification.class_name) != len(classification.confidence):
        raise ValueError("its classification has not as many scores as classes")


class Collection:
    """The usable records of a directory.

    Args:
        directory: What the sink `directory` wrote.

    Attributes:
        problems: What was wrong, a line each, known after `scan`.

    Raises:
        FileNotFoundError: There is no manifest.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.problems: list[str] = []
        self._path = directory / MANIFEST
        # A run may be appending meanwhile: both readings end where the first one began.
        self._size = self._path.stat().st_size
        self._offsets = array("Q")

    def __len__(self) -> int:
        """Return how many records are usable, known after `scan`."""
        return len(self._offsets)

    def scan(self) -> Iterator[Record]:
        """Yield every usable record once, and note what is wrong with the others."""
        files: set[str] = set()
        with self._path.open("rb") as stream:
            for number, (offset, line) in enumerate(self._lines(stream), start=1):
                try:
                    record = read_record(line)
                    self._check(record, files)
                except ValueError as exc:
                    torn = "" if line.endswith(b"\n") else " (not written completely)"
                    self.problems.append(f"{self._path}, line {number}{torn}: {exc}")
                    continue
                files.add(record.file)
                self._offsets.append(offset)
                yield record

    def records(self) -> Iterator[Record]:
        """Yield the usable records again, after `scan` has been through."""
        with self._path.open("rb") as stream:
            for offset in self._offsets:
                stream.seek(offset)
                yield read_record(stream.readline())

    def _lines(self, stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
        offset = 0
        while offset < self._size:
            line = stream.readline(self._size - offset)
            yield offset, line
            offset += len(line)

    def _check(self, record: Record, files: set[str]) -> None:
        path = self.directory / record.file
        if record.file in files:
            raise ValueError(f"it repeats the picture {record.file!r}")
        if path.is_symlink() or not path.is_file():
            raise ValueError(f"its picture {record.file!r} is not there any more")
