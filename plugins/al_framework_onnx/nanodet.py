"""Read NanoDet: boxes as distributions over distances from the cells of three or four grids.

Source: RangiLyu/nanodet, ``nanodet/model/head/gfl_head.py`` (``get_bboxes``, ``multiclass_nms``)
and ``nanodet/data/transform/pipeline.py``, 2022-05.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from al_framework.api import ImageSize
from al_framework_onnx.decoding import (
    Candidates,
    Decoder,
    OutputMismatchError,
    Pixels,
    Shape,
    Tensor,
    resized,
    shown,
)

# BGR, as the network was trained. Fed RGB / 255 it answers too, with wrong labels: a bus
# becomes a train.
_MEAN = np.array([103.53, 116.28, 123.675], dtype=np.float32)
_STD = np.array([57.375, 57.12, 58.395], dtype=np.float32)
_STRIDES = (8, 16, 32, 64)
# Four sides by reg_max + 1 bins: 7 + 1 in NanoDet-m and -plus, 10 + 1 in NanoDet-g.
_BOX_CHANNELS = (32, 44)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    stride: int
    columns: int
    scores: int
    boxes: int


class NanoDet(Decoder):
    """NanoDet with one pair of outputs per stride: class scores and box distributions."""

    iou: ClassVar[float] = 0.6

    def __init__(self, input_size: ImageSize) -> None:
        super().__init__(input_size)
        self._levels: tuple[_Level, ...] = ()

    def bind(self, shapes: Sequence[Shape]) -> int:
        """Pair the outputs by their number of cells, and return the number of classes."""
        if any(len(shape) != 3 or shape[0] != 1 for shape in shapes):
            raise self._mismatch(shapes)
        channels = {shape[2] for shape in shapes}
        boxes = channels & set(_BOX_CHANNELS)
        if len(channels) != 2 or len(boxes) != 1:
            raise self._mismatch(shapes)
        box_channels = boxes.pop()
        (classes,) = channels - {box_channels}
        width, height = self.input_size
        levels = []
        for stride in _STRIDES[: len(shapes) // 2]:
            columns, rows = -(-width // stride), -(-height // stride)
            pair = {
                shape[2]: index for index, shape in enumerate(shapes) if shape[1] == columns * rows
            }
            if len(pair) == 2:
                levels.append(
                    _Level(
                        stride=stride,
                        columns=columns,
                        scores=pair[classes],
                        boxes=pair[box_channels],
                    )
                )
        if 2 * len(levels) != len(shapes):
            raise self._mismatch(shapes)
        self._levels = tuple(levels)
        return classes

    def prepare(self, pixels: Pixels) -> Tensor:
        """Return the picture stretched to the input, BGR, normalised as in training."""
        values = (resized(pixels, self.input_size).astype(np.float32) - _MEAN) / _STD
        return np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])

    def decode(
        self, outputs: Sequence[npt.NDArray[np.float32]], image_size: ImageSize, confidence: float
    ) -> Candidates:
        """Return every class of every cell that is confident enough, as the authors do."""
        scores = [outputs[level.scores][0].astype(np.float64) for level in self._levels]
        if any(part.size and (part.min() < 0 or part.max() > 1) for part in scores):
            scores = [_sigmoid(part) for part in scores]
        found = []
        for level, part in zip(self._levels, scores, strict=True):
            cell, class_id = np.nonzero(part >= confidence)
            distribution = outputs[level.boxes][0][cell].astype(np.float64)
            found.append((_boxes(cell, distribution, level), part[cell, class_id], class_id))
        scale = np.array(image_size, dtype=np.float64) / np.array(self.input_size)
        return Candidates(
            xyxy=np.concatenate([boxes for boxes, _, _ in found]) * np.tile(scale, 2),
            confidence=np.concatenate([part for _, part, _ in found]),
            class_id=np.concatenate([class_id for _, _, class_id in found]).astype(np.int64),
        )

    def _mismatch(self, shapes: Sequence[Shape]) -> OutputMismatchError:
        width, height = self.input_size
        return OutputMismatchError(
            f"decoder 'nanodet' reads, for each stride of 8, 16 and 32 over {width}x{height} "
            "pixels, class scores (1 x cells x classes) and box distributions (1 x cells x 32 or "
            f"44), but the outputs are {shown(shapes)}: choose another decoder or export again"
        )


def _boxes(
    cell: npt.NDArray[np.intp], distribution: npt.NDArray[np.float64], level: _Level
) -> npt.NDArray[np.float64]:
    bins = distribution.reshape(len(cell), 4, distribution.shape[1] // 4)
    weights = np.exp(bins - bins.max(axis=2, keepdims=True))
    expected = (weights * np.arange(bins.shape[2])).sum(axis=2) / weights.sum(axis=2)
    distance = expected * level.stride
    centre = np.stack([cell % level.columns, cell // level.columns], axis=1) + 0.5
    centre *= level.stride
    return np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], axis=1)


def _sigmoid(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # Through tanh, since exp overflows on strongly negative logits.
    result: npt.NDArray[np.float64] = 0.5 * (1.0 + np.tanh(0.5 * values))
    return result
