"""What holds at both ends of the data path: for sources and sinks."""

import concurrent.futures
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from al_framework.api import Frame, FrameKey, Receipt, Sink, Source
from al_framework.testing._checks import check
from al_framework.testing.contracts.component import ComponentContract
from al_framework.testing.fakes import FakeCheckpoint
from al_framework.testing.samples import sample_datapoint, sample_predictions, sample_summary


class SourceContract(ComponentContract[Source[Any]]):
    """What holds for a source. `prepare` has to lay out at least two frames.

    Attributes:
        resumable: Whether the source asks `skip`; False for a live stream.
    """

    resumable: ClassVar[bool] = True

    def test_frame_ids_are_unique_and_stable(self, tmp_path: Path) -> None:
        """Whether a frame can be named for ever."""
        options = self.prepare(tmp_path)
        first, second = self._pass(tmp_path, options), self._pass(tmp_path, options)
        ids = [frame.frame_id for frame in first]
        check(len(ids) >= 2, f"the source gives {len(ids)} frames: prepare() has to lay out two")
        check(len(set(ids)) == len(ids), f"frame ids repeat: {ids}")
        again = [frame.frame_id for frame in second]
        check(ids == again, f"frame ids differ from pass to pass: {ids} and {again}")

    def test_frames_name_their_source(self, tmp_path: Path) -> None:
        """Whether frames of two sources can be told apart."""
        for frame in self._pass(tmp_path, self.prepare(tmp_path)):
            check(frame.source == "test", f"source is {frame.source!r}: it has to be context.name")
            named = frame.frame_id.startswith("test/")
            check(named, f"frame id {frame.frame_id!r} does not start with '<source name>/'")

    def test_pictures_are_readable(self, tmp_path: Path) -> None:
        """Whether what is yielded are pictures, of the size they claim."""
        for frame in self._pass(tmp_path, self.prepare(tmp_path)):
            width, height = frame.image.size
            shape = frame.image.pixels().shape
            check(shape == (height, width, 3), f"{frame.frame_id!r} has pixels of shape {shape}")

    def test_skip_is_honoured(self, tmp_path: Path) -> None:
        """Whether a run goes on where the last one ended."""
        if not self.resumable:
            return
        options = self.prepare(tmp_path)
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
        options = self.prepare(tmp_path)
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
            source.close()


class SinkContract(ComponentContract[Sink[Any]]):
    """What holds for a sink.

    Attributes:
        deduplicates: Whether the sink recognises what it holds; False for one that keeps nothing.
    """

    deduplicates: ClassVar[bool] = True

    @abstractmethod
    def stored(self, sink: Sink[Any], directory: Path) -> int:
        """Return how many pictures the sink holds."""

    def test_every_kind_of_datapoint_is_delivered(self, tmp_path: Path) -> None:
        """Whether no prediction type, and no missing prediction, stops a delivery."""
        sink = self._started(tmp_path)
        samples = [*sample_predictions().values()]
        for number, prediction in enumerate(samples):
            self._deliver(sink, number, "created", prediction=prediction)
        self._deliver(sink, len(samples), "created", prediction=None)
        self._check_stored(sink, tmp_path, len(samples) + 1)
        sink.finish_run(sample_summary(delivered=len(samples) + 1))
        sink.close()

    def test_a_second_delivery_is_a_duplicate(self, tmp_path: Path) -> None:
        """Whether a crash between storing and acknowledging stores nothing twice."""
        if not self.deduplicates:
            return
        sink = self._started(tmp_path)
        self._deliver(sink, 0, "created")
        self._deliver(sink, 0, "duplicate")
        self._check_stored(sink, tmp_path, 1)
        sink.close()

    def test_a_duplicate_is_recognised_after_a_restart(self, tmp_path: Path) -> None:
        """Whether the sink remembers on disk, or at the far end, rather than in memory."""
        if not self.deduplicates:
            return
        options = self.prepare(tmp_path)
        for expected in ("created", "duplicate"):
            sink = self._started(tmp_path, options)
            self._deliver(sink, 0, expected)
            self._check_stored(sink, tmp_path, 1)
            sink.close()

    def test_deliveries_can_run_side_by_side(self, tmp_path: Path) -> None:
        """Whether several delivery threads can share the sink."""
        sink = self._started(tmp_path)
        with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
            for future in [pool.submit(self._deliver, sink, n, "created") for n in range(8)]:
                future.result(timeout=60)
        self._check_stored(sink, tmp_path, 8)
        sink.close()

    def _started(self, directory: Path, options: Mapping[str, object] | None = None) -> Sink[Any]:
        sink = self.build(directory, options)
        sink.start()
        return sink

    @staticmethod
    def _deliver(sink: Sink[Any], number: int, expected: str, **changes: Any) -> None:
        receipt = sink.deliver(sample_datapoint(number, **changes), FakeCheckpoint())
        kind = type(receipt).__name__
        check(isinstance(receipt, Receipt), f"deliver gives a {kind!r}: it has to be a Receipt")
        status = receipt.status
        check(status == expected, f"delivery {number} is {status!r}: it has to be {expected!r}")

    def _check_stored(self, sink: Sink[Any], directory: Path, expected: int) -> None:
        count = self.stored(sink, directory)
        expected = expected if self.deduplicates else 0
        check(count == expected, f"the sink holds {count} pictures: it has to hold {expected}")
