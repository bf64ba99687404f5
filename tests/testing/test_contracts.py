"""Each check of the contracts is first shown failing, on a component that is wrong on purpose."""

import dataclasses
import random
import sys
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pytest
from pydantic import BaseModel, Field

from al_framework.api import (
    Classification,
    Detections,
    Frame,
    FrameKey,
    Image,
    Options,
    PredictionAdapter,
    PredictionError,
    Predictor,
    Receipt,
    Sink,
    Source,
    Strategy,
    Unlabelled,
    Verdict,
)
from al_framework.testing import sample_frame, sample_pixels
from al_framework.testing.contracts import (
    AdapterContract,
    PredictorContract,
    SinkContract,
    SourceContract,
    StrategyContract,
)
from al_framework.testing.samples import sample_detections


class GoodOptions(Options):
    level: float = Field(default=0.5, description="A number.")


class GoodStrategy(Strategy[GoodOptions]):
    type_name = "good"

    def evaluate(self, frame, prediction):
        return Verdict(match=True)


class GoodAdapter(PredictionAdapter):
    type_name = "good"

    def accepts(self, document):
        return isinstance(document, dict)

    def adapt(self, document, *, frame, prediction_type):
        if document.get("broken"):
            raise PredictionError("it is broken")
        return dataclasses.replace(
            sample_detections(), document=document, prediction_type=prediction_type or "some"
        )


class GoodPredictor(Predictor):
    type_name = "good"

    def predict(self, frame):
        frame.image.pixels()
        return dataclasses.replace(sample_detections(), image_size=frame.image.size)


class GoodSource(Source):
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
        for number in range(3):
            frame = self.frame(number)
            if not skip(self.key(frame)):
                yield frame

    def __len__(self):
        return super().__len__() if self.length is None else self.length


class GoodSink(Sink):
    type_name = "good"

    def start(self):
        self.context.state_dir.mkdir(parents=True, exist_ok=True)

    def deliver(self, datapoint, checkpoint):
        path = self.context.state_dir / datapoint.content_key
        status = "duplicate" if path.exists() else "created"
        path.touch()
        return Receipt(status=status)


class StrategyTest(StrategyContract):
    component = GoodStrategy
    options: ClassVar = {"level": 0.25}


class AdapterTest(AdapterContract):
    component = GoodAdapter

    def documents(self):
        return ({"a": [1, np.arange(3)]}, {})

    def broken_documents(self):
        return ({"broken": True},)


class PredictorTest(PredictorContract):
    component = GoodPredictor


class SourceTest(SourceContract):
    component = GoodSource


class SinkTest(SinkContract):
    component = GoodSink

    def stored(self, sink, directory):
        return len([*sink.context.state_dir.iterdir()])


def run(contract, component, test, directory):
    case = type("Case", (contract,), {"component": component})()
    method = getattr(case, test)
    return method() if "tmp_path" not in method.__code__.co_varnames else method(directory)


def checks_of(contract):
    return [(contract, name) for name in dir(contract) if name.startswith("test_")]


@pytest.mark.parametrize(
    ("contract", "test"),
    [
        case
        for contract in (StrategyTest, AdapterTest, PredictorTest, SourceTest, SinkTest)
        for case in checks_of(contract)
    ],
)
def test_a_right_component_passes(contract, test, tmp_path):
    run(contract, contract.component, test, tmp_path)


class BadTypeName(GoodStrategy):
    type_name = "Not-A-Name"


class UndescribedOptions(Options):
    level: float = 0.5


class UndescribedOption(GoodStrategy):
    Options = UndescribedOptions


class ReservedOptions(Options):
    tags: str = Field(default="", description="Taken.")


class ReservedOption(GoodStrategy):
    Options = ReservedOptions


class LooseOptions(BaseModel):
    level: float = Field(default=0.5, description="A number.")


class AnyOption(GoodStrategy):
    Options = LooseOptions


class CloseNeedsStart(GoodStrategy):
    def start(self):
        self.file = object()

    def close(self):
        del self.file


class StrategyImportsHeavy(GoodStrategy):
    pass


class NoVerdict(GoodStrategy):
    def evaluate(self, frame, prediction):
        return True


class NumpyMatch(GoodStrategy):
    def evaluate(self, frame, prediction):
        return Verdict(match=np.True_)


class InfiniteUtility(GoodStrategy):
    def evaluate(self, frame, prediction):
        return Verdict(match=True, utility=float("inf"))


class ChanceAboveOne(GoodStrategy):
    def evaluate(self, frame, prediction):
        return Verdict(match=True, probability=1.5)


class NoReason(GoodStrategy):
    def evaluate(self, frame, prediction):
        return Verdict(match=True, reason=None)


class FailsOnEmpty(GoodStrategy):
    tasks = frozenset({"object-detection"})

    def evaluate(self, frame, prediction):
        return Verdict(match=True, utility=float(prediction.confidence.tolist()[0]))


class OfNoKnownTask(GoodStrategy):
    tasks = frozenset({"telepathy"})


class Remembers(GoodStrategy):
    seen = 0

    def evaluate(self, frame, prediction):
        self.seen += 1
        return Verdict(match=True, utility=float(self.seen))


class WritesToArrays(GoodStrategy):
    tasks = frozenset({"object-detection"})

    def evaluate(self, frame, prediction):
        prediction.confidence[:] = 0
        return Verdict(match=True)


class WritesToTheDocument(GoodStrategy):
    def evaluate(self, frame, prediction):
        if prediction.document is not None:
            prediction.document["seen"] = True
        return Verdict(match=True)


class ReadsPixels(GoodStrategy):
    def evaluate(self, frame, prediction):
        return Verdict(match=bool(frame.image.pixels().any()))


class Draws(GoodStrategy):
    def evaluate(self, frame, prediction):
        random.random()
        return Verdict(match=True)


class AcceptsAll(GoodAdapter):
    def accepts(self, document):
        return True


class AcceptsNothing(GoodAdapter):
    def accepts(self, document):
        return False


class Reads32Bits(GoodAdapter):
    def adapt(self, document, *, frame, prediction_type):
        found = super().adapt(document, frame=frame, prediction_type=prediction_type)
        return dataclasses.replace(found, xyxy=found.xyxy.astype(np.float32))


class ReadsRaggedRows(GoodAdapter):
    def adapt(self, document, *, frame, prediction_type):
        found = super().adapt(document, frame=frame, prediction_type=prediction_type)
        return dataclasses.replace(found, data={"a": [1]})


class ReadsUnnamedClasses(GoodAdapter):
    def adapt(self, document, *, frame, prediction_type):
        return Classification(
            class_name=["a"], confidence=np.array([0.5]), image_size=(1, 1), document=document
        )


class AdapterReadsPixels(GoodAdapter):
    def adapt(self, document, *, frame, prediction_type):
        frame.image.pixels()
        return super().adapt(document, frame=frame, prediction_type=prediction_type)


class AdapterChangesDocuments(GoodAdapter):
    def adapt(self, document, *, frame, prediction_type):
        document["seen"] = True
        return super().adapt(document, frame=frame, prediction_type=prediction_type)


class LosesTheDocument(GoodAdapter):
    def adapt(self, document, *, frame, prediction_type):
        return super().adapt(dict(document), frame=frame, prediction_type=prediction_type)


class NormalisesTheTask(GoodAdapter):
    def adapt(self, document, *, frame, prediction_type):
        return super().adapt(document, frame=frame, prediction_type=(prediction_type or "").lower())


class RaisesItsOwnErrors(GoodAdapter):
    def adapt(self, document, *, frame, prediction_type):
        if "broken" in document:
            raise KeyError("predictions")
        return super().adapt(document, frame=frame, prediction_type=prediction_type)


class ReadsAnything(GoodAdapter):
    def adapt(self, document, *, frame, prediction_type):
        return Unlabelled(document=document)


class SplitsIntoFrames(GoodAdapter):
    def split(self, document, *, frame):
        return [frame]


class PredictsNothing(GoodPredictor):
    def predict(self, frame):
        return None


class PredictsDifferently(GoodPredictor):
    calls = 0

    def predict(self, frame):
        self.calls += 1
        return dataclasses.replace(sample_detections(self.calls), image_size=frame.image.size)


class PredictsInItsOwnPixels(GoodPredictor):
    def predict(self, frame):
        return dataclasses.replace(sample_detections(), image_size=(416, 416))


class PredictsNaN(GoodPredictor):
    def predict(self, frame):
        return Classification(
            class_name=("a",), confidence=np.array([np.nan]), image_size=frame.image.size
        )


class RaisesPillowsErrors(GoodPredictor):
    def predict(self, frame):
        try:
            return super().predict(frame)
        except Exception as exc:
            raise OSError("image file is truncated") from exc


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


class WrongLength(GoodSource):
    length = 5


class UnknownLength(GoodSource):
    length = None


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


@pytest.mark.parametrize(
    ("contract", "component", "test", "message"),
    [
        (StrategyTest, BadTypeName, "type_name_is_valid", "type_name is 'Not-A-Name': it has to"),
        (StrategyTest, UndescribedOption, "every_option_is_described", "option 'level' has no"),
        (StrategyTest, ReservedOption, "every_option_is_described", "option 'tags' belongs to the"),
        (StrategyTest, AnyOption, "unknown_options_are_refused", "an unknown option is accepted"),
        (StrategyTest, NoVerdict, "verdicts_are_well_formed", "it is a 'bool', not a Verdict"),
        (StrategyTest, NumpyMatch, "verdicts_are_well_formed", "has to be a bool"),
        (StrategyTest, InfiniteUtility, "verdicts_are_well_formed", "utility is inf: it has to be"),
        (StrategyTest, ChanceAboveOne, "verdicts_are_well_formed", "probability is 1.5: it has to"),
        (StrategyTest, NoReason, "verdicts_are_well_formed", "reason is None: it has to be a str"),
        (
            StrategyTest,
            FailsOnEmpty,
            "verdicts_are_well_formed",
            "evaluate fails on 'no detections': IndexError",
        ),
        (
            StrategyTest,
            OfNoKnownTask,
            "verdicts_are_well_formed",
            r"no sample is of the tasks frozenset\({'telepathy'}\): override predictions",
        ),
        (StrategyTest, Remembers, "equal_inputs_give_equal_verdicts", "verdicts on .* differ"),
        (
            StrategyTest,
            WritesToArrays,
            "predictions_are_not_written_to",
            "evaluate fails on .*read-only",
        ),
        (
            StrategyTest,
            WritesToTheDocument,
            "predictions_are_not_written_to",
            "evaluate has changed the prediction 'detections'",
        ),
        (
            StrategyTest,
            ReadsPixels,
            "pixels_are_read_only_if_announced",
            "evaluate reads pixels: set needs_pixels = True",
        ),
        (StrategyTest, Draws, "global_randomness_is_left_alone", "evaluate draws random numbers"),
        (AdapterTest, AcceptsNothing, "accepts_its_own_documents_only", "it does not accept {'a'"),
        (AdapterTest, AcceptsAll, "accepts_its_own_documents_only", "it accepts None"),
        (AdapterTest, Reads32Bits, "predictions_are_well_formed", "xyxy is of type float32"),
        (AdapterTest, ReadsRaggedRows, "predictions_are_well_formed", r"data\['a'\] has 1 entries"),
        (AdapterTest, ReadsUnnamedClasses, "predictions_are_well_formed", r"class_name is \['a'\]"),
        (
            AdapterTest,
            AdapterReadsPixels,
            "predictions_are_well_formed",
            "adapt reads pixels: the picture's size is enough",
        ),
        (
            AdapterTest,
            AdapterChangesDocuments,
            "documents_are_kept_and_not_written_to",
            "adapt has changed {'a'",
        ),
        (
            AdapterTest,
            LosesTheDocument,
            "documents_are_kept_and_not_written_to",
            "the prediction's document is not the object given",
        ),
        (
            AdapterTest,
            NormalisesTheTask,
            "prediction_type_is_kept_verbatim",
            "prediction type 'Some-Task' has become 'some-task'",
        ),
        (
            AdapterTest,
            RaisesItsOwnErrors,
            "broken_documents_raise_prediction_errors",
            r"raises KeyError\('predictions'\): it has to be a PredictionError",
        ),
        (
            AdapterTest,
            ReadsAnything,
            "broken_documents_raise_prediction_errors",
            "{'broken': True} is read without an error",
        ),
        (
            AdapterTest,
            SplitsIntoFrames,
            "split_gives_frames_with_their_documents",
            r"split gives Frame.*it has to give \(Frame, document\)",
        ),
        (
            PredictorTest,
            PredictsNothing,
            "predictions_are_usable_and_repeatable",
            "predict gives None for 'frame-1'",
        ),
        (
            PredictorTest,
            PredictsDifferently,
            "predictions_are_usable_and_repeatable",
            "predictions for 'frame-1' differ",
        ),
        (
            PredictorTest,
            PredictsInItsOwnPixels,
            "predictions_are_usable_and_repeatable",
            r"image_size is \(416, 416\), not \(64, 48\)",
        ),
        (
            PredictorTest,
            PredictsNaN,
            "predictions_are_usable_and_repeatable",
            "malformed: confidence holds a number that is not finite",
        ),
        (
            PredictorTest,
            RaisesPillowsErrors,
            "a_broken_picture_is_a_frame_error",
            r"a broken picture raises OSError\(.*\): it has to be a FrameError",
        ),
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
            WrongLength,
            "length_is_right_or_unknown",
            r"len\(\) says 5, the source yields 3 frames",
        ),
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
            "the sink holds 7 pictures: it has to hold 8",
        ),
    ],
)
def test_a_wrong_component_fails(contract, component, test, message, tmp_path):
    with pytest.raises(AssertionError, match=message):
        run(contract, component, f"test_{test}", tmp_path)


@pytest.mark.parametrize("test", ["close_is_safe_without_start", "close_is_safe_twice"])
def test_a_close_that_fails_shows_its_own_error(test, tmp_path):
    with pytest.raises(AttributeError, match="file"):
        run(StrategyTest, CloseNeedsStart, f"test_{test}", tmp_path)


def test_what_is_no_prediction_is_named(tmp_path):
    changes = {"_adapted": lambda *_: [({}, {}, sample_frame())]}
    contract = type("Case", (AdapterTest,), changes)

    with pytest.raises(AssertionError, match="it is a 'dict', not a Prediction"):
        run(contract, GoodAdapter, "test_predictions_are_well_formed", tmp_path)


def module_with(text, directory, monkeypatch):
    path = directory / "component_module.py"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setitem(sys.modules, "component_module", type(sys)("component_module"))
    sys.modules["component_module"].__file__ = str(path)
    return type("Component", (GoodStrategy,), {"__module__": "component_module"})


def test_a_heavy_import_is_named(tmp_path, monkeypatch):
    (tmp_path / "torch.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    component = module_with("import torch", tmp_path, monkeypatch)

    with pytest.raises(AssertionError, match=r"'component_module' imports torch: do that in start"):
        run(StrategyTest, component, "test_module_imports_no_heavy_package", tmp_path)


def test_a_module_that_does_not_import_is_named(tmp_path, monkeypatch):
    component = module_with("import nobody_has_this", tmp_path, monkeypatch)

    with pytest.raises(
        AssertionError, match=r"(?s)'component_module' does not import: .*nobody_has_this"
    ):
        run(StrategyTest, component, "test_module_imports_no_heavy_package", tmp_path)


@pytest.mark.parametrize(
    ("contract", "component", "changes", "test"),
    [
        (SourceTest, GivesOneFrame, {"resumable": False}, "skip_is_honoured"),
        (SourceTest, UnknownLength, {}, "length_is_right_or_unknown"),
        (SinkTest, ForgetsDuplicates, {"deduplicates": False}, "a_second_delivery_is_a_duplicate"),
        (
            SinkTest,
            ForgetsDuplicates,
            {"deduplicates": False},
            "a_duplicate_is_recognised_after_a_restart",
        ),
    ],
)
def test_a_component_may_say_what_it_cannot(contract, component, changes, test, tmp_path):
    run(type("Case", (contract,), changes), component, f"test_{test}", tmp_path)


@pytest.mark.parametrize(
    ("changes", "test"),
    [
        (
            {"stateful": True, "evaluate": Remembers.evaluate, "seen": 0},
            "equal_inputs_give_equal_verdicts",
        ),
        (
            {"needs_pixels": True, "evaluate": ReadsPixels.evaluate},
            "pixels_are_read_only_if_announced",
        ),
    ],
)
def test_an_announced_exception_is_respected(changes, test, tmp_path):
    component = type("Announced", (GoodStrategy,), changes)

    run(StrategyTest, component, f"test_{test}", tmp_path)


def test_a_predictor_may_leave_its_answer_to_an_adapter(tmp_path):
    component = type("Raw", (GoodPredictor,), {"predict": lambda *_: {"predictions": []}})

    for test in ("predictions_are_usable_and_repeatable", "a_broken_picture_is_a_frame_error"):
        run(PredictorTest, component, f"test_{test}", tmp_path)


def test_every_sample_options_mapping_is_kept(tmp_path):
    case = StrategyTest()

    assert isinstance(case.prepare(tmp_path), Mapping)
    assert case.build(tmp_path).options.level == 0.25
    assert case.build(tmp_path, {}).options.level == 0.5
