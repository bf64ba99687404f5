"""Pictures that differ from each other, since a server takes the same picture only once.

For both sides: imports nothing of ours.
"""

import io
from typing import Any

_BITS = 24
_SIDE = 16  # pixels; large enough to survive scaling down and a JPEG


def mark(picture: Any, number: int) -> None:
    """Write a number into the first rows of an array ``(h, w, 3)``, as black and white squares."""
    for bit in range(_BITS):
        value = 255 * (number >> bit & 1)
        picture[:_SIDE, bit * _SIDE : (bit + 1) * _SIDE] = value


def marked_jpegs(picture: Any, first: int, count: int) -> list[bytes]:
    """Return so many JPEGs of an array, BGR, with the numbers from the first on."""
    import PIL.Image

    found: list[bytes] = []
    for number in range(first, first + count):
        mark(picture, number)
        buffer = io.BytesIO()
        PIL.Image.fromarray(picture[:, :, ::-1]).save(buffer, "JPEG", quality=85)
        found.append(buffer.getvalue())
    return found
