"""What holds for sources."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

from al_framework.api import (
    Classification,
    Detections,
    Frame,
    FrameKey,
    PredictionError,
    Source,
    SourceError,
    Unlabelled,
)
from al_framework.testing._checks import check, prediction_fault
from al_framework.testing.contracts.component import ComponentContract


class SourceContract(ComponentContract[Source[Any]]):
    """What holds for a source: it yields frames that can be named for ever.

    Name the class, and lay out at least two frames for it::

        class TestMyCamera(SourceContract):
            component = MyCamera

            def prepare(self, directory):
                for number in range(3):
                    (directory / f"{number}.jpg").write_bytes(sample_jpeg(seed=number))
                return {"path": "."}

            def unreadable(self, directory):
                return {"path": "missing"}

    Besides what holds for every component: ids are unique, the same in every pass, and begin with
    the source's name; pictures are readable and of the size they claim; `skip` is asked about
    every frame in order, and obeyed; `len` is right or unknown; a pass can be left in the middle;
    predictions that came with the frames are readable; a source that cannot be read at all raises
    `SourceError`.

    Attributes:
        resumable: Whether the source asks `skip`; False for a live stream.
    """

    _kind = "source"
    resumable: ClassVar[bool] = True

    def unreadable(self, directory: Path) -> Mapping[str, object] | None:
        """Return valid options for something that is not there; None: there is no such thing."""
        del directory
        return None

    def test_frame_ids_are_unique_and_stable(self, tmp_path: Path) -> None:
        """Whether a frame can be named for ever."""
        options = self._prepared(tmp_path)
        first, second = self._pass(tmp_path, options), self._pass(tmp_path, options)
        ids = [frame.frame_id for frame in first]
        check(len(ids) >= 2, f"the source gives {len(ids)} frames: prepare() has to lay out two")
        check(len(set(ids)) == len(ids), f"frame ids repeat: {ids}")
        again = [frame.frame_id for frame in second]
        check(ids == again, f"frame ids differ from pass to pass: {ids} and {again}")

    def test_frames_name_their_source(self, tmp_path: Path) -> None:
        """Whether frames of two sources can be told apart."""
        for frame in self._pass(tmp_path, self._prepared(tmp_path)):
            check(frame.source == "test", f"source is {frame.source!r}: it has to be context.name")
            named = frame.frame_id.startswith("test/")
            check(named, f"frame id {frame.frame_id!r} does not start with '<source name>/'")

    def test_pictures_are_readable(self, tmp_path: Path) -> None:
        """Whether what is yielded are pictures, of the size they claim."""
        for frame in self._pass(tmp_path, self._prepared(tmp_path)):
            width, height = frame.image.size
            shape = frame.image.pixels().shape
            check(shape == (height, width, 3), f"{frame.frame_id!r} has pixels of shape {shape}")

    def test_skip_is_honoured(self, tmp_path: Path) -> None:
        """Whether a run goes on where the last one ended."""
        if not self.resumable:
            return
        options = self._prepared(tmp_path)
        ids = [frame.frame_id for frame in self._pass(tmp_path, options)]
        keys: list[FrameKey] = []

        def skip(key: FrameKey) -> bool:
            keys.append(key)
            return True

        left = self._pass(tmp_path, options, skip)
        check(not left, f"skipped frames are yielded: {[frame.frame_id for frame in left]}")
        asked = [key.frame_id for key in keys]
        check(asked == ids, f"skip is asked about {asked}, frames are {ids}")
        check({key.source for key in keys} == {"test"}, "key.source has to be context.name")
        rest = self._pass(tmp_path, options, lambda key: key.frame_id == ids[0])
        seen = [frame.frame_id for frame in rest]
        check(seen == ids[1:], f"with {ids[0]!r} skipped the source yields {seen}")

    def test_length_is_right_or_unknown(self, tmp_path: Path) -> None:
        """Whether the progress bar ends at 100 %."""
        options = self._prepared(tmp_path)
        source = self.build(tmp_path, options)
        source.start()
        try:
            length = len(source)
        except TypeError:
            return
        finally:
            source.close()
        count = len(self._pass(tmp_path, options))
        check(length == count, f"len() says {length}, the source yields {count} frames")

    def test_a_pass_can_be_left(self, tmp_path: Path) -> None:
        """Whether a run that is interrupted ends cleanly, and the next one begins anew."""
        options = self._prepared(tmp_path)
        source = self.build(tmp_path, options)
        source.start()
        frames = iter(source.frames(lambda _: False))
        first = next(frames).frame_id
        del frames
        self._close(source)
        again = [frame.frame_id for frame in self._pass(tmp_path, options)]
        check(again[:1] == [first], f"after a pass that was left the next gives {again[:3]}")

    def test_recorded_predictions_are_readable(self, tmp_path: Path) -> None:
        """Whether the prediction that comes with a frame is well-formed, or costs this frame."""
        source = self.build(tmp_path)
        source.start()
        try:
            for frame in source.frames(lambda _: False):
                self._check_recorded(source, frame)
        finally:
            source.close()

    def test_what_cannot_be_read_is_a_source_error(self, tmp_path: Path) -> None:
        """Whether a missing directory or a refused stream says so, instead of yielding nothing."""
        options = self.unreadable(tmp_path)
        if options is None:
            raise SkipTest("unreadable() names nothing: override it to have the error checked")
        try:
            frames = self._pass(tmp_path, options)
        except SourceError as exc:
            check(str(exc), "the SourceError says nothing: name what was looked for")
        except Exception as exc:
            raise AssertionError(
                f"an unreadable source raises {exc!r}: it has to be a SourceError"
            ) from exc
        else:
            check(False, f"an unreadable source yields {len(frames)} frames: raise SourceError")

    @staticmethod
    def _check_recorded(source: Source[Any], frame: Frame) -> None:
        who = f"the recorded prediction of {frame.frame_id!r}"
        try:
            recorded = source.recorded_prediction(frame)
        except PredictionError:
            return
        except Exception as exc:
            raise AssertionError(f"{who} raises {exc!r}: it has to be a PredictionError") from exc
        if isinstance(recorded, Detections | Classification | Unlabelled):
            fault = prediction_fault(recorded)
            check(fault is None, f"{who} is malformed: {fault}")

    def _pass(
        self,
        directory: Path,
        options: Mapping[str, object],
        skip: Callable[[FrameKey], bool] = lambda _: False,
    ) -> list[Frame]:
        source = self.build(directory, options)
        source.start()
        try:
            return list(source.frames(skip))
        finally:
            self._close(source)
