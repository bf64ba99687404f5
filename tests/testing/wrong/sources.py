"""Sources, each wrong in one way."""

import dataclasses
import threading
from typing import ClassVar

import numpy as np
from pydantic import Field

from al_framework.api import (
    Frame,
    FrameKey,
    Image,
    Options,
    PredictionError,
    Source,
    SourceError,
)
from al_framework.testing import SourceContract, sample_detections, sample_pixels


class GoodOptions(Options):
    is_missing: bool = Field(default=False, description="Whether there is nothing to read.")


class GoodSource(Source[GoodOptions]):
    type_name = "good"
    length: ClassVar[int | None] = 3

    def frame(self, number):
        return Frame(
            frame_id=f"{self.context.name}/{number}",
            image=Image(sample_pixels()),
            source=self.context.name,
        )

    def key(self, frame):
        return FrameKey(source=self.context.name, frame_id=frame.frame_id, size=1, mtime_ns=1)

    def frames(self, skip):
        if self.options.is_missing:
            raise SourceError("there is nothing to read")
        for number in range(3):
            frame = self.frame(number)
            if not skip(self.key(frame)):
                yield frame

    def __len__(self):
        return super().__len__() if self.length is None else self.length


class SourceTest(SourceContract):
    component = GoodSource

    def unreadable(self, directory):
        return {"is_missing": True}


class RepeatsIds(GoodSource):
    def frame(self, number):
        return dataclasses.replace(super().frame(number), frame_id="test/same")


class RenumbersIds(GoodSource):
    passes = 0

    def start(self):
        type(self).passes += 1

    def frame(self, number):
        return dataclasses.replace(super().frame(number), frame_id=f"test/{self.passes}-{number}")


class GivesOneFrame(GoodSource):
    def frames(self, skip):
        yield self.frame(0)


class NamesNoSource(GoodSource):
    def frame(self, number):
        return dataclasses.replace(super().frame(number), source="")


class IdsWithoutSource(GoodSource):
    def frame(self, number):
        return dataclasses.replace(super().frame(number), frame_id=str(number))


class GreyPictures(GoodSource):
    def frame(self, number):
        class Grey:
            size = (64, 48)

            def pixels(self):
                return np.zeros((48, 64), dtype=np.uint8)

        return dataclasses.replace(super().frame(number), image=Grey())


class NeverSkips(GoodSource):
    def frames(self, skip):
        for number in range(3):
            frame = self.frame(number)
            skip(self.key(frame))
            yield frame


class AsksLate(GoodSource):
    def frames(self, skip):
        yield from (self.frame(number) for number in range(3) if not skip(self.key(self.frame(0))))


class KeysWithoutSource(GoodSource):
    def key(self, frame):
        return dataclasses.replace(super().key(frame), source="")


class StopsAtTheFirstSkipped(GoodSource):
    asked = 0

    def frames(self, skip):
        for number in range(3):
            frame = self.frame(number)
            if skip(self.key(frame)):
                if number == 0:
                    for later in (1, 2):
                        if not skip(self.key(self.frame(later))) and later == 1:
                            yield self.frame(later)
                    return
                continue
            yield frame


class Connection:
    """As one of sqlite3, which only the thread may close that has opened it."""

    def __init__(self):
        self._thread = threading.get_ident()

    def close(self):
        if threading.get_ident() != self._thread:
            raise RuntimeError("a connection can only be used in the thread that created it")


class OpensADatabase(GoodSource):
    connection = None

    def start(self):
        self.connection = Connection()

    def close(self):
        if self.connection is not None:
            self.connection.close()


class LeavesItsDatabaseOpen(OpensADatabase):
    """Wrong where a pass does not come to its end."""

    def start(self):
        self.connection = None

    def frames(self, skip):
        super().start()
        yield from super().frames(skip)
        self.connection.close()
        self.connection = None


class WrongLength(GoodSource):
    length = 5


class UnknownLength(GoodSource):
    length = None


class StartsWhereItStopped(GoodSource):
    left = []

    def frames(self, skip):
        for number in range(3):
            if number in self.left:
                continue
            self.left.append(number)
            yield self.frame(number)
        self.left.clear()


class ClosesWhileOpen(GoodSource):
    is_open = False

    def frames(self, skip):
        self.is_open = True
        yield from super().frames(skip)
        self.is_open = False

    def close(self):
        assert not self.is_open, "a pass is not over"


class RecordsNonsense(GoodSource):
    def recorded_prediction(self, frame):
        found = sample_detections()
        return dataclasses.replace(found, confidence=found.confidence[:1])


class LosesItsRecords(GoodSource):
    def recorded_prediction(self, frame):
        raise KeyError(frame.frame_id)


class MayHaveRecords(GoodSource):
    def recorded_prediction(self, frame):
        if frame.frame_id.endswith("0"):
            raise PredictionError("half a file")
        return sample_detections()


class LiveTest(SourceTest):
    component = UnknownLength


class RecordsTest(SourceTest):
    component = MayHaveRecords


class YieldsNothing(GoodSource):
    def frames(self, skip):
        return iter(()) if self.options.is_missing else super().frames(skip)


class RaisesItsOwn(GoodSource):
    def start(self):
        if self.options.is_missing:
            raise FileNotFoundError("nothing there")


class SaysNothing(GoodSource):
    def start(self):
        if self.options.is_missing:
            raise SourceError("")


CONTRACTS = (SourceTest, LiveTest, RecordsTest)
WRONG = [
    (SourceTest, RepeatsIds, "frame_ids_are_unique_and_stable", "frame ids repeat: "),
    (SourceTest, RenumbersIds, "frame_ids_are_unique_and_stable", "differ from pass to pass"),
    (SourceTest, GivesOneFrame, "frame_ids_are_unique_and_stable", "the source gives 1 frames"),
    (SourceTest, NamesNoSource, "frames_name_their_source", "source is '': it has to be"),
    (
        SourceTest,
        IdsWithoutSource,
        "frames_name_their_source",
        "frame id '0' does not start with '<source name>/'",
    ),
    (SourceTest, GreyPictures, "pictures_are_readable", r"has pixels of shape \(48, 64\)"),
    (SourceTest, NeverSkips, "skip_is_honoured", "skipped frames are yielded: "),
    (SourceTest, AsksLate, "skip_is_honoured", "skip is asked about "),
    (SourceTest, KeysWithoutSource, "skip_is_honoured", "key.source has to be context.name"),
    (
        SourceTest,
        StopsAtTheFirstSkipped,
        "skip_is_honoured",
        r"with 'test/0' skipped the source yields \['test/1'\]",
    ),
    (
        SourceTest,
        OpensADatabase,
        "close_works_on_another_thread",
        r"close fails with RuntimeError\(.*: it has to work on another thread than start",
    ),
    (
        SourceTest,
        LeavesItsDatabaseOpen,
        "a_pass_can_be_left",
        r"close fails with RuntimeError\(.*: it has to work on another thread than start",
    ),
    (
        SourceTest,
        WrongLength,
        "length_is_right_or_unknown",
        r"len\(\) says 5, the source yields 3 frames",
    ),
    (
        SourceTest,
        StartsWhereItStopped,
        "a_pass_can_be_left",
        r"after a pass that was left the next gives \['test/1', 'test/2'\]",
    ),
    (SourceTest, ClosesWhileOpen, "a_pass_can_be_left", "a pass is not over"),
    (
        SourceTest,
        RecordsNonsense,
        "recorded_predictions_are_readable",
        "the recorded prediction of 'test/0' is malformed: confidence has the shape",
    ),
    (
        SourceTest,
        LosesItsRecords,
        "recorded_predictions_are_readable",
        "the recorded prediction of 'test/0' raises KeyError.*: it has to be a PredictionError",
    ),
    (
        SourceTest,
        YieldsNothing,
        "what_cannot_be_read_is_a_source_error",
        "an unreadable source yields 0 frames: raise SourceError",
    ),
    (
        SourceTest,
        RaisesItsOwn,
        "what_cannot_be_read_is_a_source_error",
        r"an unreadable source raises FileNotFoundError\(.*\): it has to be a SourceError",
    ),
    (
        SourceTest,
        SaysNothing,
        "what_cannot_be_read_is_a_source_error",
        "the SourceError says nothing: name what was looked for",
    ),
]
