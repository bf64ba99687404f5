"""Find the video files that a path or a pattern names."""

import difflib
import glob
import re
from dataclasses import dataclass
from pathlib import Path

from al_framework.api import SourceError

_MAGIC = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFile:
    """One file of the source.

    Attributes:
        path: Where it is.
        relative: What it is called within the source, with forward slashes: relative to the
            pattern's first directory without a wildcard. So frames keep their names when the
            whole directory moves.
    """

    path: Path
    relative: str


def find_videos(path: Path) -> tuple[VideoFile, ...]:
    """Return the file, or the files that match the pattern, in natural order.

    Raises:
        SourceError: There is no such file, it is a directory, or nothing matches.
    """
    if path.is_file():
        return (VideoFile(path=path, relative=path.name),)
    if path.is_dir():
        raise SourceError(
            f"{str(path)!r} is a directory: name one video, or a pattern such as "
            f"{str(path / '*.mp4')!r}"
        )
    if not _MAGIC.search(str(path)):
        raise SourceError(f"there is no video {str(path)!r}: {_hint(path)}")
    found = [Path(name) for name in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - Path.glob refuses absolute patterns
    root = _root(path)
    videos = [
        VideoFile(path=file, relative=file.relative_to(root).as_posix())
        for file in found
        if file.is_file()
    ]
    if not videos:
        raise SourceError(f"no file matches the pattern {str(path)!r}: check 'path'")
    return tuple(sorted(videos, key=lambda video: _natural(video.relative)))


def _root(pattern: Path) -> Path:
    root = Path(pattern.anchor)
    for part in pattern.parts[1 if pattern.anchor else 0 : -1]:
        if _MAGIC.search(part):
            break
        root /= part
    return root


def _hint(path: Path) -> str:
    if not path.parent.is_dir():
        return f"the directory {str(path.parent)!r} does not exist either"
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1)
    return f"did you mean {near[0]!r}" if near else "check 'path'"


def _natural(name: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Order ``clip2`` before ``clip10``; the name itself settles ``clip02`` and ``clip2``."""
    parts = re.split(r"(\d+)", name)
    return tuple(
        (int(part), "") if index % 2 else (0, part) for index, part in enumerate(parts)
    ), name
