"""The steps, one module for each family."""

from collections.abc import Mapping
from types import MappingProxyType

from al_framework_roboflow.workflow.steps.base import Step
from al_framework_roboflow.workflow.steps.collector import ActiveLearningDataCollector
from al_framework_roboflow.workflow.steps.consensus import DetectionsConsensus
from al_framework_roboflow.workflow.steps.crops import CROP_STEPS
from al_framework_roboflow.workflow.steps.filtering import DetectionFilter
from al_framework_roboflow.workflow.steps.models import MODEL_STEPS
from al_framework_roboflow.workflow.steps.offset import DetectionOffset

_CLASSES: tuple[type[Step], ...] = (
    *MODEL_STEPS,
    *CROP_STEPS,
    DetectionFilter,
    DetectionOffset,
    DetectionsConsensus,
    ActiveLearningDataCollector,
)

STEP_TYPES: Mapping[str, type[Step]] = MappingProxyType(
    {name: step for step in _CLASSES for name in step.types}
)

# Steps of the historical engines that are no part of collecting.
OTHER_TYPES = frozenset(
    {
        "BarcodeDetection",
        "BarcodeDetector",
        "ClipComparison",
        "Condition",
        "LMM",
        "OCRModel",
        "QRCodeDetection",
        "QRCodeDetector",
    }
)

__all__ = ["OTHER_TYPES", "STEP_TYPES", "Step"]
