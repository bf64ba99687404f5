"""What a stored picture is like: its size, and how far it is from what it should be."""

import functools
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import PIL.Image

from al_framework.api import ImageSize
from al_framework.api.image import Pixels
from benchmarks import frames

QUALITY = 95  # of the JPEGs that are stored, in percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A picture as it is stored.

    Attributes:
        size: ``(width, height)``.
        length: In bytes.
        psnr_db: Against the average of the areas; infinite if no pixel differs from it.
    """

    size: ImageSize
    length: int
    psnr_db: float

    @classmethod
    def of(cls, data: bytes, source: ImageSize) -> "Stored":
        """Look at a JPEG that was made of a frame of a size."""
        with PIL.Image.open(io.BytesIO(data)) as opened:
            picture = np.asarray(opened.convert("RGB"))
        size = (picture.shape[1], picture.shape[0])
        return cls(size=size, length=len(data), psnr_db=psnr(picture, _reference(source, size)))

    def __str__(self) -> str:
        """Return it in words."""
        same = self.psnr_db == float("inf")
        quality = "the same pixels" if same else f"{self.psnr_db:.1f} dB"
        return f"{self.size[0]}x{self.size[1]}, {self.length} bytes, {quality}"


def ceiling_db(source: ImageSize, size: ImageSize) -> float:
    """Return the decibels of the reference itself, stored as a JPEG of this quality."""
    buffer = io.BytesIO()
    reference = np.rint(_reference(source, size)).astype(np.uint8)
    PIL.Image.fromarray(reference).save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:0")
    return Stored.of(buffer.getvalue(), source).psnr_db


@functools.cache
def _reference(source: ImageSize, size: ImageSize) -> npt.NDArray[np.float64]:
    return area_average(frames.pixels(source)[:, :, ::-1], size)


def area_average(pixels: Pixels, size: ImageSize) -> npt.NDArray[np.float64]:
    """Return an array at a ``(width, height)``, each pixel the average of the area it covers."""
    width, height = size
    down = _averaged(pixels.astype(np.float64), height)
    return _averaged(down.swapaxes(0, 1), width).swapaxes(0, 1)


def _averaged(values: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """Return so many averages along the first axis, parts of pixels by their share."""
    length = len(values)
    sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    edges = np.linspace(0, length, count + 1)
    whole = np.minimum(edges.astype(int), length - 1)
    share = (edges - whole).reshape(-1, *[1] * (values.ndim - 1))
    averages: npt.NDArray[np.float64] = np.diff(sums[whole] + values[whole] * share, axis=0)
    return averages * (count / length)


def psnr(pixels: Pixels, reference: npt.NDArray[np.float64]) -> float:
    """Return the peak signal-to-noise ratio in decibels; infinite if nothing differs."""
    error = float(np.mean((pixels - reference) ** 2))
    return 10 * float(np.log10(255**2 / error)) if error else float("inf")
