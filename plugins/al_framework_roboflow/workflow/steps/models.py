"""Model steps: a predictor looks at each picture, and its answer becomes the step's document."""

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from al_framework.api import FrameError, PredictionError
from al_framework_roboflow.predictor import ModelRequest, RoboflowInference, Task
from al_framework_roboflow.workflow.answers import answer_document, copied_without_nulls
from al_framework_roboflow.workflow.elements import Failure, Item, Picture, StepOutput
from al_framework_roboflow.workflow.execution import Execution, Generation
from al_framework_roboflow.workflow.steps.base import (
    IMAGE,
    Count,
    Fraction,
    ImageSelectors,
    Kind,
    OrInput,
    Step,
    Text,
)

logger = logging.getLogger(__name__)

_DETECTION_OUTPUTS: Mapping[str, Kind] = {
    "predictions": "detections",
    "prediction_type": "prediction_type",
    "image": "size",
    "parent_id": "value",
    "time": "value",
    "inference_id": "value",
    "predictions_parent_coordinates": "value",
    "image_parent_coordinates": "value",
}


class ModelStep(Step):
    """A step whose outputs are a model's answer.

    Attributes:
        task: What a server is asked for.
        prediction_type: What the answer is called from here on.
        sent: Fields that a server gets as they are.
    """

    task: ClassVar[Task]
    prediction_type: ClassVar[str]
    sent: ClassVar[tuple[str, ...]] = ("confidence",)

    image: ImageSelectors = IMAGE

    @property
    @abstractmethod
    def model(self) -> str:
        """The name under which a predictor answers for the model."""

    @abstractmethod
    def document(self, answer: dict[str, Any], picture: Picture, execution: Execution) -> None:
        """Make the answer the step's document, in place.

        Raises:
            PredictionError: The answer is not of this kind.
        """

    def run(self, execution: Execution) -> StepOutput:
        """Ask the model about each picture."""
        return StepOutput(
            items=tuple(
                one if isinstance(one, Failure) else self._item(one, execution)
                for one in execution.look_up(self.image)
            )
        )

    def parameters(self) -> dict[str, object]:
        """Return the fields of a server's request that the document sets."""
        given = {name: getattr(self, name) for name in self.sent if name in self.model_fields_set}
        return {name: value for name, value in given.items() if value is not None}

    def kept(self, document: dict[str, Any]) -> None:
        """Leave out what the document's thresholds exclude, where nobody else has done it."""

    def _item(self, picture: Picture, execution: Execution) -> Item | Failure:
        try:
            document = self._ask(picture, execution)
            self.document(document, picture, execution)
        except FrameError as exc:
            message = str(exc)
        except Exception as exc:  # a plugin boundary: the other pictures go on
            logger.warning("step %r failed on %s", self.name, picture.label, exc_info=exc)
            message = f"{type(exc).__name__}: {exc}"
        else:
            return Item(key=picture.key, label=picture.label, values=document)
        return Failure(
            key=picture.key,
            label=picture.label,
            message=f"step {self.name!r}: {picture.label}: {message}",
        )

    def _ask(self, picture: Picture, execution: Execution) -> dict[str, Any]:
        predictor = execution.predictor(self.model)
        assert predictor is not None  # noqa: S101 - looked at before the run began
        frame = picture.frame()
        if isinstance(predictor, RoboflowInference):
            request = ModelRequest(
                task=self.task, model_id=self.model, parameters=self.parameters()
            )
            answer: object = predictor.predict_model(frame, request)
            return answer_document(answer, frame.image.size)
        document = answer_document(predictor.predict(frame), frame.image.size)
        self.kept(document)
        return document


class RoboflowModelStep(ModelStep):
    """A model of a Roboflow project."""

    model_id: OrInput[Text]
    confidence: OrInput[Fraction | None] = None
    # Read, since documents have them, and without effect: models never collect here, the server is
    # always told not to, and collectors are steps.
    disable_active_learning: OrInput[bool | None] = None
    active_learning_target_dataset: OrInput[str | None] = None

    @property
    def model(self) -> str:
        """The model's id."""
        return self.model_id


class DetectionStep(ModelStep):
    """A model that finds objects."""

    outputs = _DETECTION_OUTPUTS

    def document(self, answer: dict[str, Any], picture: Picture, execution: Execution) -> None:
        """Give every entry its names and repeat the entries in the parent's coordinates."""
        entries = answer.get("predictions")
        if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
            raise PredictionError(
                f"the model {self.model!r} answered without a list of predictions: it is no "
                f"{self.prediction_type} model"
            )
        for entry in entries:
            entry.setdefault("detection_id", execution.new_id())
            entry["parent_id"] = picture.parent_id
        answer["prediction_type"] = self.prediction_type
        answer["parent_id"] = picture.parent_id
        anchored = copied_without_nulls(entries)
        size = copied_without_nulls(answer["image"])
        if picture.cut is not None:
            _shift(anchored, picture.cut.left, picture.cut.top, execution.generation)
            width, height = picture.cut.origin_size
            size = {"height": height, "width": width}
        answer["predictions_parent_coordinates"] = anchored
        answer["image_parent_coordinates"] = size

    def kept(self, document: dict[str, Any]) -> None:
        """Apply the thresholds that a document states."""
        entries = document.get("predictions")
        if not isinstance(entries, list):
            return
        limits = self.parameters()
        confidence: Any = limits.get("confidence")
        wanted: Any = limits.get("class_filter")
        kept = [
            entry
            for entry in entries
            if (confidence is None or entry.get("confidence", 0.0) >= confidence)
            and (not wanted or entry.get("class") in wanted)
        ]
        most: Any = limits.get("max_detections")
        document["predictions"] = kept if most is None else kept[:most]


class ObjectsStep(RoboflowModelStep, DetectionStep):
    """A model of a project that finds objects."""

    sent: ClassVar[tuple[str, ...]] = (
        "confidence",
        "class_agnostic_nms",
        "class_filter",
        "iou_threshold",
        "max_detections",
        "max_candidates",
    )

    class_agnostic_nms: OrInput[bool | None] = None
    class_filter: OrInput[list[str] | None] = None
    iou_threshold: OrInput[Fraction | None] = None
    max_detections: OrInput[Count | None] = None
    max_candidates: OrInput[Count | None] = None


class ObjectDetectionModel(ObjectsStep):
    """Boxes."""

    types = ("ObjectDetectionModel", "RoboflowObjectDetectionModel")
    task = "object-detection"
    prediction_type = "object-detection"


class InstanceSegmentationModel(ObjectsStep):
    """Boxes and outlines."""

    types = ("InstanceSegmentationModel", "RoboflowInstanceSegmentationModel")
    task = "instance-segmentation"
    prediction_type = "instance-segmentation"
    sent = (*ObjectsStep.sent, "mask_decode_mode", "tradeoff_factor")

    mask_decode_mode: OrInput[Literal["accurate", "tradeoff", "fast"] | None] = None
    tradeoff_factor: OrInput[Fraction | None] = None


class KeypointsDetectionModel(ObjectsStep):
    """Boxes and the points of a skeleton."""

    types = ("KeypointsDetectionModel", "RoboflowKeypointDetectionModel")
    task = "keypoint-detection"
    prediction_type = "keypoint-detection"
    sent = (*ObjectsStep.sent, "keypoint_confidence")

    keypoint_confidence: OrInput[Fraction | None] = None


class YoloWorld(DetectionStep):
    """Boxes of what words describe."""

    types = ("YoloWorld", "YoloWorldModel")
    task = "yolo-world"
    prediction_type = "object-detection"

    class_names: OrInput[list[str]]
    version: OrInput[Literal["s", "m", "l", "x", "v2-s", "v2-m", "v2-l", "v2-x"]] = "l"
    confidence: OrInput[Fraction | None] = None

    @property
    def model(self) -> str:
        """The core model's id, such as ``yolo_world/l``."""
        return f"yolo_world/{self.version}"

    def parameters(self) -> dict[str, object]:
        """Add the words to look for."""
        return {**super().parameters(), "text": self.class_names}


class ClassificationStep(ModelStep):
    """A model that says what a picture shows as a whole."""

    task = "classification"
    prediction_type = "classification"
    needs: ClassVar[tuple[str, type]]

    def document(self, answer: dict[str, Any], picture: Picture, execution: Execution) -> None:
        """Name the type and the picture."""
        del execution
        name, kind = self.needs
        if not isinstance(answer.get(name), kind):
            raise PredictionError(
                f"the model {self.model!r} answered without {name!r}: it does not do what a step "
                f"of type {self.type!r} needs"
            )
        answer["prediction_type"] = self.prediction_type
        answer["parent_id"] = picture.parent_id


class ClassificationModel(RoboflowModelStep, ClassificationStep):
    """One class."""

    types = ("ClassificationModel", "RoboflowClassificationModel")
    outputs: ClassVar[Mapping[str, Kind]] = {
        "predictions": "classification",
        "top": "classification",
        "confidence": "value",
        "prediction_type": "prediction_type",
        "image": "size",
        "parent_id": "value",
        "time": "value",
        "inference_id": "value",
    }
    needs = ("top", str)


class MultiLabelClassificationModel(RoboflowModelStep, ClassificationStep):
    """Any number of classes."""

    types = ("MultiLabelClassificationModel", "RoboflowMultiLabelClassificationModel")
    outputs: ClassVar[Mapping[str, Kind]] = {
        "predictions": "classification",
        "predicted_classes": "classification",
        "prediction_type": "prediction_type",
        "image": "size",
        "parent_id": "value",
        "time": "value",
        "inference_id": "value",
    }
    needs = ("predicted_classes", list)


class LMMForClassification(ClassificationStep):
    """One class, chosen by a language model that a predictor of the same name asks."""

    types = ("LMMForClassification",)
    outputs: ClassVar[Mapping[str, Kind]] = {
        "raw_output": "value",
        "top": "classification",
        "prediction_type": "prediction_type",
        "image": "size",
        "parent_id": "value",
    }
    needs = ("top", str)

    lmm_type: OrInput[Text]
    classes: OrInput[list[str]]
    lmm_config: OrInput[dict[str, Any] | None] = None
    remote_api_key: OrInput[str | None] = Field(default=None, repr=False)

    @property
    def model(self) -> str:
        """The language model's name."""
        return self.lmm_type


MODEL_STEPS: Sequence[type[ModelStep]] = (
    ObjectDetectionModel,
    InstanceSegmentationModel,
    KeypointsDetectionModel,
    YoloWorld,
    ClassificationModel,
    MultiLabelClassificationModel,
    LMMForClassification,
)


def _shift(entries: Any, left: int, top: int, generation: Generation) -> None:
    """Move entries from a crop into its parent; generation 1 moved nothing but the box."""
    for entry in entries:
        points = [entry]
        if generation == 2:
            points += [*entry.get("points", ()), *entry.get("keypoints", ())]
        for point in points:
            if "x" in point and "y" in point:
                point["x"] += left
                point["y"] += top
