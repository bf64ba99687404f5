"""The step ``DetectionOffset``: make boxes larger."""

from copy import deepcopy
from typing import Any

from pydantic import AliasChoices, Field

from al_framework.api import PredictionError
from al_framework_roboflow.workflow.execution import Execution
from al_framework_roboflow.workflow.steps.base import OrInput
from al_framework_roboflow.workflow.steps.transforming import TransformingStep


class DetectionOffset(TransformingStep):
    """Adds to the width and the height of every box."""

    types = ("DetectionOffset",)

    offset_x: OrInput[float] = Field(validation_alias=AliasChoices("offset_x", "offset_width"))
    offset_y: OrInput[float] = Field(validation_alias=AliasChoices("offset_y", "offset_height"))

    def transform(self, entries: Any, execution: Execution) -> list[dict[str, Any]]:
        """Return larger copies, each of which names the one it was made of as its parent."""
        larger = []
        for row, entry in enumerate(entries):
            copied = deepcopy(entry)
            try:
                copied["width"] += round(self.offset_x)
                copied["height"] += round(self.offset_y)
                copied["parent_id"] = copied["detection_id"]
            except (KeyError, TypeError) as exc:
                raise PredictionError(
                    f"predictions[{row}] has no box to enlarge ({type(exc).__name__}: {exc})"
                ) from exc
            copied["detection_id"] = execution.new_id()
            larger.append(copied)
        return larger
