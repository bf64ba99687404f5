"""What holds for prediction adapters."""

import copy
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import SkipTest

from al_framework.api import Frame, Prediction, PredictionAdapter, PredictionError, Scores
from al_framework.testing._checks import check, prediction_fault, same, same_prediction
from al_framework.testing.contracts.component import ComponentContract
from al_framework.testing.fakes import sample_frame


class AdapterContract(ComponentContract[PredictionAdapter[Any]]):
    """What holds for a prediction adapter: it reads one family of objects, cheaply and exactly.

    Name the class and give it objects of its family::

        class TestMyModel(AdapterContract):
            component = MyModelAdapter

            def documents(self):
                return ({"boxes": [], "scores": []}, {"boxes": [[1, 2, 3, 4]], "scores": [0.5]})

            def broken_documents(self):
                return ({"boxes": "none"},)

    Besides what holds for every component: it accepts its own objects and no others; what it reads
    is well-formed, the same each time, keeps the object and the caller's word for the task, and
    needs no pixels; `scores`, where it gives any, are those of the whole prediction; the object is
    not written to; one that cannot be read raises
    `PredictionError`; the parts of an object that is about several frames are frames with names
    that stay, and know what they were cut from.
    """

    _kind = "prediction_adapter"

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

    def test_equal_documents_give_equal_predictions(self, tmp_path: Path) -> None:
        """Whether a decision can be replayed from the object that was recorded."""
        passes = [[*self._adapted(tmp_path, None)] for _ in range(2)]
        for (document, one, _), (_, other, _) in zip(*passes, strict=True):
            equal = same_prediction(one, other)
            check(equal, f"{document!r:.200} gives {one!r:.200} and then {other!r:.200}")

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

    def test_scores_say_what_adapt_says(self, tmp_path: Path) -> None:
        """Whether a frame is judged by the same numbers, be the object read whole or not."""
        adapter = self.build(tmp_path)
        adapter.start()
        for task in (None, "object-detection"):
            for document in self.documents():
                for part, piece in self._split(adapter, document, sample_frame()):
                    scores = adapter.scores(piece, prediction_type=task)
                    if scores is not None:
                        whole = adapter.adapt(piece, frame=part, prediction_type=task)
                        seen = [getattr(whole, name, None) for name in Scores._fields]
                        equal = same(list(scores), seen)
                        check(equal, f"scores gives {scores} where adapt gives {whole!r:.200}")

    def test_broken_documents_raise_prediction_errors(self, tmp_path: Path) -> None:
        """Whether a bad object, or a bad part of one, costs one frame and names itself."""
        broken = self.broken_documents()
        if not broken:
            raise SkipTest("broken_documents() is empty: override it to have the error checked")
        adapter = self.build(tmp_path)
        adapter.start()
        for document in broken:
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
