"""Sinks, each wrong in one way."""

import contextlib
import threading
from collections import deque
from pathlib import Path

import numpy as np
from pydantic import Field, SecretStr

from al_framework.api import (
    Detections,
    LeaseLostError,
    Options,
    PermanentSinkError,
    Receipt,
    Sink,
    SinkPausedError,
    Target,
    TransientSinkError,
)
from al_framework.testing import SinkContract


class GoodOptions(Options):
    api_key: SecretStr = Field(default=SecretStr("canary-0123456789"), description="The key.")


class GoodSink(Sink[GoodOptions]):
    type_name = "good"

    def start(self):
        self.context.state_dir.mkdir(parents=True, exist_ok=True)
        self.errors = deque()

    def fail(self, error):
        raise error

    def deliver(self, datapoint, checkpoint):
        if self.errors:
            return self.fail(self.errors.popleft())
        path = self.context.state_dir / datapoint.content_key
        status = "duplicate" if path.exists() else "created"
        path.touch()
        return Receipt(status=status)


class SinkTest(SinkContract):
    component = GoodSink

    def stored(self, sink, directory):
        return len([*sink.context.state_dir.iterdir()])

    def faults(self, sink, directory):
        return {
            kind: lambda kind=kind: sink.errors.append(kind("sink 'test': no"))
            for kind in (TransientSinkError, PermanentSinkError, SinkPausedError)
        }


class ForgetsDuplicates(GoodSink):
    def deliver(self, datapoint, checkpoint):
        super().deliver(datapoint, checkpoint)
        return Receipt(status="created")


class RemembersInMemory(GoodSink):
    def start(self):
        super().start()
        self.seen = set()

    def deliver(self, datapoint, checkpoint):
        super().deliver(datapoint, checkpoint)
        status = "duplicate" if datapoint.item_id in self.seen else "created"
        self.seen.add(datapoint.item_id)
        return Receipt(status=status)


class StoresTwice(GoodSink):
    def deliver(self, datapoint, checkpoint):
        receipt = super().deliver(datapoint, checkpoint)
        if receipt.status == "duplicate":
            (self.context.state_dir / "again").touch()
        return receipt


class GivesNoReceipt(GoodSink):
    def deliver(self, datapoint, checkpoint):
        super().deliver(datapoint, checkpoint)


class NeedsAPrediction(GoodSink):
    def deliver(self, datapoint, checkpoint):
        if isinstance(datapoint.prediction, Detections):
            return super().deliver(datapoint, checkpoint)
        return Receipt(status="duplicate")


class LosesSome(GoodSink):
    def deliver(self, datapoint, checkpoint):
        if datapoint.item_id.endswith("3"):
            return Receipt(status="created")
        return super().deliver(datapoint, checkpoint)


class NumbersItsFiles(GoodSink):
    """Two threads count the same files, and one writes over what the other wrote."""

    def start(self):
        super().start()
        self.counted = threading.Barrier(8)

    def deliver(self, datapoint, checkpoint):
        number = len([*self.context.state_dir.iterdir()])
        with contextlib.suppress(threading.BrokenBarrierError):
            self.counted.wait(timeout=5)  # a race that is lost every time
        (self.context.state_dir / f"{number}.jpg").touch()
        return Receipt(status="created")


class RaisesOnLongNames(GoodSink):
    def deliver(self, datapoint, checkpoint):
        assert len(datapoint.frame_id) < 100, "too long"
        return super().deliver(datapoint, checkpoint)


class NamesFilesAfterFrames(GoodSink):
    def deliver(self, datapoint, checkpoint):
        name = datapoint.frame_id.replace("\0", "")[:100]
        path = self.context.state_dir / (name or "x")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return super().deliver(datapoint, checkpoint)


class LosesWhatItRefuses(GoodSink):
    def deliver(self, datapoint, checkpoint):
        receipt = super().deliver(datapoint, checkpoint)
        if len(datapoint.frame_id) > 100:
            raise PermanentSinkError("too long")
        return receipt


class RefusesLongNames(GoodSink):
    def deliver(self, datapoint, checkpoint):
        if len(datapoint.frame_id) > 100:
            raise PermanentSinkError("too long")
        return super().deliver(datapoint, checkpoint)


class RefusingTest(SinkTest):
    component = RefusesLongNames


class WritesToTheDocument(GoodSink):
    def deliver(self, datapoint, checkpoint):
        if isinstance(datapoint.prediction, Detections):
            datapoint.prediction.document["sent"] = True
        return super().deliver(datapoint, checkpoint)


class WritesToArrays(GoodSink):
    def deliver(self, datapoint, checkpoint):
        if isinstance(datapoint.prediction, Detections):
            np.round(datapoint.prediction.xyxy, out=datapoint.prediction.xyxy)
        return super().deliver(datapoint, checkpoint)


class TriesEverythingAgain(GoodSink):
    def fail(self, error):
        raise TransientSinkError(str(error))


class HidesFailures(GoodSink):
    def fail(self, error):
        return Receipt(status="created")


class RaisesNothingOfOurs(GoodSink):
    def fail(self, error):
        raise OSError(str(error))


class SaysNothing(GoodSink):
    def fail(self, error):
        raise type(error)("")


class TellsItsKey(GoodSink):
    def fail(self, error):
        raise type(error)("refused") from ValueError(self.options.api_key.get_secret_value())


class LogsItsKey(GoodSink):
    def fail(self, error):
        self.context.logger.debug("refused with %s", self.options.api_key.get_secret_value())
        raise error


class ForgivesALostLease(GoodSink):
    def deliver(self, datapoint, checkpoint):
        receipt = super().deliver(datapoint, checkpoint)
        with contextlib.suppress(LeaseLostError):
            checkpoint.save(stored="yes")
        return receipt


class TranslatesALostLease(GoodSink):
    def deliver(self, datapoint, checkpoint):
        receipt = super().deliver(datapoint, checkpoint)
        try:
            checkpoint.save(stored="yes")
        except Exception as exc:
            raise TransientSinkError("something went wrong") from exc
        return receipt


class SavesItsSteps(GoodSink):
    def deliver(self, datapoint, checkpoint):
        receipt = super().deliver(datapoint, checkpoint)
        checkpoint.save(stored="yes")
        return receipt


class SavingTest(SinkTest):
    component = SavesItsSteps


class IsNowhere(GoodSink):
    location = Path("collected")


class AimsAtText(GoodSink):
    target = "workspace/project"


class ShowsItsKey(GoodSink):
    @property
    def location(self):
        return f"https://example.com/?key={self.options.api_key.get_secret_value()}"


class TargetsItsKey(GoodSink):
    @property
    def target(self):
        return Target(workspace=self.options.api_key.get_secret_value())


class CountsInText(GoodSink):
    def batch_size(self, batch_name, target):
        return "12"


class CountsBelowZero(GoodSink):
    def batch_size(self, batch_name, target):
        return -1


class CannotCountAndTellsItsKey(GoodSink):
    def batch_size(self, batch_name, target):
        raise OSError(f"GET /?key={self.options.api_key.get_secret_value()}")


class CannotCount(GoodSink):
    def batch_size(self, batch_name, target):
        raise OSError("no answer")


class UncountableTest(SinkTest):
    component = CannotCount


CONTRACTS = (SinkTest, RefusingTest, SavingTest, UncountableTest)
WRONG = [
    (
        SinkTest,
        ForgetsDuplicates,
        "a_second_delivery_is_a_duplicate",
        "delivery 0 is 'created': it has to be 'duplicate'",
    ),
    (
        SinkTest,
        StoresTwice,
        "a_second_delivery_is_a_duplicate",
        "the sink holds 2 pictures: it has to hold 1",
    ),
    (
        SinkTest,
        RemembersInMemory,
        "a_duplicate_is_recognised_after_a_restart",
        "delivery 0 is 'created': it has to be 'duplicate'",
    ),
    (
        SinkTest,
        GivesNoReceipt,
        "every_kind_of_datapoint_is_delivered",
        "deliver gives a 'NoneType': it has to be a Receipt",
    ),
    (
        SinkTest,
        NeedsAPrediction,
        "every_kind_of_datapoint_is_delivered",
        "is 'duplicate': it has to be 'created'",
    ),
    (
        SinkTest,
        LosesSome,
        "deliveries_can_run_side_by_side",
        "the sink holds 230 pictures: it has to hold 256",
    ),
    (
        SinkTest,
        NumbersItsFiles,
        "deliveries_can_run_side_by_side",
        r"the sink holds \d+ pictures: it has to hold 256",
    ),
    (
        SinkTest,
        RaisesOnLongNames,
        "hostile_datapoints_are_stored_or_refused",
        "the datapoint 'long' raises AssertionError.*: store it, or raise PermanentSinkError",
    ),
    (
        SinkTest,
        NamesFilesAfterFrames,
        "hostile_datapoints_are_stored_or_refused",
        "names lead out of the directory: .*escaped",
    ),
    (
        SinkTest,
        LosesWhatItRefuses,
        "hostile_datapoints_are_stored_or_refused",
        "the sink holds 18 pictures: it has to hold 17",
    ),
    (
        SinkTest,
        WritesToTheDocument,
        "datapoints_are_not_written_to",
        "deliver has changed the datapoint of 'detections'",
    ),
    (
        SinkTest,
        WritesToArrays,
        "datapoints_are_not_written_to",
        "deliver fails on 'detections': .*read-only",
    ),
    (
        SinkTest,
        TriesEverythingAgain,
        "failures_are_told_apart",
        "a fault for PermanentSinkError gives TransientSinkError.*: raise PermanentSinkError where",
    ),
    (
        SinkTest,
        HidesFailures,
        "failures_are_told_apart",
        "a fault for TransientSinkError gives Receipt",
    ),
    (
        SinkTest,
        RaisesNothingOfOurs,
        "failures_are_told_apart",
        "a fault for TransientSinkError gives OSError",
    ),
    (
        SinkTest,
        SaysNothing,
        "failures_are_told_apart",
        "the TransientSinkError says nothing: say who, where, and what was seen",
    ),
    (SinkTest, TellsItsKey, "failures_are_told_apart", "the TransientSinkError tells a secret"),
    (SinkTest, LogsItsKey, "failures_are_told_apart", "a log tells a secret"),
    (
        SinkTest,
        ForgivesALostLease,
        "a_lost_lease_ends_the_attempt",
        "deliver goes on after LeaseLostError: let it pass",
    ),
    (
        SinkTest,
        TranslatesALostLease,
        "a_lost_lease_ends_the_attempt",
        "a lost lease becomes TransientSinkError.*: let LeaseLostError pass",
    ),
    (SinkTest, IsNowhere, "place_and_target_are_plain", "location is PosixPath.*has to be a str"),
    (SinkTest, AimsAtText, "place_and_target_are_plain", "target is 'workspace/project': it has"),
    (SinkTest, ShowsItsKey, "place_and_target_are_plain", "location or target tells a secret"),
    (SinkTest, TargetsItsKey, "place_and_target_are_plain", "location or target tells a secret"),
    (SinkTest, CountsInText, "batch_size_is_a_count_or_unknown", "batch_size gives '12': it has"),
    (SinkTest, CountsBelowZero, "batch_size_is_a_count_or_unknown", "batch_size gives -1: it has"),
    (
        SinkTest,
        CannotCountAndTellsItsKey,
        "batch_size_is_a_count_or_unknown",
        "the OSError tells a secret",
    ),
]
