"""Read YOLOv8 and its relatives with the same head (v9, v11, v12): one output, no anchors.

Source: ultralytics 8.4, ``data/augment.py`` (``LetterBox``), ``utils/ops.py`` (``scale_boxes``) and
``utils/nms.py`` (``non_max_suppression``).
"""

from collections.abc import Sequence
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

_PADDING = 114
_STRIDES = (8, 16, 32)


class YoloV8(Decoder):
    """YOLOv8 detection: ``(1, 4 + classes, cells)``, boxes as centre and size of the input."""

    iou: ClassVar[float] = 0.7

    def bind(self, shapes: Sequence[Shape]) -> int:
        """Check the only output, and return the number of classes."""
        width, height = self.input_size
        cells = sum(-(-width // stride) * -(-height // stride) for stride in _STRIDES)
        if len(shapes) == 1 and len(shapes[0]) == 3:
            count, channels, seen = shapes[0]
            if count == 1 and channels > 4 and seen == cells:
                return channels - 4
        raise OutputMismatchError(
            f"decoder 'yolov8' reads one output of 1 x (4 + classes) x {cells} for an input of "
            f"{width}x{height} pixels, but the outputs are {shown(shapes)}: choose another decoder "
            "or export a detection model without NMS"
        )

    def prepare(self, pixels: Pixels) -> Tensor:
        """Return the picture fitted into the input, RGB, 0 to 1, grey where nothing is."""
        height, width = pixels.shape[:2]
        _, size, (left, top) = self._letterbox((width, height))
        canvas = np.full((self.input_size[1], self.input_size[0], 3), _PADDING, dtype=np.uint8)
        canvas[top : top + size[1], left : left + size[0]] = resized(pixels, size)
        planes = canvas[:, :, ::-1].transpose(2, 0, 1)[np.newaxis]
        return np.ascontiguousarray(planes, dtype=np.float32) / np.float32(255)

    def decode(
        self, outputs: Sequence[npt.NDArray[np.float32]], image_size: ImageSize, confidence: float
    ) -> Candidates:
        """Return the best class of every cell that is confident enough, as the authors do."""
        rows = outputs[0][0].T
        best = rows[:, 4:].argmax(axis=1)
        score = rows[np.arange(len(rows)), best + 4].astype(np.float64)
        chosen = np.flatnonzero(score >= confidence)
        boxes = rows[chosen, :4].astype(np.float64)
        half = boxes[:, 2:] / 2
        xyxy = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
        gain, _, offset = self._letterbox(image_size)
        return Candidates(
            xyxy=(xyxy - np.tile(np.array(offset, dtype=np.float64), 2)) / gain,
            confidence=score[chosen],
            class_id=best[chosen].astype(np.int64),
        )

    def _letterbox(self, image_size: ImageSize) -> tuple[float, ImageSize, ImageSize]:
        """Return the scale, the size of the picture inside the input, and its left and top."""
        gain = min(wide / own for wide, own in zip(self.input_size, image_size, strict=True))
        width, height = (max(1, round(own * gain)) for own in image_size)
        # Half a pixel goes to the right and the bottom, hence the 0.1 of the source.
        left = round((self.input_size[0] - width) / 2 - 0.1)
        top = round((self.input_size[1] - height) / 2 - 0.1)
        return gain, (width, height), (left, top)
