import json
import pathlib
import threading

import jsonschema
import pytest
from pydantic import ConfigDict, Field

from al_framework.api import ConfigurationError, Options, Sink, hookimpl
from al_framework.config.loading import load_configuration, read_document
from al_framework.config.schema import LOADER_ONLY, build_schema
from al_framework.host.plugins import PluginHost

SHARED = pathlib.Path(__file__).resolve().parents[2].parent / "shared"


@pytest.fixture(scope="session")
def schema(host):
    return build_schema(host)


@pytest.fixture(scope="session")
def validator(schema):
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture
def loads(host):
    def run(document):
        try:
            load_configuration(read_document(document), host, environ={"KEY": "value"})
        except ConfigurationError:
            return False
        return True

    return run


def put(**values):
    return lambda document: document.update(values)


def drop(key):
    return lambda document: document.pop(key)


def shop(**options):
    return put(sinks=[{"type": "shop", **options}])


def section(**values):
    return lambda document: document["active_learning"].update(values)


def strategy(**values):
    return lambda document: document["active_learning"]["sampling_strategies"][0].update(values)


GOOD_CHANGES = [
    put(),
    drop("name"),
    drop("sources"),
    drop("predictor"),
    put(predictor=None, adapter=None),
    put(name="${KEY}"),
    put(seed=7.0),
    put(spool={"path": "x", "max_bytes": 10, "max_items": 1, "min_free_bytes": 0}),
    put(limits={"ledger": "redis", "redis_url": "redis://:${KEY}@host:6379/0"}),
    put(limits={"ledger": "memory"}, verify_images="full", batch_time_zone="UTC"),
    put(limits={"redis_url": None}),
    put(plugins={"only": None, "disable": ["a"], "require": []}),
    put(active_learning={"enabled": False}),
    put(active_learning={"enabled": False, "sampling_strategies": 5}),
    section(tags=["a", "${KEY}"], max_image_size=[10, 20], jpeg_compression_level=50),
    section(max_image_size=None, target_workspace=None, selection="first_match"),
    strategy(max_batch_images=5),
    strategy(limits=[], tags=[], selected_class_names=None),
    strategy(threshold=1),
    shop(api_key="${KEY}", code="12"),
    shop(headers={"a": "${KEY}"}, logins=[{"user": "u", "token": "t"}], login=None),
    shop(size="auto", workers=64, mode="slow", crop=[1, 2], retries={"a": 1}, labels={"a": True}),
    put(sinks=[{"type": "null", "name": None}, {"type": "null", "name": "other"}]),
    put(sinks=[{"type": "null", "pace": {"per_s": 0.5, "burst": 3}}]),
    put(sinks=[{"type": "null", "pace": None}]),
    # A variable's value is not known to the schema; it may well fit.
    shop(mode="slow", word="${KEY}", day="2024-01-02"),
]


@pytest.mark.parametrize("change", GOOD_CHANGES)
def test_good_documents_pass_both(good, validator, loads, change):
    change(good)

    assert [error.message for error in validator.iter_errors(good)] == []
    assert loads(good)


def test_the_shorthand_passes_both(good, validator, loads):
    good["source"] = good.pop("sources")[0]

    assert validator.is_valid(good)
    assert loads(good)


BAD_CHANGES = [
    drop("sinks"),
    drop("active_learning"),
    put(sinks=[]),
    put(sinks={}),
    put(sinks=["null"]),
    put(sinks=[{}]),
    put(sinks=[{"type": "folder"}]),
    put(sinks=[{"type": "${KEY}"}]),
    put(sinks=[{"type": "null", "name": "a b"}]),
    put(sinks=[{"type": "null", "path": "x"}]),
    put(source={"type": "folder", "path": "x"}),
    put(sources=[{"type": "folder"}]),
    put(sources=None),
    put(predictor={"type": "model", "model": "x", "threshold": 2}),
    put(predictor="x"),
    put(adapter={"type": "model"}),
    put(name="a b"),
    put(seed=-1),
    put(seed=2**64),
    put(seed="1"),
    put(seed=True),
    put(unknown=1),
    put(spool={"max_items": 0}),
    put(spool={"path": 1}),
    put(spool=None),
    put(limits={"ledger": "files"}),
    put(limits={"ledger": "redis"}),
    put(limits={"ledger": "redis", "redis_url": None}),
    put(limits={"ledger": "sqlite", "redis_url": "redis://host"}),
    put(limits={"ledger": "memory", "redis_url": "redis://host"}),
    put(limits={"redis_url": "redis://host"}),
    put(batch_time_zone=1),
    put(verify_images="none"),
    put(plugins={"only": "a"}),
    put(plugins={"with": []}),
    put(active_learning=None),
    put(active_learning={}),
    put(active_learning={"enabled": 0}),
    put(active_learning={"enabled": "false"}),
    section(enabled=1),
    section(persist_predictions="true"),
    section(unknown=1),
    section(tags=["a b"]),
    section(tags="a"),
    section(tags=None),
    section(max_image_size=[1]),
    section(max_image_size=[0, 1]),
    section(max_image_size=[1, 2, 3]),
    section(jpeg_compression_level=101),
    section(sampling_strategies=[]),
    section(sampling_strategies=None),
    section(batching_strategy={"batches_name_prefix": "x"}),
    section(batching_strategy={"batches_name_prefix": "x", "recreation_interval": "yearly"}),
    section(selection="other"),
    strategy(name=""),
    strategy(name=None),
    strategy(type="other"),
    strategy(threshold="0.5"),
    strategy(threshold=1.5),
    strategy(limits=[{"type": "daily", "value": 0}]),
    strategy(limits=[{"type": "yearly", "value": 1}]),
    strategy(limits=[{"value": 1}]),
    strategy(unknown=1),
    shop(api_key=1),
    shop(api_key=["x"]),
    shop(login={"user": "u"}),
    shop(login={"user": "u", "token": "t", "x": 1}),
    shop(headers={"a": 1}),
    shop(mode="other"),
    shop(workers=0),
    shop(workers=1.5),
    shop(workers="4"),
    shop(size="big"),
    shop(retries={"a": "b"}),
    shop(crop=[1, 2, 3]),
    shop(url="x" * 61),
    shop(code="abc"),
    shop(word="a"),
    shop(step=3),
    shop(labels=[True]),
    shop(pace=5),
    shop(pace={"per_s": 0}),
    shop(pace={"burst": 2}),
    put(predictor={"type": "model", "model": "net.onnx", "pace": {"per_s": 1}}),
]


@pytest.mark.parametrize("change", BAD_CHANGES)
def test_what_the_schema_refuses_the_loader_refuses(good, validator, loads, change):
    change(good)

    assert not validator.is_valid(good)
    assert not loads(good)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the golden vectors are not beside this repo")
def test_what_the_schema_refuses_of_the_vectors_the_loader_refuses(good, validator, loads):
    lines = (SHARED / "vectors" / "config.jsonl").read_text().splitlines()
    refused = 0
    for line in lines:
        good["active_learning"] = json.loads(line)["input"]["config"]
        if validator.is_valid(good):
            continue
        refused += 1

        assert not loads(good)

    assert refused > 300


def nested(depth):
    value: object = True
    for _ in range(depth):
        value = {"a": value}
    return value


TWO = [{"type": "null", "name": "a"}, {"type": "shop", "name": "a"}]
NUMBER = {
    "name": "n",
    "type": "detections_number_based",
    "probability": 1,
    "more_than": 3,
    "less_than": 2,
}
SEEN_BY_THE_LOADER_ONLY = {
    "two_names": put(sinks=TWO),
    "both_names_from_type": put(sinks=[{"type": "null"}, {"type": "null"}]),
    "time_zone": put(batch_time_zone="Europe/Nowhere"),
    "environment": shop(api_key="${NOT_SET}"),
    "unclosed_reference": shop(api_key="${KEY"),
    "secret_file": shop(api_key="file:no/such/file"),
    "own_check": section(sampling_strategies=[NUMBER]),
    "redis_url": put(limits={"ledger": "redis", "redis_url": "http://host"}),
    "integer_too_large": put(spool={"max_bytes": 1 << 130}),
    "depth": put(active_learning={"enabled": False, "a": nested(40)}),
}


@pytest.mark.parametrize("name", SEEN_BY_THE_LOADER_ONLY)
def test_what_only_the_loader_sees_is_listed(good, validator, loads, name):
    SEEN_BY_THE_LOADER_ONLY[name](good)

    assert validator.is_valid(good)
    assert not loads(good)
    assert name in LOADER_ONLY


@pytest.mark.parametrize(
    ("name", "line"), [("duplicate_key", "seed: 1\nseed: 1\n"), ("anchor", "seed: &a 1\n")]
)
def test_what_only_the_reader_sees_is_listed(request, good, loads, name, line):
    path = request.getfixturevalue("tmp_path") / "al.yaml"
    validator = request.getfixturevalue("validator")
    path.write_text(line + "".join(f"{key}: {json.dumps(good[key])}\n" for key in good))

    assert validator.is_valid({**good, "seed": 1})
    assert not loads(path)
    assert name in LOADER_ONLY


def test_the_list_of_what_only_the_loader_sees_is_complete():
    assert set(LOADER_ONLY) == {*SEEN_BY_THE_LOADER_ONLY, "duplicate_key", "anchor"}


def test_the_schema_is_a_schema(schema):
    jsonschema.Draft202012Validator.check_schema(schema)

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema == json.loads(json.dumps(schema))


def test_every_type_is_an_alternative_named_by_its_type(schema):
    definitions = schema["$defs"]
    sinks = [entry["$ref"] for entry in definitions["any_sink"]["anyOf"]]

    assert [f"#/$defs/sink_{name}" for name in ("null", "shop", "warehouse")] == sinks
    assert definitions["sink_shop"]["properties"]["type"] == {"const": "shop"}
    assert definitions["sink_shop"]["required"] == ["type"]


def test_options_keep_their_descriptions_and_secrets_are_text(schema):
    properties = schema["$defs"]["sink_shop"]["properties"]
    secret = schema["$defs"]["sink_shop.Login"]["properties"]["token"]

    assert properties["mode"]["description"] == "How"
    assert secret["description"] == "Password"
    assert secret["anyOf"][0] == {"type": "string", "writeOnly": True, "format": "password"}


def test_the_schema_of_a_host_without_plugins_allows_no_component(good):
    validator = jsonschema.Draft202012Validator(build_schema(PluginHost.without_discovery({})))

    assert not validator.is_valid(good)


class Tree(Options):
    children: list["Tree"] = Field(default_factory=list, description="More of it")


class TreeSink(Sink[Tree]):
    """A sink of sinks.

    With more to say.
    """

    type_name = "tree"

    def deliver(self, datapoint, checkpoint):
        raise NotImplementedError


class OddOptions(Options):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    info: threading.Thread | None = Field(default=None, description="JSON cannot say it")


class OddSink(Sink[OddOptions]):
    type_name = "odd"

    def deliver(self, datapoint, checkpoint):
        raise NotImplementedError


class OddPlugin:
    @hookimpl
    def al_register_sinks(self):
        return [TreeSink, OddSink]


@pytest.fixture(scope="session")
def odd_schema():
    return build_schema(PluginHost.without_discovery({"odd": OddPlugin()}))


@pytest.mark.parametrize(
    ("entry", "valid"),
    [
        ({"type": "tree", "children": [{"children": []}]}, True),
        ({"type": "tree", "children": [{"leaves": []}]}, False),
        ({"type": "odd", "info": 3}, True),
    ],
)
def test_options_that_contain_themselves_or_have_no_schema_break_nothing(odd_schema, entry, valid):
    definition = {"$ref": "#/$defs/any_sink", "$defs": odd_schema["$defs"]}

    assert valid is jsonschema.Draft202012Validator(definition).is_valid(entry)


def test_a_component_is_described_by_the_first_paragraph_of_its_docstring(odd_schema):
    assert odd_schema["$defs"]["sink_tree"]["description"] == "A sink of sinks."
    assert odd_schema["$defs"]["sink_odd"]["description"] == "By plugin 'odd'"
