"""The step ``DetectionFilter``: keep the detections that meet a condition."""

import operator
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, Union

from pydantic import BaseModel, ConfigDict, Field

from al_framework.api import PredictionError
from al_framework_roboflow.workflow.execution import Execution
from al_framework_roboflow.workflow.faults import shown
from al_framework_roboflow.workflow.selectors import (
    InputSelector,
    is_selector,
    parse_selector,
)
from al_framework_roboflow.workflow.steps.base import OrInput, Reference, Text, kinds
from al_framework_roboflow.workflow.steps.transforming import TransformingStep

Compare: TypeAlias = Callable[[Any, Any], bool]


def _in(value: Any, reference: Any) -> bool:
    return value in reference


# The words of generation 1, then the signs of generation 2; both are read in either.
_OPERATORS: Mapping[str, Compare] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "lower_than": operator.lt,
    "greater_than": operator.gt,
    "lower_or_equal_than": operator.le,
    "greater_or_equal_than": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "in": _in,
    "str_starts_with": str.startswith,
    "str_ends_with": str.endswith,
    "str_contains": operator.contains,
}

OperatorName: TypeAlias = Literal[
    "equal",
    "not_equal",
    "lower_than",
    "greater_than",
    "lower_or_equal_than",
    "greater_or_equal_than",
    "==",
    "!=",
    "<",
    ">",
    "<=",
    ">=",
    "in",
    "str_starts_with",
    "str_ends_with",
    "str_contains",
]


class _Definition(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Condition(_Definition):
    """One field of an entry compared with a value."""

    type: Literal["DetectionFilterDefinition"]
    field_name: Text
    operator: OperatorName
    reference_value: OrInput[Any]


class Combination(_Definition):
    """Two conditions, each of which may be a combination again."""

    type: Literal["CompoundDetectionFilterDefinition"]
    left: "Definition"
    operator: Literal["and", "or"]
    right: "Definition"


Definition = Annotated[Union[Condition, Combination], Field(discriminator="type")]  # noqa: UP007 - a forward reference
Combination.model_rebuild()


class DetectionFilter(TransformingStep):
    """Keeps the detections that meet a condition."""

    types = ("DetectionFilter",)
    tagged: ClassVar[Mapping[str, type[BaseModel]]] = {
        "DetectionFilterDefinition": Condition,
        "CompoundDetectionFilterDefinition": Combination,
    }

    filter_definition: Definition

    def references(self) -> Iterator[Reference]:
        """Add the inputs that are compared with."""
        yield from super().references()
        for place, condition in _conditions(self.filter_definition, "filter_definition"):
            if is_selector(condition.reference_value):
                yield Reference(
                    place=f"{place}.reference_value",
                    text=condition.reference_value,
                    kinds=kinds("value"),
                )

    def transform(self, entries: Any, execution: Execution) -> list[dict[str, Any]]:
        """Return copies of the entries that meet the condition."""
        return [
            deepcopy(entry)
            for row, entry in enumerate(entries)
            if _holds(self.filter_definition, entry, row, execution.inputs)
        ]


def _conditions(definition: Condition | Combination, place: str) -> Iterator[tuple[str, Condition]]:
    if isinstance(definition, Condition):
        yield place, definition
        return
    yield from _conditions(definition.left, f"{place}.left")
    yield from _conditions(definition.right, f"{place}.right")


def _holds(
    definition: Condition | Combination,
    entry: Mapping[str, Any],
    row: int,
    inputs: Mapping[str, object],
) -> bool:
    if isinstance(definition, Combination):
        left = _holds(definition.left, entry, row, inputs)
        decided = left if definition.operator == "or" else not left
        return left if decided else _holds(definition.right, entry, row, inputs)
    name, reference = definition.field_name, definition.reference_value
    if name not in entry:
        raise PredictionError(
            f"predictions[{row}] has no {name!r} to filter by: it has {', '.join(map(repr, entry))}"
        )
    if is_selector(reference):
        selector = parse_selector(reference)
        assert isinstance(selector, InputSelector)  # noqa: S101 - validated as one
        reference = inputs[selector.name]
    try:
        return bool(_OPERATORS[definition.operator](entry[name], reference))
    except TypeError:
        raise PredictionError(
            f"predictions[{row}].{name} is {shown(entry[name])}: {definition.operator!r} cannot "
            f"compare it with {shown(reference)}"
        ) from None
