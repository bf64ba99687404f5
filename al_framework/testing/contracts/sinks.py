"""What holds for sinks."""

import concurrent.futures
import copy
import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

from al_framework.api import (
    Datapoint,
    LeaseLostError,
    PermanentSinkError,
    Receipt,
    Sink,
    SinkError,
    SinkPausedError,
    Target,
    TransientSinkError,
)
from al_framework.testing._checks import chain_of, check, same, secrets_of
from al_framework.testing._threads import often_switching
from al_framework.testing._watching import watch_log
from al_framework.testing.contracts.component import ComponentContract
from al_framework.testing.fakes import FakeCheckpoint
from al_framework.testing.hostile import hostile_datapoints
from al_framework.testing.samples import sample_datapoint, sample_predictions, sample_summary

_OUTCOMES: tuple[type[SinkError], ...] = (TransientSinkError, PermanentSinkError, SinkPausedError)
_THREADS = 8
_SIDE_BY_SIDE = 256  # datapoints; few threads and few datapoints seldom meet


class SinkContract(ComponentContract[Sink[Any]]):
    """What holds for a sink: it stores a datapoint once, and says truly what became of it.

    Name the class, and count what it holds::

        class TestMySink(SinkContract):
            component = MySink
            options = {"path": "collected"}

            def stored(self, sink, directory):
                return len([*(directory / "collected").glob("*.jpg")])

            def faults(self, sink, directory):
                return {TransientSinkError: lambda: shutil.rmtree(directory / "collected")}

    A sink that speaks to a server gives it a `FaultServer` in `faults`, and passes
    `NetworkSinkContract` besides.

    Besides what holds for every component: datapoints of every kind are delivered, and hostile ones
    delivered or refused with `PermanentSinkError`, none leaving anything outside of the directory;
    a second delivery is a duplicate, after a restart too; deliveries run side by side; datapoints
    are not written to; faults raise the error that they deserve, without secrets; a lost lease ends
    the attempt; place, target and batch sizes are of the right kind, without secrets.

    Attributes:
        deduplicates: Whether the sink recognises what it holds; False for one that keeps nothing.
    """

    _kind = "sink"
    deduplicates: ClassVar[bool] = True

    @abstractmethod
    def stored(self, sink: Sink[Any], directory: Path) -> int:
        """Return how many pictures the sink holds."""

    def faults(
        self, sink: Sink[Any], directory: Path
    ) -> Mapping[type[SinkError], Callable[[], object]]:
        """Return what makes the next delivery fail, by the error that has to follow.

        The errors are `TransientSinkError`, `PermanentSinkError` and `SinkPausedError`; each is
        tried on a sink of its own. Leave out what cannot happen.
        """
        del sink, directory
        return {}

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
        options = self._prepared(tmp_path)
        for expected in ("created", "duplicate"):
            sink = self._started(tmp_path, options)
            self._deliver(sink, 0, expected)
            self._check_stored(sink, tmp_path, 1)
            sink.close()

    def test_deliveries_can_run_side_by_side(self, tmp_path: Path) -> None:
        """Whether several delivery threads can share the sink."""
        sink = self._started(tmp_path)
        samples = [sample_datapoint(number) for number in range(_SIDE_BY_SIDE)]
        barrier = threading.Barrier(_THREADS + 1)

        def deliver(first: int) -> None:
            barrier.wait(timeout=60)  # it has begun
            barrier.wait(timeout=60)  # all have
            for number in range(first, _SIDE_BY_SIDE, _THREADS):
                self._deliver_one(sink, number, samples[number], "created")

        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            futures = [pool.submit(deliver, first) for first in range(_THREADS)]
            barrier.wait(timeout=60)
            with often_switching():  # not before: tools that trace threads fail where they begin so
                barrier.wait(timeout=60)
                for future in futures:
                    future.result()
        self._check_stored(sink, tmp_path, _SIDE_BY_SIDE)
        sink.close()

    def test_hostile_datapoints_are_stored_or_refused(self, tmp_path: Path) -> None:
        """Whether a name leads a file out of its directory, or stops the deliveries after it."""
        directory = tmp_path.joinpath("1", "2", "3", "4", "5")
        directory.mkdir(parents=True)
        sink = self._started(directory)
        away = str(tmp_path / "escaped")
        samples = {**hostile_datapoints(), "absolute": sample_datapoint(999, frame_id=away)}
        accepted = 0
        for name, datapoint in samples.items():
            try:
                accepted += sink.deliver(datapoint, FakeCheckpoint()).status == "created"
            except PermanentSinkError:
                continue
            except Exception as exc:
                raise AssertionError(
                    f"the datapoint {name!r} raises {exc!r}: store it, or raise PermanentSinkError"
                ) from exc
        left = {path for path in tmp_path.rglob("*") if not path.is_relative_to(directory)}
        strays = sorted(map(str, left - {*directory.parents}))
        check(not strays, f"names lead out of the directory: {strays}")
        self._check_stored(sink, directory, accepted)
        sink.close()

    def test_datapoints_are_not_written_to(self, tmp_path: Path) -> None:
        """Whether the next sink gets the datapoint as it was accepted; arrays refuse."""
        sink = self._started(tmp_path)
        for number, (name, prediction) in enumerate(sample_predictions().items()):
            datapoint = sample_datapoint(number, prediction=prediction)
            before = copy.deepcopy(datapoint)
            try:
                sink.deliver(datapoint, FakeCheckpoint())
            except Exception as exc:
                raise AssertionError(f"deliver fails on {name!r}: {exc!r}") from exc
            check(same(before, datapoint), f"deliver has changed the datapoint of {name!r}")
        sink.close()

    def test_failures_are_told_apart(self, tmp_path: Path) -> None:
        """Whether what may pass is tried again, what never will is given up, and a bad key waits.

        Neither the errors nor the log may show a secret.
        """
        options = self._prepared(tmp_path)
        tried = 0
        for number, expected in enumerate(_OUTCOMES):
            sink = self._started(tmp_path, options)
            cause = self.faults(sink, tmp_path).get(expected)
            if cause is not None:
                cause()
                self._check_failure(sink, sample_datapoint(number), expected)
                tried += 1
            sink.close()
        if not tried:
            raise SkipTest("faults() brings nothing about: override it to have errors checked")

    def test_a_lost_lease_ends_the_attempt(self, tmp_path: Path) -> None:
        """Whether two workers ever finish the same datapoint; fine if no checkpoint is saved."""
        sink = self._started(tmp_path)
        checkpoint = FakeCheckpoint(is_lost=True)
        try:
            sink.deliver(sample_datapoint(), checkpoint)
        except LeaseLostError:
            return
        except Exception as exc:
            raise AssertionError(f"a lost lease becomes {exc!r}: let LeaseLostError pass") from exc
        finally:
            sink.close()
        check(not checkpoint.is_asked, "deliver goes on after LeaseLostError: let it pass")

    def test_place_and_target_are_plain(self, tmp_path: Path) -> None:
        """Whether `location` and `target` can be shown and compared: no secret, no surprise."""
        sink = self._started(tmp_path)
        location, target = sink.location, sink.target
        sink.close()
        good = location is None or isinstance(location, str)
        check(good, f"location is {location!r}: it has to be a str or None")
        check(isinstance(target, Target), f"target is {target!r}: it has to be a Target")
        told = [secret for secret in secrets_of(sink.options) if secret in f"{location} {target}"]
        check(not told, "location or target tells a secret")

    def test_batch_size_is_a_count_or_unknown(self, tmp_path: Path) -> None:
        """Whether the engine can keep to the size of a batch; an error means unknown, too."""
        sink = self._started(tmp_path)
        size: object = None
        try:
            size = sink.batch_size("al_batch", Target())
        except Exception as exc:  # noqa: BLE001 - the engine logs whatever it is
            self._check_no_secret(sink, exc)
        finally:
            sink.close()
        good = size is None or (isinstance(size, int) and not isinstance(size, bool) and size >= 0)
        check(good, f"batch_size gives {size!r}: it has to be None or a number from 0")

    def _started(self, directory: Path, options: Mapping[str, object] | None = None) -> Sink[Any]:
        sink = self.build(directory, options)
        sink.start()
        return sink

    def _deliver(self, sink: Sink[Any], number: int, expected: str, **changes: Any) -> None:
        self._deliver_one(sink, number, sample_datapoint(number, **changes), expected)

    @staticmethod
    def _deliver_one(sink: Sink[Any], number: int, datapoint: Datapoint, expected: str) -> None:
        receipt = sink.deliver(datapoint, FakeCheckpoint())
        kind = type(receipt).__name__
        check(isinstance(receipt, Receipt), f"deliver gives a {kind!r}: it has to be a Receipt")
        status = receipt.status
        check(status == expected, f"delivery {number} is {status!r}: it has to be {expected!r}")

    def _check_stored(self, sink: Sink[Any], directory: Path, expected: int) -> None:
        count = self.stored(sink, directory)
        expected = expected if self.deduplicates else 0
        check(count == expected, f"the sink holds {count} pictures: it has to hold {expected}")

    def _check_failure(
        self, sink: Sink[Any], datapoint: Datapoint, expected: type[SinkError]
    ) -> None:
        name = expected.__name__
        outcome: object = None
        with watch_log() as logged:
            try:
                outcome = sink.deliver(datapoint, FakeCheckpoint())
            except Exception as exc:  # noqa: BLE001 - whatever it is, it is shown
                outcome = exc
        check(
            isinstance(outcome, expected),
            f"a fault for {name} gives {outcome!r}: raise {name} where it is at fault",
        )
        check(str(outcome), f"the {name} says nothing: say who, where, and what was seen")
        self._check_no_secret(sink, outcome)
        told = any(one in text for one in secrets_of(sink.options) for text in logged)
        check(not told, "a log tells a secret")

    @staticmethod
    def _check_no_secret(sink: Sink[Any], error: object) -> None:
        if isinstance(error, BaseException):
            shown = "".join(f"{one} {one!r}" for one in chain_of(error))
            told = any(secret in shown for secret in secrets_of(sink.options))
            check(not told, f"the {type(error).__name__} tells a secret")
