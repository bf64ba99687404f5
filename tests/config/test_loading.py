"""A document becomes a configuration: what may be left out, and what is filled in."""

import json

import pytest

from al_framework.config.loading import load_configuration, plugin_switches, read_document
from al_framework.config.models import PluginsModel


def test_a_good_document_becomes_a_configuration(good, load, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    configuration = load(good)

    assert ("line-3", "<mapping>", tmp_path) == (
        configuration.name,
        configuration.origin,
        configuration.base_dir,
    )
    (source,) = configuration.sources
    assert (
        source.kind,
        source.type_name,
        source.name,
        source.plugin,
    ) == ("source", "folder", "cam", "frames")
    assert json.loads(source.options.model_dump_json()) == {"path": "frames", "glob": "*"}
    assert source.component.type_name == "folder"
    assert configuration.predictor is not None
    assert configuration.predictor.name == "model"
    assert configuration.adapter is not None
    assert configuration.adapter.kind == "prediction_adapter"
    assert [sink.name for sink in configuration.sinks] == ["null"]
    assert (
        configuration.seed,
        configuration.batch_time_zone,
        configuration.verify_images,
    ) == (None, None, "structure")
    assert tmp_path / ".al" / "line-3" == configuration.spool_dir
    assert (
        configuration.spool.max_bytes,
        configuration.spool.max_items,
        configuration.spool.min_free_bytes,
    ) == (2 << 30, 50_000, 1 << 30)
    assert configuration.limits.ledger == "sqlite"


def test_everything_that_is_optional_can_be_given(good, load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good.update(
        seed=2**64 - 1,
        spool={"path": "spool", "max_bytes": 1e9},
        limits={"ledger": "memory"},
        batch_time_zone="Europe/Berlin",
        verify_images="full",
        plugins={"only": ["a"], "disable": ["b"], "require": ["c>=1"]},
        predictor=None,
        adapter=None,
    )
    configuration = load(good)

    assert configuration.seed == 2**64 - 1
    assert (tmp_path / "spool", 10**9) == (configuration.spool.path, configuration.spool.max_bytes)
    assert configuration.limits.ledger == "memory"
    assert (
        configuration.batch_time_zone,
        configuration.verify_images,
    ) == ("Europe/Berlin", "full")
    assert PluginsModel(only=("a",), disable=("b",), require=("c>=1",)) == configuration.plugins
    assert (configuration.predictor, configuration.adapter) == (None, None)


def test_source_is_shorthand_for_one_source(good, load):
    good["source"] = good.pop("sources")[0]
    configuration = load(good)

    assert [source.name for source in configuration.sources] == ["cam"]


def test_sources_may_be_left_out_for_library_use(good, load):
    del good["sources"]

    assert load(good).sources == ()


@pytest.mark.parametrize(
    ("file", "name"), [("line-3.yaml", "line-3"), ("my file.yaml", "collection")]
)
def test_the_file_names_a_collection_that_has_no_name(good, load, tmp_path, file, name):
    del good["name"]
    path = tmp_path / file
    path.write_text(json.dumps(good))  # JSON is YAML
    configuration = load(path)

    assert (name, tmp_path / ".al" / name) == (configuration.name, configuration.spool.path)


def test_a_mapping_without_a_name_is_called_collection(good, load):
    del good["name"]

    assert load(good).name == "collection"


def test_the_environment_of_the_process_is_the_default(good, host, monkeypatch):
    monkeypatch.setenv("AL_TEST_GLOB", "*.png")
    good["sources"][0]["glob"] = "${AL_TEST_GLOB}"
    configuration = load_configuration(read_document(good), host)

    assert configuration.sources[0].options.glob == "*.png"


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, PluginsModel()),
        ({"plugins": {"disable": ["a"]}}, PluginsModel(disable=("a",))),
        ({"plugins": {"disable": "a"}}, PluginsModel()),
        ({"plugins": None}, PluginsModel()),
    ],
)
def test_plugin_switches_are_read_before_anything_is_checked(section, expected):
    assert expected == plugin_switches(read_document(section))


def test_the_hash_changes_with_the_document_and_not_with_its_order(good, load):
    first = load(good).configuration_hash
    reordered = dict(reversed(good.items()))
    changed = {**good, "seed": 1}

    assert len(first) == 16
    assert first == load(reordered).configuration_hash
    assert first != load(changed).configuration_hash
