"""The plugin as the engine's own loader finds it."""

import os
import subprocess
import sys
import types

import pytest

pytest.importorskip("inference")

pytestmark = pytest.mark.inference

OURS = "al_framework_roboflow.inference_plugin"
CANONICAL = "al_framework/active_learning_data_collector@v1"
BARE = "ActiveLearningDataCollector"


@pytest.fixture
def loader(plugins):
    from inference.core.workflows.execution_engine.introspection import blocks_loader

    return blocks_loader


def ours(blocks):
    return [block for block in blocks if OURS in block.identifier]


def described(loader):
    blocks = loader.describe_available_blocks(dynamic_blocks=[]).blocks
    (block,) = [b for b in blocks if b.manifest_type_identifier == CANONICAL]
    return block


def plugin_module(name, monkeypatch, **symbols):
    module = types.ModuleType(name)
    vars(module).update(symbols)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("WORKFLOWS_PLUGINS", f"{OURS},{name}")
    return module


def block_of_type(*names):
    """A stranger's block class with these type names."""
    from typing import Literal

    from inference.core.workflows.prototypes.block import WorkflowBlock, WorkflowBlockManifest

    class StrangersManifest(WorkflowBlockManifest):
        type: Literal[names]

        @classmethod
        def describe_outputs(cls):
            return []

    class Stranger(WorkflowBlock):
        @classmethod
        def get_manifest(cls):
            return StrangersManifest

        def run(self):
            return {}

    return Stranger


def test_the_block_is_offered_under_both_names_beside_the_servers_own(loader):
    block = described(loader)

    assert block.manifest_type_identifier_aliases == [BARE]
    assert block.block_source == "workflows_core"
    assert block.human_friendly_block_name == "Active Learning Data Collector"
    assert [output.name for output in block.outputs_manifest] == [
        "error_status",
        "message",
        "status",
    ]


def test_the_block_is_the_same_class_at_every_loading(loader):
    first, second = (ours(loader.load_workflow_blocks()) for _ in range(2))

    assert len(first) == 1
    assert first[0].block_class is second[0].block_class
    assert first[0].manifest_class is second[0].manifest_class


@pytest.mark.parametrize("value", ["0", "false", "No", " off "])
def test_the_bare_name_can_be_switched_off(loader, monkeypatch, value):
    monkeypatch.setenv("AL_INFERENCE_BARE_ALIAS", value)

    (block,) = ours(loader.load_workflow_blocks())
    schema = block.manifest_class.model_json_schema()
    assert schema["properties"]["type"]["const"] == CANONICAL


def test_without_the_bare_name_old_documents_are_refused_and_new_ones_run(
    run, monkeypatch, picture
):
    from inference.core.workflows.errors import WorkflowSyntaxError

    monkeypatch.setenv("AL_INFERENCE_BARE_ALIAS", "0")
    document = {
        "version": "1.0",
        "inputs": [{"type": "WorkflowImage", "name": "image"}],
        "steps": [
            {"type": "al_test/model@v1", "name": "alias", "images": "$inputs.image"},
            {
                "type": CANONICAL,
                "name": "collect",
                "images": "$inputs.image",
                "predictions": "$steps.alias.predictions",
                "target_dataset": "proj",
                "disable_active_learning": True,
            },
        ],
        "outputs": [{"type": "JsonField", "name": "s", "selector": "$steps.collect.status"}],
    }

    assert run(document, {"image": picture()}, pool=object()) == [{"s": "disabled"}]
    document["steps"][1]["type"] = BARE
    with pytest.raises(WorkflowSyntaxError):
        run(document, {"image": picture()}, pool=object())


def test_the_bare_name_is_left_to_another_plugin_that_has_it(loader, monkeypatch, caplog):
    stranger = block_of_type("strangers/collector@v1", BARE)
    plugin_module("al_strangers_collector", monkeypatch, load_blocks=lambda: [stranger])

    blocks = loader.describe_available_blocks(dynamic_blocks=[]).blocks
    names = [name for b in blocks for name in b.manifest_type_identifier_aliases]
    assert names.count(BARE) == 1
    assert described(loader).manifest_type_identifier_aliases == []
    messages = [record.getMessage() for record in caplog.records if OURS in record.name]
    owner = f"{stranger.__module__}.{stranger.__qualname__}"
    (message,) = messages
    assert message == (
        f"the block type {BARE!r} is taken by {owner}: ours is {CANONICAL!r} alone; set "
        "AL_INFERENCE_BARE_ALIAS=0 to say so yourself"
    )


def test_the_bare_name_is_left_to_the_core_once_it_has_it_again(loader, monkeypatch):
    from al_framework_roboflow.inference_plugin import engine, names

    monkeypatch.setattr(engine, "core_blocks", lambda: [block_of_type(BARE)])
    monkeypatch.setenv("WORKFLOWS_PLUGINS", f"{OURS},")

    assert names.type_names() == (CANONICAL,)


def test_a_plugin_that_cannot_be_loaded_is_the_engines_to_report(loader, monkeypatch):
    from inference.core.workflows.errors import PluginLoadingError

    from al_framework_roboflow.inference_plugin import names

    monkeypatch.setenv("WORKFLOWS_PLUGINS", f"{OURS},al_no_such_module")

    assert names.type_names() == (CANONICAL, BARE)
    with pytest.raises(PluginLoadingError, match="al_no_such_module"):
        loader.load_workflow_blocks()


def test_an_older_engine_does_not_offer_the_block(loader):
    assert ours(loader.load_workflow_blocks(execution_engine_version="1.16.9")) == []
    assert len(ours(loader.load_workflow_blocks(execution_engine_version="1.18.0"))) == 1
    assert ours(loader.load_workflow_blocks(execution_engine_version="2.0.0")) == []


def test_no_initialiser_of_the_core_is_replaced(loader):
    core = loader.load_core_blocks_initializers()
    with_ours = loader.load_initializers()

    assert set(with_ours) - set(core) == {"workflows_core.al_framework_collector_pool"}
    assert {name: with_ours[name] for name in core} == core


def test_the_target_project_and_the_work_are_declared(plugins):
    from al_framework_roboflow.inference_plugin.manifest import manifest_class

    fields = {
        "type": CANONICAL,
        "name": "c",
        "image": "$inputs.image",
        "predictions": "$steps.m.predictions",
        "target_dataset": "proj",
    }
    manifest = manifest_class((CANONICAL,))(**fields)
    switched_off = manifest_class((CANONICAL,))(**fields, disable_active_learning=True)

    (resource,) = manifest.discover_dependent_resources()
    assert resource.metadata.project_url == "proj"
    assert switched_off.discover_dependent_resources() == []
    assert [work.name for work in manifest.discover_work_operations()] == [
        "EXTERNAL_REQUEST",
        "IMAGE_ENCODING",
    ]
    assert manifest.get_air_gapped_availability().available is False


def test_an_engine_without_declarations_still_gets_the_block(plugins, monkeypatch):
    from al_framework_roboflow.inference_plugin import engine
    from al_framework_roboflow.inference_plugin.manifest import manifest_class

    monkeypatch.setattr(engine, "platform_project", None)
    monkeypatch.setattr(engine, "work_operations", None)
    manifest = manifest_class((CANONICAL,)).model_construct()

    assert manifest.discover_dependent_resources() is None
    assert manifest.discover_work_operations() is None


def no_module(name):
    def import_module(asked):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    return import_module


def test_the_engine_is_used_without_the_server_where_that_is_not_installed(plugins, monkeypatch):
    from al_framework_roboflow.inference_plugin import engine, shared

    monkeypatch.setattr("importlib.import_module", no_module("inference"))
    monkeypatch.setenv("API_BASE_URL", "https://gateway.example")
    engine._let_the_server_configure_first()

    assert shared._api_url() == "https://gateway.example"


def test_a_broken_server_is_not_taken_for_one_that_is_not_installed(plugins, monkeypatch):
    from al_framework_roboflow.inference_plugin import engine

    monkeypatch.setattr("importlib.import_module", no_module("cv2"))

    with pytest.raises(ModuleNotFoundError, match="cv2"):
        engine._let_the_server_configure_first()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("predictions", "literal"),
        ("image", "literal"),
        ("disable_active_learning", "perhaps"),
        ("active_learning_configuration", "text"),
        ("target_dataset", None),
    ],
)
def test_a_wrong_field_fails_the_compilation(plugins, field, value):
    from pydantic import ValidationError

    from al_framework_roboflow.inference_plugin.manifest import manifest_class

    fields = {
        "type": CANONICAL,
        "name": "c",
        "image": "$inputs.image",
        "predictions": "$steps.m.predictions",
        "target_dataset": "proj",
    }

    with pytest.raises(ValidationError, match=field):
        manifest_class((CANONICAL,))(**{**fields, field: value})


def test_an_engine_that_cannot_convert_its_tensors_is_refused_at_loading(plugins, monkeypatch):
    from inference.core.workflows.execution_engine.v1.dynamic_blocks import (
        representation_boundary,
    )

    from al_framework_roboflow.inference_plugin import block, engine

    monkeypatch.setattr(engine, "tensors_are_used", lambda: True)
    monkeypatch.delattr(representation_boundary, "convert_kwargs_to_legacy")

    with pytest.raises(ImportError, match="TENSOR_DATA_REPRESENTATION is on, and this version"):
        block.block_class(("al_test/never_built@v1",))


def test_tensors_are_converted_by_the_engine(plugins, monkeypatch):
    from inference.core.workflows.execution_engine.v1.dynamic_blocks import (
        representation_boundary,
    )

    from al_framework_roboflow.inference_plugin import engine

    monkeypatch.setattr(engine, "tensors_are_used", lambda: True)
    monkeypatch.setattr(
        representation_boundary,
        "convert_kwargs_to_legacy",
        lambda kwargs, manifest_description, block_name: {"predictions": [kwargs, block_name]},
    )

    assert engine.without_tensors("x") == [{"predictions": "x"}, CANONICAL]


IMPORTED_FIRST = """
import al_framework_roboflow.inference_plugin as plugin
(block,) = plugin.load_blocks()
import inference.core.env
from inference.core.workflows.execution_engine.introspection.blocks_loader import (
    load_workflow_blocks,
)
from al_framework_roboflow.inference_plugin.shared import _api_url
assert [b for b in load_workflow_blocks() if b.block_class is block]
print(_api_url())
"""


def test_the_plugin_can_be_imported_before_the_server(tmp_path):
    reply = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORTED_FIRST],
        env={
            **os.environ,
            "API_BASE_URL": "https://gateway.example",
            "WORKFLOWS_PLUGINS": OURS,
            "MODEL_CACHE_DIR": str(tmp_path),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert reply.stdout.strip() == "https://gateway.example", reply.stderr[-2000:]
