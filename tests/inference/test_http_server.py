"""The HTTP server of Inference: the key of a request reaches the upload of its pictures."""

import base64
import contextlib
import io

import pytest

pytest.importorskip("inference")

from al_framework_roboflow.pool import CollectorPool
from al_framework_roboflow.server import Project, State, Workspace, running_server

pytestmark = [pytest.mark.inference, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The server's application, with files that its wheel lacks."""
    root = tmp_path_factory.mktemp("inference")
    for name in ("static", "_next/static"):
        (root / "inference/landing/out" / name).mkdir(parents=True)
    with contextlib.chdir(root):
        from inference.core.interfaces.http.http_api import HttpInterface
        from inference.core.managers.base import ModelManager
        from inference.core.registries.roboflow import RoboflowModelRegistry

        yield HttpInterface(ModelManager(model_registry=RoboflowModelRegistry({}))).app


@pytest.fixture
def server():
    state = State(
        workspaces=[Workspace("ws-a", [Project("proj")]), Workspace("ws-b", [Project("proj")])],
        api_keys={"key-of-tenant-a": "ws-a", "key-of-tenant-b": "ws-b"},
    )
    with running_server(state) as server:
        yield server


@pytest.fixture
def pool(server, tmp_path, monkeypatch):
    from al_framework_roboflow.inference_plugin import shared

    pool = CollectorPool(api_url=server.url, spool_root=tmp_path / "spool")
    monkeypatch.setattr(shared, "_SHARED", shared._Shared())
    monkeypatch.setattr(shared, "new_pool", lambda: pool)
    yield pool
    pool.close()


def specification():
    return {
        "version": "1.0",
        "inputs": [{"type": "InferenceImage", "name": "image"}],
        "steps": [
            {"type": "al_test/model@v1", "name": "m", "image": "$inputs.image"},
            {
                "type": "ActiveLearningDataCollector",
                "name": "collect",
                "image": "$inputs.image",
                "predictions": "$steps.m.predictions",
                "target_dataset": "proj",
                "active_learning_configuration": {
                    "enabled": True,
                    "persist_predictions": True,
                    "sampling_strategies": [
                        {"name": "all", "type": "random", "traffic_percentage": 1.0}
                    ],
                    "batching_strategy": {
                        "batches_name_prefix": "pfx",
                        "recreation_interval": "never",
                    },
                },
            },
        ],
        "outputs": [
            {"type": "JsonField", "name": "status", "selector": "$steps.collect.status"},
            {"type": "JsonField", "name": "error", "selector": "$steps.collect.error_status"},
        ],
    }


def as_input(pixels):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"type": "base64", "value": base64.b64encode(buffer.getvalue()).decode()}


def test_requests_of_two_tenants_reach_each_ones_own_dataset(plugins, app, server, pool, picture):
    from fastapi.testclient import TestClient

    replies = []
    with TestClient(app) as client:
        for seed, key in enumerate(("key-of-tenant-a", "key-of-tenant-b", "key-of-tenant-b")):
            body = {
                "api_key": key,
                "specification": specification(),
                "inputs": {"image": as_input(picture(seed))},
            }
            replies.append(client.post("/workflows/run", json=body))
    pool.close()

    assert [reply.status_code for reply in replies] == [200] * 3, replies[0].text
    outputs = [output for reply in replies for output in reply.json()["outputs"]]
    assert [output["error"] for output in outputs] == [False] * 3
    tenants = [len(one.projects[0].images) for one in server.state.workspaces]
    assert tenants == [1, 2]
    assert all(
        image.annotations
        for one in server.state.workspaces
        for image in one.projects[0].images.values()
    )


def test_a_request_can_disable_sinks(plugins, app, server, pool, picture):
    from fastapi.testclient import TestClient

    body = {
        "api_key": "key-of-tenant-a",
        "specification": specification(),
        "inputs": {"image": as_input(picture())},
        "disable_sinks": True,
    }
    with TestClient(app) as client:
        reply = client.post("/workflows/run", json=body)
    pool.close()

    assert reply.json()["outputs"] == [{"status": "disabled", "error": False}]
    assert server.requests() == []


def test_the_server_describes_and_validates_the_block(plugins, app):
    from fastapi.testclient import TestClient

    with TestClient(app) as client:
        described = client.post("/workflows/blocks/describe", json={})
        valid = client.post("/workflows/validate", json=specification())

    blocks = {block["manifest_type_identifier"]: block for block in described.json()["blocks"]}
    block = blocks["al_framework/active_learning_data_collector@v1"]
    assert block["manifest_type_identifier_aliases"] == ["ActiveLearningDataCollector"]
    assert valid.json() == {"status": "ok"}
