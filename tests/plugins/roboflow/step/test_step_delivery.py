"""The step with real collectors, a real spool, and the local Roboflow server."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from al_framework import Collector
from al_framework_roboflow.pool import CollectorPool
from al_framework_roboflow.server.running import running_server
from al_framework_roboflow.server.state import Project, State, Workspace
from al_framework_roboflow.step import ActiveLearningDataCollector

BOX = json.loads(Path(__file__).with_name("box.json").read_text())
HANG_S = 30.0


def rules(tag="all", **changes):
    return {
        "enabled": True,
        "persist_predictions": True,
        "sampling_strategies": [
            {"name": "all", "type": "random", "traffic_percentage": 1.0, "tags": [tag]}
        ],
        "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
        **changes,
    }


def array(seed=0, width=100, height=50):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 255, (height, width, 3), dtype=np.uint8)


def until(condition):
    pause = threading.Event()
    for _ in range(int(HANG_S / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it took too long")


@pytest.fixture
def server():
    state = State(
        workspaces=[
            Workspace("ws-a", [Project("p", configuration=rules("fetched"))]),
            Workspace("ws-b", [Project("p", "classification", configuration=rules("other"))]),
        ],
        api_keys={"keyaaaa": "ws-a", "keybbbb": "ws-b"},
    )
    with running_server(state) as server:
        yield server


@pytest.fixture
def pool(server, tmp_path):
    pool = CollectorPool(api_url=server.url, spool_root=tmp_path / "spools")
    yield pool
    pool.close()


@pytest.fixture
def step(pool):
    return ActiveLearningDataCollector(pool)


def images(server, workspace="ws-a"):
    with server.state.lock:
        found = next(one for one in server.state.workspaces if one.name == workspace)
        return list(found.projects[0].images.values())


def delivered(pool):
    """Wait until nothing is left to do."""

    def done():
        counts = list(pool.stats().values())
        return all(
            not one.queued and not any(sink.pending for sink in one.sinks.values())
            for one in counts
        )

    until(done)


def arguments(**changes):
    return {
        "image": array(),
        "predictions": [BOX],
        "target_dataset": "p",
        "api_key": "keyaaaa",
        "active_learning_configuration": rules(),
        **changes,
    }


def test_image_and_predictions_arrive_in_the_project(step, pool, server):
    [result] = step.run(**arguments())
    delivered(pool)

    assert (result.status, result.error_status) == ("queued", False)
    [image] = images(server)
    assert (image.batch, list(image.tags)) == ("b", ["all", "p-workflows"])
    sent = json.loads(image.annotations[0].body)
    assert list(sent) == ["image", "predictions"]
    assert sent["image"] == {"width": 100, "height": 50}
    assert sent["predictions"] == [BOX]


def test_two_tenants_with_one_dataset_name_never_meet(step, pool, server):
    for key, tag in (("keyaaaa", "from-a"), ("keybbbb", "from-b")):
        step.run(**arguments(api_key=key, active_learning_configuration=rules(tag)))
    delivered(pool)

    [a], [b] = images(server), images(server, "ws-b")
    assert a.tags[0] == "from-a"
    assert b.tags[0] == "from-b"
    assert a.sha256 == b.sha256


def test_two_configurations_of_one_dataset_each_apply(step, pool, server):
    for seed, tag in enumerate(("one", "two")):
        step.run(**arguments(image=array(seed), active_learning_configuration=rules(tag)))
    delivered(pool)

    assert sorted(image.tags[0] for image in images(server)) == ["one", "two"]


def test_the_same_picture_is_sent_once_whoever_offers_it(pool, server):
    ActiveLearningDataCollector(pool, name="first").run(**arguments())
    delivered(pool)
    other = rules("another")
    ActiveLearningDataCollector(pool, name="second").run(
        **arguments(active_learning_configuration=other)
    )
    delivered(pool)

    assert len(images(server)) == 1
    assert len(server.requests("upload")) == 1
    assert [one.dropped for one in pool.stats().values()] == [{}, {"recently_sent": 1}]


def test_a_picture_that_was_not_sent_may_be_offered_again(step, pool, server):
    refusing = rules()
    refusing["sampling_strategies"][0]["traffic_percentage"] = 0.0
    [result] = step.run(**arguments(active_learning_configuration=refusing))
    step.run(**arguments())
    delivered(pool)

    assert result.status == "not_selected"
    assert len(images(server)) == 1


def test_without_a_configuration_the_projects_own_is_fetched(step, pool, server):
    [first] = step.run(**arguments(active_learning_configuration=None))
    assert first.status in {"dropped", "queued"}
    assert not first.error_status
    until(lambda: step.run(**arguments(active_learning_configuration=None))[0].status == "queued")
    delivered(pool)

    assert list(images(server)[0].tags) == ["fetched", "p-workflows"]


def test_crops_and_classifications_arrive_together_with_bad_neighbours(step, pool, server):
    crop = {
        "type": "numpy_object",
        "value": array(1, 10, 8),
        "parent_id": "d1",
        "origin_coordinates": {
            "left_top_x": 40,
            "left_top_y": 20,
            "width": 10.0,
            "height": 8.0,
            "origin_image_size": {"height": 50, "width": 100},
        },
    }
    document = {
        "image": {"width": 100, "height": 50},
        "predictions": [{"class": "cat", "class_id": 0, "confidence": 0.55}],
        "top": "cat",
        "confidence": 0.55,
    }
    unsure = {
        "name": "unsure",
        "type": "close_to_threshold",
        "threshold": 0.5,
        "epsilon": 0.1,
        "probability": 1.0,
    }
    results = step.run(
        **arguments(
            api_key="keybbbb",
            image=[crop, {"type": "url", "value": "http://127.0.0.1/x.jpg"}, array(2)],
            predictions=["dog", "dog", document],
            active_learning_configuration=rules(
                sampling_strategies=[unsure, rules()["sampling_strategies"][0]]
            ),
        )
    )
    delivered(pool)

    assert [one.status for one in results] == ["queued", "invalid", "queued"]
    bodies = {image.annotations[0].body: list(image.tags) for image in images(server, "ws-b")}
    assert bodies == {"dog": ["all", "p-workflows"], "cat": ["p-workflows"]}


def test_a_configuration_with_faults_is_told_with_their_places(step, caplog):
    [result] = step.run(
        **arguments(active_learning_configuration=rules(jpeg_compression_level=200, extra=1))
    )

    assert (result.status, result.error_status) == ("error", True)
    assert "no collector for the dataset 'p': 2 faults: " in result.message
    assert "active_learning_configuration.jpeg_compression_level" in result.message
    assert "active_learning_configuration.extra" in result.message


def test_a_project_name_that_is_none_is_told(step):
    [result] = step.run(**arguments(target_dataset="a/b?c"))

    assert result.status == "error"
    assert "the target dataset is 'a/b?c': pass the short name of a project" in result.message


def test_async_collects_without_waiting_for_spool_or_server(step, pool, server):
    results = asyncio.run(step.run_async(**arguments()))
    for thread in list(pool._threads):
        thread.join(HANG_S)
    delivered(pool)

    assert [one.status for one in results] == ["queued"]
    assert len(images(server)) == 1


def test_the_key_is_written_nowhere(step, pool, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    step.run(**arguments())
    step.run(**arguments(active_learning_configuration=None))
    step.run(**arguments(active_learning_configuration={"enabled": 3}))
    delivered(pool)
    pool.close()

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert b"keyaaaa" not in path.read_bytes()
        assert "keyaaaa" not in str(path)
    assert "keyaaaa" not in caplog.text


def test_other_sinks_take_the_place_of_roboflow(server, tmp_path):
    pool = CollectorPool(
        spool_root=tmp_path / "spools",
        sinks=[{"type": "directory", "path": str(tmp_path / "out" / "{collector}")}],
    )
    step = ActiveLearningDataCollector(pool)
    for key in ("keyaaaa", "keybbbb"):
        assert step.run(**arguments(api_key=key))[0].status == "queued"
    delivered(pool)
    pool.close()

    assert len(list((tmp_path / "out").iterdir())) == 2
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 2
    assert server.requests() == []


FORKED = """
import os, sys, threading
import numpy as np
from pathlib import Path
from pydantic import SecretStr
from al_framework_roboflow.pool import CollectorPool

rules = {
    "enabled": True, "persist_predictions": True,
    "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1.0}],
    "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
}
sinks = [{"type": "directory", "path": "out/{collector}"}]
pool = CollectorPool(spool_root=Path("spools"), sinks=sinks)

def offer(seed):
    collector = pool.collector(
        api_key=SecretStr("key"), target_dataset="p", configuration=rules
    )
    image = np.full((20, 30, 3), seed, dtype=np.uint8)
    return collector, collector.submit(image, wait_accepted_s=60).status

collector, status = offer(1)
assert status == "accepted"
pause = threading.Event()
while any(sink.pending for sink in collector.stats().sinks.values()):
    pause.wait(0.01)
child = os.fork()
if child == 0:
    assert not pool.stats()
    other, status = offer(200)
    pool.close()
    os._exit(0 if (other is not collector, status) == (True, "accepted") else 9)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert offer(100) == (collector, "accepted")
pool.close()
sys.exit(status)
"""


def test_parent_and_child_of_a_fork_both_collect(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 3


def limited(tag):
    document = rules(tag)
    document["sampling_strategies"][0]["limits"] = [{"type": "daily", "value": 2}]
    return document


def test_a_changed_document_goes_on_with_the_limits_of_the_one_before(server, pool, step, caplog):
    for seed in range(3):
        step.run(**arguments(image=array(seed), active_learning_configuration=limited("old")))
    delivered(pool)
    for seed in range(3, 6):
        step.run(**arguments(image=array(seed), active_learning_configuration=limited("new")))
    delivered(pool)

    assert [("old", "p-workflows")] * 2 == [image.tags for image in images(server)]
    assert 4 == sum(counts.limited for counts in pool.stats().values())


def test_a_picture_of_the_model_and_of_the_step_is_sent_once(server, pool, step, tmp_path):
    at_the_model = {
        "active_learning": rules("model"),
        "sinks": [
            {"type": "roboflow", "project": "p", "api_key": "keyaaaa", "api_url": server.url}
        ],
        "spool": {"path": str(tmp_path / "model")},
    }
    with Collector.from_config(at_the_model, recent=pool.recent) as collector:
        collector.submit(array(), {"predictions": [BOX]})
        collector.flush(HANG_S)
        step.run(**arguments())
        step.run(**arguments(api_key="keybbbb"))  # another tenant's project of the same name
        delivered(pool)

    assert [1, 1] == [len(images(server)), len(images(server, "ws-b"))]
    assert 1 == sum(counts.dropped.get("recently_sent", 0) for counts in pool.stats().values())
