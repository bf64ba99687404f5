"""Decode one video file, frame by frame, past what does not decode."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av import VideoFrame

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedFrame:
    """A frame in the decoder's own format.

    Attributes:
        index: 0 for the first frame that decoded.
        stamp: What names the frame in its file for ever: its presentation timestamp, or
            ``n<index>`` where the file has none.
        time_s: Seconds from the start of the file's clock, or None.
        picture: PyAV's frame.
    """

    index: int
    stamp: str
    time_s: float | None
    picture: "VideoFrame"

    def pixels(self) -> Pixels:
        """Convert to an upright BGR array ``(h, w, 3)``: the expensive part."""
        array = cast("Pixels", self.picture.to_ndarray(format="bgr24"))
        # PyAV older than 14.2 does not tell; counter-clockwise, as `rot90` turns.
        turns = round(getattr(self.picture, "rotation", 0) / 90) % 4
        return np.ascontiguousarray(np.rot90(array, turns)) if turns else array


class Video:
    """One open file.

    Args:
        av: The module PyAV.
        path: The file.
        keyframes: Whether to decode key frames alone.

    Attributes:
        size: Bytes of the file.
        mtime_ns: When it was last written, nanoseconds since the epoch.
        broken_packets: How many packets did not decode so far.

    Raises:
        av.FFmpegError: The file is no video that can be read.
        OSError: The file has gone.
        ValueError: The file holds no pictures.
    """

    def __init__(self, av: ModuleType, path: Path, *, keyframes: bool = False) -> None:
        self._av = av
        status = path.stat()
        self.size = status.st_size
        self.mtime_ns = status.st_mtime_ns
        self._container: Any = av.open(str(path))
        self.broken_packets = 0
        if not self._container.streams.video:
            self.close()
            msg = "it holds no video stream"
            raise ValueError(msg)
        self._stream: Any = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        if keyframes:
            self._stream.codec_context.skip_frame = "NONKEY"

    def __len__(self) -> int:
        """Return the number of frames that the container states; 0 where it does not."""
        return int(self._stream.frames)

    def frames(self) -> Iterator[DecodedFrame]:
        """Yield what decodes, in the order of presentation."""
        last: int | None = None
        for index, picture in enumerate(self._pictures()):
            pts: int | None = picture.pts
            # A stamp that stands twice would make two frames one.
            stamp = f"n{index}" if pts is None or pts == last else str(pts)
            last = pts
            yield DecodedFrame(index=index, stamp=stamp, time_s=picture.time, picture=picture)

    def close(self) -> None:
        """Close the file; safe when called twice."""
        self._container.close()

    def _pictures(self) -> "Iterator[VideoFrame]":
        packets = self._container.demux(self._stream)
        while True:
            # One packet at a time: an error ends PyAV's own generator of frames for good.
            try:
                packet = next(packets, None)
                pictures = [] if packet is None else packet.decode()
            except self._av.FFmpegError:
                self.broken_packets += 1
                continue
            if packet is None:
                return
            yield from pictures
