"""What a workflow returns: its outputs, and all that its steps said, in the historical shapes."""

from collections.abc import Mapping, Sequence
from typing import Any

from al_framework_roboflow.workflow.declarations import JsonField
from al_framework_roboflow.workflow.elements import Failure, Item, Picture, StepOutput
from al_framework_roboflow.workflow.execution import Generation
from al_framework_roboflow.workflow.pictures import crop_document
from al_framework_roboflow.workflow.selectors import (
    EVERYTHING,
    OutputSelector,
    parse_selector,
)

_PARENT = "_parent_coordinates"


def field_value(
    field: JsonField, outputs: Mapping[str, StepOutput], generation: Generation
) -> list[Any]:
    """Return one value for each picture that the step of an output looked at; None if it failed."""
    selector = parse_selector(field.selector)
    assert isinstance(selector, OutputSelector)  # noqa: S101 - the document was checked
    output = outputs.get(selector.step)
    if output is None:
        return []
    parent = field.coordinates_system == "parent"
    return [
        None if values is None else _value(values, selector.field, parent=parent)
        for values in _rows(output, generation)
    ]


def step_document(output: StepOutput, generation: Generation) -> Any:
    """Return what a step said as its generation stored it.

    Generation 1 stored a list with a dictionary for each picture, and of crops one of lists;
    generation 2 a dictionary of columns. What failed is None.
    """
    rows = _rows(output, generation)
    if generation == 1 and not output.makes_pictures:
        return rows
    columns = ["crops", "parent_id"] if output.makes_pictures else []
    columns += [key for row in rows if row is not None for key in row]
    return {
        key: [None if row is None else row.get(key) for row in rows]
        for key in dict.fromkeys(columns)
    }


def _rows(output: StepOutput, generation: Generation) -> Sequence[Mapping[str, Any] | None]:
    if not output.makes_pictures:
        return [item.values if isinstance(item, Item) else None for item in output.items]
    return [_crop(picture, generation) for picture in output.pictures]


def _crop(picture: Picture | Failure, generation: Generation) -> Mapping[str, Any] | None:
    if isinstance(picture, Failure):
        return None
    return {"crops": crop_document(picture, generation), "parent_id": picture.parent_id}


def _value(values: Mapping[str, Any], field: str, *, parent: bool) -> Any:
    if field != EVERYTHING:
        shifted = f"{field}{_PARENT}"
        return values[shifted] if parent and shifted in values else values.get(field)
    names = [name for name in values if not name.endswith(_PARENT)]
    return {name: _value(values, name, parent=parent) for name in names}
