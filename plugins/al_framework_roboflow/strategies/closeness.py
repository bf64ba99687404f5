"""What «close to a threshold» means, and which classes and detections are.

Close means ``abs(confidence - threshold) < epsilon`` in doubles, strict on both sides and without
tolerance: 0.8 is not within 0.1 of 0.7, 1.0 is within 0.1 of 0.9.

Source: Roboflow inference 1.8.3, ``active_learning/samplers/close_to_threshold.py``.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from al_framework.api import Classification, Detections

Scored: TypeAlias = tuple[str, float]
"""A class with its confidence."""

_NAMED = 3
_FEW = 24  # up to so many numbers, a loop is through before numpy has begun


class UnknownConfidenceError(ValueError):
    """The top class is selected, and nothing says how sure the model is of it."""


class Near(NamedTuple):
    """What counts as close.

    Attributes:
        threshold: The middle.
        epsilon: How far off is too far.
        selected: Classes to look at; None for all.
    """

    threshold: float
    epsilon: float
    selected: frozenset[str] | None

    def close(self, confidence: npt.NDArray[np.float64]) -> list[int]:
        """Return the rows whose confidence is close, whatever their class."""
        threshold, epsilon = self.threshold, self.epsilon
        if len(confidence) <= _FEW:
            values = enumerate(confidence.tolist())
            return [row for row, value in values if abs(value - threshold) < epsilon]
        rows: list[int] = (np.abs(confidence - threshold) < epsilon).nonzero()[0].tolist()
        return rows

    def count(self, detections: Detections) -> int:
        """Return how many detections of the selected classes are close."""
        confidence = detections.confidence
        if self.selected is None and len(confidence) > _FEW:
            return int(np.count_nonzero(np.abs(confidence - self.threshold) < self.epsilon))
        return len(self.selected_among(detections, self.close(confidence)))

    def selected_among(self, detections: Detections, rows: list[int]) -> list[int]:
        """Return those of the rows that are of the selected classes."""
        if self.selected is None:
            return rows
        names, selected = detections.class_name, self.selected
        return [row for row in rows if names[row] in selected]

    def top(self, prediction: Classification, top: str) -> list[Scored]:
        """Return the top class if it is selected and close.

        The confidence is the one that the document states for its top class, else the one it lists.

        Raises:
            UnknownConfidenceError: It is selected, and no confidence is given.
        """
        if self.selected is not None and top not in self.selected:
            return []
        confidence = prediction.top_confidence
        if confidence is None:
            confidence = dict(_scores(prediction)).get(top)
        if confidence is None:
            raise UnknownConfidenceError
        return self._close([(top, confidence)])

    def predicted(self, prediction: Classification) -> list[Scored]:
        """Return the selected and close classes among those that a multi-label model predicts."""
        predicted = frozenset(prediction.predicted or ())
        return self._close([one for one in _scores(prediction) if one[0] in predicted])

    def classes(self, prediction: Classification) -> list[Scored]:
        """Return every selected and close class."""
        return self._close(_scores(prediction))

    def closest(self, found: Sequence[Scored]) -> list[Scored]:
        """Return the few that are closest, the closest first."""
        threshold = self.threshold
        return sorted(found, key=lambda one: abs(one[1] - threshold))[:_NAMED]

    def utility(self, closest: Scored) -> float:
        """Return how close the closest is: 1 at the threshold, 0 at a distance of epsilon."""
        return 1.0 - abs(closest[1] - self.threshold) / self.epsilon

    def _close(self, scores: Sequence[Scored]) -> list[Scored]:
        selected = self.selected
        return [
            (name, confidence)
            for name, confidence in scores
            if (selected is None or name in selected)
            and abs(confidence - self.threshold) < self.epsilon
        ]


def scored(detections: Detections, rows: list[int]) -> list[Scored]:
    """Return the classes of some rows with their confidences."""
    names, confidence = detections.class_name, detections.confidence
    if len(rows) <= _FEW < len(confidence):
        return [(names[row], float(confidence[row])) for row in rows]
    values = confidence.tolist()
    return [(names[row], values[row]) for row in rows]


def listed(found: Sequence[Scored], count: int) -> str:
    """Return classes with their confidences for a person, and a mark where there are more."""
    named = ", ".join([f"{name} {confidence:.3g}" for name, confidence in found])
    return f"{named}, …" if count > len(found) else named


def counted(count: int, noun: str) -> str:
    """Return ``1 detection``, ``2 classes``."""
    plural = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{plural}"


def _scores(prediction: Classification) -> list[Scored]:
    """Pair the classes with their confidences as plain floats."""
    return list(zip(prediction.class_name, prediction.confidence.tolist(), strict=True))
