"""Frames of every kind that a source can yield: good ones, and what calls itself a picture."""

import io
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from al_framework.api import Crop, Frame, Image, ImageInput
from al_framework.testing.fakes import sample_jpeg, sample_pixels

__all__ = ["hostile_frames", "sample_frames"]

_SIDEWAYS = 6  # the EXIF orientation of a camera held upright
_HUGE = struct.pack(">II", 2**30, 2**30)


def sample_frames() -> Mapping[str, Frame]:
    """Return good frames by a name that says what is special about them; it is the frame's id.

    JPEG, PNG, arrays and PIL images; grey ones, transparent ones, one that lies on its side, one
    of a single pixel, very wide and very high ones, and a crop.
    """
    pixels = sample_pixels()
    with_alpha = np.dstack((pixels, np.full(pixels.shape[:2], 128, dtype=np.uint8)))
    pictures: dict[str, ImageInput] = {
        "jpeg": sample_jpeg(),
        "grey jpeg": _encoded(pixels[:, :, 0], "JPEG"),
        "sideways jpeg": _encoded(pixels, "JPEG", orientation=_SIDEWAYS),
        "png": _encoded(pixels, "PNG"),
        "transparent png": _encoded(with_alpha, "PNG"),
        "array": pixels,
        "grey array": pixels[:, :, 0],
        "array with alpha": with_alpha,
        "pil image": _pil(pixels),
        "one pixel": sample_jpeg(1, 1),
        "very wide": sample_jpeg(1000, 2),
        "very high": sample_jpeg(2, 1000),
        "crop": sample_jpeg(20, 10),
    }
    parent = Crop(frame_id="jpeg", detection_id="d-1", left=4, top=5, width=20, height=10)
    return {
        name: Frame(
            frame_id=name,
            image=Image(picture),
            source="cam",
            captured_at=1_700_000_000.0,
            attributes={"camera": "north"},
            parent=parent if name == "crop" else None,
        )
        for name, picture in pictures.items()
    }


def hostile_frames() -> Mapping[str, Frame]:
    """Return frames whose pictures cannot be read, by what is wrong with them; it is their id.

    Nothing, half a picture, a picture with a hole, text, and a header that promises a pixel for
    every byte of an exbibyte. Reading the pixels of any of them raises `ImageError`.
    """
    jpeg, png = sample_jpeg(), _encoded(sample_pixels(), "PNG")
    middle = len(png) // 2
    pictures = {
        "empty": b"",
        "truncated jpeg": jpeg[: len(jpeg) * 2 // 3],
        "jpeg that ends in its header": jpeg[:20],
        "png with a hole": png[:middle] + bytes(40) + png[middle + 40 :],
        "text": b"<html>not found</html>",
        "huge png": png[:16] + _HUGE + png[24:],
    }
    return {
        name: Frame(frame_id=name, image=Image(picture), source="cam")
        for name, picture in pictures.items()
    }


def _pil(pixels: Any) -> Any:
    import PIL.Image

    if pixels.ndim == 2:
        return PIL.Image.fromarray(pixels)
    order = [2, 1, 0, 3][: pixels.shape[2]]
    return PIL.Image.fromarray(np.ascontiguousarray(pixels[:, :, order]))


def _encoded(pixels: Any, format_: str, *, orientation: int = 1) -> bytes:
    import PIL.Image

    exif, buffer = PIL.Image.Exif(), io.BytesIO()
    if orientation != 1:
        exif[0x0112] = orientation
    _pil(pixels).save(buffer, format_, exif=exif)
    return buffer.getvalue()
