"""The source ``video``: every n-th frame, or the key frames, of video files."""

from collections.abc import Callable, Iterator
from types import ModuleType

from pydantic import Field

from al_framework.api import (
    Context,
    Frame,
    FrameKey,
    Image,
    Options,
    Source,
    SourceError,
    require,
)
from al_framework_video.decoding import DecodedFrame, Video
from al_framework_video.files import VideoFile, find_videos


class VideoOptions(Options):
    """Options of the source ``video``."""

    path: str = Field(
        min_length=1,
        description="A video file, or a pattern such as 'clips/**/*.mp4'; a relative path starts "
        "at the configuration file.",
        examples=["clips/*.mp4"],
    )
    every: int = Field(
        default=1, ge=1, description="Take every n-th frame, beginning with the first of a file."
    )
    keyframes: bool = Field(
        default=False,
        description="Decode key frames alone, which is many times faster; 'every' then counts "
        "those.",
    )
    max_frames: int | None = Field(
        default=None,
        ge=1,
        description="Stop after this many frames, those that an earlier run dealt with included.",
    )


class VideoSource(Source[VideoOptions]):
    """Reads video files with PyAV, holding one frame at a time.

    `Frame.captured_at` stays None: a file's date is when somebody last wrote it. The position
    within the file stands in the attributes ``video`` and ``time_s``.
    """

    type_name = "video"

    def __init__(self, options: VideoOptions, context: Context) -> None:
        super().__init__(options, context)
        self._av: ModuleType | None = None
        self._files: tuple[VideoFile, ...] = ()
        self._open: Video | None = None

    def start(self) -> None:
        """Find the files.

        Raises:
            MissingExtraError: PyAV is not installed.
            SourceError: There is no such file, or nothing matches the pattern.
        """
        self._av = require("av", extra="video")
        self._files = find_videos(self.context.resolve(self.options.path))

    def frames(self, skip: Callable[[FrameKey], bool]) -> Iterator[Frame]:
        """Yield the frames of all files, in natural order of their names.

        What an earlier run dealt with is decoded, as later frames build on it, but not converted.

        Raises:
            SourceError: Some of the files could not be read; the others have been by then.
        """
        broken: list[str] = []
        taken = 0
        for file in self._files:
            try:
                for key, decoded in self._selected(file):
                    if taken == self.options.max_frames:
                        break
                    taken += 1
                    if not skip(key):
                        yield self._frame(key, file, decoded)
            except _UnreadableError as exc:
                self.context.logger.warning("the video %r cannot be read: %s", str(file.path), exc)
                broken.append(f"{file.relative!r} ({exc})")
            finally:
                self._close_file()
            if taken == self.options.max_frames:
                break
        if broken:
            raise SourceError(
                f"{len(broken)} of {len(self._files)} videos cannot be read: {', '.join(broken)}"
            )

    def __len__(self) -> int:
        """Return how many frames there are, as the files state it.

        Raises:
            TypeError: A file does not state it, or key frames are asked for, which none counts.
        """
        if self.options.keyframes:
            return super().__len__()
        total = 0
        for file in self._files:
            try:
                stated = len(self._opened(file))
            except _UnreadableError:
                continue  # `frames` reports it; here it only has no frames
            finally:
                self._close_file()
            if not stated:
                return super().__len__()
            total += -(-stated // self.options.every)
        return total if self.options.max_frames is None else min(total, self.options.max_frames)

    def close(self) -> None:
        """Close the file that is open."""
        self._close_file()

    def _selected(self, file: VideoFile) -> Iterator[tuple[FrameKey, DecodedFrame]]:
        video = self._opened(file)
        count = 0
        for decoded in video.frames():
            count += 1
            if decoded.index % self.options.every:
                continue
            key = FrameKey(
                source=self.context.name,
                frame_id=f"{self.context.name}/{file.relative}#{decoded.stamp}",
                size=video.size,
                mtime_ns=video.mtime_ns,
            )
            yield key, decoded
        if not count:
            raise _UnreadableError("none of its frames decodes")
        stated = 0 if self.options.keyframes else len(video)
        if video.broken_packets or count < stated:
            self.context.logger.warning(
                "the video %r is damaged or cut off: %s of %s frames were read, and %d packets "
                "did not decode",
                str(file.path),
                count,
                stated or "an unknown number",
                video.broken_packets,
            )

    def _frame(self, key: FrameKey, file: VideoFile, decoded: DecodedFrame) -> Frame:
        attributes = {"video": file.relative}
        if decoded.time_s is not None:
            attributes["time_s"] = f"{decoded.time_s:.3f}"
        return Frame(
            frame_id=key.frame_id,
            image=Image(decoded.pixels()),
            source=self.context.name,
            attributes=attributes,
        )

    def _opened(self, file: VideoFile) -> Video:
        assert self._av is not None  # noqa: S101 - only `start`, which imports it, finds files
        try:
            self._open = Video(self._av, file.path, keyframes=self.options.keyframes)
        except (self._av.FFmpegError, OSError, ValueError) as exc:
            raise _UnreadableError(getattr(exc, "strerror", None) or str(exc)) from exc
        return self._open

    def _close_file(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class _UnreadableError(Exception):
    """One file cannot be read; says why."""
