"""What carries a response: lists, objects, and the outputs of both generations of steps."""

import dataclasses
from typing import Any

import pytest

from al_framework.api import Classification, Detections, Options, PredictionError, Unlabelled
from al_framework.testing import make_context, sample_frame
from al_framework_roboflow.response import RoboflowResponse

IMAGE = {"width": 64, "height": 48}
BOX = {"x": 20.0, "y": 10.0, "width": 8.0, "height": 4.0}
ENTRY = {
    **BOX,
    "confidence": 0.9,
    "class": "cat",
    "class_id": 0,
    "detection_id": "d-1",
    "parent_id": "$inputs.image",
}
NOSE = {"x": 10.0, "y": 4.0, "confidence": 0.8, "class_id": 0}
STEP = {
    "time": 0.01,
    "image": IMAGE,
    "predictions": [ENTRY],
    "prediction_type": "object-detection",
    "parent_id": "$inputs.image",
    "predictions_parent_coordinates": [ENTRY],
    "image_parent_coordinates": IMAGE,
}
CONSENSUS_ENTRY = {
    "parent_id": "$inputs.image",
    "detection_id": "d-2",
    "class": "cat",
    "class_id": 0,
    "confidence": 0.9,
    "x": 20,
    "y": 10,
    "width": 8,
    "height": 4,
}


def keypoints(key):
    entry = {**ENTRY, "keypoints": [{**NOSE, key: "nose"}]}
    return {**STEP, "predictions": [entry], "prediction_type": "keypoint-detection"}


STEPS = {
    "ObjectDetectionModel": STEP,
    "ObjectDetectionModel without detections": {**STEP, "predictions": []},
    "InstanceSegmentationModel": {
        **STEP,
        "predictions": [{**ENTRY, "points": [{"x": 1.0, "y": 1.0}, {"x": 5.0, "y": 1.0}]}],
        "prediction_type": "instance-segmentation",
    },
    "KeypointsDetectionModel, old": keypoints("class_name"),
    "KeypointsDetectionModel, new": keypoints("class"),
    "YoloWorld": {k: STEP[k] for k in ("image", "predictions", "prediction_type", "parent_id")},
    "DetectionFilter": {
        "predictions": [ENTRY],
        "parent_id": ["$inputs.image"],
        "image": IMAGE,
        "prediction_type": "object-detection",
    },
    "DetectionOffset": {
        "predictions": [{**ENTRY, "parent_id": "d-1", "detection_id": "d-2", "width": 18.0}],
        "parent_id": ["d-1"],
        "image": IMAGE,
        "prediction_type": "object-detection",
    },
    "DetectionsConsensus": {
        "predictions": [CONSENSUS_ENTRY],
        "parent_id": "$inputs.image",
        "object_present": True,
        "presence_confidence": {"cat": 0.9},
        "image": IMAGE,
        "prediction_type": "object-detection",
    },
    "DetectionsConsensus of nothing": {
        "predictions": [],
        "parent_id": "undefined",
        "object_present": False,
        "presence_confidence": {},
        "image": IMAGE,
        "prediction_type": "object-detection",
    },
}
CLASSIFICATION = {
    "image": IMAGE,
    "predictions": [{"class": "cat", "class_id": 0, "confidence": 0.8}],
    "top": "cat",
    "confidence": 0.8,
    "prediction_type": "classification",
    "parent_id": "$inputs.image",
}
LMM = {
    "raw_output": "a cat",
    "image": IMAGE,
    "top": "cat",
    "parent_id": "$inputs.image",
    "prediction_type": "classification",
}
MULTI_LABEL = {
    "image": IMAGE,
    "predictions": {"cat": {"confidence": 0.9, "class_id": 0}},
    "predicted_classes": ["cat"],
    "prediction_type": "classification",
    "parent_id": "$inputs.image",
}


@dataclasses.dataclass(slots=True)
class Twin:
    predictions: list[Any]

    def to_dict(self):
        return {"image": IMAGE, "predictions": self.predictions}


@pytest.fixture
def adapter(tmp_path):
    return RoboflowResponse(Options(), make_context(tmp_path, name="server"))


@pytest.fixture
def adapt(adapter):
    def run(given, prediction_type=None):
        assert adapter.accepts(given)
        return adapter.adapt(given, frame=sample_frame(), prediction_type=prediction_type)

    return run


@pytest.mark.parametrize("name", STEPS)
def test_detections_of_every_step_are_read(adapt, name):
    found = adapt(STEPS[name])

    assert isinstance(found, Detections)
    assert STEPS[name]["prediction_type"] == found.prediction_type
    assert len(STEPS[name]["predictions"]) == len(found)
    assert found.document is STEPS[name]
    assert found.image_size == (64, 48)


def test_integers_of_a_consensus_are_numbers(adapt):
    found = adapt(STEPS["DetectionsConsensus"])

    assert found.xyxy.tolist() == [[16.0, 8.0, 24.0, 12.0]]
    assert found.data["detection_id"] == ("d-2",)


@pytest.mark.parametrize("name", ["KeypointsDetectionModel, old", "KeypointsDetectionModel, new"])
def test_keypoints_have_their_names_in_either_spelling(adapt, name):
    assert adapt(STEPS[name]).keypoints[0].class_name == ("nose",)


@pytest.mark.parametrize(
    ("given", "top", "predicted"),
    [(CLASSIFICATION, "cat", None), (LMM, "cat", None), (MULTI_LABEL, None, ("cat",))],
)
def test_classes_of_every_step_are_read(adapt, given, top, predicted):
    found = adapt(given)

    assert isinstance(found, Classification)
    assert (top, predicted) == (found.top, found.predicted)
    assert found.prediction_type == "classification"


def test_the_documents_type_holds_where_the_caller_names_none(adapt):
    empty = {"image": IMAGE, "predictions": [], "prediction_type": "keypoint-detection"}

    assert adapt(empty).prediction_type == "keypoint-detection"
    assert adapt(empty, "instance-segmentation").prediction_type == "instance-segmentation"
    assert adapt({**empty, "prediction_type": 3}).prediction_type == "object-detection"
    with pytest.raises(PredictionError, match="predictions is missing: it has to be a list"):
        adapt({"predictions": None, "prediction_type": "object-detection"})


def test_a_stub_is_unlabelled(adapt):
    stub = {"is_stub": True, "model_id": "project/0", "task_type": "object-detection", "time": 0.1}

    found = adapt(stub, "object-detection")

    assert isinstance(found, Unlabelled)
    assert (found.model_id, found.prediction_type) == ("project/0", "object-detection")


@pytest.mark.parametrize("given", [[STEP], (STEP,), [Twin([ENTRY])]])
def test_a_list_of_one_response_is_that_response(adapt, given):
    assert len(adapt(given)) == 1


def test_a_dataclass_that_gives_a_dictionary_is_a_response(adapt):
    found = adapt(Twin([ENTRY]), "instance-segmentation")

    assert found.class_name == ("cat",)
    assert found.document == {"image": IMAGE, "predictions": [ENTRY]}


@pytest.mark.parametrize("given", [[], [STEP, STEP], [ENTRY], [None], {"crops": [], **STEP}, 3])
def test_what_is_several_responses_or_none_is_not_accepted(adapter, given):
    assert adapter.accepts(given) is False


def test_the_columns_of_one_image_are_its_values(adapt):
    columns = {key: [value] for key, value in STEPS["DetectionFilter"].items()}

    found = adapt(columns)

    assert len(found) == 1
    assert found.prediction_type == "object-detection"
    assert found.document == STEPS["DetectionFilter"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {key: [value] * 2 for key, value in STEP.items()},
            "the columns of a step are about 2 images: pass one image's values for one frame",
        ),
        (
            {**STEP, "prediction_type": ["object-detection"] * 2},
            "time is no list of 2, as prediction_type is: a step.s columns have one entry per",
        ),
    ],
)
def test_the_columns_of_several_images_are_refused(adapt, change, message):
    with pytest.raises(PredictionError, match=f"^adapter 'server': {message}"):
        adapt(change)


def test_a_size_stated_in_a_list_of_one_is_read(adapt):
    assert adapt({**STEP, "image": [{"width": 640, "height": 480}]}).image_size == (640, 480)
    assert adapt({**STEP, "image": []}).image_size == (64, 48)
