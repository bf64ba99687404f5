import dataclasses

import numpy as np
import pytest

from al_framework.api import (
    Classification,
    Crop,
    Frame,
    Options,
    PredictionAdapter,
    PredictionError,
    Unlabelled,
)
from al_framework.pipeline.adaptation import Adaptation
from al_framework.testing import sample_detections, sample_frame, sample_predictions

FOUND = sample_detections()


class Dicts(PredictionAdapter):
    """Reads dictionaries."""

    type_name = "dicts"
    answer = FOUND

    def accepts(self, document):
        return isinstance(document, dict)

    def adapt(self, document, *, frame, prediction_type):
        self.asked = (document, frame.frame_id, prediction_type)
        return self.answer


class Crops(Dicts):
    type_name = "crops"

    def split(self, document, *, frame):
        for name, piece in document.items():
            crop = Crop(
                frame_id=frame.frame_id, detection_id=name, left=1, top=2, width=3, height=4
            )
            yield Frame(frame_id=f"{frame.frame_id}/{name}", image=frame.image, parent=crop), piece


class Moody(Dicts):
    type_name = "moody"

    def accepts(self, document):
        raise RuntimeError("boom")


@pytest.fixture
def read(context, frame):
    def read(document, *kinds, fixed=False, prediction_type=None):
        adapters = [(kind.type_name, kind(Options(), context)) for kind in kinds]
        return list(Adaptation(adapters, fixed=fixed).read(document, frame, prediction_type))

    return read


class Hostile(list):
    def __len__(self):
        raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("document", "kinds", "fixed", "reader"),
    [
        ({}, [Dicts], False, "adapter 'dicts'"),
        (5, [Dicts], True, "adapter 'dicts'"),
        (5, [Dicts], False, ""),
        ({}, [Dicts, Crops], False, ""),
        (FOUND, [Dicts], True, ""),
        (Hostile(), [Dicts], False, ""),
    ],
)
def test_who_reads_an_object_can_be_told(context, document, kinds, fixed, reader):
    adapters = [(kind.type_name, kind(Options(), context)) for kind in kinds]

    assert Adaptation(adapters, fixed=fixed).reader(document) == reader


@pytest.mark.parametrize(("given", "kept"), [(None, ""), ("object-detection", "object-detection")])
def test_no_prediction_is_unlabelled(read, frame, given, kept):
    [(part, prediction)] = read(None, Dicts, prediction_type=given)

    assert part is frame
    assert isinstance(prediction, Unlabelled)
    assert kept == prediction.prediction_type


@pytest.mark.parametrize("name", ["detections", "one class", "unlabelled"])
def test_a_prediction_of_ours_goes_through_as_it_is(read, frame, name):
    prediction = sample_predictions()[name]

    assert [(frame, prediction)] == read(prediction, Dicts, fixed=True)


def test_the_only_adapter_that_accepts_an_object_reads_it(read, frame):
    assert [(frame, FOUND)] == read({}, Moody, Dicts)


def test_an_adapter_hears_the_callers_word_for_the_task(context, frame):
    adapter = Dicts(Options(), context)
    Adaptation([("dicts", adapter)], fixed=True).read({"a": 1}, frame, "keypoints")

    assert ({"a": 1}, "frame-1", "keypoints") == adapter.asked


def test_the_adapter_that_the_configuration_names_is_not_asked_whether_it_accepts(read, frame):
    assert [(frame, FOUND)] == read(object(), Moody, fixed=True)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (
            [Dicts, Crops],
            (
                r"^a prediction of type 'builtins\.dict' is accepted by the adapters "
                r"'dicts', 'crops': "
                r"name one as 'adapter' in the configuration$"
            ),
        ),
        (
            [Moody],
            r"^no adapter accepts a prediction of type 'builtins\.dict'; installed are 'moody'$",
        ),
        ([], r"^no adapter accepts a prediction of type 'builtins\.dict'; installed are none$"),
    ],
)
def test_an_object_for_no_adapter_or_for_two_is_refused_by_name(read, kinds, message):
    with pytest.raises(PredictionError, match=message) as caught:
        read({}, *kinds)

    assert "frame-1" == caught.value.frame_id


def test_an_adapter_for_crops_gives_one_frame_for_each(read):
    parts = read({"left": 1, "right": 2}, Crops)

    assert ["frame-1/left", "frame-1/right"] == [part.frame_id for part, _ in parts]
    assert ["left", "right"] == [part.parent.detection_id for part, _ in parts]
    assert [FOUND, FOUND] == [prediction for _, prediction in parts]


MALFORMED = dataclasses.replace(FOUND, confidence=FOUND.confidence * np.nan)


@pytest.mark.parametrize("given", [MALFORMED, {}])
def test_a_prediction_that_is_malformed_is_refused_where_it_is_read(read, given):
    careless = type("Careless", (Dicts,), {"answer": MALFORMED})

    with pytest.raises(PredictionError, match=r"^row 0 of the prediction's confidence is nan"):
        read(given, careless)


def test_a_malformed_part_comes_with_its_error_and_its_neighbours_lose_nothing(read):
    class Careless(Crops):
        def adapt(self, document, *, frame, prediction_type):
            return document

    (left, error), right = read({"left": MALFORMED, "right": FOUND}, Careless)

    assert ("frame-1/left", "frame-1/right") == (left.frame_id, right[0].frame_id)
    assert isinstance(error, PredictionError)
    assert FOUND is right[1]


@pytest.mark.parametrize("kind", [Dicts, Crops])
def test_an_adapter_that_returns_something_else_is_refused(read, kind):
    broken = type("Broken", (kind,), {"type_name": "broken", "answer": {"boxes": []}})

    with pytest.raises(
        TypeError,
        match=r"^it returned an object of type 'dict': return Detections, a "
        r"Classification or Unlabelled$",
    ):
        read({"a": 1}, broken)


def test_an_adapter_that_splits_off_something_else_is_refused(read):
    broken = type("Broken", (Dicts,), {"split": lambda self, document, frame: [(sample_frame, 1)]})
    broken.adapt = lambda self, document, *, frame, prediction_type: FOUND

    with pytest.raises(
        TypeError,
        match=r"^it split off an object of type 'function': yield frames$",
    ):
        read({}, broken)


def test_an_adapter_that_names_a_frame_by_a_number_is_refused(read):
    numbered = Frame(frame_id=7, image=sample_frame().image)
    broken = type("Broken", (Dicts,), {"split": lambda self, document, frame: [(numbered, 1)]})
    broken.adapt = lambda self, document, *, frame, prediction_type: FOUND

    with pytest.raises(TypeError, match=r"^it named a frame 7: a frame's name is text$"):
        read({}, broken)


def test_errors_of_an_adapter_pass(read):
    def fail(self, document, *, frame, prediction_type):
        raise PredictionError("the box 3 has no width")

    broken = type("Broken", (Dicts,), {"adapt": fail})

    with pytest.raises(PredictionError, match=r"^the box 3 has no width$"):
        read({}, broken)


def test_a_classification_needs_no_adapter(read, frame):
    classes = sample_predictions()["several classes"]

    assert isinstance(classes, Classification)
    assert [(frame, classes)] == read(classes)


def test_a_list_of_predictions_is_not_one(read):
    with pytest.raises(
        PredictionError,
        match=r"^a prediction of type 'builtins.list' holds 2 of them: pass one, for one frame$",
    ):
        read([{}, {}], type("Deaf", (Dicts,), {"accepts": lambda self, document: False}))
