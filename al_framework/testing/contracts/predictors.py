"""What holds for predictors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from al_framework.api import Classification, Detections, Frame, FrameError, Predictor, Unlabelled
from al_framework.testing._checks import check, prediction_fault, same_prediction
from al_framework.testing.contracts.component import ComponentContract
from al_framework.testing.fakes import sample_frame
from al_framework.testing.frames import hostile_frames, sample_frames


class PredictorContract(ComponentContract[Predictor[Any]]):
    """What holds for a predictor: it looks at a frame, and a bad frame costs itself only.

    Name the class; `prepare` can put a small model into the directory::

        class TestMyModel(PredictorContract):
            component = MyModelPredictor

            def prepare(self, directory):
                shutil.copy("tiny.bin", directory)
                return {"model": "tiny.bin"}

    Besides what holds for every component: predictions are well-formed, in pixels of the upright
    frame, and the same each time; frames of every kind are looked at or refused with `FrameError`;
    so is what is no picture, and the next frame is looked at all the same. An answer that is no
    `Prediction` is left to the adapter that reads it, and to its contract.
    """

    _kind = "predictor"

    def frames(self) -> Sequence[Frame]:
        """Return frames that the model has to look at; others of every kind are added."""
        return (sample_frame(), sample_frame("large", width=640, height=480))

    def test_predictions_are_usable_and_repeatable(self, tmp_path: Path) -> None:
        """Whether a frame gives the same well-formed prediction each time, in its own pixels."""
        predictor = self.build(tmp_path)
        predictor.start()
        for frame in self.frames():
            one: Any = predictor.predict(frame)
            other: Any = predictor.predict(frame)
            self._check_prediction(frame, one)
            if isinstance(one, Detections | Classification | Unlabelled):
                check(same_prediction(one, other), f"predictions for {frame.frame_id!r} differ")
        predictor.close()

    def test_every_kind_of_frame_is_looked_at(self, tmp_path: Path) -> None:
        """Whether a grey picture, or one of a single pixel, is more than one lost frame."""
        predictor = self.build(tmp_path)
        predictor.start()
        for frame in sample_frames().values():
            answer = self._look(predictor, frame)
            if not isinstance(answer, FrameError):
                self._check_prediction(frame, answer)
        predictor.close()

    def test_a_broken_picture_is_a_frame_error(self, tmp_path: Path) -> None:
        """Whether a truncated picture costs one frame; a predictor that reads none is free to."""
        predictor = self.build(tmp_path)
        predictor.start()
        for frame in hostile_frames().values():
            self._look(predictor, frame)
        self._check_prediction(sample_frame(), predictor.predict(sample_frame()))
        predictor.close()

    @staticmethod
    def _look(predictor: Predictor[Any], frame: Frame) -> object:
        """Return the answer, or the error that costs this frame only."""
        try:
            return predictor.predict(frame)
        except FrameError as exc:
            return exc
        except Exception as exc:
            raise AssertionError(
                f"the picture {frame.frame_id!r} raises {exc!r}: it has to be a FrameError"
            ) from exc

    @staticmethod
    def _check_prediction(frame: Frame, answer: object) -> None:
        check(answer is not None, f"predict gives None for {frame.frame_id!r}")
        if not isinstance(answer, Detections | Classification | Unlabelled):
            return  # an adapter reads it
        fault = prediction_fault(answer)
        check(fault is None, f"the prediction for {frame.frame_id!r} is malformed: {fault}")
        if not isinstance(answer, Unlabelled):
            size = frame.image.size
            check(answer.image_size == size, f"image_size is {answer.image_size}, not {size}")
