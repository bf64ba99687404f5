"""A document that cannot be read is refused with the place of its fault."""

import copy
import json
import math
from pathlib import Path

import pytest

from al_framework.api import PredictionError

IMAGE = {"width": 64, "height": 48}
BOX = {"x": 20.3, "y": 10.1, "width": 7.7, "height": 3.3}
ENTRY = {**BOX, "confidence": 0.5, "class": "cup", "class_id": 1, "detection_id": "d-1"}
NOSE = {"x": 3.5, "y": 4.5, "confidence": 0.75, "class_id": 0, "class": "nose"}
CLASSIFICATIONS = json.loads(Path(__file__).with_name("classifications.json").read_text())
MULTI_CLASS, MULTI_LABEL = CLASSIFICATIONS["multi-class"], CLASSIFICATIONS["multi-label"]


def document(*entries, **more):
    return {"image": IMAGE, "predictions": list(entries), **more}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (7, "an object of type 'int' is no Roboflow response: pass one response as a mapping"),
        ([], "a list of 0 responses is about as many images: pass one response for one frame"),
        ([document()] * 2, "a list of 2 responses is about as many images"),
        ([7], "an object of type 'int' is no Roboflow response"),
        ({"predictions": 3}, "predictions is 3: it has to be a list of detections, or a mapping"),
        ({"predictions": "abc"}, "predictions is 'abc': it has to be a list of detections, or a"),
        ({"predictions": ["cup"]}, r"predictions\[0\] is 'cup': it has to be a mapping"),
        (document(ENTRY, "cup"), r"predictions\[1\] is 'cup': it has to be a mapping"),
        (document({"x": 1}), r"predictions\[0\].class is missing: add it"),
        (document({**BOX, "class": "cup"}), r"predictions\[0\].confidence is missing: add it"),
        (
            document(ENTRY, {**ENTRY, "confidence": "0.5"}),
            r"predictions\[1\].confidence is '0.5': it has to be finite",
        ),
        (document({**ENTRY, "y": math.nan}), r"predictions\[0\].y is nan: it has to be finite"),
        (document({**ENTRY, "x": math.inf}), r"predictions\[0\].x is inf: it has to be finite"),
        (document({**ENTRY, "x": 10**400}), r"predictions\[0\].x is 1000\d+\.\.\.: it has to be"),
        (
            document({"class": "cup", "confidence": None}),
            r"predictions\[0\].confidence is missing: it has to be finite",
        ),
        (
            document({**ENTRY, "class": None}),
            r"predictions\[0\].class is missing: it has to be the name of a class",
        ),
        (
            document({**ENTRY, "class_id": "1"}),
            r"predictions\[0\].class_id is '1': it has to be a whole number",
        ),
        (
            document({**ENTRY, "class_id": 2**70}),
            r"predictions\[0\].class_id is \d+: it has to be a whole number",
        ),
        (
            document({"class": "cup", "confidence": 0.5, "x": 1, "width": 2}),
            r"predictions\[0\].y is missing: a box needs x, y, width and height",
        ),
        (
            document(ENTRY, {"class": "cup", "confidence": 0.5, "x": 1}),
            r"predictions\[1\].y is missing: a box needs x, y, width and height",
        ),
        (
            document({**ENTRY, "points": 3}),
            r"predictions\[0\].points is 3: it has to be a list of points",
        ),
        (
            document({**ENTRY, "points": [{"x": 1}]}),
            r"predictions\[0\].points\[0\].y is missing: it has to be finite",
        ),
        (
            document({**ENTRY, "keypoints": [{**NOSE, "confidence": "a"}]}),
            r"predictions\[0\].keypoints\[0\].confidence is 'a': it has to be finite",
        ),
        (
            document({**ENTRY, "rle": {"size": [2, 2], "counts": [1, 2]}}),
            r"predictions\[0\].rle: the runs of a mask add up to 3, not to 2x2",
        ),
        (
            document({**ENTRY, "rle": {"size": [2, 2], "counts": [None]}}),
            r"predictions\[0\].rle: int\(\)",
        ),
        ({**document(), "image": {"width": "64", "height": 48}}, "image.width is '64'"),
        (
            {**document(), "image": {"width": 64, "height": 0}},
            "image.height is 0.0: it has to be a number of pixels",
        ),
        (
            {"top": ["cat"], "confidence": 0.5},
            r"top is \['cat'\]: it has to be the name of a class",
        ),
        ({"top": "cat", "confidence": "1"}, "confidence is '1': it has to be finite"),
        ({"top": "cat", "confidence": math.nan}, "confidence is nan: it has to be finite"),
        ({**MULTI_CLASS, "predictions": {}}, "predictions is {}: it has to be a list"),
        (
            {**MULTI_CLASS, "predictions": [{"class": 3}]},
            r"predictions\[0\].class is 3: it has to be the name of a class",
        ),
        (
            {**MULTI_CLASS, "predictions": [{"class": "cat"}]},
            r"predictions\[0\].confidence is missing: it has to be finite",
        ),
        (
            {"predictions": [], "predicted_classes": []},
            r"predictions is \[\]: beside predicted_classes it has to map classes",
        ),
        (
            {**MULTI_LABEL, "predicted_classes": "cat"},
            "predicted_classes is 'cat': it has to be a list of names",
        ),
        (
            {**MULTI_LABEL, "predictions": {"cat": {}}},
            r"predictions\['cat'\].confidence is missing: it has to be finite",
        ),
        (
            {**MULTI_LABEL, "predictions": {"cat": 0.5}},
            r"predictions\['cat'\].confidence is missing: it has to be finite",
        ),
    ],
)
def test_a_bad_document_names_the_place(adapt, given, message):
    before = copy.deepcopy(given)

    with pytest.raises(PredictionError, match=f"^adapter 'server': {message}") as caught:
        adapt(given)

    assert caught.value.frame_id == "frame-1"
    assert repr(before) == repr(given)


@pytest.mark.parametrize(
    "prediction_type",
    ["object-detection", "instance-segmentation", "keypoint-detection", "keypoints-detection"],
)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "predictions is missing: it has to be a list"),
        ({"predictions": None}, "predictions is missing: it has to be a list"),
        ({"predictions": "abc"}, "predictions is 'abc': it has to be a list"),
        ({"predictions": {}}, "predictions is {}: it has to be a list"),
        (document({}), r"predictions\[0\].class is missing: add it"),
        (MULTI_LABEL, "predictions is {'cat': .*: it has to be a list"),
    ],
)
def test_a_detection_document_states_detections(adapt, given, prediction_type, message):
    with pytest.raises(PredictionError, match=f"^adapter 'server': {message}"):
        adapt(given, prediction_type)


@pytest.mark.parametrize(
    "given", [{}, {"predictions": "abc"}, {"predictions": []}, {"predictions": {}}, document(ENTRY)]
)
def test_a_classification_states_its_class(adapt, given):
    message = (
        "^adapter 'server': top is missing: a classification states its top class, or "
        "predicted_classes where an image can have several$"
    )

    with pytest.raises(PredictionError, match=message):
        adapt(given, "classification")
