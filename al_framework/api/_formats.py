"""Tell what an encoded picture is and how large, from its first bytes and without a pixel.

Pillow is asked only about the rarer formats. Its `open` would decode a whole PNG to learn the EXIF
orientation, import 43 format plugins to refuse a text file, and let pictures of 90 to 179 million
pixels through with a warning.
"""

import struct
from typing import NamedTuple, TypeAlias

from al_framework.api import _jpeg

ImageSize: TypeAlias = tuple[int, int]

MAX_PIXELS = 50_000_000
MAX_BYTES = 32 * 1024 * 1024
# Pillow registers 43 formats, EPS among them; only these are ever tried on a stranger's bytes.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")

_TRANSPOSED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
_ORIENTATION = 0x0112
_INTEGERS = {1: "B", 3: "H", 4: "I"}  # TIFF's types BYTE, SHORT, LONG
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BMP_WITHOUT_PACKING = b"\x0c\0\0\0"  # OS/2's first header, by its length
_BMP_RUN_LENGTHS = (b"\1\0\0\0", b"\2\0\0\0")  # BI_RLE8, BI_RLE4
# Pillow decodes them in Python, 80 ns a pixel: of 50 million in 124 bytes, for four seconds.
_MAX_RUN_LENGTH_PIXELS = 5_000_000
_PNG_START = b"\x89PNG\r\n\x1a\n"


class UnreadableError(ValueError):
    """The bytes are no picture that we read; the message continues the picture's name."""


class Header(NamedTuple):
    """What is known of a picture before it is decoded.

    Attributes:
        size: Upright ``(width, height)``.
        format: Pillow's name of the encoding; None for what is not encoded.
        orientation: The turn that decoding still leaves to do, as EXIF numbers it; 1 is none.
    """

    size: ImageSize
    format: str | None
    orientation: int


def read_header(data: bytes) -> Header:
    """Return format, upright size and orientation of an encoded picture.

    Raises:
        UnreadableError: The bytes are of no format we read, malformed, or beyond the caps.
    """
    if len(data) > MAX_BYTES:
        raise UnreadableError(
            f"holds {len(data)} bytes, more than the {MAX_BYTES} we read: make it smaller"
        )
    if not data:
        raise UnreadableError("is empty: it holds no bytes")
    if _jpeg.is_jpeg(data):
        header = _jpeg_header(data)
    elif data.startswith(_PNG_START):
        header = _png_header(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        header = _webp_header(data)
    elif data[:2] == b"BM":
        header = _bmp_header(data)
    elif data[:4] in _TIFF_STARTS:
        header = _pillow_header(data, "TIFF")
    else:
        raise UnreadableError(
            f"is not a picture that can be read ({', '.join(FORMATS)}): it starts with {data[:8]!r}"
        )
    check_size(header.size)
    return header


def check_size(size: ImageSize) -> None:
    """Refuse pictures without pixels and pictures that would fill the memory.

    Raises:
        UnreadableError: The size is beyond the caps.
    """
    width, height = size
    if width < 1 or height < 1:
        raise UnreadableError(f"is {width}x{height} pixels: it is empty")
    if width * height > MAX_PIXELS:
        raise UnreadableError(
            f"is {width}x{height} pixels, more than the {MAX_PIXELS} we decode: scale it down"
        )


def upright(size: ImageSize, orientation: int) -> ImageSize:
    """Return the size after the turn that an EXIF orientation asks for, or before it."""
    width, height = size
    return (height, width) if orientation in _TRANSPOSED else (width, height)


def exif_orientation(exif: bytes) -> int:
    """Return the orientation in an EXIF block, 1 to 8; a broken block must not cost the picture."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        entries = exif[start + 2 : start + 2 + 12 * count]
        entries = entries[: len(entries) // 12 * 12]
        for tag, kind, _, value in struct.iter_unpack(f"{order}HHI4s", entries):
            if tag == _ORIENTATION:
                return valid_orientation(struct.unpack_from(f"{order}{_INTEGERS[kind]}", value)[0])
    except (struct.error, KeyError):
        pass
    return 1


def valid_orientation(value: object) -> int:
    """Return the value if it is an EXIF orientation, else 1."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _jpeg_header(data: bytes) -> Header:
    try:
        header = _jpeg.read_header(data)
    except _jpeg.MalformedJpegError as exc:
        raise UnreadableError(f"is not a readable JPEG: {exc}") from exc
    orientation = 1 if header.exif is None else exif_orientation(header.exif)
    return Header(upright((header.width, header.height), orientation), "JPEG", orientation)


def _png_header(data: bytes) -> Header:
    if data[12:16] != b"IHDR" or len(data) < 33:
        raise UnreadableError("is not a readable PNG: it stops inside its header")
    orientation = 1
    position = 33
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"eXIf":  # before or after the pixels
            orientation = exif_orientation(data[position + 8 : position + 8 + length])
            break
        position += length + 12
    return Header(upright(struct.unpack_from(">II", data, 16), orientation), "PNG", orientation)


def _webp_header(data: bytes) -> Header:
    # Pillow allots the canvas, up to a gigabyte, when it opens a WebP: look at the size first.
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        canvas = [int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27)]
    elif kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        canvas = [(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1]
    elif kind == b"VP8 " and len(data) >= 30:
        canvas = [size & 0x3FFF for size in struct.unpack_from("<HH", data, 26)]
    else:
        raise UnreadableError("is not a readable WEBP: it stops inside its header")
    check_size((canvas[0], canvas[1]))
    return _pillow_header(data, "WEBP")


def _bmp_header(data: bytes) -> Header:
    header = _pillow_header(data, "BMP")
    width, height = header.size
    packed = data[14:18] != _BMP_WITHOUT_PACKING and data[30:34] in _BMP_RUN_LENGTHS
    if packed and width * height > _MAX_RUN_LENGTH_PIXELS:
        raise UnreadableError(
            f"is a BMP with run lengths of {width}x{height} pixels, more than the"
            f" {_MAX_RUN_LENGTH_PIXELS} we decode of these: save it as PNG"
        )
    return header


def _pillow_header(data: bytes, format_: str) -> Header:
    from al_framework.api import _decoding

    try:
        size, orientation = _decoding.read_turn(_decoding.open_picture(data, format_))
    except Exception as exc:  # decoders of strangers' bytes raise anything at all
        raise UnreadableError(f"is not a readable {format_}: {exc}") from exc
    return Header(size, format_, orientation)
