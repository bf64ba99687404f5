"""Running a workflow: which model answers, and what is made of its answer."""

import numpy as np
import pytest

from al_framework.api import (
    Detections,
    Unlabelled,
)
from al_framework.testing import make_context
from al_framework_roboflow.predictor import RoboflowInference, RoboflowInferenceOptions


def test_predictors_are_chosen_by_model_id(flow, run):
    one, other = flow.Detector(), flow.Detector()

    run(flow.on_crops(), predictors={"second/1": one, "*": other})

    assert (len(one.frames), len(other.frames)) == (2, 1)


def test_our_own_detections_become_documents(flow, run, heard):
    class Ours:
        def predict(self, frame):
            return Detections(
                xyxy=np.array([[0.0, 0.0, 20.0, 10.0]]),
                confidence=np.array([0.7]),
                class_name=("cat",),
                image_size=frame.image.size,
            )

    run(flow.plain(), predictors={"*": Ours()})

    (document,) = heard.calls[0]["predictions"]
    assert document["image"] == {"width": 200, "height": 100}
    assert document["predictions"][0] == {
        "x": 10.0,
        "y": 5.0,
        "width": 20.0,
        "height": 10.0,
        "confidence": 0.7,
        "class": "cat",
        "detection_id": "id-1",
        "parent_id": "image",
    }


def test_an_answer_without_labels_is_one_failure(flow, run):
    class Blind:
        def predict(self, frame):
            return Unlabelled()

    (problem,) = run(flow.plain(), predictors={"*": Blind()}).problems

    assert "an answer of type 'Unlabelled' is no prediction" in problem


def test_names_that_a_model_gives_are_kept(flow, run):
    def answer(width, height):
        return {"predictions": [flow.boxes(width, height)[0] | {"detection_id": "mine"}]}

    result = run(flow.plain(), predictors={"*": flow.Detector(answer)})

    assert result.outputs["p"][0][0]["detection_id"] == "mine"


THRESHOLDS = [
    ({}, ["cat", "dog"]),
    ({"confidence": 0.4}, ["cat", "dog"]),
    ({"confidence": 0.5}, ["cat"]),
    ({"confidence": None}, ["cat", "dog"]),
    ({"class_filter": ["dog"]}, ["dog"]),
    ({"max_detections": 1}, ["cat"]),
    ({"confidence": "$inputs.c"}, ["cat"]),
]


@pytest.mark.parametrize(("options", "expected"), THRESHOLDS)
def test_thresholds_of_a_document_hold_for_every_predictor(options, expected, flow, run):
    content = flow.document(
        [flow.model(**options)],
        selector="$steps.m.predictions",
        inputs=[flow.parameter("c", default_value=0.5)],
    )

    assert [one["class"] for one in run(content).outputs["p"][0]] == expected


@pytest.fixture
def serve(flow, tmp_path):
    """Make a document of one model, and a server that notes what it is asked."""

    def serve(kind, options):
        step = flow.model(kind, **options)
        if kind == "YoloWorld":
            del step["model_id"]
        server = Server(tmp_path, lambda w, h: {"predictions": flow.boxes(w, h)})
        return flow.document([step], generation=2), server

    return serve


class Server(RoboflowInference):
    """An Inference server without the network."""

    def __init__(self, tmp_path, answer):
        options = RoboflowInferenceOptions(model_id="*")
        super().__init__(options, make_context(tmp_path))
        self.requests = []
        self._answer = answer

    def predict_model(self, frame, request):
        self.requests.append(request)
        return self._answer(*frame.image.size)


SERVED = [
    (
        "InstanceSegmentationModel",
        {"confidence": 0.3, "mask_decode_mode": "fast", "disable_active_learning": False},
        ("instance-segmentation", "some/1", {"confidence": 0.3, "mask_decode_mode": "fast"}),
    ),
    (
        "KeypointsDetectionModel",
        {"keypoint_confidence": 0.1, "class_filter": ["a"], "active_learning_target_dataset": "x"},
        ("keypoint-detection", "some/1", {"keypoint_confidence": 0.1, "class_filter": ["a"]}),
    ),
    ("ObjectDetectionModel", {}, ("object-detection", "some/1", {})),
    (
        "YoloWorld",
        {"class_names": ["cat"], "version": "v2-s"},
        ("yolo-world", "yolo_world/v2-s", {"text": ["cat"]}),
    ),
]


@pytest.mark.parametrize(("kind", "options", "request_"), SERVED)
def test_a_server_is_asked_for_the_model_with_the_documents_parameters(
    kind, options, request_, run, serve
):
    content, server = serve(kind, options)

    result = run(content, predictors={"*": server})

    (asked,) = server.requests
    assert (asked.task, asked.model_id, dict(asked.parameters)) == request_
    assert result.problems == ()


def test_a_language_model_that_classifies_is_a_source(flow, run, heard):
    step = {
        "type": "LMMForClassification",
        "name": "m",
        "image": "$inputs.image",
        "lmm_type": "gpt_4v",
        "classes": ["cat", "dog"],
    }
    content = flow.document([step, flow.collector("$steps.m.top")], generation=2)
    answer = {"raw_output": "a cat", "top": "cat"}

    run(content, predictors={"gpt_4v": flow.Detector(lambda w, h: dict(answer))})

    assert heard.calls[0]["predictions"] == [
        {"image": {"width": 200, "height": 100}, "top": "cat"},
    ]
