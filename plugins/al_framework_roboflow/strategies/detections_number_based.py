"""Frames with many or with few objects."""

from typing import ClassVar

from pydantic import Field, StrictInt, ValidationInfo, field_validator

from al_framework.api import Context, Detections, Frame, Options, Prediction, Strategy, Verdict
from al_framework_roboflow.strategies.closeness import Near, counted
from al_framework_roboflow.strategies.fields import ClassNames, Fraction
from al_framework_roboflow.tasks import DETECTION_TASKS

_MIDDLE, _REACH = 0.5, 1.0


class DetectionsNumberBasedOptions(Options):
    """Options of `detections_number_based`."""

    probability: Fraction = Field(
        description="Chance, from 0 to 1, of taking a frame that meets the condition."
    )
    more_than: StrictInt | None = Field(
        default=None, description="The number must be greater than this; null: no lower bound."
    )
    less_than: StrictInt | None = Field(
        default=None, description="The number must be less than this; null: no upper bound."
    )
    selected_class_names: ClassNames | None = Field(
        default=None, description="Classes to count; all if left out, none if empty."
    )

    @field_validator("less_than")
    @classmethod
    def _above_more_than(cls, less_than: int | None, info: ValidationInfo) -> int | None:
        more_than: int | None = info.data.get("more_than")
        if more_than is not None and less_than is not None and more_than >= less_than:
            raise ValueError(
                f"is {less_than}, and more_than is {more_than}: no number is between them, "
                "make less_than the greater one"
            )
        return less_than


class DetectionsNumberBased(Strategy[DetectionsNumberBasedOptions]):
    """Takes frames with a certain number of objects: more than one bound, less than the other.

    Both bounds are exclusive, and each may be left out. Objects of the selected classes are
    counted. As upstream, a confidence outside ``abs(confidence - 0.5) < 1`` does not count: no
    model states one.

    The utility of a match is how far the number is from the nearer bound, 1 where there is none.

    Source: Roboflow inference 1.8.3, ``active_learning/samplers/number_of_detections.py``.
    Deviation ``documented-spelling``: as in `close_to_threshold`.
    """

    type_name = "detections_number_based"
    tasks: ClassVar[frozenset[str] | None] = frozenset(DETECTION_TASKS)
    scores_only = True

    def __init__(self, options: DetectionsNumberBasedOptions, context: Context) -> None:
        super().__init__(options, context)
        names = options.selected_class_names
        self._near = Near(_MIDDLE, _REACH, None if names is None else frozenset(names))
        self._noun = "detection" if names is None else "selected detection"
        self._more_than, self._less_than = options.more_than, options.less_than
        bounds = {"more than": self._more_than, "less than": self._less_than}
        words = [f"{word} {bound}" for word, bound in bounds.items() if bound is not None]
        self._condition = " and ".join(words) or "any number"
        self._refusal = Verdict(match=False, utility=0.0, probability=options.probability)

    def evaluate(self, frame: Frame, prediction: Prediction) -> Verdict:
        """Match a frame with as many detections as are asked for."""
        del frame
        if not isinstance(prediction, Detections):
            return self._refusal
        near, least, most = self._near, self._more_than, self._less_than
        if least is not None and len(prediction) <= least:
            return self._refusal  # before any number is compared
        count = near.count(prediction)
        if least is not None and count <= least:
            return self._refusal
        if most is not None and count >= most:
            return self._refusal
        margins = [count - least] if least is not None else []
        margins += [most - count] if most is not None else []
        return Verdict(
            match=True,
            utility=float(min(margins, default=1)),
            probability=self.options.probability,
            reason=f"{counted(count, self._noun)}, {self._condition}",
        )
