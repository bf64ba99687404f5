"""What a model said about one frame, whatever the model was.

Everything is float64: decisions are exact inequalities in doubles, and annotations repeat the
model's digits. Arrays are read-only by convention, and so is `document`: the caller still owns it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from al_framework.api.image import ImageSize

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bits: TypeAlias = npt.NDArray[np.bool_]

_NO_DATA: Mapping[str, Sequence[object]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class RleMask:
    """A binary mask, run-length encoded as COCO's uncompressed RLE.

    Attributes:
        size: ``(width, height)`` of the mask in pixels.
        counts: Lengths of alternating runs of 0 and 1 in column-major order, starting with 0.

    Source: COCO API, ``pycocotools/mask.py``; COCO itself writes the size as ``[height, width]``.
    """

    size: ImageSize
    counts: tuple[int, ...]

    @classmethod
    def from_array(cls, mask: Bits) -> "RleMask":
        """Encode a boolean array ``(h, w)``."""
        flat = np.asarray(mask, dtype=np.bool_).ravel(order="F")
        edges = np.flatnonzero(np.diff(flat)) + 1
        bounds = np.concatenate(([0], edges, [flat.size]))
        counts = np.diff(bounds).tolist()
        if flat.size and flat[0]:
            counts.insert(0, 0)
        height, width = mask.shape
        return cls(size=(width, height), counts=tuple(counts))

    def resized(self, size: ImageSize) -> "RleMask":
        """Return the mask at another ``(width, height)``, without half-tones.

        Nearest neighbour: the middle of each new pixel falls into one old pixel.

        Raises:
            ValueError: As for `to_array`.
        """
        if size == self.size:
            return self
        columns, rows = (
            ((np.arange(new) + 0.5) * (old / new)).astype(np.intp)
            for new, old in zip(size, self.size, strict=True)
        )
        return RleMask.from_array(self.to_array()[rows[:, np.newaxis], columns])

    def to_array(self) -> Bits:
        """Decode to a boolean array ``(h, w)``.

        Raises:
            ValueError: The runs do not add up to the size.
        """
        width, height = self.size
        if sum(self.counts) != width * height or any(count < 0 for count in self.counts):
            msg = f"the runs of a mask add up to {sum(self.counts)}, not to {width}x{height}"
            raise ValueError(msg)
        values = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(values, self.counts).reshape((height, width), order="F")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Keypoints:
    """The keypoints of one detection.

    Attributes:
        xy: ``(k, 2)`` float64, pixels.
        confidence: ``(k,)`` float64, or None where the model gives none.
        class_name: One name per keypoint; empty where the model gives none.
        class_id: ``(k,)`` int64, or None.
    """

    xy: Floats
    confidence: Floats | None = None
    class_name: tuple[str, ...] = ()
    class_id: Ints | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """Objects found in a frame: boxes, and optionally polygons, masks or keypoints.

    Every per-row field has n entries; n = 0 means that the model looked and found nothing.

    Attributes:
        xyxy: ``(n, 4)`` float64: left, top, right, bottom in pixels of `image_size`.
        confidence: ``(n,)`` float64.
        class_name: n names.
        image_size: ``(width, height)`` that the coordinates refer to.
        prediction_type: The caller's word for the task, verbatim: ``object-detection``,
            ``instance-segmentation``, ``keypoint-detection``, …
        class_id: ``(n,)`` int64, or None.
        polygons: For each row its rings, each ``(k, 2)`` float64 in pixels; or None.
        masks: For each row a mask or None; or None.
        keypoints: For each row its keypoints; or None.
        data: Whatever else the model said per row, n entries a key: ``detection_id``,
            ``parent_id``, ``tracker_id``, …
        embedding: ``(d,)`` float64 for the whole frame, or None.
        model_id: Which model, with its version, or None.
        inference_id: The request that made the prediction, or None.
        document: The source document by reference, never to be written to; or None.
    """

    xyxy: Floats
    confidence: Floats
    class_name: tuple[str, ...]
    image_size: ImageSize
    prediction_type: str = "object-detection"
    class_id: Ints | None = None
    polygons: tuple[tuple[Floats, ...], ...] | None = None
    masks: tuple[RleMask | None, ...] | None = None
    keypoints: tuple[Keypoints, ...] | None = None
    data: Mapping[str, Sequence[object]] = field(default_factory=lambda: _NO_DATA)
    embedding: Floats | None = None
    model_id: str | None = None
    inference_id: str | None = None
    document: object = field(default=None, repr=False)

    def __len__(self) -> int:
        """Return the number of detections."""
        return len(self.class_name)


class Scores(NamedTuple):
    """Detections without their places: on these alone most frames are refused.

    Attributes:
        class_name: n names, as in `Detections`.
        confidence: ``(n,)`` float64, as in `Detections`.
        prediction_type: As in `Detections`.
        model_id: As in `Detections`.
        inference_id: As in `Detections`.
    """

    class_name: tuple[str, ...]
    confidence: Floats
    prediction_type: str = "object-detection"
    model_id: str | None = None
    inference_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classification:
    """What a frame shows as a whole: one class (`top`) or several (`predicted`).

    Attributes:
        class_name: The k classes that the model scored.
        confidence: ``(k,)`` float64, one per class.
        image_size: ``(width, height)`` of the frame.
        prediction_type: The caller's word for the task, verbatim.
        top: The winning class of a multi-class model; None for multi-label. It need not be
            among `class_name`.
        top_confidence: The model's confidence in `top`, or None where it gives none. Documents
            state it apart from the list, and the two can differ.
        predicted: The classes that a multi-label model says are there; None for multi-class.
        embedding: ``(d,)`` float64, or None.
        model_id: Which model, with its version, or None.
        inference_id: The request that made the prediction, or None.
        document: The source document by reference, never to be written to; or None.
    """

    class_name: tuple[str, ...]
    confidence: Floats
    image_size: ImageSize
    prediction_type: str = "classification"
    top: str | None = None
    top_confidence: float | None = None
    predicted: tuple[str, ...] | None = None
    embedding: Floats | None = None
    model_id: str | None = None
    inference_id: str | None = None
    document: object = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unlabelled:
    """No labels: a stub, no predictor at all, or a document of a type that we do not read.

    Attributes:
        image_size: ``(width, height)`` of the frame, or None where nobody has asked yet.
        prediction_type: The caller's word for the task, verbatim; empty where there is none.
        model_id: Which model, with its version, or None.
        inference_id: The request that made the prediction, or None.
        document: The source document by reference, never to be written to; or None.
    """

    image_size: ImageSize | None = None
    prediction_type: str = ""
    model_id: str | None = None
    inference_id: str | None = None
    document: object = field(default=None, repr=False)


Prediction: TypeAlias = Detections | Classification | Unlabelled
