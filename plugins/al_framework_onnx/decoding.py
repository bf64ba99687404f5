"""What a decoder has to do: feed one family of networks, and read what it answers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from al_framework.api import AlFrameworkError, ImageSize

Tensor: TypeAlias = npt.NDArray[np.float32]
Pixels: TypeAlias = npt.NDArray[np.uint8]
Shape: TypeAlias = tuple[int, ...]


class OutputMismatchError(AlFrameworkError):
    """The network's outputs are not those that the decoder reads."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Boxes before suppression.

    Attributes:
        xyxy: ``(n, 4)`` float64: left, top, right, bottom in pixels of the picture, not clipped.
        confidence: ``(n,)`` float64.
        class_id: ``(n,)`` int64.
    """

    xyxy: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float64]
    class_id: npt.NDArray[np.int64]


class Decoder(ABC):
    """Knows the input and the output of one family of networks.

    Args:
        input_size: ``(width, height)`` of the network's input in pixels.

    Attributes:
        iou: Overlap from which the family's authors take two boxes for one.
    """

    iou: ClassVar[float]

    def __init__(self, input_size: ImageSize) -> None:
        self.input_size = input_size

    @abstractmethod
    def bind(self, shapes: Sequence[Shape]) -> int:
        """Learn which output is which, and return the number of classes.

        Args:
            shapes: Shapes of the outputs, in the network's order.

        Raises:
            OutputMismatchError: They are not the outputs of this family.
        """

    @abstractmethod
    def prepare(self, pixels: Pixels) -> Tensor:
        """Return the network's input ``(1, 3, h, w)`` for a BGR picture ``(h, w, 3)``."""

    @abstractmethod
    def decode(
        self, outputs: Sequence[npt.NDArray[np.float32]], image_size: ImageSize, confidence: float
    ) -> Candidates:
        """Return the boxes whose confidence is at least the one given.

        Args:
            outputs: What the network answered, in the order of `bind`.
            image_size: ``(width, height)`` of the picture.
            confidence: Lowest confidence to keep.
        """


def resized(pixels: Pixels, size: ImageSize) -> Pixels:
    """Return the picture at ``(width, height)``, bilinear; the order of channels stays."""
    import PIL.Image

    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    picture = PIL.Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize(size, PIL.Image.Resampling.BILINEAR))


def shown(shapes: Sequence[Shape]) -> str:
    """Return shapes as a person writes them: ``1x84x8400, 1x32``."""
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes)
