"""Every option that a configuration may hold, from the models that check it."""

import functools
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, get_args

from pydantic import BaseModel

from al_framework.api import COMPONENT_KINDS
from al_framework.cli._component_page import (
    character,
    example_entry,
    option_rows,
    type_words,
)
from al_framework.config.models import DocumentModel, EntryModel, SinkEntryModel
from al_framework.config.roboflow_document import ActiveLearningDocumentModel, StrategyCommonModel
from al_framework.host import PluginHost, Registration
from al_framework.host.registry import kind_words

KINDS: Final = tuple(COMPONENT_KINDS)
DISTRIBUTION: Final = "al-framework"  # what else is installed where the site is built is not ours
_SIZES: Final = ((1 << 30, "GiB"), (1 << 20, "MiB"))

# Entries that are checked by the type they name, of which the model alone knows nothing.
_ENTRIES: Mapping[str, str] = MappingProxyType(
    {
        "source": "a [source](#sources)",
        "sources": "[sources](#sources)",
        "predictor": "a [predictor](#predictors)",
        "adapter": "a [prediction adapter](#prediction-adapters)",
        "active_learning": "a [document](#active_learning)",
        "configuration": "a [configuration provider](#configuration-providers)",
        "sinks": "[sinks](#sinks)",
        "sampling_strategies": "[strategies](#strategies)",
    }
)


def file() -> str:
    """Return the options of the file as a whole and of its sections."""
    return _tables(DocumentModel)


def active_learning() -> str:
    """Return the options of the document and of what every strategy in it has."""
    common = _tables(StrategyCommonModel, "sampling_strategies[]")
    return f"{_tables(ActiveLearningDocumentModel)}\n\n{common}"


def types(kind: str) -> str:
    """Return what our own plugins provide of one kind, each type with its options."""
    parts = [_type_section(registration) for registration in registrations(kind)]
    if kind == "sink":
        parts.insert(0, _tables(SinkEntryModel, "sinks[]"))
    elif kind != "strategy":
        parts.insert(0, f"Every entry has, beside those of its type:\n\n{_table(EntryModel)}")
    return "\n\n".join(parts)


def registrations(kind: str) -> list[Registration]:
    """Return the types of one kind that come with al-framework."""
    found = _host().registry.registrations(kind)
    return [entry for entry in found if entry.distribution == DISTRIBUTION]


@functools.cache  # the plugins of a build are those at its beginning
def _host() -> PluginHost:
    return PluginHost.discover()


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield a model and those that stand in its fields, with their places, outermost first."""
    yield path, model
    for name, field in model.model_fields.items():
        for nested, is_list in _models_in(field.annotation):
            place = f"{path}.{name}" if path else name
            yield from sections(nested, f"{place}[]" if is_list else place)


def _models_in(
    annotation: object, *, is_list: bool = False
) -> Iterator[tuple[type[BaseModel], bool]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, is_list
        return
    for part in get_args(annotation):
        yield from _models_in(part, is_list=is_list or _is_list(annotation))


def _is_list(annotation: object) -> bool:
    return getattr(annotation, "__origin__", None) in (list, tuple)


def _tables(model: type[BaseModel], path: str = "") -> str:
    parts = []
    for place, section in sections(model, path):
        heading = f"### `{place}`\n\n{sentence(section)}\n\n" if place else ""
        parts.append(heading + _table(section, place))
    return "\n\n".join(parts)


def _table(model: type[BaseModel], path: str = "") -> str:
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    required = schema.get("required", ())
    rows = []
    for name, field in schema["properties"].items():
        words = type_words(field, definitions)
        place = f"{path}.{name}" if path else name
        anchor = "".join(char for char in place if char.isalnum() or char in "_-")  # as MyST does
        section = f"[section](#{anchor})" if words == "mapping" else _code(words)
        allowed = _ENTRIES.get(name, section)
        default = "required" if name in required else default_words(field)
        rows.append((name, allowed, default, field.get("description", "")))
    return _rows(rows)


def _rows(rows: list[tuple[str, str, str, str]]) -> str:
    head = ["| option | takes | default | what it does |", "| --- | --- | --- | --- |"]
    lines = []
    for name, allowed, default, about in rows:
        shown = default if default in ("required", "") else _code(default)
        lines.append(f"| `{name}` | {allowed} | {shown} | {_text(about)} |")
    return "\n".join([*head, *lines])


def default_words(field: Mapping[str, Any]) -> str:
    """Return a default as it is written in a file; empty where there is nothing to write."""
    default = field.get("default")
    if default is None or default in ([], {}):
        return ""
    for size, word in _SIZES:
        if isinstance(default, int) and default >= size and default % size == 0:
            return f"{default} ({default // size} {word})"
    return json.dumps(default)


def _type_section(registration: Registration) -> str:
    heading = f"### {kind_words(registration.kind).capitalize()} `{registration.type_name}`"
    rows = option_rows(registration)
    options = _rows(
        [
            (
                row.name,
                _code(row.type),
                "required" if row.required else _known(row.default),
                row.description,
            )
            for row in rows
        ]
    )
    example = f"```yaml\n{example_entry(registration, rows)}\n```"
    about = f"{sentence(registration.component)} {character(registration)}".rstrip()
    return "\n\n".join([heading, about, *([options] if rows else []), example])


def _known(default: str) -> str:
    return "" if default in ("null", "[]", "{}", "(computed)") else default


def sentence(described: type[object]) -> str:
    """Return the first paragraph of a docstring as Markdown."""
    return _text((described.__doc__ or "").strip().partition("\n\n")[0])


def slug(registration: Registration) -> str:
    """Return what a link to the section of a type ends with."""
    return f"{registration.kind.replace('_', '-')}-{registration.type_name}"


def _code(text: str) -> str:
    return "`" + text.replace("|", r"\|") + "`"


def _text(text: str) -> str:
    """Return plain words as Markdown: reST's double backticks are single ones here."""
    return " ".join(text.split()).replace("``", "`").replace("|", r"\|").replace("<", r"\<")
