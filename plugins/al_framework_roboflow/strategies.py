"""Roboflow's sampling strategies as pure scorers: the condition here, the draw in the engine.

Source: Roboflow inference 1.8.3 (2026-08), ``core/active_learning/samplers``. Upstream draws its
random number only after the condition held; the engine draws against `Verdict.probability`
instead, which selects the same frames with the same chance.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, StrictBool, StrictInt, StrictStr

from al_framework.api import (
    Classification,
    Context,
    Detections,
    Frame,
    Options,
    Prediction,
    PredictionError,
    Strategy,
    Unlabelled,
    Verdict,
)

# Strict, since YAML makes strings and booleans out of slips of the pen; whole numbers are fine.
Fraction = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]

_NAMED = 3


class RandomOptions(Options):
    """Options of `random`."""

    traffic_percentage: Fraction = Field(
        description="Share of all frames to take, from 0 (none) to 1 (every frame)."
    )


class RandomSampling(Strategy[RandomOptions]):
    """Takes a random share of all frames, whatever the model said about them.

    Source: Roboflow inference 1.8.3, ``active_learning/samplers/random.py``.
    """

    type_name = "random"

    def __init__(self, options: RandomOptions, context: Context) -> None:
        super().__init__(options, context)
        share = options.traffic_percentage
        # Verdicts never change, so one serves every frame.
        self._verdict = Verdict(
            match=True,
            utility=1.0,
            probability=share,
            reason=f"a random sample of {share * 100:.6g}% of all frames",
        )

    def evaluate(self, frame: Frame, prediction: Prediction) -> Verdict:
        """Match every frame, with the configured chance."""
        del frame, prediction
        return self._verdict


class CloseToThresholdOptions(Options):
    """Options of `close_to_threshold`."""

    threshold: Fraction = Field(description="Confidence around which the model is unsure.")
    epsilon: Fraction = Field(
        description="How close to the threshold counts; a distance of exactly epsilon does not."
    )
    probability: Fraction = Field(
        description="Chance, from 0 to 1, of taking a frame that meets the condition."
    )
    selected_class_names: tuple[StrictStr, ...] | None = Field(
        default=None,
        description="Classes to look at; all if left out, none if empty.",
    )
    only_top_classes: StrictBool = Field(
        default=True,
        description="Classification: look at the winning or predicted classes only.",
    )
    minimum_objects_close_to_threshold: StrictInt = Field(
        default=1,
        description="Detection: how many objects must be close; 0 or less is always met.",
    )


class CloseToThreshold(Strategy[CloseToThresholdOptions]):
    """Takes frames of which the model is unsure: a confidence lies close to a threshold.

    Close means ``abs(confidence - threshold) < epsilon`` in doubles, strict on both sides and
    without tolerance: 0.8 is not within 0.1 of 0.7, 1.0 is within 0.1 of 0.9.

    * Detections: at least `minimum_objects_close_to_threshold` of the selected classes are close.
    * Multi-class: the top class is selected and close; with `only_top_classes` off, any class.
    * Multi-label: any predicted class is selected and close; with `only_top_classes` off, any
      class. Neither kind of classification looks at `minimum_objects_close_to_threshold`.

    The utility of a match is ``1 - distance / epsilon`` of the closest confidence counted, 0 where
    none had to be.

    Source: Roboflow inference 1.8.3, ``active_learning/samplers/close_to_threshold.py``. Deviation
    ``documented-spelling``: ``keypoints-detection`` is read too, since Roboflow's documentation
    and some of its servers spell the task so; upstream's sampler passes it over.
    """

    type_name = "close_to_threshold"
    tasks: ClassVar[frozenset[str] | None] = frozenset(
        {
            "object-detection",
            "instance-segmentation",
            "keypoint-detection",
            "keypoints-detection",
            "classification",
        }
    )

    def __init__(self, options: CloseToThresholdOptions, context: Context) -> None:
        super().__init__(options, context)
        names = options.selected_class_names
        self._selected = None if names is None else frozenset(names)
        self._threshold = options.threshold
        self._epsilon = options.epsilon
        self._minimum = options.minimum_objects_close_to_threshold
        # Most frames are refused; they share one verdict.
        self._refusal = Verdict(match=False, utility=0.0, probability=options.probability)

    def evaluate(self, frame: Frame, prediction: Prediction) -> Verdict:
        """Match a frame with confidences close to the threshold.

        Raises:
            PredictionError: A multi-class prediction gives no confidence for its top class.
        """
        if isinstance(prediction, Detections):
            return self._judge_detections(prediction)
        if isinstance(prediction, Unlabelled):
            return self._refusal
        if prediction.top is not None and self.options.only_top_classes:
            return self._judge_top(prediction, prediction.top, frame)
        return self._judge_classes(prediction)

    def _judge_detections(self, detections: Detections) -> Verdict:
        distance = np.abs(detections.confidence - self._threshold)
        close = distance < self._epsilon
        if np.count_nonzero(close) < self._minimum:
            return self._refusal  # before any name is compared: most frames end here
        rows: list[int] = close.nonzero()[0].tolist()
        if self._selected is not None:
            names = detections.class_name
            rows = [row for row in rows if names[row] in self._selected]
            if len(rows) < self._minimum:
                return self._refusal
        found = [
            (detections.class_name[row], float(detections.confidence[row]))
            for row in self._closest(rows, distance[rows].tolist())
        ]
        return self._match(len(rows), "detection", found)

    def _judge_top(self, prediction: Classification, top: str, frame: Frame) -> Verdict:
        if self._selected is not None and top not in self._selected:
            return self._refusal
        confidence = prediction.top_confidence
        if confidence is None:
            confidence = dict(self._scores(prediction)).get(top)
        if confidence is None:
            raise PredictionError(
                f"strategy {self.context.name!r}: the prediction of frame {frame.frame_id!r} gives "
                f"no confidence for its top class {top!r}: have the adapter set top_confidence",
                frame_id=frame.frame_id,
            )
        if not abs(confidence - self._threshold) < self._epsilon:
            return self._refusal
        return self._match(1, "top class", [(top, confidence)])

    def _judge_classes(self, prediction: Classification) -> Verdict:
        wanted = self._selected
        if self.options.only_top_classes:
            predicted = frozenset(prediction.predicted or ())
            wanted = predicted if wanted is None else wanted & predicted
        found = [
            (name, confidence)
            for name, confidence in self._scores(prediction)
            if (wanted is None or name in wanted)
            and abs(confidence - self._threshold) < self._epsilon
        ]
        if not found:
            return self._refusal
        distances = [abs(confidence - self._threshold) for _, confidence in found]
        closest = self._closest(range(len(found)), distances)
        return self._match(len(found), "class", [found[row] for row in closest])

    def _match(self, count: int, noun: str, closest: Sequence[tuple[str, float]]) -> Verdict:
        """Return the verdict for so many close confidences, the closest few of them given."""
        utility = 0.0
        reason = "no detection has to be close to the threshold"
        if closest:
            utility = 1.0 - abs(closest[0][1] - self._threshold) / self._epsilon
            plural = "" if count == 1 else "es" if noun.endswith("s") else "s"
            named = ", ".join(f"{name} {confidence:.3g}" for name, confidence in closest)
            rest = ", …" if count > len(closest) else ""
            reason = (
                f"{count} {noun}{plural} within {self._epsilon:g} of {self._threshold:g}: "
                f"{named}{rest}"
            )
        return Verdict(
            match=True, utility=utility, probability=self.options.probability, reason=reason
        )

    @staticmethod
    def _closest(rows: Sequence[int], distances: Sequence[float]) -> list[int]:
        """Return the few rows with the smallest distances, the closest first."""
        ordered = sorted(zip(distances, rows, strict=True))
        return [row for _, row in ordered[:_NAMED]]

    @staticmethod
    def _scores(prediction: Classification) -> Iterator[tuple[str, float]]:
        """Pair the classes with their confidences as plain floats."""
        return zip(prediction.class_name, prediction.confidence.tolist(), strict=True)
