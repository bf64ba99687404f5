"""JSON Schema of configurations, for editors, made from the models that check them.

Made, not written: a schema kept by hand beside the loader drifts, and then editors refuse valid
files. What this schema refuses, the loader refuses; the reverse cannot be, and `LOADER_ONLY` says
where.
"""

import copy
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel

from al_framework.api._faults import plugin_errors
from al_framework.config.models import DocumentModel, EntryModel, SinkEntryModel
from al_framework.config.roboflow_document import (
    ActiveLearningDocumentModel,
    DisabledModel,
    StrategyCommonModel,
)
from al_framework.host.plugins import PluginHost
from al_framework.host.registry import Registration, kind_words

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

LOADER_ONLY: Mapping[str, str] = MappingProxyType(
    {
        "duplicate_key": "a key given twice",
        "anchor": "anchors, aliases and tags of YAML",
        "two_names": "two sources, sinks or strategies of one name",
        "both_names_from_type": "two unnamed sources or sinks of one type",
        "time_zone": "a time zone that does not exist",
        "environment": "an environment variable that is not set",
        "unclosed_reference": "a reference that is not closed",
        "secret_file": "a secret file that cannot be read",
        "own_check": "what only a plugin's own validator sees, such as more_than < less_than",
        "redis_url": "a `limits.redis_url` that is no address of a Redis server",
        "integer_too_large": "whole numbers of more than 128 bits",
        "depth": "nesting deeper than 32",
    }
)
"""What the loader refuses although the schema does not, by name; each has a test."""

_REFERENCE: Mapping[str, Any] = MappingProxyType(
    {
        "type": "string",
        "pattern": r"\$\{|^file:",
        "description": "${NAME} takes it from the environment; file:PATH reads a secret",
    }
)
# A string with any of these may still be written as a reference, whose value is not known here.
_RESTRICTIONS = frozenset({"const", "enum", "format", "maxLength", "minLength", "pattern"})
_COMPOSED = ("anyOf", "allOf", "oneOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "$defs")
_NESTED = ("items", "additionalProperties", "not", "contains", "propertyNames")

_ENTRIES: Mapping[str, tuple[str, bool]] = MappingProxyType(
    {
        "source": ("source", False),
        "configuration": ("configuration_provider", False),
        "predictor": ("predictor", True),
        "adapter": ("prediction_adapter", True),
    }
)

# What entries of a kind have beside the options of their type.
_COMMON: Mapping[str, type[BaseModel]] = MappingProxyType(
    {"strategy": StrategyCommonModel, "sink": SinkEntryModel}
)


def build_schema(host: PluginHost) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of configurations for these plugins.

    Every component is an alternative chosen by its ``type``. Secrets appear as strings, never with
    a value.
    """
    definitions: dict[str, Any] = {"reference": dict(_REFERENCE)}
    root = _model_schema(DocumentModel, "document", definitions)
    properties = root["properties"]
    for key, (kind, optional) in _ENTRIES.items():
        entry = _any_of_kind(host, kind, definitions)
        _replace(properties, key, {"anyOf": [entry, {"type": "null"}]} if optional else entry)
    properties["sources"]["items"] = _any_of_kind(host, "source", definitions)
    properties["sinks"]["items"] = _any_of_kind(host, "sink", definitions)
    _replace(properties, "active_learning", _active_learning(host, definitions))
    definitions = {name: definitions[name] for name in sorted(definitions)}
    return {
        "$schema": DIALECT,
        **root,
        "title": "al-framework configuration",
        "not": {"required": ["source", "sources"]},
        "oneOf": [{"required": ["active_learning"]}, {"required": ["configuration"]}],
        "$defs": definitions,
    }


def _active_learning(host: PluginHost, definitions: dict[str, Any]) -> dict[str, Any]:
    enabled = _model_schema(ActiveLearningDocumentModel, "active_learning", definitions)
    strategies = _any_of_kind(host, "strategy", definitions)
    enabled["properties"]["sampling_strategies"]["items"] = strategies
    definitions["active_learning_enabled"] = enabled
    disabled = _model_schema(DisabledModel, "active_learning", definitions)
    definitions["active_learning_disabled"] = disabled
    return {
        "anyOf": [
            {"$ref": "#/$defs/active_learning_enabled"},
            {"$ref": "#/$defs/active_learning_disabled"},
        ]
    }


def _any_of_kind(host: PluginHost, kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a reference to the alternatives of one kind, defining them at the first call."""
    name = f"any_{kind}"
    if name not in definitions:
        references = [
            _component(registration, definitions)
            for registration in host.registry.registrations(kind)
        ]
        nothing = {"not": {}, "description": f"No plugin provides a {kind_words(kind)}"}
        definitions[name] = {"anyOf": references} if references else nothing
    return {"$ref": f"#/$defs/{name}"}


def _component(registration: Registration, definitions: dict[str, Any]) -> dict[str, Any]:
    name = f"{registration.kind}_{registration.type_name}"
    is_strategy = registration.kind == "strategy"
    common_model = _COMMON.get(registration.kind, EntryModel)
    common = _model_schema(common_model, registration.kind, definitions)
    options = _options_schema(registration.component.Options, name, definitions)
    properties = {**options.get("properties", {}), **common["properties"]}
    properties["type"] = {"const": registration.type_name}
    if is_strategy:  # the loader ignores it where it is no option, as Roboflow does
        properties.setdefault("max_batch_images", {"description": "Ignored"})
    required = [*common["required"], *options.get("required", [])]
    definitions[name] = {
        **options,
        "type": "object",
        "title": f"{kind_words(registration.kind)} {registration.type_name}",
        "description": _first_paragraph(registration.component) or f"By {registration.provider}",
        "properties": properties,
        "required": required,
    }
    return {"$ref": f"#/$defs/{name}"}


def _options_schema(
    model: type[BaseModel], prefix: str, definitions: dict[str, Any]
) -> dict[str, Any]:
    try:
        return _model_schema(model, prefix, definitions)
    except plugin_errors():  # a plugin's model; one that has no schema allows anything
        return {"additionalProperties": True}


def _model_schema(
    model: type[BaseModel], prefix: str, definitions: dict[str, Any]
) -> dict[str, Any]:
    """Return a model's schema; the models it refers to join the definitions under a prefix."""
    template = f"#/$defs/{prefix}.{{model}}"
    schema = copy.deepcopy(model.model_json_schema(ref_template=template))
    for name, nested in schema.pop("$defs", {}).items():
        definitions[f"{prefix}.{name}"] = _with_references(nested)
    if "$ref" in schema:  # a model that contains itself is only a reference to its definition
        schema = copy.deepcopy(definitions[schema["$ref"].removeprefix("#/$defs/")])
    result: dict[str, Any] = _with_references(schema)
    result.pop("description", None)
    return result


def _with_references(schema: Any) -> Any:
    """Let every restricted string be a reference as well."""
    if not isinstance(schema, dict):
        return schema
    result = dict(schema)
    for key in _NAMED:
        if key in result:
            result[key] = {name: _with_references(value) for name, value in result[key].items()}
    for key in _COMPOSED:
        if key in result:
            result[key] = [_with_references(value) for value in result[key]]
    for key in _NESTED:
        if key in result:
            result[key] = _with_references(result[key])
    if _is_restricted_text(result):
        about = {k: result.pop(k) for k in ("title", "description", "default") if k in result}
        return {**about, "anyOf": [result, {"$ref": "#/$defs/reference"}]}
    return result


def _is_restricted_text(schema: Mapping[str, Any]) -> bool:
    restricted = not _RESTRICTIONS.isdisjoint(schema)
    choices: Iterable[Any] = schema.get("enum", [schema.get("const")])
    is_text = schema.get("type") == "string" or any(isinstance(c, str) for c in choices)
    return restricted and is_text


def _replace(properties: dict[str, Any], key: str, schema: Mapping[str, Any]) -> None:
    """Put a schema in place of a property's own, keeping its words."""
    kept = {k: properties[key][k] for k in ("title", "description") if k in properties[key]}
    properties[key] = {**kept, **schema}


def _first_paragraph(component: type[object]) -> str:
    text = (component.__doc__ or "").strip().split("\n\n")[0]
    return " ".join(text.split())
