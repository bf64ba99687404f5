"""Scale a picture down with Pillow so that every one of its pixels counts.

Whole blocks are averaged as far as that goes, which costs a sixth of a filter, and a filter does
the rest. Measured against the average over areas in floats, the better way for 4K to any size.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np

from al_framework.api import ImageSize
from al_framework.api.image import Pixels

if TYPE_CHECKING:
    import PIL.Image

Box = tuple[float, float, float, float]

# From this factor on, the wider triangle blurs more than the Hamming window does.
_TRIANGLE_BELOW = 1.4
# What a filter needs to be left with to be precise. A filter over a picture that is larger by a
# hundredth only shifts pixels, so then the blocks alone are left to be seen.
_LEFT_TO_FILTER = 1.5
_AS_GOOD_AS_WHOLE = 1.01
# Pillow keeps a pixel in four bytes, and 33 MB for 4K would be fetched from the system, page by
# page, for every picture: 20 ms. A band of a megabyte stays in the memory that the process has.
_BAND_BYTES = 1024 * 1024


def scale_picture(
    picture: "PIL.Image.Image", size: ImageSize, box: Box | None = None
) -> "PIL.Image.Image":
    """Return the picture at a size; itself if that is its own.

    Args:
        picture: RGB of eight bits a channel.
        size: ``(width, height)``, no larger than the picture.
        box: The part of it that is meant, as a decoder leaves one at the edge; None for all.
    """
    if picture.size == size:
        return picture
    left, top, right, bottom = box or (0, 0, *picture.size)
    factors = _whole_factors((right - left, bottom - top), size)
    if factors != (1, 1):
        picture = picture.reduce(factors)
    return _filtered(picture, size, _divided((left, top, right, bottom), factors))


def scale_array(pixels: Pixels, order: Literal["BGR", "RGB"], size: ImageSize) -> "PIL.Image.Image":
    """Return an array as a picture at a size.

    Args:
        pixels: ``(h, w, 3)``, of any layout in memory.
        order: The order of its channels.
        size: ``(width, height)``, no larger than the array.
    """
    import PIL.Image

    height, width = pixels.shape[:2]
    factors = _whole_factors((width, height), size)
    if factors == (1, 1):
        return _filtered(_as_picture(pixels, order), size, (0, 0, width, height))
    across, down = factors
    reduced = PIL.Image.new("RGB", (-(-width // across), -(-height // down)))
    rows = max(1, _BAND_BYTES // (4 * width * down)) * down
    for top in range(0, height, rows):
        band = _as_picture(pixels[top : top + rows], order)
        reduced.paste(band.reduce(factors), (0, top // down))
    return _filtered(reduced, size, _divided((0, 0, width, height), factors))


def _as_picture(pixels: Pixels, order: Literal["BGR", "RGB"]) -> "PIL.Image.Image":
    import PIL.Image

    height, width = pixels.shape[:2]
    whole = np.ascontiguousarray(pixels)  # a part of a larger array may have come
    return PIL.Image.frombuffer("RGB", (width, height), whole, "raw", order, 0, 1)


def _filtered(picture: "PIL.Image.Image", size: ImageSize, box: Box) -> "PIL.Image.Image":
    from PIL.Image import Resampling

    if picture.size == size and box == (0, 0, *size):
        return picture
    factor = min((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
    narrow = factor < _TRIANGLE_BELOW
    return picture.resize(size, Resampling.BILINEAR if narrow else Resampling.HAMMING, box=box)


def _whole_factors(size: tuple[float, float], wanted: ImageSize) -> tuple[int, int]:
    """Return how many pixels across and down are averaged before anything is filtered."""
    across, down = (_whole(have / want) for have, want in zip(size, wanted, strict=True))
    return across, down


def _whole(factor: float) -> int:
    nearly = int(factor)
    return nearly if factor < nearly * _AS_GOOD_AS_WHOLE else max(1, int(factor / _LEFT_TO_FILTER))


def _divided(box: Box, factors: tuple[int, int]) -> Box:
    across, down = factors
    left, top, right, bottom = box
    return left / across, top / down, right / across, bottom / down
