"""Every form of prediction that a workflow passes is read by its shape, or refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest

from al_framework.api import Classification, Detections, PredictionError, Unlabelled
from al_framework_roboflow.elements import RawElement, read_element
from al_framework_roboflow.elements.predictions import (
    PREDICTION_TYPES,
    read_prediction,
    stated_size,
)

BOX = json.loads(Path(__file__).with_name("box.json").read_text())


def array(width=100, height=50):
    return np.zeros((height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("given", "kind", "document", "expected"),
    [
        ("cat", None, {"top": "cat"}, "classification"),
        ("", "classification", {"top": ""}, "classification"),
        ([BOX], None, {"predictions": [BOX]}, "object-detection"),
        ([], None, {"predictions": []}, "object-detection"),
        ([], "instance-segmentation", {"predictions": []}, "instance-segmentation"),
        ((), None, {"predictions": ()}, "object-detection"),
        ({"predictions": [BOX]}, None, None, "object-detection"),
        ({"predictions": [{**BOX, "points": []}]}, None, None, "instance-segmentation"),
        ({"predictions": [{**BOX, "keypoints": []}]}, None, None, "keypoint-detection"),
        ({"predictions": [BOX]}, "keypoints-detection", None, "keypoints-detection"),
        ({"predictions": []}, None, None, "object-detection"),
        ({"predictions": None}, None, None, "object-detection"),
        (
            {"predictions": [BOX], "prediction_type": "keypoint-detection"},
            None,
            None,
            "keypoint-detection",
        ),
        (
            {"predictions": [BOX], "prediction_type": "keypoint-detection"},
            "object-detection",
            None,
            "object-detection",
        ),
        ({"top": "cat", "confidence": 0.5, "predictions": []}, None, None, "classification"),
        (
            {"predictions": {"cat": {"confidence": 0.9}}, "predicted_classes": ["cat"]},
            None,
            None,
            "classification",
        ),
        ({"is_stub": True, "task_type": "x"}, None, None, None),
        ({"predictions": [], "is_stub": True}, "ocr", None, "ocr"),
        (None, None, None, None),
        (None, "object-detection", None, "object-detection"),
    ],
)
def test_a_prediction_is_read_by_its_shape(given, kind, document, expected):
    read = read_prediction(given, kind)

    assert (read.document, read.prediction_type) == (document or given, expected)


def test_the_entries_are_the_very_same_objects():
    entries = [BOX]

    read = read_prediction(entries)

    assert read.document["predictions"] is entries


def test_the_entries_of_a_classification_tell_its_top_class_and_confidence():
    entries = [{"class": "cat", "confidence": 0.2}, {"class": "dog", "confidence": 0.8}]

    for kind in (None, "classification"):
        read = read_prediction(entries, kind)

        assert read.prediction_type == "classification"
        assert read.document == {"predictions": entries, "top": "dog", "confidence": 0.8}


def test_entries_without_class_and_box_go_to_the_adapter_which_names_them():
    read = read_prediction([{"class": "cat"}, {"x": 1}])

    assert read.document == {"predictions": [{"class": "cat"}, {"x": 1}]}


@pytest.mark.parametrize(
    "given",
    [
        Unlabelled(image_size=(3, 2), prediction_type="ocr"),
        Classification(
            class_name=(), confidence=np.empty(0), image_size=(3, 2), prediction_type="ocr"
        ),
        Detections(
            xyxy=np.empty((0, 4)),
            confidence=np.empty(0),
            class_name=(),
            image_size=(3, 2),
            prediction_type="ocr",
        ),
    ],
)
def test_the_frameworks_own_predictions_pass_through(given):
    assert read_prediction(given).document is given
    assert read_prediction(given).prediction_type == "ocr"
    assert read_prediction(given, "object-detection").prediction_type == "object-detection"
    assert stated_size(given) == (3, 2)


class Response:
    def __init__(self, values):
        self.values = values

    def model_dump(self, **_):
        return self.values


def test_a_response_object_is_dumped():
    read = read_prediction(Response({"predictions": [BOX]}))

    assert read.document == {"predictions": [BOX]}


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (3, None, "a prediction of type 'int' cannot be read: pass the model's document"),
        (Response([]), None, "a prediction of type 'Response' cannot be read"),
        (BOX, None, "the prediction is a single entry: pass the list of all entries of its image"),
        ({"time": 1, 2: 3}, None, "the prediction is a mapping that holds 'time', '2': a document"),
        ({}, None, "the prediction is a mapping that holds nothing: a document has"),
        ([BOX, 3], None, "predictions[1] is of type 'int': it has to be a mapping"),
        (
            "cat",
            "object-detection",
            (
                "the prediction is the name of a class, 'cat', and its type is 'object-detection': "
                "pass detections, or 'classification' as 'prediction_type'"
            ),
        ),
        (
            [],
            "classification",
            "the entries hold no classes: of a classification pass its whole document",
        ),
        ([BOX], "classification", "the entries hold no classes"),
        (
            [{"class": "cat", "confidence": "much"}],
            None,
            "the class 'cat' has the confidence 'much': it has to be a number",
        ),
        (
            [BOX],
            "object detection",
            (
                "'prediction_type' is 'object detection', which is unknown: choose one of "
                "'object-detection', 'instance-segmentation', 'keypoint-detection'"
            ),
        ),
        ([BOX], ["long"] * 30, "'prediction_type' is ['long', 'long', 'long', "),
        (
            {"predictions": [], "prediction_type": "x"},
            None,
            "the document's 'prediction_type' is 'x', which is unknown",
        ),
    ],
)
def test_what_is_no_prediction_is_refused_by_name(given, kind, message):
    with pytest.raises(PredictionError) as caught:
        read_prediction(given, kind)

    assert message in str(caught.value)


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_every_type_of_roboflow_is_known(kind):
    assert read_prediction({"predictions": []}, kind).prediction_type == kind


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (None, None),
        ({"predictions": []}, None),
        ({"image": 3}, None),
        ({"image": {"width": None, "height": None}}, None),
        ({"image": {"width": 100, "height": 50}}, (100, 50)),
        ({"image": {"width": 100.0, "height": 50.0}}, (100, 50)),
        ({"image": {"width": 100.5, "height": 50}}, None),
        ({"image": {"width": float("nan"), "height": 50}}, None),
    ],
)
def test_the_size_that_a_document_states(document, expected):
    assert stated_size(document) == expected


def test_a_prediction_about_another_image_is_refused():
    raw = RawElement(
        image=array(100, 50),
        prediction={"image": {"width": 200, "height": 100}, "predictions": []},
    )

    with pytest.raises(PredictionError) as caught:
        read_element(raw)

    assert str(caught.value) == (
        "the prediction is about an image of 200x100 pixels and the image has 100x50: 'image' and "
        "'predictions' have to come from the same step"
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([BOX], {"predictions": [BOX]}),
        ("cat", {"top": "cat"}),
        ({"predictions": [], "image": None}, {"predictions": []}),
        ({"predictions": [], "image": {"width": None, "height": None}}, {"predictions": []}),
    ],
)
def test_a_document_without_the_images_size_is_given_it(given, expected):
    before = repr(given)

    element = read_element(RawElement(image=array(100, 50), prediction=given))

    assert element.prediction == {**expected, "image": {"width": 100, "height": 50}}
    assert repr(given) == before
