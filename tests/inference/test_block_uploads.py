"""Whole workflows, from the engine of Inference to what arrives at the local API server."""

import json
import threading

import pytest

pytest.importorskip("inference")

from al_framework_roboflow.pool import CollectorPool
from al_framework_roboflow.server import Project, State, Workspace, running_server

pytestmark = pytest.mark.inference

EVERYTHING = {
    "enabled": True,
    "persist_predictions": True,
    "sampling_strategies": [
        {"name": "all", "type": "random", "traffic_percentage": 1.0, "tags": ["from-workflow"]}
    ],
    "batching_strategy": {"batches_name_prefix": "pfx", "recreation_interval": "never"},
}
MODEL = {"type": "al_test/model@v1", "name": "m", "image": "$inputs.image"}
STATIC_CROP = {
    "type": "AbsoluteStaticCrop",
    "name": "crop",
    "image": "$inputs.image",
    "x_center": 80,
    "y_center": 40,
    "width": 80,
    "height": 40,
}


@pytest.fixture
def server():
    projects = [Project("proj", configuration=EVERYTHING), Project("cls", "classification")]
    workspaces = [Workspace("ws-a", projects), Workspace("ws-b", [Project("proj")])]
    keys = {"key-of-request": "ws-a", "key-of-tenant-b": "ws-b"}
    with running_server(State(workspaces=workspaces, api_keys=keys)) as server:
        yield server


@pytest.fixture
def pool(server, tmp_path):
    pool = CollectorPool(api_url=server.url, spool_root=tmp_path / "spool")
    yield pool
    pool.close()


def workflow(*steps, **collector):
    sink = {
        "type": "ActiveLearningDataCollector",
        "name": "collect",
        "image": "$inputs.image",
        "predictions": "$steps.m.predictions",
        "target_dataset": "proj",
        "active_learning_configuration": EVERYTHING,
        **collector,
    }
    return {
        "version": "1.0",
        "inputs": [
            {"type": "InferenceImage", "name": "image"},
            {"type": "InferenceParameter", "name": "key"},
            {"type": "InferenceParameter", "name": "off", "default_value": False},
        ],
        "steps": [*(steps or (MODEL,)), sink],
        "outputs": [
            {"type": "JsonField", "name": name, "selector": f"$steps.collect.{name}"}
            for name in ("error_status", "message", "status")
        ],
    }


def stored(server, workspace="ws-a", project="proj"):
    """The pictures of a project; ask after the pool was closed, which delivers them."""
    found = next(one for one in server.state.workspaces if one.name == workspace)
    return list(found.project(project).images.values())


def test_a_crop_and_its_detections_arrive_as_upload_and_annotation(run, server, pool, picture):
    model = {**MODEL, "image": "$steps.crop.crops"}
    document = workflow(STATIC_CROP, model, image="$steps.crop.crops")
    (result,) = run(document, {"image": picture()}, pool=pool)
    pool.close()

    (image,) = stored(server)
    (upload,) = server.requests("upload")
    (annotate,) = server.requests("annotate")
    annotation = json.loads(image.annotations[0].body)
    assert result["status"] in {"queued", "accepted"}
    assert result["error_status"] is False
    assert image.size == (80, 40)
    assert list(image.tags) == ["from-workflow", "proj-workflows"]
    assert image.batch == "pfx"
    assert image.inference_id == "inf-boxes"
    assert image.annotations[0].prediction is True
    assert annotation["image"] == {"width": 80, "height": 40}
    assert [entry["class"] for entry in annotation["predictions"]] == ["cat", "dog"]
    assert annotation["predictions"][0]["x"] == 20.0
    assert annotation["predictions"][0]["detection_id"] == "left-half"
    assert ["api_key", "ke***st"] in upload["query"]
    assert ["api_key", "ke***st"] in annotate["query"]


def test_nested_crops_arrive_one_by_one(run, server, pool, picture):
    first = {**MODEL, "name": "first"}
    crop = {
        "type": "Crop",
        "name": "crop",
        "image": "$inputs.image",
        "predictions": "$steps.first.predictions",
    }
    model = {**MODEL, "image": "$steps.crop.crops"}
    document = workflow(first, crop, model, image="$steps.crop.crops")
    results = run(document, {"image": [picture(1), picture(2)]}, pool=pool)
    pool.close()

    assert [len(result["status"]) for result in results] == [2, 2]
    assert len(stored(server)) == 4
    assert len(server.requests("annotate")) == 4


@pytest.mark.parametrize("case", ["boxes x", "masks points", "keypoints keypoints"])
def test_every_kind_of_detections_arrives_with_its_shape(run, server, pool, picture, case):
    task, key = case.split()
    run(workflow({**MODEL, "task": task}), {"image": picture()}, pool=pool)
    pool.close()

    (image,) = stored(server)
    assert key in json.loads(image.annotations[0].body)["predictions"][0]


@pytest.mark.parametrize("selector", ["$steps.m.predictions", "$steps.m.top"])
def test_a_classification_arrives_as_the_name_of_its_class(run, server, pool, picture, selector):
    document = workflow({**MODEL, "task": "classes"}, predictions=selector, target_dataset="cls")
    run(document, {"image": picture()}, pool=pool)
    pool.close()

    (image,) = stored(server, project="cls")
    assert image.annotations[0].body == "cat"
    assert image.annotations[0].name.endswith(".txt")


def test_two_tenants_in_one_process_never_meet(run, server, pool, picture):
    other = {
        **EVERYTHING,
        "sampling_strategies": [{"name": "b", "type": "random", "traffic_percentage": 1.0}],
    }
    run(workflow(), {"image": picture(1)}, pool=pool)
    run(
        workflow(active_learning_configuration=other),
        {"image": picture(2)},
        pool=pool,
        api_key="key-of-tenant-b",
    )
    run(
        workflow(active_learning_configuration=other, target_dataset_api_key="$inputs.key"),
        {"image": picture(3), "key": "key-of-tenant-b"},
        pool=pool,
    )
    pool.close()

    assert [list(image.tags) for image in stored(server)] == [["from-workflow", "proj-workflows"]]
    assert [list(image.tags) for image in stored(server, "ws-b")] == [["proj-workflows"]] * 2


def test_every_request_compiles_anew_and_all_share_one_pool(run, server, picture, monkeypatch):
    from al_framework_roboflow.inference_plugin import shared

    made = []
    monkeypatch.setattr(shared, "_SHARED", shared._Shared())
    monkeypatch.setattr(shared, "_api_url", lambda: server.url)
    monkeypatch.setattr(
        shared, "CollectorPool", lambda **given: made.append(CollectorPool(**given)) or made[-1]
    )
    for seed in range(3):
        run(workflow(), {"image": picture(seed)})
    counts = made[0].stats()
    made[0].close()

    assert len(made) == 1
    assert [one.offered for one in counts.values()] == [3]
    assert len(stored(server)) == 3


def test_a_document_of_the_first_generation_runs_unchanged(run, server, pool, picture):
    document = {
        "version": "1.0",
        "inputs": [
            {"type": "InferenceImage", "name": "image"},
            {"type": "InferenceParameter", "name": "key"},
            {"type": "InferenceParameter", "name": "off", "default_value": False},
        ],
        "steps": [
            {"type": "al_test/model@v1", "name": "m", "image": "$inputs.image"},
            {
                "type": "ActiveLearningDataCollector",
                "name": "collect",
                "image": "$inputs.image",
                "predictions": "$steps.m.predictions",
                "target_dataset": "proj",
                "target_dataset_api_key": "$inputs.key",
                "disable_active_learning": "$inputs.off",
                "active_learning_configuration": {
                    "enabled": True,
                    "persist_predictions": True,
                    "sampling_strategies": [
                        {
                            "name": "all",
                            "type": "random",
                            "traffic_percentage": 1.0,
                            "tags": ["a"],
                            "limits": [{"type": "daily", "value": 100}],
                        }
                    ],
                    "batching_strategy": {
                        "batches_name_prefix": "pfx",
                        "recreation_interval": "daily",
                    },
                },
            },
        ],
        "outputs": [{"type": "JsonField", "name": "p", "selector": "$steps.m.predictions"}],
    }
    run(document, {"image": picture(), "key": "key-of-request"}, pool=pool, api_key=None)
    pool.close()

    (image,) = stored(server)
    assert list(image.tags) == ["a", "proj-workflows"]
    assert image.batch.startswith("pfx_")


def test_the_input_switch_wins_over_everything(run, server, pool, picture):
    document = workflow(disable_active_learning="$inputs.off")
    (result,) = run(document, {"image": picture(), "off": True}, pool=pool, api_key=None)
    pool.close()

    assert result["status"] == "disabled"
    assert result["error_status"] is False
    assert server.requests() == []


def test_a_request_that_disables_sinks_sends_nothing(run, server, pool, picture):
    (result,) = run(workflow(), {"image": picture()}, pool=pool, disable_sinks=True)
    pool.close()

    assert result["status"] == "disabled"
    assert server.requests() == []


FAULTS = {
    "no API key": {"api_key": None},
    "sampling_strategies": {
        "active_learning_configuration": {"enabled": True, "sampling_strategies": "all"}
    },
    "telepathy": {"prediction_type": "telepathy"},
}


@pytest.mark.parametrize("named", FAULTS)
def test_a_fault_is_an_output_that_names_it_and_never_a_failure(run, server, pool, picture, named):
    collector = dict(FAULTS[named])
    api_key = collector.pop("api_key", "key-of-request")
    batch = [picture(1), picture(2)]
    results = run(workflow(**collector), {"image": batch}, pool=pool, api_key=api_key)
    pool.close()

    assert [result["error_status"] for result in results] == [True, True]
    assert named in results[0]["message"]
    assert "key-of-request" not in results[0]["message"]
    assert server.requests("upload") == []


def test_the_same_picture_is_sent_once(run, server, pool, picture):
    run(workflow(), {"image": picture()}, pool=pool)
    run(workflow(), {"image": picture()}, pool=pool)
    pool.close()

    assert len(server.requests("upload")) == 1


def test_without_a_document_the_projects_own_is_fetched_and_holds(run, server, pool, picture):
    document = workflow()
    del document["steps"][-1]["active_learning_configuration"]
    ready = threading.Event()
    for _ in range(1000):  # a hang limit: the document arrives in the background
        (result,) = run(document, {"image": picture()}, pool=pool)
        if result["status"] != "dropped":
            ready.set()
            break
        ready.wait(0.01)
    pool.close()

    (image,) = stored(server)
    assert ready.is_set()
    assert list(image.tags) == ["from-workflow", "proj-workflows"]
    assert len(server.requests("active_learning")) == 1
