"""What reaches the step, and what a workflow gets back: the real engine, a step that records."""

import numpy as np
import pytest

pytest.importorskip("inference")

from al_framework_roboflow.step import StepResult

pytestmark = pytest.mark.inference

TYPE = "al_framework/active_learning_data_collector@v1"


class RecordingStep:
    """Stands in for the step; `calls` are its keyword arguments."""

    calls: list[dict] = []
    error: Exception | None = None

    def __init__(self, pool, *, name):
        self.name = name

    def run(self, **given):
        self.calls.append({"name": self.name, **given})
        if self.error is not None:
            raise self.error
        return [
            StepResult(status="queued", error_status=False, message=f"element {row}")
            for row in range(len(given["image"]))
        ]


@pytest.fixture
def step(plugins, monkeypatch):
    from al_framework_roboflow.inference_plugin import block

    recording = type("Recording", (RecordingStep,), {"calls": []})
    monkeypatch.setattr(block, "ActiveLearningDataCollector", recording)
    return recording


def workflow(*steps, task="boxes", images="$inputs.image", outputs=None, **collector):
    """A model, steps between, and a collector on its predictions."""
    model = {"type": "al_test/model@v1", "name": "m", "images": images, "task": task}
    sink = {
        "type": TYPE,
        "name": "collect",
        "images": images,
        "predictions": "$steps.m.predictions",
        "target_dataset": "proj",
        **collector,
    }
    return {
        "version": "1.0",
        "inputs": [
            {"type": "WorkflowImage", "name": "image"},
            {"type": "WorkflowParameter", "name": "off", "default_value": False},
            {"type": "WorkflowParameter", "name": "doc", "default_value": {"enabled": False}},
        ],
        "steps": [*steps, model, sink],
        "outputs": [
            {"type": "JsonField", "name": name, "selector": f"$steps.collect.{name}"}
            for name in ("error_status", "message", "status")
        ],
    }


STATIC_CROP = {
    "type": "AbsoluteStaticCrop",
    "name": "crop",
    "image": "$inputs.image",
    "x_center": 80,
    "y_center": 40,
    "width": 80,
    "height": 40,
}
FIRST_MODEL = {"type": "al_test/model@v1", "name": "first", "images": "$inputs.image"}
DYNAMIC_CROP = {
    "type": "Crop",
    "name": "crop",
    "image": "$inputs.image",
    "predictions": "$steps.first.predictions",
}


def test_a_batch_is_one_call_and_every_element_gets_its_answer(run, step, picture):
    first, second = picture(1), picture(2)
    result = run(workflow(), {"image": [first, second]}, pool=object())

    (call,) = step.calls
    assert result == [
        {"error_status": False, "message": "element 0", "status": "queued"},
        {"error_status": False, "message": "element 1", "status": "queued"},
    ]
    assert call["name"] == "collect"
    assert [
        np.array_equal(one["value"], pixels)
        for one, pixels in zip(call["image"], (first, second), strict=True)
    ] == [True, True]
    assert call["prediction_type"] == ["object-detection", "object-detection"]
    assert call["api_key"].get_secret_value() == "key-of-request"
    assert call["target_dataset"] == "proj"
    assert call["target_dataset_api_key"] is None
    assert call["disable_active_learning"] is False
    assert call["active_learning_configuration"] is None


def test_detections_become_the_document_of_a_model(run, step, picture):
    run(workflow(), {"image": picture()}, pool=object())

    (document,) = step.calls[0]["predictions"]
    first = document["predictions"][0]
    assert document["image"] == {"width": 200, "height": 100}
    assert document["inference_id"] == "inf-boxes"
    assert "prediction_type" not in document
    assert first["confidence"] == pytest.approx(0.9)
    assert {key: first[key] for key in ("x", "y", "width", "height", "class", "class_id")} == {
        "x": 50.0,
        "y": 50.0,
        "width": 100.0,
        "height": 100.0,
        "class": "cat",
        "class_id": 0,
    }
    assert first["detection_id"] == "left-half"
    assert first["parent_id"] == "image"


def test_no_detections_are_an_empty_document_of_the_same_size(run, step, picture):
    run(workflow(task="empty"), {"image": picture()}, pool=object())

    (document,) = step.calls[0]["predictions"]
    assert document == {"predictions": [], "image": {"width": 200, "height": 100}}


def test_masks_become_polygons_and_an_empty_mask_keeps_its_box(run, step, picture):
    run(workflow(task="masks"), {"image": picture()}, pool=object())

    first, second = step.calls[0]["predictions"][0]["predictions"]
    assert step.calls[0]["prediction_type"] == ["instance-segmentation"]
    corners = {(point["x"], point["y"]) for point in first["points"]}
    assert corners == {(20.0, 10.0), (60.0, 10.0), (60.0, 30.0), (20.0, 30.0)}
    assert "points" not in second
    assert second["width"] == 100.0


def test_run_length_masks_stay_what_they_are(run, step, picture):
    run(workflow(task="rle"), {"image": picture()}, pool=object())

    first, second = step.calls[0]["predictions"][0]["predictions"]
    assert first["rle_mask"] == second["rle_mask"] == {"size": [100, 200], "counts": "05"}


def test_keypoints_lose_their_padding(run, step, picture):
    run(workflow(task="keypoints"), {"image": picture()}, pool=object())

    first, second = step.calls[0]["predictions"][0]["predictions"]
    assert step.calls[0]["prediction_type"] == ["keypoint-detection"]
    assert first["keypoints"][1] == {
        "x": 3.0,
        "y": 4.0,
        "confidence": 0.25,
        "class_id": 1,
        "class": "tail",
    }
    assert [point["class"] for point in second["keypoints"]] == ["nose"]


def test_a_classification_is_handed_on_whole(run, step, picture):
    run(workflow(task="classes"), {"image": picture()}, pool=object())

    (document,) = step.calls[0]["predictions"]
    assert document["top"] == "cat"
    assert document["confidence"] == 0.9
    assert document["inference_id"] == "inf-classes"


def test_a_top_class_is_handed_on_as_text(run, step, picture):
    run(workflow(predictions="$steps.m.top"), {"image": picture()}, pool=object())

    assert step.calls[0]["predictions"] == ["cat"]


def test_a_whole_picture_is_called_after_its_input(run, step, picture):
    run(workflow(), {"image": picture()}, pool=object())

    (element,) = step.calls[0]["image"]
    assert element["type"] == "numpy_object"
    assert element["parent_id"] == "image"
    assert "origin_coordinates" not in element


def test_a_static_crop_says_where_it_lies_in_the_input(run, step, picture):
    run(workflow(STATIC_CROP, images="$steps.crop.crops"), {"image": picture()}, pool=object())

    (element,) = step.calls[0]["image"]
    assert element["value"].shape == (40, 80, 3)
    assert element["parent_id"] == "image"
    assert element["origin_coordinates"] == {
        "left_top_x": 40,
        "left_top_y": 20,
        "origin_image_size": {"height": 100, "width": 200},
    }


def test_nested_crops_are_called_after_their_detections(run, step, picture):
    document = workflow(FIRST_MODEL, DYNAMIC_CROP, images="$steps.crop.crops")
    result = run(document, {"image": [picture(1), picture(2)]}, pool=object())

    (call,) = step.calls
    assert [element["parent_id"] for element in call["image"]] == ["left-half", "right-half"] * 2
    assert call["image"][1]["origin_coordinates"] == {
        "left_top_x": 100,
        "left_top_y": 0,
        "width": 100,
        "height": 100,
        "origin_image_size": {"height": 100, "width": 200},
    }
    assert [document["image"]["width"] for document in call["predictions"]] == [100] * 4
    assert result[0]["status"] == ["queued", "queued"]
    assert result[1]["message"] == ["element 2", "element 3"]


def test_elements_that_an_earlier_step_lost_are_left_out(run, step, picture):
    lost = {"type": "al_test/model@v1", "name": "x", "images": "$inputs.image", "task": "missing"}
    document = workflow(lost, predictions="$steps.x.predictions")
    result = run(document, {"image": [picture(1), picture(2)]}, pool=object())

    assert step.calls == []
    assert result == [{"error_status": None, "message": None, "status": None}] * 2


def test_predictions_of_another_part_of_the_picture_are_refused_and_named(run, step, picture):
    small = {**STATIC_CROP, "x_center": 100, "width": 200, "y_center": 60, "height": 80}
    document = workflow(
        small,
        {**FIRST_MODEL, "images": "$steps.crop.crops"},
        predictions="$steps.first.predictions",
    )
    result = run(document, {"image": picture()}, pool=object())

    assert result == [
        {
            "error_status": True,
            "message": "the predictions were made at (0, 20) of the input image and the image "
            "lies at (0, 0): 'images' and 'predictions' have to come from the same step",
            "status": "invalid",
        }
    ]


def test_a_bad_element_does_not_drop_its_neighbours(step, picture, plugins):
    from inference.core.workflows.execution_engine.entities.base import (
        ImageParentMetadata,
        WorkflowImageData,
    )

    from al_framework_roboflow.inference_plugin.block import block_class

    good, odd = (
        WorkflowImageData(ImageParentMetadata("image"), numpy_image=picture(seed))
        for seed in (1, 2)
    )
    block = block_class((TYPE,))(
        al_framework_collector_pool=object(), api_key=None, disable_sinks=False
    )
    odd._numpy_image = None
    odd._image_reference = "/nowhere/at-all.jpg"
    answers = block.run(
        images=[odd, good], predictions=[{"top": "a"}, {"top": "b"}], target_dataset="proj"
    )

    assert answers[0]["error_status"] is True
    assert answers[1] == {"error_status": False, "message": "element 0", "status": "queued"}
    assert step.calls[0]["predictions"] == [{"top": "b"}]


def test_an_exception_of_the_step_is_an_error_output_and_no_failure(run, step, picture, caplog):
    step.error = RuntimeError("the disk is full")
    result = run(workflow(), {"image": picture()}, pool=object())

    assert result == [{"error_status": True, "message": "the disk is full", "status": "error"}]
    assert "the collector step failed" in caplog.text


def test_sinks_disabled_by_the_request_are_not_even_asked(run, step, picture):
    result = run(workflow(), {"image": [picture(1), picture(2)]}, pool=object(), disable_sinks=True)

    assert step.calls == []
    assert (
        result
        == [
            {
                "error_status": False,
                "message": "sinks are disabled by the request that runs the workflow",
                "status": "disabled",
            }
        ]
        * 2
    )


def test_selectors_and_literals_reach_the_step_resolved(run, step, picture):
    document = workflow(
        disable_active_learning="$inputs.off",
        active_learning_configuration="$inputs.doc",
        target_dataset_api_key="literal-key",
        prediction_type="keypoint-detection",
    )
    run(document, {"image": picture(), "off": True}, pool=object())

    (call,) = step.calls
    assert call["disable_active_learning"] is True
    assert call["active_learning_configuration"] == {"enabled": False}
    assert call["target_dataset_api_key"] == "literal-key"
    assert call["prediction_type"] == ["keypoint-detection"]


def test_a_key_in_the_document_is_not_shown_by_the_manifest(plugins):
    from al_framework_roboflow.inference_plugin.manifest import manifest_class

    manifest = manifest_class((TYPE,))(
        type=TYPE,
        name="c",
        image="$inputs.image",
        predictions="$steps.m.predictions",
        target_dataset="proj",
        target_dataset_api_key="very-secret",
    )

    assert "very-secret" not in repr(manifest)
