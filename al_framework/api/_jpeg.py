"""Read a JPEG's structure without decoding a pixel.

Pillow takes some 60 µs to open a JPEG; the hot path needs its size for a few, and the encoder needs
to know whether the file may pass through unchanged. Source: ITU-T T.81, annex B.
"""

import re
import struct
from dataclasses import dataclass

_START_OF_IMAGE = b"\xff\xd8"
_END_OF_IMAGE = 0xD9
_START_OF_SCAN = 0xDA
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
# C4, C8 and CC lie in the same range but are tables, not frame headers.
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
# A marker inside entropy-coded data: FF followed by neither a stuffed 00, a restart, nor a fill FF.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class MalformedJpegError(ValueError):
    """The bytes do not follow the structure of a JPEG."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A marker segment before the first scan: ``data[start:end]``, marker and length included."""

    marker: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegHeader:
    r"""What stands before the first scan.

    Attributes:
        width: Stored width in pixels, before EXIF orientation.
        height: Stored height in pixels, before EXIF orientation.
        components: Colour components: 1 grey, 3 YCbCr or RGB, 4 CMYK.
        frame_type: Low byte of the frame marker: 0xC0 baseline, 0xC1 extended, 0xC2 progressive.
        precision: Bits per sample.
        adobe_transform: Transform flag of the Adobe segment (0 RGB or CMYK, 1 YCbCr), or None.
        exif: Payload of the EXIF segment after ``Exif\0\0``, or None.
        segments: Every marker segment before the first scan.
        scan: Offset of the first start-of-scan marker.
    """

    width: int
    height: int
    components: int
    frame_type: int
    precision: int
    adobe_transform: int | None
    exif: bytes | None
    segments: tuple[Segment, ...]
    scan: int


def is_jpeg(data: bytes) -> bool:
    """Tell whether the bytes begin as a JPEG does."""
    return data[:3] == b"\xff\xd8\xff"


def read_header(data: bytes) -> JpegHeader:
    """Read the marker segments up to the first scan.

    Raises:
        MalformedJpegError: A marker is missing or cut off, or no frame header comes first.
    """
    if data[:2] != _START_OF_IMAGE:
        msg = "it does not start with a JPEG marker"
        raise MalformedJpegError(msg)
    frame: tuple[int, int, int, int, int] | None = None
    adobe: int | None = None
    exif: bytes | None = None
    segments: list[Segment] = []
    position = 2
    while True:
        start, marker = position, _marker_at(data, position)
        position = start + 2
        while marker == 0xFF:  # fill bytes may stand before any marker
            marker = _byte(data, position)
            position += 1
        if marker in _STANDALONE:
            continue
        if marker == _END_OF_IMAGE:
            msg = "the image ends before it begins"
            raise MalformedJpegError(msg)
        if marker == _START_OF_SCAN:
            break
        length = (_byte(data, position) << 8) | _byte(data, position + 1)
        end = position + length
        if length < 2 or end > len(data):
            msg = "a marker segment is cut off"
            raise MalformedJpegError(msg)
        body = position + 2
        if marker in _FRAME_HEADERS:
            frame = _frame(data, body, end, marker)
        elif marker == 0xEE and data[body : body + 5] == b"Adobe" and end - body >= 12:
            adobe = data[body + 11]
        elif marker == 0xE1 and exif is None and data[body : body + 6] == b"Exif\0\0":
            exif = data[body + 6 : end]
        segments.append(Segment(marker=marker, start=start, end=end))
        position = end
    if frame is None:
        msg = "no frame header comes before the first scan"
        raise MalformedJpegError(msg)
    frame_type, precision, height, width, components = frame
    return JpegHeader(
        width=width,
        height=height,
        components=components,
        frame_type=frame_type,
        precision=precision,
        adobe_transform=adobe,
        exif=exif,
        segments=tuple(segments),
        scan=start,
    )


def find_end(data: bytes, header: JpegHeader) -> int | None:
    """Walk the markers of all scans and return the offset just after the end of the image.

    Returns:
        None if the file stops before its end-of-image marker, as a truncated upload does.
    """
    position = header.scan
    while True:
        found = _NEXT_MARKER.search(data, position)
        if found is None:
            return None
        marker, position = data[found.start() + 1], found.end()
        if marker == _END_OF_IMAGE:
            return position
        if marker in _STANDALONE:
            continue
        if position + 2 > len(data):
            return None
        position += (data[position] << 8) | data[position + 1]


def _frame(data: bytes, body: int, end: int, marker: int) -> tuple[int, int, int, int, int]:
    if end - body < 6:
        msg = "the frame header is cut off"
        raise MalformedJpegError(msg)
    precision, height, width, components = struct.unpack_from(">BHHB", data, body)
    return marker, precision, height, width, components


def _marker_at(data: bytes, position: int) -> int:
    if _byte(data, position) != 0xFF:
        msg = "a marker is missing"
        raise MalformedJpegError(msg)
    return _byte(data, position + 1)


def _byte(data: bytes, position: int) -> int:
    try:
        return data[position]
    except IndexError:
        msg = "it stops inside its header"
        raise MalformedJpegError(msg) from None
