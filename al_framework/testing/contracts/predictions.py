"""What holds for those who make, read and judge predictions."""

import copy
import random
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from al_framework.api import (
    Classification,
    Detections,
    Frame,
    FrameError,
    Image,
    Prediction,
    PredictionAdapter,
    PredictionError,
    Predictor,
    Strategy,
    Unlabelled,
)
from al_framework.testing._checks import (
    check,
    prediction_fault,
    same,
    same_prediction,
    verdict_fault,
)
from al_framework.testing.contracts.component import ComponentContract
from al_framework.testing.fakes import sample_frame, sample_jpeg
from al_framework.testing.samples import sample_predictions


class StrategyContract(ComponentContract[Strategy[Any]]):
    """What holds for a strategy."""

    def predictions(self) -> Mapping[str, Prediction]:
        """Return predictions to evaluate by name; those it is not eligible for are left out."""
        return sample_predictions()

    def test_verdicts_are_well_formed(self, tmp_path: Path) -> None:
        """Whether the engine can use what it says of each kind of prediction."""
        for name, prediction in self._eligible().items():
            verdict = self._evaluate(self._started(tmp_path), name, prediction)
            fault = verdict_fault(verdict)
            check(fault is None, f"the verdict on {name!r} is malformed: {fault}")

    def test_equal_inputs_give_equal_verdicts(self, tmp_path: Path) -> None:
        """Whether a decision can be replayed: no clock, no chance, no memory of other frames."""
        if self.component.stateful:
            return
        samples = self._eligible()
        one, other = self._started(tmp_path), self._started(tmp_path)
        first = {name: self._evaluate(one, name, samples[name]) for name in samples}
        again = {name: self._evaluate(one, name, samples[name]) for name in samples}
        reverse = {
            name: self._evaluate(other, name, samples[name]) for name in reversed(list(samples))
        }
        for name, verdict in first.items():
            for seen in (again[name], reverse[name]):
                check(verdict == seen, f"verdicts on {name!r} differ: {verdict} and {seen}")

    def test_predictions_are_not_written_to(self, tmp_path: Path) -> None:
        """Whether other strategies see the prediction as the model gave it; arrays refuse."""
        for name, prediction in self._eligible().items():
            before = copy.deepcopy(prediction)
            self._evaluate(self._started(tmp_path), name, prediction)
            intact = same_prediction(before, prediction)
            intact = intact and same(before.document, prediction.document)
            check(intact, f"evaluate has changed the prediction {name!r}")

    def test_pixels_are_read_only_if_announced(self, tmp_path: Path) -> None:
        """Whether a frame can be rejected without decoding it."""
        if self.component.needs_pixels:
            return
        for name, prediction in self._eligible().items():
            frame = sample_frame()
            self._evaluate(self._started(tmp_path), name, prediction, frame)
            check(not frame.image.decoded, "evaluate reads pixels: set needs_pixels = True")

    def test_global_randomness_is_left_alone(self, tmp_path: Path) -> None:
        """Whether the draw is left to the engine."""
        for name, prediction in self._eligible().items():
            before = random.getstate()
            self._evaluate(self._started(tmp_path), name, prediction)
            check(before == random.getstate(), "evaluate draws random numbers: set probability")

    def _started(self, directory: Path) -> Strategy[Any]:
        strategy = self.build(directory)
        strategy.start()
        return strategy

    def _eligible(self) -> Mapping[str, Prediction]:
        tasks = self.component.tasks
        samples = {
            name: prediction
            for name, prediction in self.predictions().items()
            if tasks is None
            or (prediction.prediction_type in tasks and not isinstance(prediction, Unlabelled))
        }
        check(samples, f"no sample is of the tasks {tasks}: override predictions()")
        return samples

    @staticmethod
    def _evaluate(
        strategy: Strategy[Any], name: str, prediction: Prediction, frame: Frame | None = None
    ) -> object:
        try:
            return strategy.evaluate(frame or sample_frame(), prediction)
        except Exception as exc:
            raise AssertionError(f"evaluate fails on {name!r}: {exc!r}") from exc


class AdapterContract(ComponentContract[PredictionAdapter[Any]]):
    """What holds for a prediction adapter."""

    @abstractmethod
    def documents(self) -> Sequence[object]:
        """Return objects that the adapter reads, of every kind, empty ones too."""

    def broken_documents(self) -> Sequence[object]:
        """Return objects that look right and cannot be read."""
        return ()

    def foreign_documents(self) -> Sequence[object]:
        """Return objects that are other adapters' business."""
        return (None, 3, "text", b"bytes", [], object())

    def test_accepts_its_own_documents_only(self, tmp_path: Path) -> None:
        """Whether the adapter is found for its objects, and for no others."""
        adapter = self.build(tmp_path)
        for document in self.documents():
            check(adapter.accepts(document) is True, f"it does not accept {document!r:.200}")
        for document in self.foreign_documents():
            check(adapter.accepts(document) is False, f"it accepts {document!r:.200}")

    def test_predictions_are_well_formed(self, tmp_path: Path) -> None:
        """Whether every object becomes float64 rows of equal length, finite throughout."""
        for document, prediction, frames in self._adapted(tmp_path, None):
            fault = prediction_fault(prediction)
            check(fault is None, f"the prediction from {document!r:.200} is malformed: {fault}")
            decoded = any(frame.image.decoded for frame in frames)
            check(not decoded, "split or adapt reads pixels: the picture's size is enough")

    def test_documents_are_kept_and_not_written_to(self, tmp_path: Path) -> None:
        """Whether the caller's object stays as it is, and sinks can find it."""
        for before in self.documents():
            document = copy.deepcopy(before)
            adapter = self.build(tmp_path)
            adapter.start()
            for part, piece in self._split(adapter, document, sample_frame()):
                kept = adapter.adapt(piece, frame=part, prediction_type=None).document
                dumped = isinstance(kept, Mapping) and not isinstance(piece, Mapping)
                check(kept is piece or dumped, "the prediction's document is not the object given")
            check(same(before, document), f"split or adapt has changed {before!r:.200}")

    def test_prediction_type_is_kept_verbatim(self, tmp_path: Path) -> None:
        """Whether strategies see the task as the caller calls it."""
        for _, prediction, _ in self._adapted(tmp_path, "Some-Task"):
            seen = prediction.prediction_type
            check(seen == "Some-Task", f"prediction type 'Some-Task' has become {seen!r}")

    def test_broken_documents_raise_prediction_errors(self, tmp_path: Path) -> None:
        """Whether a bad object, or a bad part of one, costs one frame and names itself."""
        adapter = self.build(tmp_path)
        adapter.start()
        for document in self.broken_documents():
            try:
                for part, piece in adapter.split(document, frame=sample_frame()):
                    adapter.adapt(piece, frame=part, prediction_type=None)
            except PredictionError:
                continue
            except Exception as exc:
                raise AssertionError(
                    f"{document!r:.200} raises {exc!r}: it has to be a PredictionError"
                ) from exc
            check(False, f"{document!r:.200} is read without an error")

    def test_split_gives_frames_with_their_documents(self, tmp_path: Path) -> None:
        """Whether the engine can treat whole pictures and crops alike."""
        adapter = self.build(tmp_path)
        adapter.start()
        for document in self.documents():
            self._split(adapter, document, sample_frame())

    def test_parts_have_names_that_stay(self, tmp_path: Path) -> None:
        """Whether a decision about a crop can be found, and told apart from its neighbour's."""
        adapter = self.build(tmp_path)
        adapter.start()
        for document in self.documents():
            passes = [self._split(adapter, document, sample_frame()) for _ in range(2)]
            first, second = ([part.frame_id for part, _ in parts] for parts in passes)
            check(first == second, f"frame ids differ from time to time: {first} and {second}")
            check(len({*first}) == len(first), f"frame ids repeat: {first}")

    def test_parts_know_what_they_were_cut_from(self, tmp_path: Path) -> None:
        """Whether the prediction of a crop can be drawn on its parent."""
        adapter = self.build(tmp_path)
        adapter.start()
        for document in self.documents():
            frame = sample_frame()
            for part, _ in self._split(adapter, document, frame):
                parent = part.parent
                named = part is frame or (parent is not None and parent.frame_id == frame.frame_id)
                text = f"parent is {parent!r}: it has to be a Crop of {frame.frame_id!r}"
                check(named, f"{part.frame_id!r} is not the frame given, and its {text}")

    @staticmethod
    def _split(
        adapter: PredictionAdapter[Any], document: object, frame: Frame
    ) -> list[tuple[Frame, Any]]:
        parts: Iterable[Any] = adapter.split(document, frame=frame)
        found = list(parts)
        for part in found:
            good = isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], Frame)
            check(good, f"split gives {part!r:.200}: it has to give (Frame, document)")
        return found

    def _adapted(
        self, directory: Path, prediction_type: str | None
    ) -> Iterable[tuple[object, Prediction, tuple[Frame, Frame]]]:
        """Give each piece of each object with its prediction, the frame and the part of it."""
        adapter = self.build(directory)
        adapter.start()
        for document in self.documents():
            frame = sample_frame()
            for part, piece in self._split(adapter, document, frame):
                prediction = adapter.adapt(piece, frame=part, prediction_type=prediction_type)
                yield piece, prediction, (frame, part)


class PredictorContract(ComponentContract[Predictor[Any]]):
    """What holds for a predictor."""

    def frames(self) -> Sequence[Frame]:
        """Return frames to look at; broken ones are added."""
        return (sample_frame(), sample_frame("large", width=640, height=480))

    def test_predictions_are_usable_and_repeatable(self, tmp_path: Path) -> None:
        """Whether a frame gives the same well-formed prediction each time, in its own pixels."""
        predictor = self.build(tmp_path)
        predictor.start()
        for frame in self.frames():
            one: Any = predictor.predict(frame)
            other: Any = predictor.predict(frame)
            check(one is not None, f"predict gives None for {frame.frame_id!r}")
            if not isinstance(one, Detections | Classification | Unlabelled):
                continue  # an adapter reads it
            fault = prediction_fault(one)
            check(fault is None, f"the prediction for {frame.frame_id!r} is malformed: {fault}")
            check(same_prediction(one, other), f"predictions for {frame.frame_id!r} differ")
            if not isinstance(one, Unlabelled):
                size = frame.image.size
                check(one.image_size == size, f"image_size is {one.image_size}, not {size}")
        predictor.close()

    def test_a_broken_picture_is_a_frame_error(self, tmp_path: Path) -> None:
        """Whether a truncated picture costs one frame; a predictor that reads none is free to."""
        predictor = self.build(tmp_path)
        predictor.start()
        data = sample_jpeg()
        frame = Frame(frame_id="broken", image=Image(data[: len(data) * 2 // 3]))
        try:
            predictor.predict(frame)
        except FrameError:
            pass
        except Exception as exc:
            raise AssertionError(
                f"a broken picture raises {exc!r}: it has to be a FrameError"
            ) from exc
        finally:
            predictor.close()
