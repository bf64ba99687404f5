"""The quicker way from an array to a JPEG, where OpenCV is there: the extra ``fast``.

OpenCV works on the caller's array as it lies in memory, where Pillow first spreads every pixel to
four bytes: 4K to 1080p costs half. Its codec is the same libjpeg-turbo as Pillow's.
"""

import atexit
import functools
import importlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from al_framework.api import ImageSize
from al_framework.api._faults import named_text_of
from al_framework.api.image import Pixels
from al_framework.pipeline.forking import tell_after_fork

_logger = logging.getLogger(__name__)

_NEEDED = (
    *("resize", "cvtColor", "imencode", "INTER_AREA", "COLOR_RGB2BGR"),
    # Since 4.7; systems of 2023 come with 4.6.
    *("IMWRITE_JPEG_QUALITY", "IMWRITE_JPEG_SAMPLING_FACTOR", "IMWRITE_JPEG_SAMPLING_FACTOR_420"),
)
_STRIP_PIXELS = 1 << 16  # what OpenCV gives to one thread at least
_EXIT_WAIT_S = 5.0  # a limit for what takes milliseconds


@functools.cache
def load_opencv() -> "OpenCV | None":
    """Return OpenCV, or None where it is not installed, does not load, or is too old."""
    try:
        cv2 = importlib.import_module("cv2")
    except ModuleNotFoundError:
        return None
    except Exception as exc:  # noqa: BLE001 - libGL is missing (ImportError), versions are mixed (any)
        _say_why_not(f"does not load ({named_text_of(exc)})")
        return None
    # Whatever calls itself cv2 is found, an empty directory of that name included.
    missing = [name for name in _NEEDED if not hasattr(cv2, name)]
    if missing:
        _say_why_not(f"lacks {missing[0]}")
        return None
    return OpenCV(cv2)


def _say_why_not(seen: str) -> None:
    _logger.warning(
        "OpenCV is installed but %s, so pictures are scaled and encoded by Pillow: install"
        " opencv-python-headless>=4.10 in its place",
        seen,
    )


class OpenCV:
    """OpenCV, until the interpreter ends.

    A thread that comes back from OpenCV when the interpreter has gone kills the process
    ("terminate called without an active exception"). Threads that encode may still be at it then,
    so nothing goes in any more once the end begins, and the end waits for who is in.

    Args:
        cv2: The module.
    """

    def __init__(self, cv2: Any) -> None:
        self._cv2 = cv2
        self._ending = False
        self.after_fork()
        tell_after_fork(self)
        atexit.register(self._end)

    def after_fork(self) -> None:
        """Begin anew: the threads that were in OpenCV are not there in the child."""
        self._nobody_in = threading.Condition()
        self._inside = 0

    def encode(
        self, pixels: Pixels, order: Literal["BGR", "RGB"], size: ImageSize, quality_percent: int
    ) -> bytes | None:
        """Scale an array down, averaging every pixel, and encode it.

        Args:
            pixels: ``(h, w, 3)``, C-contiguous; not written to.
            order: The order of its channels.
            size: ``(width, height)``, no larger than the array.
            quality_percent: 0 to 100.

        Returns:
            None if the interpreter is about to end.

        Raises:
            ValueError: OpenCV refuses the picture.
        """
        with self._entered() as entered:
            return self._encoded(pixels, order, size, quality_percent) if entered else None

    def _encoded(
        self, pixels: Any, order: Literal["BGR", "RGB"], size: ImageSize, quality_percent: int
    ) -> bytes:
        cv2 = self._cv2
        height, width = pixels.shape[:2]
        # Halves are made by vector instructions, other fractions at a tenth of that speed.
        if _gains_by_halving(width, size[0]) and _gains_by_halving(height, size[1]):
            width, height = width // 2, height // 2
            pixels = self._halved(pixels)
        if (width, height) != size:
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        if order == "RGB":
            pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        options = [
            *(cv2.IMWRITE_JPEG_QUALITY, quality_percent),
            *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
        ]
        done, encoded = cv2.imencode(".jpg", pixels, options)
        if not done:
            raise ValueError("OpenCV does not encode it")
        data: bytes = encoded.tobytes()
        return data

    def _halved(self, pixels: Any) -> Any:
        """Return an array at half its width and height, both even.

        In strips so small that OpenCV stays on this thread, which gives way to the model's: those
        of its pool would not, and wait actively for more work, at a sixth of the cost.
        """
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        halved = np.empty((height, width, 3), np.uint8)
        rows = max(1, _STRIP_PIXELS // width)
        for top in range(0, height, rows):
            strip = halved[top : top + rows]
            size = (width, len(strip))
            self._cv2.resize(
                pixels[2 * top : 2 * (top + rows)], size, strip, interpolation=self._cv2.INTER_AREA
            )
        return halved

    @contextmanager
    def _entered(self) -> Iterator[bool]:
        with self._nobody_in:
            ending = self._ending
            self._inside += not ending
        if ending:
            yield False
            return
        try:
            yield True
        finally:
            with self._nobody_in:
                self._inside -= 1
                self._nobody_in.notify_all()

    def _end(self) -> None:
        with self._nobody_in:
            self._ending = True
            self._nobody_in.wait_for(lambda: not self._inside, _EXIT_WAIT_S)


def _gains_by_halving(have: int, want: int) -> bool:
    # A third that is taken at once is exact, and is not if it is taken of a half.
    exact_at_once = have % want == 0 and have // want % 2 == 1
    return have % 2 == 0 and have >= 2 * want and not exact_at_once
