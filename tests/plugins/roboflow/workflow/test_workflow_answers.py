"""A model's answer, of whatever kind, becomes a Roboflow document."""

import numpy as np
import pytest
from pydantic import BaseModel, Field

from al_framework.api import (
    Classification,
    Detections,
    Keypoints,
    PredictionError,
    RleMask,
    Unlabelled,
)
from al_framework.testing import make_context, sample_frame
from al_framework_roboflow.response import RoboflowResponse
from al_framework_roboflow.rle import read_mask
from al_framework_roboflow.workflow.answers import answer_document

SIZE = (64, 48)


def array(*values, kind=np.float64):
    return np.array(values, dtype=kind)


RING = array([1, 2], [5, 2], [5, 6])
SMALL = array([0, 0], [1, 0], [0, 1])

DETECTIONS = Detections(
    xyxy=array([10.0, 20.0, 30.0, 50.0], [0.0, 0.0, 5.5, 4.0]),
    confidence=array(0.9, 0.1),
    class_name=("cat", "dog"),
    class_id=array(3, 4, kind=np.int64),
    image_size=SIZE,
    polygons=((SMALL, RING), ()),
    masks=(None, RleMask(size=SIZE, counts=(10, 3062))),
    keypoints=(
        Keypoints(
            xy=array([1, 2]),
            confidence=array(0.5),
            class_name=("nose",),
            class_id=array(7, kind=np.int64),
        ),
        Keypoints(xy=np.empty((0, 2))),
    ),
    data={"tracker_id": (np.int64(5), None), "detection_id": ("a", "b")},
)


def test_detections_become_entries():
    first, second = answer_document(DETECTIONS, SIZE)["predictions"]

    assert first == {
        "x": 20.0,
        "y": 35.0,
        "width": 20.0,
        "height": 30.0,
        "confidence": 0.9,
        "class": "cat",
        "class_id": 3,
        "points": [{"x": 1.0, "y": 2.0}, {"x": 5.0, "y": 2.0}, {"x": 5.0, "y": 6.0}],
        "mask_format": "polygon",
        "keypoints": [{"x": 1.0, "y": 2.0, "confidence": 0.5, "class_id": 7, "class": "nose"}],
        "tracker_id": 5,
        "detection_id": "a",
    }
    assert read_mask(second["rle"]) == DETECTIONS.masks[1]
    assert "points" not in second
    assert second["keypoints"] == []


def test_entries_hold_plain_numbers():
    entry = answer_document(DETECTIONS, SIZE)["predictions"][0]

    assert {type(entry[key]) for key in ("x", "confidence")} == {float}
    assert type(entry["tracker_id"]) is int


def test_no_detections_are_an_empty_list():
    nothing = Detections(
        xyxy=np.empty((0, 4)), confidence=np.empty(0), class_name=(), image_size=SIZE
    )

    assert answer_document(nothing, SIZE) == {
        "image": {"width": 64, "height": 48},
        "predictions": [],
    }


def test_the_adapter_reads_back_what_was_written(tmp_path):
    adapter = RoboflowResponse(RoboflowResponse.Options(), make_context(tmp_path))

    read = adapter.adapt(
        answer_document(DETECTIONS, SIZE), frame=sample_frame(), prediction_type=None
    )

    assert isinstance(read, Detections)
    assert read.xyxy.tolist() == DETECTIONS.xyxy.tolist()
    assert read.confidence.tolist() == DETECTIONS.confidence.tolist()
    assert read.class_name == DETECTIONS.class_name
    assert read.keypoints is not None
    assert read.keypoints[0].xy.tolist() == [[1.0, 2.0]]
    assert read.data["detection_id"] == ("a", "b")


def test_a_class_becomes_a_multi_class_document():
    answer = Classification(
        class_name=("cat", "dog"), confidence=array(0.8, 0.2), image_size=SIZE, top="cat"
    )

    assert answer_document(answer, SIZE) == {
        "image": {"width": 64, "height": 48},
        "predictions": [
            {"class": "cat", "confidence": 0.8},
            {"class": "dog", "confidence": 0.2},
        ],
        "top": "cat",
        "confidence": 0.8,
    }


def test_the_stated_confidence_of_the_top_class_counts():
    answer = Classification(
        class_name=("cat",), confidence=array(0.8), image_size=SIZE, top="cat", top_confidence=0.7
    )

    assert answer_document(answer, SIZE)["confidence"] == 0.7


def test_a_top_class_without_confidence_has_none():
    answer = Classification(class_name=(), confidence=np.empty(0), image_size=SIZE, top="cat")

    assert "confidence" not in answer_document(answer, SIZE)


def test_several_classes_become_a_multi_label_document():
    answer = Classification(
        class_name=("cat", "dog"),
        confidence=array(0.8, 0.2),
        image_size=SIZE,
        predicted=("cat",),
    )

    assert answer_document(answer, SIZE) == {
        "image": {"width": 64, "height": 48},
        "predictions": {
            "cat": {"confidence": 0.8},
            "dog": {"confidence": 0.2},
        },
        "predicted_classes": ["cat"],
    }


class Entry(BaseModel):
    class_name: str = Field(alias="class")
    confidence: float
    tracker_id: int | None = None


class Response(BaseModel):
    predictions: list[Entry]
    time: float | None = None


DOCUMENT = {"predictions": [{"class": "cat", "confidence": 0.1}]}
WITH_SIZE = {"image": {"width": 64, "height": 48}, **DOCUMENT}
ANSWERS = [
    DOCUMENT,
    {**DOCUMENT, "time": None, "image": None},
    {"predictions": ({"class": "cat", "confidence": 0.1, "tracker_id": None},)},
    [DOCUMENT],
    (DOCUMENT,),
    Response.model_validate(DOCUMENT),
    [Response.model_validate(DOCUMENT)],
    Unlabelled(document=DOCUMENT),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_documents_and_response_objects_are_copied_without_nulls(answer):
    found = answer_document(answer, SIZE)

    assert found == WITH_SIZE
    assert found["predictions"] is not DOCUMENT["predictions"]
    assert found["predictions"][0] is not DOCUMENT["predictions"][0]


def test_a_stated_size_is_kept():
    stated = {"image": {"width": 1, "height": 2}, "predictions": []}

    assert answer_document(stated, SIZE) == stated


def test_the_source_document_keeps_the_models_digits():
    document = {"predictions": [{"x": 0.1, "y": 0.2, "width": 0.3, "height": 0.7}]}
    answer = Detections(
        xyxy=array([-0.05, -0.15, 0.25, 0.55]),
        confidence=array(0.5),
        class_name=("cat",),
        image_size=SIZE,
        document=document,
    )

    assert answer_document(answer, SIZE)["predictions"] == document["predictions"]


@pytest.mark.parametrize("answer", [None, 3, [], [DOCUMENT, DOCUMENT], "cat", Unlabelled()])
def test_anything_else_is_refused(answer):
    expected = "an answer of type '.*' is no prediction: have the predictor return Detections"
    with pytest.raises(PredictionError, match=expected):
        answer_document(answer, SIZE)
