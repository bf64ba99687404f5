"""Describe one component type: what it is, its options, and what to write for it."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from al_framework.api import Strategy
from al_framework.api._faults import plugin_errors
from al_framework.cli._examples import example_value
from al_framework.host import Registration

_REQUIRED = "required"
_FORMATS = {"password": "secret", "directory-path": "directory", "file-path": "file"}
# Where an entry of each kind stands in the file, and whether it is an item of a list.
_PLACES: Mapping[str, tuple[tuple[str, ...], bool]] = {
    "source": (("sources:",), True),
    "predictor": (("predictor:",), False),
    "prediction_adapter": (("adapter:",), False),
    "strategy": (("active_learning:", "  enabled: true", "  sampling_strategies:"), True),
    "sink": (("sinks:",), True),
    "configuration_provider": (("configuration:",), False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionRow:
    """One option as a user sees it.

    Attributes:
        name: What to write.
        type: What it takes, in words.
        default: JSON of the default, ``required``, or words for what JSON cannot show.
        description: What it does.
        example: A value to start from, as YAML.
        required: Whether it must be given.
    """

    name: str
    type: str
    default: str
    description: str
    example: str
    required: bool


def headline(registration: Registration) -> str:
    """Return the first line of the class's own docstring, or an empty string."""
    # Not inspect.getdoc, which would say what the base class is for.
    text = inspect.cleandoc(registration.component.__doc__ or "")
    return text.partition("\n")[0].strip()


def character(registration: Registration) -> str:
    """Return a sentence on what a strategy looks at; for other kinds, which cannot choose, none."""
    component = registration.component
    if not issubclass(component, Strategy):
        return ""
    tasks = component.tasks
    types = "any type" if tasks is None else f"type {', '.join(sorted(tasks))}"
    words = f"It looks at predictions of {types}"
    words += ", and at pixels" if component.needs_pixels else ""
    return words + ("; it keeps a state for each source." if component.stateful else ".")


def option_rows(registration: Registration) -> list[OptionRow]:
    """Return the options in the order of the model."""
    schema = _options_schema(registration.component.Options)
    definitions = schema.get("$defs", {})
    required = set(schema.get("required", ()))
    return [
        OptionRow(
            name=name,
            type=type_words(field, definitions),
            default=_REQUIRED if name in required else _default_words(field),
            description=field.get("description", ""),
            example=json.dumps(example_value(field, definitions), ensure_ascii=False),
            required=name in required,
        )
        for name, field in schema.get("properties", {}).items()
    ]


def _options_schema(model: type[BaseModel]) -> dict[str, Any]:
    try:
        return model.model_json_schema(mode="validation")
    except plugin_errors():  # a plugin's model; JSON cannot say what it takes
        fields = model.model_fields
        return {
            "properties": {name: {"description": f.description} for name, f in fields.items()},
            "required": [name for name, f in fields.items() if f.is_required()],
        }


def example_entry(registration: Registration, options: list[OptionRow]) -> str:
    """Return YAML that can be used as it is: required options first, the others commented out."""
    lines, item = _PLACES[registration.kind]
    indent = " " * (len(lines[-1]) - len(lines[-1].lstrip()) + 2)
    # In quotes where YAML would read something else, such as nothing at all for `null`.
    quoted = registration.type_name in {"false", "null", "true"}
    written = json.dumps(registration.type_name) if quoted else registration.type_name
    entry = [f"type: {written}"]
    if registration.kind == "strategy":
        entry.insert(0, f"name: my_{registration.type_name}")
    entry += [f"{row.name}: {row.example}" for row in options if row.required]
    entry += [f"# {row.name}: {row.example}" for row in options if not row.required]
    if item:
        body = [f"{indent}- {entry[0]}", *(f"{indent}  {line}" for line in entry[1:])]
    else:
        body = [f"{indent}{line}" for line in entry]
    return "\n".join([*lines, *body])


def type_words(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return what a JSON Schema allows, in words: ``number >= 0, <= 1``, ``list of string``.

    ``null`` is passed over: who wants the default leaves the option out.
    """
    if "$ref" in field:
        return type_words(definitions.get(field["$ref"].rpartition("/")[2], {}), definitions)
    values = [field["const"]] if "const" in field else field.get("enum")
    if values is not None:
        return " | ".join(json.dumps(value) for value in values)
    choices = field.get("anyOf", field.get("oneOf"))
    if choices is not None:
        words = [type_words(part, definitions) for part in choices if part.get("type") != "null"]
        return " | ".join(dict.fromkeys(words))
    return _plain_words(field, definitions)


def _plain_words(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    word = str(field.get("type", "any"))
    if word == "array":
        if "prefixItems" in field:
            parts = ", ".join(type_words(part, definitions) for part in field["prefixItems"])
            return f"[{parts}]"
        items = field.get("items")
        return f"list of {type_words(items, definitions)}" if items else "list"
    if word == "object":
        return "mapping"
    spelt = field.get("format", word)
    word = _FORMATS.get(spelt, spelt)
    return f"{word}{_range_words(field)}"


def _range_words(field: Mapping[str, Any]) -> str:
    bounds = {
        ">=": field.get("minimum"),
        ">": field.get("exclusiveMinimum"),
        "<=": field.get("maximum"),
        "<": field.get("exclusiveMaximum"),
    }
    # Not `:g` for whole numbers: it rounds those of more than six digits.
    shown = [
        f"{sign} {value if isinstance(value, int) else f'{value:g}'}"
        for sign, value in bounds.items()
        if value is not None
    ]
    return f" {', '.join(shown)}" if shown else ""


def _default_words(field: Mapping[str, Any]) -> str:
    if "default" not in field:
        return "(computed)"
    return json.dumps(field["default"])
