"""The step ``ActiveLearningDataCollector``: offer pictures and predictions to a collector."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias

from pydantic import AfterValidator, SecretStr

from al_framework.api import Fault
from al_framework_roboflow.elements.predictions import PREDICTION_TYPES
from al_framework_roboflow.workflow.elements import (
    Failure,
    Item,
    Key,
    Picture,
    StepOutput,
    by_key,
)
from al_framework_roboflow.workflow.execution import Execution
from al_framework_roboflow.workflow.faults import suggestion
from al_framework_roboflow.workflow.pictures import picture_document
from al_framework_roboflow.workflow.selectors import OutputSelector, is_selector, parse_selector
from al_framework_roboflow.workflow.steps.base import (
    IMAGE,
    ImageSelectors,
    Kind,
    OrInput,
    OrSelector,
    OutputReference,
    Reference,
    Step,
    Text,
    kinds,
)

if TYPE_CHECKING:
    from al_framework_roboflow.step import StepResult

logger = logging.getLogger(__name__)

# What of a classification decides and is sent: the class that wins, and how sure that is.
_CLASSIFICATION_KEYS = ("image", "predictions", "top", "confidence", "predicted_classes")


def _is_prediction_type(value: str) -> str:
    if value not in PREDICTION_TYPES:
        hint = suggestion(value, PREDICTION_TYPES, what="types")
        raise ValueError(f"{value!r} is no prediction type: {hint}")
    return value


PredictionType: TypeAlias = Annotated[str, AfterValidator(_is_prediction_type)]


class ActiveLearningDataCollector(Step):
    """Offers pictures with their predictions to the collector of a Roboflow project.

    Its outputs, which the historical step did not have, tell what became of each of them.
    """

    types = ("ActiveLearningDataCollector",)
    outputs: ClassVar[Mapping[str, Kind]] = {
        "status": "value",
        "error_status": "value",
        "message": "value",
        "frame_id": "value",
        "item_id": "value",
    }

    image: ImageSelectors = IMAGE
    predictions: OutputReference
    prediction_type: OrSelector[PredictionType | None] = None
    target_dataset: OrInput[Text]
    target_dataset_api_key: OrInput[str | None] = None
    disable_active_learning: OrInput[bool] = False
    active_learning_configuration: OrInput[dict[str, Any] | None] = None

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Leave the key out of what a person may come to see."""
        for name, value in super().__repr_args__():
            hidden = name == "target_dataset_api_key" and value is not None
            yield name, "***" if hidden and not is_selector(value) else value

    def references(self) -> Iterator[Reference]:
        """Add the predictions, which have to be of the same pictures, and their type."""
        yield from super().references()
        yield Reference(
            place="predictions",
            text=self.predictions,
            kinds=kinds("detections", "classification"),
            about_pictures=True,
        )
        given = self.prediction_type
        if is_selector(given) and isinstance(parse_selector(given), OutputSelector):
            yield Reference(place="prediction_type", text=given, kinds=kinds("prediction_type"))

    def faults(self, at: str, names: Collection[str]) -> list[Fault]:
        """Check the configuration by the rules of the plugins that are installed."""
        document = self.active_learning_configuration
        if "active_learning_configuration" not in names or not isinstance(document, Mapping):
            return []
        # Here, so that documents without one are read without the engine.
        from al_framework import document_faults

        place = f"{at}.active_learning_configuration"
        return [
            replace(fault, path=f"{place}.{fault.path}" if fault.path else place)
            for fault in document_faults(document)
        ]

    def run(self, execution: Execution) -> StepOutput:
        """Offer each picture with what is said about it; those that failed before are answered."""
        pictures = execution.look_up(self.image)
        items = by_key(execution.items(self.predictions))
        pairs: list[tuple[Picture, Item]] = []
        results: dict[Key, Item] = {}
        for picture in pictures:
            item = items.get(picture.key)
            if isinstance(picture, Picture) and isinstance(item, Item):
                pairs.append((picture, item))
            else:
                results[picture.key] = self._refused(picture, item)
        for (picture, _), result in zip(pairs, self._offer(pairs, execution), strict=True):
            results[picture.key] = _item(picture, result)
        return StepOutput(items=tuple(results[picture.key] for picture in pictures))

    def _offer(
        self, pairs: Sequence[tuple[Picture, Item]], execution: Execution
    ) -> Sequence["StepResult"]:
        # Here, so that checking a document does not load the engine.
        from al_framework_roboflow.step import ActiveLearningDataCollector as Collector
        from al_framework_roboflow.step import StepResult

        if not pairs:
            return []
        types = self._types(execution)
        key = self._key(execution)
        try:
            self._wait(execution, key)
            return Collector(execution.pool, name=self.name).run(
                image=[picture_document(picture, execution.generation) for picture, _ in pairs],
                predictions=[_document(item) for _, item in pairs],
                target_dataset=self.target_dataset,
                prediction_type=[
                    types.get(picture.key, item.values.get("prediction_type"))
                    for picture, item in pairs
                ],
                target_dataset_api_key=key,
                disable_active_learning=self.disable_active_learning,
                active_learning_configuration=self.active_learning_configuration,
                api_key=execution.api_key,
            )
        except Exception as exc:  # collecting never breaks a workflow: the results say what failed
            logger.warning("step %r failed", self.name, exc_info=exc)
            message = f"step {self.name!r}: {type(exc).__name__}: {exc}"
            return [StepResult(status="error", error_status=True, message=message) for _ in pairs]

    def _key(self, execution: Execution) -> SecretStr | None:
        own = self.target_dataset_api_key
        return SecretStr(own) if own else execution.api_key

    def _wait(self, execution: Execution, key: SecretStr | None) -> None:
        """Wait for a configuration that is fetched, where the run is willing to."""
        if (
            execution.wait_configuration_s > 0
            and key is not None
            and self.active_learning_configuration is None
            and not self.disable_active_learning
        ):
            collector = execution.pool.collector(
                api_key=key, target_dataset=self.target_dataset, configuration=None
            )
            collector.wait_for_configuration(execution.wait_configuration_s)

    def _types(self, execution: Execution) -> Mapping[Key, object]:
        """Return the type that the document gives for each picture; empty if it gives none."""
        given = self.prediction_type
        if given is None:
            return {}
        if not is_selector(given):
            return {item.key: given for item in execution.items(self.predictions)}
        return {
            item.key: item.values.get("prediction_type")
            for item in execution.items(given)
            if isinstance(item, Item)
        }

    def _refused(self, picture: Picture | Failure, item: Item | Failure | None) -> Item:
        """Return the result for a picture that cannot be offered."""
        message = f"step {self.name!r}: there are no predictions for {picture.label}"
        for one in (item, picture):
            message = one.message if isinstance(one, Failure) else message
        values = {
            "status": "invalid",
            "error_status": True,
            "message": message,
            "frame_id": None,
            "item_id": None,
        }
        return Item(key=picture.key, label=picture.label, values=values)


def _document(item: Item) -> dict[str, object]:
    """Return what the collector is to know.

    Of detections that is what the historical step passed on; a classification goes whole, so that
    strategies see how sure it is.
    """
    values = item.values
    classified = "top" in values or "predicted_classes" in values
    keys = _CLASSIFICATION_KEYS if classified else ("image", "predictions")
    return {key: values[key] for key in keys if key in values}


def _item(picture: Picture, result: "StepResult") -> Item:
    names = ActiveLearningDataCollector.outputs
    values = {name: getattr(result, name) for name in names}
    return Item(key=picture.key, label=picture.label, values=values)
