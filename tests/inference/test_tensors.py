"""The mode in which the steps of Inference exchange tensors; it holds for a whole process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("inference")

pytestmark = pytest.mark.inference

SCRIPT = """
import json
import inference.core
import numpy as np
from roboflow_workflows.environment import ENABLE_TENSOR_DATA_REPRESENTATION
from inference.core.workflows.execution_engine.core import ExecutionEngine
from al_framework_roboflow.inference_plugin import block
from al_framework_roboflow.step import StepResult

assert ENABLE_TENSOR_DATA_REPRESENTATION
seen = []

class Step:
    def __init__(self, pool, *, name):
        pass

    def run(self, *, image, predictions, prediction_type, **others):
        for element, prediction, kind in zip(image, predictions, prediction_type):
            seen.append([element["value"].shape, element["parent_id"], kind, prediction])
        return [StepResult(status="queued", error_status=False, message="")] * len(image)

block.ActiveLearningDataCollector = Step
for task in ("boxes", "masks", "keypoints", "classes"):
    document = {
        "version": "1.0",
        "inputs": [{"type": "WorkflowImage", "name": "image"}],
        "steps": [
            {"type": "AbsoluteStaticCrop", "name": "crop", "image": "$inputs.image",
             "x_center": 80, "y_center": 40, "width": 80, "height": 40},
            {"type": "al_test/model@v1", "name": "m", "images": "$steps.crop.crops", "task": task},
            {"type": "ActiveLearningDataCollector", "name": "c", "image": "$steps.crop.crops",
             "predictions": "$steps.m.predictions", "target_dataset": "proj"},
        ],
        "outputs": [{"type": "JsonField", "name": "s", "selector": "$steps.c.status"},
                    {"type": "JsonField", "name": "m", "selector": "$steps.c.message"}],
    }
    engine = ExecutionEngine.init(document, init_parameters={
        "workflows_core.api_key": None,
        "workflows_core.al_framework_collector_pool": object(),
    })
    result = engine.run({"image": np.zeros((100, 200, 3), np.uint8)})
    assert result == [{"s": "queued", "m": ""}], result
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    here = Path(__file__).parent
    reply = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        env={
            **os.environ,
            "ENABLE_TENSOR_DATA_REPRESENTATION": "True",
            "USE_INFERENCE_MODELS": "True",
            "WORKFLOWS_PLUGINS": "al_framework_roboflow.inference_plugin,detector_blocks",
            "PYTHONPATH": os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")]),
        },
        cwd=tmp_path_factory.mktemp("tensors"),
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert reply.returncode == 0, reply.stderr[-3000:]
    return dict(
        zip(
            ("boxes", "masks", "keypoints", "classes"),
            json.loads(reply.stdout.splitlines()[-1]),
            strict=True,
        )
    )


@pytest.mark.timeout(300)
def test_detections_of_tensors_become_documents(seen):
    shape, parent, kind, document = seen["boxes"]
    first, second = document["predictions"]

    assert (shape, parent, kind) == ([40, 80, 3], "image", "object-detection")
    assert document["image"] == {"width": 80, "height": 40}
    assert (first["x"], first["width"], first["class"]) == (20.0, 40.0, "cat")
    assert second["detection_id"] == "right-half"


@pytest.mark.timeout(300)
def test_masks_of_tensors_become_polygons(seen):
    _, _, kind, document = seen["masks"]
    corners = {(point["x"], point["y"]) for point in document["predictions"][0]["points"]}

    assert kind == "instance-segmentation"
    assert corners == {(20.0, 10.0), (60.0, 10.0), (60.0, 30.0), (20.0, 30.0)}


@pytest.mark.timeout(300)
def test_keypoints_of_tensors_stay_keypoints(seen):
    _, _, kind, document = seen["keypoints"]

    assert kind == "keypoint-detection"
    assert [len(entry["keypoints"]) for entry in document["predictions"]] == [2, 1]


@pytest.mark.timeout(300)
def test_classes_of_tensors_become_a_classification(seen):
    document = seen["classes"][3]

    assert document["top"] == "cat"
    assert document["confidence"] == pytest.approx(0.9)
