"""Prediction adapters, each wrong in one way; those of one picture, and those that split."""

import dataclasses

import numpy as np

from al_framework.api import (
    Classification,
    Crop,
    Image,
    PredictionAdapter,
    PredictionError,
    Scores,
    Unlabelled,
)
from al_framework.testing import AdapterContract, sample_detections, sample_frame, sample_jpeg


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


class AdapterTest(AdapterContract):
    component = GoodAdapter

    def documents(self):
        return ({"a": [1, np.arange(3)]}, {})

    def broken_documents(self):
        return ({"broken": True},)


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


class ScoresAnother(GoodAdapter):
    def scores(self, document, *, prediction_type):
        return Scores(("cat",), np.array([0.125]), prediction_type or "some")


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


class Cutter(PredictionAdapter):
    type_name = "cutter"

    def accepts(self, document):
        return isinstance(document, dict)

    def split(self, document, *, frame):
        for number, piece in enumerate(document["parts"]):
            yield self.part(frame, number), piece

    def part(self, frame, number):
        return dataclasses.replace(
            frame,
            frame_id=f"{frame.frame_id}/{number}",
            image=Image(sample_jpeg()),
            parent=Crop(
                frame_id=frame.frame_id, detection_id=None, left=0, top=0, width=64, height=48
            ),
        )

    def adapt(self, document, *, frame, prediction_type):
        if "broken" in document:
            raise PredictionError("it is broken")
        return dataclasses.replace(
            sample_detections(), document=document, prediction_type=prediction_type or "some"
        )


class CutterTest(AdapterContract):
    component = Cutter

    def documents(self):
        return ({"parts": []}, {"parts": [{"a": 1}, {"b": 2}]})

    def broken_documents(self):
        return ({"parts": [{"a": 1}, {"broken": True}]},)


class ReadsThePicture(Cutter):
    def split(self, document, *, frame):
        frame.image.pixels()
        yield from super().split(document, frame=frame)


class ReadsTheParts(Cutter):
    def adapt(self, document, *, frame, prediction_type):
        frame.image.pixels()
        return super().adapt(document, frame=frame, prediction_type=prediction_type)


class EmptiesTheList(Cutter):
    def split(self, document, *, frame):
        while document["parts"]:
            yield self.part(frame, len(document["parts"])), document["parts"].pop()


class KeepsTheWhole(Cutter):
    def adapt(self, document, *, frame, prediction_type):
        return super().adapt(dict(document), frame=frame, prediction_type=prediction_type)


class ForgivesTheSecond(Cutter):
    def adapt(self, document, *, frame, prediction_type):
        return sample_detections()


class CountsOn(Cutter):
    count = 0

    def part(self, frame, number):
        self.count += 1
        return super().part(frame, self.count)


class NamesAllAlike(Cutter):
    def part(self, frame, number):
        return super().part(frame, 0)


class HasNoParent(Cutter):
    def part(self, frame, number):
        return dataclasses.replace(super().part(frame, number), parent=None)


class HasAStrangersParent(Cutter):
    def part(self, frame, number):
        return super().part(sample_frame("stranger"), number)


class CountsCalls(GoodAdapter):
    calls = [0]

    def adapt(self, document, *, frame, prediction_type):
        self.calls[0] += 1
        return dataclasses.replace(sample_detections(self.calls[0]), document=document)


CONTRACTS = (AdapterTest, CutterTest)
WRONG = [
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
        CutterTest,
        ReadsThePicture,
        "predictions_are_well_formed",
        "split or adapt reads pixels: the pict",
    ),
    (
        CutterTest,
        ReadsTheParts,
        "predictions_are_well_formed",
        "split or adapt reads pixels: the pict",
    ),
    (
        CutterTest,
        EmptiesTheList,
        "documents_are_kept_and_not_written_to",
        "split or adapt has changed {'parts'",
    ),
    (
        CutterTest,
        KeepsTheWhole,
        "documents_are_kept_and_not_written_to",
        "the prediction's document is not the object given",
    ),
    (
        CutterTest,
        ForgivesTheSecond,
        "broken_documents_raise_prediction_errors",
        r"{'parts': \[.*broken.* is read without an error",
    ),
    (
        AdapterTest,
        ScoresAnother,
        "scores_say_what_adapt_says",
        r"scores gives Scores\(class_name=\('cat',\).* where adapt gives Detections",
    ),
    (CutterTest, CountsOn, "parts_have_names_that_stay", "frame ids differ from time to time: "),
    (CutterTest, NamesAllAlike, "parts_have_names_that_stay", "frame ids repeat: "),
    (
        CutterTest,
        HasNoParent,
        "parts_know_what_they_were_cut_from",
        "'frame-1/0' is not the frame given, and its parent is None: it has to be a Crop of",
    ),
    (
        CutterTest,
        HasAStrangersParent,
        "parts_know_what_they_were_cut_from",
        r"its parent is Crop\(frame_id='stranger'.*it has to be a Crop of 'frame-1'",
    ),
    (
        AdapterTest,
        CountsCalls,
        "equal_documents_give_equal_predictions",
        "{'a': .* gives Detections.* and then Detections",
    ),
]
