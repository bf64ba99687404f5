"""Detections of which only names and confidences are read: most frames are refused on these alone.

Boxes, outlines and whatever else a model says are read, and checked, for the frames that a strategy
takes, as pixels are; and for every frame where a strategy looks at them.
"""

from collections.abc import Callable
from typing import Any

from al_framework.api import Detections, Prediction, Scores

_new = object.__new__
_FIELDS = vars(Detections)
_set_class_name, _set_confidence, _set_type, _set_model_id, _set_inference_id = (
    _FIELDS[name].__set__
    for name in ("class_name", "confidence", "prediction_type", "model_id", "inference_id")
)


class Glance(Detections):
    """What an adapter's `Scores` say; the other fields are read when somebody asks for one.

    Attributes:
        reader: Name of the adapter, for messages.
    """

    __slots__ = ("_read", "_whole", "reader")

    _read: Callable[[], Prediction]
    _whole: Prediction
    reader: str

    def whole(self) -> Prediction:
        """Return all that the document says; read once.

        Raises:
            PredictionError: It cannot be read, or what it says cannot be used.
        """
        try:
            return self._whole
        except AttributeError:
            pass
        try:
            read = self._read
        except AttributeError:  # made by `dataclasses.replace`, which has asked for every field
            return self
        whole = read()
        _set_whole(self, whole)
        return whole

    def __getattr__(self, name: str) -> Any:
        """Return a field that is not read yet."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.whole(), name)


_set_read, _set_whole, _set_reader = (
    vars(Glance)[name].__set__ for name in ("_read", "_whole", "reader")
)


def glance(scores: Scores, *, reader: str, read: Callable[[], Prediction]) -> Glance:
    """Return detections that are read no further than their scores.

    Args:
        scores: What is read.
        reader: Name of the adapter, for messages.
        read: Reads and checks all of it.
    """
    names, confidence, prediction_type, model_id, inference_id = scores
    if confidence.flags.writeable:
        confidence = confidence.view()
        confidence.flags.writeable = False
    detections = _new(Glance)
    _set_class_name(detections, names)
    _set_confidence(detections, confidence)
    _set_type(detections, prediction_type)
    _set_model_id(detections, model_id)
    _set_inference_id(detections, inference_id)
    _set_reader(detections, reader)
    _set_read(detections, read)
    return detections
