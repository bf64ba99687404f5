"""Turn what Pillow opens into upright RGB; the one place that decodes, shared with the encoder.

Pillow's own `open` is not used: it warns of bombs instead of refusing them, and falls back on
importing every format it knows.
"""

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from al_framework.api._formats import ImageSize, exif_orientation, upright, valid_orientation
from al_framework.api.errors import ImageError

if TYPE_CHECKING:
    import PIL.Image
    import PIL.ImageFile

_ORIENTATION = 0x0112
_BAND_PIXELS = 1 << 20
_TIFF_WIDTH, _TIFF_HEIGHT = 0x0100, 0x0101
_OPENERS = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
}


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Raise whatever a decoder raises as an `ImageError` about the named picture."""
    try:
        yield
    except Exception as exc:  # decoders of strangers' bytes raise anything at all
        raise ImageError(
            f"{name} does not decode ({type(exc).__name__}: {exc}): "
            "the file is truncated or corrupt"
        ) from exc


def open_picture(data: bytes, format_: str) -> "PIL.ImageFile.ImageFile":
    """Open encoded bytes without decoding them; raises whatever Pillow raises."""
    module, opener = _OPENERS[format_]
    picture: PIL.ImageFile.ImageFile = getattr(importlib.import_module(module), opener)(
        io.BytesIO(data)
    )
    return picture


def read_turn(picture: "PIL.Image.Image") -> tuple[ImageSize, int]:
    """Return the upright size and the turn left to do, without decoding."""
    tags = getattr(picture, "tag_v2", None)
    if tags is not None:
        # Pillow turns TIFF itself while it decodes, and removes the tag then.
        orientation = valid_orientation(tags.get(_ORIENTATION))
        if orientation == 1:
            return picture.size, 1
        return upright((tags[_TIFF_WIDTH], tags[_TIFF_HEIGHT]), orientation), 1
    # Not getexif(): of a PNG it decodes the whole, in search of a block behind the pixels.
    exif = picture.info.get("exif")
    orientation = exif_orientation(exif.removeprefix(b"Exif\0\0")) if isinstance(exif, bytes) else 1
    return upright(picture.size, orientation), orientation


def turn(picture: "PIL.Image.Image", orientation: int) -> "PIL.Image.Image":
    """Return the picture upright."""
    from PIL.Image import Transpose

    method = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)
    return picture if method is None else picture.transpose(method)


def to_rgb(picture: "PIL.Image.Image") -> "PIL.Image.Image":
    """Return it as RGB of eight bits a channel; transparency is dropped, as OpenCV does.

    What is RGB already is returned itself, and loaded by whoever reads its pixels.
    """
    if picture.mode.startswith("I"):
        picture = _high_bytes(picture)
    if picture.mode == "P" and "transparency" in picture.info:
        # Pillow warns when it drops the transparency of a palette.
        picture = picture.copy()
        del picture.info["transparency"]
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _high_bytes(picture: "PIL.Image.Image") -> "PIL.Image.Image":
    """Return a picture of 16 bits in eight: Pillow would clip them to 255."""
    import PIL.Image

    width, height = picture.size
    gray = PIL.Image.new("L", picture.size)
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):  # in bands: numpy's numbers take many times the memory
        band = picture.crop((0, top, width, min(top + rows, height)))
        high = (np.asarray(band) >> 8).clip(0, 255).astype(np.uint8)
        gray.paste(PIL.Image.fromarray(high), (0, top))
    return gray
