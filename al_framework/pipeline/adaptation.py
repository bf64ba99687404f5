"""Whatever the caller or the model gave → Frame, Prediction.

Where the configuration names an adapter, that one reads everything. Otherwise the one adapter that
accepts the object does; two that accept it are reported, never chosen between. What is read is
checked here, so that nothing behind has to doubt a number.
"""

from collections.abc import Sequence
from functools import partial

from al_framework.api import (
    Classification,
    Detections,
    Frame,
    Prediction,
    PredictionAdapter,
    PredictionError,
    Unlabelled,
)
from al_framework.api._faults import plugin_errors
from al_framework.pipeline.checking import are_plausible, check_prediction
from al_framework.pipeline.glancing import Glance, glance

_READ = (Detections, Classification, Unlabelled)


class Adaptation:
    """Reads prediction objects.

    Args:
        adapters: Names and adapters to choose from.
        fixed: Whether the configuration names the (only) adapter.
    """

    def __init__(self, adapters: Sequence[tuple[str, PredictionAdapter]], *, fixed: bool) -> None:
        self._adapters = tuple(adapters)
        self._fixed = fixed

    def read(
        self, document: object, frame: Frame, prediction_type: str | None
    ) -> Sequence[tuple[Frame, Prediction | Exception]]:
        """Return the frames that an object is about, each with its prediction.

        Where an adapter has split the object, a part that it cannot read, or whose prediction
        cannot be used, comes with the error, so that its neighbours lose nothing.

        Raises:
            PredictionError: No adapter, or more than one, accepts the object; or the one that does
                cannot read it; or what it reads, or the caller gave, is malformed.
            TypeError: The adapter does not answer as it must.
        """
        if document is None:
            return ((frame, Unlabelled(prediction_type=prediction_type or "")),)
        if isinstance(document, _READ):
            check_prediction(document)
            return ((frame, document),)
        name, adapter = self._choose(document, frame.frame_id)
        if type(adapter).split is PredictionAdapter.split:  # the usual case, without a generator
            read = partial(_read_whole, adapter, document, frame, prediction_type)
            scores = adapter.scores(document, prediction_type=prediction_type)
            if scores is None or not are_plausible(scores):  # then it is said what is wrong
                return ((frame, read()),)
            return ((frame, glance(scores, reader=name, read=read)),)
        return [
            self._part(adapter, part, piece, prediction_type)
            for part, piece in adapter.split(document, frame=frame)
        ]

    @staticmethod
    def complete(prediction: Prediction) -> Prediction:
        """Return all of a prediction of which only the scores may have been read so far.

        Raises:
            PredictionError: It cannot be read, or what is read is malformed.
            TypeError: The adapter does not answer as it must.
        """
        return prediction.whole() if type(prediction) is Glance else prediction

    def reader(self, document: object) -> str:
        """Return which adapter reads an object, for a message; empty if none does."""
        if isinstance(document, _READ):
            return ""
        try:
            name, _ = self._choose(document)
        except plugin_errors():  # a caller's object may raise whenever it is looked at
            return ""
        return f"adapter {name!r}"

    @staticmethod
    def _part(
        adapter: PredictionAdapter,
        part: Frame,
        piece: object,
        prediction_type: str | None,
    ) -> tuple[Frame, Prediction | Exception]:
        try:
            prediction = adapter.adapt(piece, frame=part, prediction_type=prediction_type)
        except Exception as exc:  # noqa: BLE001 - a plugin boundary: handed on with its part
            return _checked_frame(part), exc
        checked = _checked(part, prediction)
        try:
            check_prediction(checked[1])
        except Exception as exc:  # noqa: BLE001 - as above: its numbers may be any objects
            return checked[0], exc
        return checked

    def _choose(
        self, document: object, frame_id: str | None = None
    ) -> tuple[str, PredictionAdapter]:
        if self._fixed:
            return self._adapters[0]
        accepting = [(name, one) for name, one in self._adapters if _accepts(one, document)]
        if len(accepting) == 1:
            return accepting[0]
        kind = f"{type(document).__module__}.{type(document).__qualname__}"
        if accepting:
            names = ", ".join(repr(name) for name, _ in accepting)
            raise PredictionError(
                f"a prediction of type {kind!r} is accepted by the adapters {names}: name one as "
                "'adapter' in the configuration",
                frame_id=frame_id,
            )
        if isinstance(document, list | tuple):
            raise PredictionError(
                f"a prediction of type {kind!r} holds {len(document)} of them: pass one, for one "
                "frame",
                frame_id=frame_id,
            )
        names = ", ".join(repr(name) for name, _ in self._adapters) or "none"
        raise PredictionError(
            f"no adapter accepts a prediction of type {kind!r}; installed are {names}",
            frame_id=frame_id,
        )


def _read_whole(
    adapter: PredictionAdapter, document: object, frame: Frame, prediction_type: str | None
) -> Prediction:
    prediction = adapter.adapt(document, frame=frame, prediction_type=prediction_type)
    _, checked = _checked(frame, prediction)
    check_prediction(checked)
    return checked


def _checked_frame(frame: object) -> Frame:
    if not isinstance(frame, Frame):
        raise TypeError(f"it split off an object of type {type(frame).__name__!r}: yield frames")
    if not isinstance(frame.frame_id, str):  # anything else would fail the whole group later
        raise TypeError(f"it named a frame {frame.frame_id!r}: a frame's name is text")
    return frame


def _checked(frame: object, prediction: object) -> tuple[Frame, Prediction]:
    frame = _checked_frame(frame)
    if not isinstance(prediction, Detections | Classification | Unlabelled):
        raise TypeError(
            f"it returned an object of type {type(prediction).__name__!r}: return Detections, a"
            " Classification or Unlabelled"
        )
    return frame, prediction


def _accepts(adapter: PredictionAdapter, document: object) -> bool:
    try:
        return adapter.accepts(document)
    except plugin_errors():  # a plugin boundary: by contract an error counts as no
        return False
