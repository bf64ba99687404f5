"""A workflow plugin for the tests: one block that answers like a model, without weights."""

from typing import Literal

import numpy as np
import supervision as sv
from inference.core.workflows.core_steps.common.utils import (
    attach_parents_coordinates_to_sv_detections,
)
from inference.core.workflows.execution_engine.entities.base import OutputDefinition
from inference.core.workflows.execution_engine.entities.types import (
    CLASSIFICATION_PREDICTION_KIND,
    IMAGE_KIND,
    INSTANCE_SEGMENTATION_PREDICTION_KIND,
    KEYPOINT_DETECTION_PREDICTION_KIND,
    OBJECT_DETECTION_PREDICTION_KIND,
    RLE_INSTANCE_SEGMENTATION_PREDICTION_KIND,
    TOP_CLASS_KIND,
    Selector,
)
from inference.core.workflows.execution_engine.v1.dynamic_blocks import representation_boundary
from inference.core.workflows.prototypes.block import WorkflowBlock, WorkflowBlockManifest
from pydantic import AliasChoices, Field
from roboflow_workflows.environment import ENABLE_TENSOR_DATA_REPRESENTATION


class TestModelManifest(WorkflowBlockManifest):
    type: Literal["al_test/model@v1"]
    images: Selector(kind=[IMAGE_KIND]) = Field(validation_alias=AliasChoices("images", "image"))
    task: str = "boxes"
    confidence: float = 0.9

    @classmethod
    def get_parameters_accepting_batches(cls):
        return ["images"]

    @classmethod
    def describe_outputs(cls):
        return [
            OutputDefinition(
                name="predictions",
                kind=[
                    OBJECT_DETECTION_PREDICTION_KIND,
                    INSTANCE_SEGMENTATION_PREDICTION_KIND,
                    RLE_INSTANCE_SEGMENTATION_PREDICTION_KIND,
                    KEYPOINT_DETECTION_PREDICTION_KIND,
                    CLASSIFICATION_PREDICTION_KIND,
                ],
            ),
            OutputDefinition(name="top", kind=[TOP_CLASS_KIND]),
        ]


class TestModel(WorkflowBlock):
    __test__ = False

    @classmethod
    def get_manifest(cls):
        return TestModelManifest

    def run(self, images, task, confidence):
        return [
            {"predictions": as_engine(prediction_of(image, task, confidence)), "top": "cat"}
            for image in images
        ]


def as_engine(prediction):
    """In tensors, where this process uses them."""
    if not ENABLE_TENSOR_DATA_REPRESENTATION or prediction is None:
        return prediction
    if isinstance(prediction, dict):
        return representation_boundary.classification_dict_to_native(prediction, "test", "p")
    if "keypoints_xy" in prediction.data:
        return representation_boundary.sv_detections_to_native_key_point_prediction(prediction)
    return representation_boundary.sv_detections_to_native(prediction)


def prediction_of(image, task, confidence):
    height, width = image.numpy_image.shape[:2]
    if task == "classes":
        return {
            "image": {"width": width, "height": height},
            "predictions": [
                {"class": "cat", "class_id": 0, "confidence": confidence},
                {"class": "dog", "class_id": 1, "confidence": 1 - confidence},
            ],
            "top": "cat",
            "confidence": confidence,
            "prediction_type": "classification",
            "inference_id": "inf-classes",
        }
    if task == "missing":
        return None
    if task == "nonsense":
        return {"what": "is this"}
    detections = detections_of(width, height, task, confidence)
    return attach_parents_coordinates_to_sv_detections(detections, image)


def detections_of(width, height, task, confidence):
    """Two halves of the image, or nothing for `empty`."""
    boxes = [[0, 0, width / 2, height], [width / 2, 0, width, height]]
    if task == "empty":
        detections = sv.Detections.empty()
        detections.metadata["image_dimensions"] = [height, width]
        return detections
    names = {"masks": "instance-segmentation", "keypoints": "keypoint-detection"}
    rows = len(boxes)
    detections = sv.Detections(
        xyxy=np.array(boxes, dtype=np.float32),
        confidence=np.array([confidence, 0.5], dtype=np.float32),
        class_id=np.array([0, 1]),
        data={
            "class_name": np.array(["cat", "dog"]),
            "detection_id": np.array(["left-half", "right-half"]),
            "image_dimensions": np.array([[height, width]] * rows),
            "inference_id": np.array(["inf-boxes"] * rows),
            "prediction_type": np.array([names.get(task, "object-detection")] * rows),
        },
    )
    if task == "masks":
        mask = np.zeros((rows, height, width), dtype=bool)
        mask[0, 10:31, 20:61] = True  # the second stays empty
        detections.mask = mask
    if task == "rle":
        detections.data["rle_mask"] = np.array(
            [{"size": [height, width], "counts": b"05"}, {"size": [height, width], "counts": "05"}],
            dtype=object,
        )
    if task == "keypoints":
        detections.data["keypoints_xy"] = np.array([[[1, 2], [3, 4]], [[5, 6], [0, 0]]], np.float32)
        detections.data["keypoints_confidence"] = np.array([[0.5, 0.25], [0.75, 0]], np.float32)
        detections.data["keypoints_class_id"] = np.array([[0, 1], [0, 0]])
        detections.data["keypoints_class_name"] = np.array(
            [["nose", "tail"], ["nose", ""]], dtype=object
        )
    return detections


def load_blocks():
    return [TestModel]
