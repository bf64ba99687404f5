"""What `al plugins show` offers to copy is valid as it stands, for every type that is installed."""

import jsonschema
import pytest
from pydantic import ConfigDict, Field
from ruamel.yaml import YAML

from al_framework.api import Options, Sink
from al_framework.cli._component_page import example_entry, option_rows
from al_framework.cli._examples import example_value
from al_framework.config.loading import load_configuration, read_document
from al_framework.config.schema import build_schema
from al_framework.host import PluginHost, Registration

REST = """\
active_learning:
  enabled: true
  persist_predictions: true
  sampling_strategies:
    - {name: all, type: random, traffic_percentage: 1, limits: []}
  batching_strategy: {batches_name_prefix: al, recreation_interval: never}
sinks:
  - {type: "null"}
"""
HOST = PluginHost.discover(environ={})


def shown(registration):
    return example_entry(registration, option_rows(registration))


def around(example):
    """Return the document that an example stands in; strategies have more keys than their own."""
    document = YAML(typ="safe", pure=True).load(REST)
    for key, value in YAML(typ="safe", pure=True).load(example).items():
        if key == "active_learning":
            document[key] = {**document[key], **value}
        else:
            document[key] = value
    if "configuration" in document:
        del document["active_learning"]
    return document


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft202012Validator(build_schema(HOST))


@pytest.mark.parametrize(
    "registration",
    HOST.registry.registrations(),
    ids=lambda each: f"{each.kind}-{each.type_name}",
)
def test_the_example_of_every_installed_type_is_valid(registration, validator):
    document = around(shown(registration))
    secrets = dict.fromkeys(("MY_SECRET", "ROBOFLOW_API_KEY", "WEBHOOK_SECRET"), "c2VjcmV0" * 5)
    load_configuration(read_document(document), HOST, environ=secrets)

    assert [error.message for error in validator.iter_errors(document)] == []


def test_a_type_that_yaml_would_read_as_nothing_is_quoted():
    registration = HOST.registry.get("sink", "null")

    assert shown(registration) == 'sinks:\n  - type: "null"'


COLOR = {"Color": {"enum": ["red", 3]}}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ({"type": "number", "minimum": 0, "maximum": 1}, 0.5),
        ({"type": "number", "exclusiveMinimum": 0}, 1.0),
        ({"type": "number", "exclusiveMaximum": 0.5}, -0.5),
        ({"type": "number"}, 1.0),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "minimum": 5, "multipleOf": 4}, 8),
        ({"type": "boolean"}, True),
        ({"type": "string"}, "<string>"),
        ({"type": "string", "minLength": 10}, "<string>.."),
        ({"type": "string", "maxLength": 3}, "<st"),
        ({"type": "string", "format": "password"}, "${MY_SECRET}"),
        ({"type": "string", "format": "path"}, "path/to/file"),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
         [1, "<string>"]),
        ({"type": "object"}, {}),
        ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]},
         {"a": 1}),
        ({"$ref": "#/$defs/Color"}, "red"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"anyOf": [{"type": "integer"}], "default": None}, None),
        ({"type": "integer", "examples": [7], "default": 3}, 7),
    ],
)  # fmt: skip
def test_a_value_is_made_that_the_schema_allows(field, value):
    made = example_value(field, COLOR)

    assert made == value
    if "default" not in field:
        jsonschema.validate(made, {**field, "$defs": COLOR})


class OddOptions(Options):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    stream: OSError = Field(description="JSON cannot say it.")
    size: int = Field(default=1, description="It can say this.")


class OddSink(Sink[OddOptions]):
    type_name = "odd"

    def deliver(self, datapoint, checkpoint):
        raise NotImplementedError


def test_options_without_a_schema_are_shown_by_name_and_description():
    rows = option_rows(Registration(kind="sink", type_name="odd", component=OddSink, plugin="p"))

    assert [(row.name, row.type, row.required) for row in rows] == [
        ("stream", "any", True),
        ("size", "any", False),
    ]
    assert rows[0].description == "JSON cannot say it."
