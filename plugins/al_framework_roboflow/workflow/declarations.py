"""Inputs and outputs, as a workflow document declares them."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from al_framework_roboflow.workflow.steps.base import Text


class Border(BaseModel):
    """What is read as strictly as the steps are."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class ImageInput(Border):
    """An input that holds one image or a batch of them."""

    type: Literal["InferenceImage", "WorkflowImage"]
    name: Text
    kind: Any = None


class ParameterInput(Border):
    """An input that holds a value; without a default it has to be given."""

    type: Literal["InferenceParameter", "WorkflowParameter"]
    name: Text
    kind: Any = None
    default_value: Any = None

    @property
    def optional(self) -> bool:
        """Whether the document has a default, which may be null."""
        return "default_value" in self.model_fields_set


class JsonField(Border):
    """One output of the workflow."""

    type: Literal["JsonField"]
    name: Text
    selector: Text
    # Of predictions on a crop, the ones shifted into its parent; both generations' default.
    coordinates_system: Literal["parent", "own"] = "parent"


INPUT_TYPES: Mapping[str, type[ImageInput | ParameterInput]] = {
    "InferenceImage": ImageInput,
    "WorkflowImage": ImageInput,
    "InferenceParameter": ParameterInput,
    "WorkflowParameter": ParameterInput,
}
OUTPUT_TYPES: Mapping[str, type[JsonField]] = {"JsonField": JsonField}
