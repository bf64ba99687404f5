"""What the steps between a model and a collector share: detections in, detections out."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from al_framework.api import PredictionError
from al_framework_roboflow.workflow.elements import Failure, Item, StepOutput, by_key
from al_framework_roboflow.workflow.execution import Execution
from al_framework_roboflow.workflow.steps.base import (
    Kind,
    OutputReference,
    Reference,
    Step,
    kinds,
)


class TransformingStep(Step):
    """A step that makes new detections of those of one other step."""

    outputs: ClassVar[Mapping[str, Kind]] = {
        "predictions": "detections",
        "parent_id": "value",
        "image": "size",
        "prediction_type": "prediction_type",
    }

    predictions: OutputReference
    # Generation 2 repeats what the source knows; the source is asked all the same.
    image_metadata: OutputReference | None = None
    prediction_type: OutputReference | None = None

    def references(self) -> Iterator[Reference]:
        """Add the source, and what is said of it."""
        yield from super().references()
        yield Reference(
            place="predictions",
            text=self.predictions,
            kinds=kinds("detections"),
            about_pictures=True,
        )
        yield from source_references(self.image_metadata, self.prediction_type)

    def run(self, execution: Execution) -> StepOutput:
        """Transform the detections of each picture."""
        sizes = by_key(execution.items(self.image_metadata)) if self.image_metadata else {}
        items: list[Item | Failure] = []
        for source in execution.items(self.predictions):
            if isinstance(source, Failure):
                items.append(source)
                continue
            try:
                entries = self.transform(source.values["predictions"], execution)
            except PredictionError as exc:
                message = f"step {self.name!r}: {source.label}: {exc}"
                items.append(Failure(key=source.key, label=source.label, message=message))
                continue
            metadata = sizes.get(source.key)
            known = metadata if isinstance(metadata, Item) else source
            values = {
                "predictions": entries,
                "parent_id": [entry.get("parent_id") for entry in entries],
                "image": known.values.get("image"),
                "prediction_type": source.values.get("prediction_type"),
            }
            items.append(Item(key=source.key, label=source.label, values=values))
        return StepOutput(items=tuple(items))

    @abstractmethod
    def transform(self, entries: Any, execution: Execution) -> list[dict[str, Any]]:
        """Return new entries; those given stay as they are.

        Raises:
            PredictionError: An entry lacks what the step looks at.
        """


def source_references(
    image_metadata: str | None, prediction_type: str | None
) -> Iterator[Reference]:
    """Yield what generation 2 repeats of a source."""
    if image_metadata is not None:
        yield Reference(
            place="image_metadata", text=image_metadata, kinds=kinds("size"), about_pictures=True
        )
    if prediction_type is not None:
        yield Reference(
            place="prediction_type", text=prediction_type, kinds=kinds("prediction_type")
        )
