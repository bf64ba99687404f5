"""Read a JPEG's structure without decoding a pixel.

Pillow takes three times as long to open a JPEG; the hot path needs its size, and the encoder needs
to know whether the file may pass through unchanged. Source: ITU-T T.81, annex B.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

START_OF_SCAN = 0xDA

_START_OF_IMAGE = 0xD8
_END_OF_IMAGE = 0xD9
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
# C4, C8 and CC lie in the same range but are tables, not frame headers.
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
# A marker inside entropy-coded data: FF followed by neither a stuffed 00, a restart, nor a fill FF.
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# Pixels go on for megabytes, which numpy looks through in half the time; between short segments
# it would cost more than it saves.
_NEAR_BYTES = 4096
_BLOCK_BYTES = 256 * 1024


class MalformedJpegError(ValueError):
    """The bytes do not follow the structure of a JPEG."""


# Tuples, not frozen dataclasses: a header holds a dozen of them and has to cost microseconds.
class Segment(NamedTuple):
    """A marker segment: ``data[start:end]``, its payload ``data[body:end]``."""

    marker: int
    start: int
    body: int
    end: int


class JpegHeader(NamedTuple):
    r"""What stands before the first scan.

    Attributes:
        width: Stored width in pixels, before EXIF orientation.
        height: Stored height in pixels, before EXIF orientation.
        component_ids: One byte per colour component: 1 grey, 3 YCbCr or RGB, 4 CMYK.
        frame_type: Low byte of the frame marker: 0xC0 baseline, 0xC1 extended, 0xC2 progressive.
        precision: Bits per sample.
        jfif: Whether a JFIF segment says that three components are YCbCr.
        adobe_transform: Transform flag of the Adobe segment (0 RGB or CMYK, 1 YCbCr), or None.
        exif: Payload of the EXIF segment after ``Exif\0\0``, or None.
        segments: Every marker segment up to the first scan, the scan's own header last.
    """

    width: int
    height: int
    component_ids: bytes
    frame_type: int
    precision: int
    jfif: bool
    adobe_transform: int | None
    exif: bytes | None
    segments: tuple[Segment, ...]


def is_jpeg(data: bytes) -> bool:
    """Tell whether the bytes begin as a JPEG does."""
    return data[:3] == b"\xff\xd8\xff"


def read_header(data: bytes) -> JpegHeader:
    """Read the marker segments up to the first scan.

    Raises:
        MalformedJpegError: A marker is missing or cut off, or no frame header comes first.
    """
    frame: tuple[int, int, int, int, bytes] | None = None
    jfif = False
    adobe: int | None = None
    exif: bytes | None = None
    segments: list[Segment] = []
    for segment in _header_segments(data):
        segments.append(segment)
        marker, _, body, end = segment
        if marker in _FRAME_HEADERS:
            frame = _frame(data, segment)
        elif marker == 0xE0:
            jfif = jfif or (end - body >= 14 and data[body : body + 5] == b"JFIF\0")
        elif marker == 0xE1:
            if exif is None and data[body : body + 6] == b"Exif\0\0":
                exif = data[body + 6 : end]
        elif marker == 0xEE and end - body >= 12 and data[body : body + 5] == b"Adobe":
            adobe = data[body + 11]
    if frame is None:
        raise MalformedJpegError("no frame header comes before the first scan")
    frame_type, precision, height, width, ids = frame
    return JpegHeader(width, height, ids, frame_type, precision, jfif, adobe, exif, tuple(segments))


def read_scans(data: bytes, header: JpegHeader) -> tuple[tuple[Segment, ...], int | None]:
    """Walk the markers from the first scan to the end of the image.

    Returns:
        The marker segments after the first scan's header, and the offset just after the
        end-of-image marker; None for that offset if the file stops before it, as a truncated
        upload does.
    """
    segments: list[Segment] = []
    position = header.segments[-1].end
    while (start := _find_marker(data, position)) is not None:
        marker, position = data[start + 1], start + 2
        if marker == _END_OF_IMAGE:
            return tuple(segments), position
        if marker in _STANDALONE:
            continue
        body = position + 2
        end = position + int.from_bytes(data[position:body], "big")
        if marker == _START_OF_IMAGE or not body <= end <= len(data):
            break
        segments.append(Segment(marker, start, body, end))
        position = end
    return tuple(segments), None


def _find_marker(data: bytes, position: int) -> int | None:
    """Return where the next marker stands in entropy-coded data."""
    near = _NEXT_MARKER.search(data, position, position + _NEAR_BYTES)
    if near is not None:
        return near.start()
    values = np.frombuffer(data, np.uint8)
    for first in range(position + _NEAR_BYTES - 1, len(data) - 1, _BLOCK_BYTES):
        block = values[first : first + _BLOCK_BYTES + 1]
        suspects = block[:-1] == 0xFF
        ones = suspects.view(np.uint8)
        np.minimum(ones, block[1:], out=ones)  # in front of 00 an FF is a pixel's
        nearest = int(suspects.argmax())
        if not suspects[nearest]:  # pixels alone: listing nothing would take as long again
            continue
        if 0xD7 < block[nearest + 1] < 0xFF:  # nearly always the end
            return first + nearest
        starts = np.flatnonzero(suspects)
        kinds = block[starts + 1]
        restarts = (kinds >= 0xD0) & (kinds <= 0xD7)
        found = starts[(kinds != 0xFF) & ~restarts]
        if len(found):
            return first + int(found[0])
    return None


def _header_segments(data: bytes) -> Iterator[Segment]:
    if data[:2] != b"\xff\xd8":
        raise MalformedJpegError("it does not start with a JPEG marker")
    marker, position = 0, 2
    try:
        while marker != START_OF_SCAN:
            start, marker = position, data[position + 1]
            if data[start] != 0xFF:
                raise MalformedJpegError("a marker is missing")
            position += 2
            while marker == 0xFF:  # fill bytes may stand before any marker
                marker = data[position]
                position += 1
            if marker in _STANDALONE:
                continue
            if marker == _END_OF_IMAGE:
                raise MalformedJpegError("the image ends before it begins")
            body = position + 2
            end = position + (data[position] << 8 | data[position + 1])
            if not body <= end <= len(data):
                raise MalformedJpegError("a marker segment is cut off")
            yield Segment(marker, start, body, end)
            position = end
    except IndexError:
        raise MalformedJpegError("it stops inside its header") from None


def _frame(data: bytes, segment: Segment) -> tuple[int, int, int, int, bytes]:
    marker, _, body, end = segment
    if end - body < 6 or end - body < 6 + 3 * data[body + 5]:
        raise MalformedJpegError("the frame header is cut off")
    precision, height, width = struct.unpack_from(">BHH", data, body)
    return marker, precision, height, width, data[body + 6 : end : 3]
