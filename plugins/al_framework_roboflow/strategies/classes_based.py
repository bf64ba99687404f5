"""Frames that show certain classes."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from al_framework.api import (
    Classification,
    Context,
    Detections,
    Frame,
    Options,
    Prediction,
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

_MIDDLE, _REACH = 0.5, 1.0
# Of a class without a confidence the model counts as certain.
_UTILITY_WITHOUT_CONFIDENCE = 0.5


class ClassesBasedOptions(Options):
    """Options of `classes_based`."""

    selected_class_names: ClassNames = Field(
        description="Classes to collect; nothing is collected if empty.", examples=[["person"]]
    )
    probability: Fraction = Field(
        description="Chance, from 0 to 1, of taking a frame that shows one of them."
    )


class ClassesBased(Strategy[ClassesBasedOptions]):
    """Takes frames that show one of the selected classes.

    * Multi-class: the top class is selected.
    * Multi-label: any predicted class is selected.
    * Detections, only with ``applies_to: [detections]``, which is our addition: the class of any
      detection is selected.

    As upstream, a confidence outside ``abs(confidence - 0.5) < 1`` does not count: no model states
    one. The utility of a match is ``1 - abs(confidence - 0.5)`` of the class that the model is
    least sure of.

    Source: Roboflow inference 1.8.3, ``active_learning/samplers/contains_classes.py``. Deviation
    ``top-alone``: where a document gives its top class without a confidence, the class alone
    decides; upstream fails, and workflows collected nothing.
    """

    type_name = "classes_based"
    tasks: ClassVar[frozenset[str] | None] = frozenset({CLASSIFICATION})
    also_reads: ClassVar[frozenset[str]] = frozenset(DETECTION_TASKS)
    scores_only = True

    def __init__(self, options: ClassesBasedOptions, context: Context) -> None:
        super().__init__(options, context)
        self._near = Near(_MIDDLE, _REACH, frozenset(options.selected_class_names))
        self._refusal = Verdict(match=False, utility=0.0, probability=options.probability)

    def evaluate(self, frame: Frame, prediction: Prediction) -> Verdict:
        """Match a frame with a selected class."""
        del frame
        near = self._near
        if isinstance(prediction, Classification):
            if prediction.top is None:
                return self._judge(near.predicted(prediction), "predicted class")
            try:
                return self._judge(near.top(prediction, prediction.top), "top class")
            except UnknownConfidenceError:
                reason = f"1 selected top class: {prediction.top}"
                return self._match(_UTILITY_WITHOUT_CONFIDENCE, reason)
        if isinstance(prediction, Detections):
            selected = near.selected or ()
            if any(name in selected for name in prediction.class_name):
                rows = near.selected_among(prediction, near.close(prediction.confidence))
                return self._judge(scored(prediction, rows), "detection")
        return self._refusal

    def _judge(self, found: Sequence[Scored], noun: str) -> Verdict:
        if not found:
            return self._refusal
        closest = self._near.closest(found)
        words = f"{counted(len(found), f'selected {noun}')}: {listed(closest, len(found))}"
        return self._match(self._near.utility(closest[0]), words)

    def _match(self, utility: float, reason: str) -> Verdict:
        return Verdict(
            match=True, utility=utility, probability=self.options.probability, reason=reason
        )
