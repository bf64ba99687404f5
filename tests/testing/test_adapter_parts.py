"""The adapter contract on adapters that split: every check sees every part."""

import dataclasses

import pytest

from al_framework.api import Crop, Image, PredictionAdapter, PredictionError
from al_framework.testing import AdapterContract, sample_detections, sample_frame, sample_jpeg


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


def run(component, test, directory):
    case = type("Case", (CutterTest,), {"component": component})()
    method = getattr(case, test)
    return method() if "tmp_path" not in method.__code__.co_varnames else method(directory)


@pytest.mark.parametrize("test", [name for name in dir(CutterTest) if name.startswith("test_")])
def test_a_right_adapter_passes(test, tmp_path):
    run(Cutter, test, tmp_path)


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


@pytest.mark.parametrize(
    ("adapter", "test", "message"),
    [
        (ReadsThePicture, "predictions_are_well_formed", "split or adapt reads pixels: the pict"),
        (ReadsTheParts, "predictions_are_well_formed", "split or adapt reads pixels: the pict"),
        (
            EmptiesTheList,
            "documents_are_kept_and_not_written_to",
            "split or adapt has changed {'parts'",
        ),
        (
            KeepsTheWhole,
            "documents_are_kept_and_not_written_to",
            "the prediction's document is not the object given",
        ),
        (
            ForgivesTheSecond,
            "broken_documents_raise_prediction_errors",
            r"{'parts': \[.*broken.* is read without an error",
        ),
        (CountsOn, "parts_have_names_that_stay", "frame ids differ from time to time: "),
        (NamesAllAlike, "parts_have_names_that_stay", "frame ids repeat: "),
        (
            HasNoParent,
            "parts_know_what_they_were_cut_from",
            "'frame-1/0' is not the frame given, and its parent is None: it has to be a Crop of",
        ),
        (
            HasAStrangersParent,
            "parts_know_what_they_were_cut_from",
            r"its parent is Crop\(frame_id='stranger'.*it has to be a Crop of 'frame-1'",
        ),
    ],
)
def test_a_wrong_adapter_is_found_out(adapter, test, message, tmp_path):
    with pytest.raises(AssertionError, match=message):
        run(adapter, f"test_{test}", tmp_path)
