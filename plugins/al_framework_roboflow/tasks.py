"""Roboflow's words for what a model looks for."""

from typing import Final

DETECTION_TASKS: Final = (
    "object-detection",
    "instance-segmentation",
    "keypoint-detection",
    "keypoints-detection",  # so spelt in Roboflow's documentation
)
CLASSIFICATION: Final = "classification"
