"""Frames of which the model is unsure."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, StrictBool, StrictInt

from al_framework.api import (
    Classification,
    Context,
    Detections,
    Frame,
    Options,
    Prediction,
    PredictionError,
    Strategy,
    Verdict,
)
from al_framework_roboflow.strategies.closeness import (
    Near,
    Scored,
    UnknownConfidenceError,
    counted,
    listed,
    scored,
)
from al_framework_roboflow.strategies.fields import ClassNames, Fraction
from al_framework_roboflow.tasks import CLASSIFICATION, DETECTION_TASKS


class CloseToThresholdOptions(Options):
    """Options of `close_to_threshold`."""

    threshold: Fraction = Field(description="Confidence around which the model is unsure.")
    epsilon: Fraction = Field(
        description="How close to the threshold counts; a distance of exactly epsilon does not."
    )
    probability: Fraction = Field(
        description="Chance, from 0 to 1, of taking a frame that meets the condition."
    )
    selected_class_names: ClassNames | None = Field(
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

    Source: Roboflow inference 1.8.3, ``active_learning/samplers/close_to_threshold.py``.
    Deviations, each with its name in the conformance report:

    * ``documented-spelling``: ``keypoints-detection`` is read too, since Roboflow's documentation
      and some of its servers spell the task so; upstream's sampler passes it over.
    * ``top-alone``: where a document gives no confidence for its top class, the one it lists for
      that class counts. Upstream fails.
    """

    type_name = "close_to_threshold"
    tasks: ClassVar[frozenset[str] | None] = frozenset({*DETECTION_TASKS, CLASSIFICATION})
    scores_only = True

    def __init__(self, options: CloseToThresholdOptions, context: Context) -> None:
        super().__init__(options, context)
        names = options.selected_class_names
        selected = None if names is None else frozenset(names)
        self._near = Near(options.threshold, options.epsilon, selected)
        self._within = f"within {options.epsilon:g} of {options.threshold:g}"
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
        if isinstance(prediction, Classification):
            return self._judge_classification(prediction, frame)
        return self._refusal

    def _judge_detections(self, detections: Detections) -> Verdict:
        near = self._near
        rows = near.close(detections.confidence)
        if len(rows) < self._minimum:
            return self._refusal  # before any name is compared: most frames end here
        rows = near.selected_among(detections, rows)
        if len(rows) < self._minimum:
            return self._refusal
        return self._match(len(rows), "detection", near.closest(scored(detections, rows)))

    def _judge_classification(self, prediction: Classification, frame: Frame) -> Verdict:
        near, top = self._near, prediction.top
        noun = "class"
        if top is None:
            every = not self.options.only_top_classes
            found = near.classes(prediction) if every else near.predicted(prediction)
        elif self.options.only_top_classes or _nothing_scored(prediction):
            noun = "top class"
            try:
                found = near.top(prediction, top)
            except UnknownConfidenceError:
                raise PredictionError(
                    f"strategy {self.context.name!r}: the prediction of frame {frame.frame_id!r} "
                    f"gives no confidence for its top class {top!r}: have the adapter set "
                    "top_confidence",
                    frame_id=frame.frame_id,
                ) from None
        else:
            found = near.classes(prediction)
        return self._match(len(found), noun, near.closest(found)) if found else self._refusal

    def _match(self, count: int, noun: str, closest: Sequence[Scored]) -> Verdict:
        """Return the verdict for so many close confidences, the closest few of them given."""
        near = self._near
        utility = 0.0
        reason = "no detection has to be close to the threshold"
        if closest:
            utility = near.utility(closest[0])
            reason = f"{counted(count, noun)} {self._within}: {listed(closest, count)}"
        return Verdict(
            match=True, utility=utility, probability=self.options.probability, reason=reason
        )


def _nothing_scored(prediction: Classification) -> bool:
    return not prediction.class_name and prediction.top_confidence is None
