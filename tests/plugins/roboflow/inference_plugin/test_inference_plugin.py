"""What can be said of the plugin without Inference; the rest is in ``tests/inference``."""

import importlib.util
import os
import subprocess
import sys
import threading

import pytest

import al_framework_roboflow.inference_plugin as plugin
from al_framework_roboflow.inference_plugin import shared

without_inference = pytest.mark.skipif(
    importlib.util.find_spec("roboflow_workflows") is not None, reason="Inference is installed"
)


class FakePool:
    def __init__(self, **given):
        self.given = given


@pytest.fixture
def fresh(monkeypatch):
    monkeypatch.setattr(shared, "_SHARED", shared._Shared())
    monkeypatch.setattr(shared, "CollectorPool", FakePool)


def test_the_engine_finds_its_own_namespace_and_one_initialiser_of_ours():
    assert plugin.BLOCKS_SOURCE == "workflows_core"
    assert list(plugin.REGISTERED_INITIALIZERS) == ["al_framework_collector_pool"]


@without_inference
def test_without_inference_loading_says_what_to_install():
    with pytest.raises(
        ImportError,
        match=r"the workflows engine of Roboflow Inference lacks 'roboflow_workflows': install "
        r"inference or inference-cpu 1\.8",
    ):
        plugin.load_blocks()


def test_all_compilations_get_one_pool(fresh):
    pools = []
    create = plugin.REGISTERED_INITIALIZERS["al_framework_collector_pool"]
    threads = [threading.Thread(target=lambda: pools.append(create())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(pools) == 8
    assert len(set(map(id, pools))) == 1


@without_inference
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, "https://api.roboflow.com"),
        ("", "https://api.roboflow.com"),
        ("https://gateway.example", "https://gateway.example"),
    ],
)
def test_the_pool_uses_the_api_of_the_server(fresh, monkeypatch, url, expected):
    monkeypatch.delenv("API_BASE_URL", raising=False)
    if url is not None:
        monkeypatch.setenv("API_BASE_URL", url)

    assert shared.collector_pool().given == {"api_url": expected}


FORK = """
import os, signal
from al_framework_roboflow.inference_plugin import shared
pool = shared.collector_pool()
with shared._SHARED._lock:
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if shared.collector_pool() is pool else 1)
    _, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
pool.close()
"""


def test_a_forked_child_does_not_wait_for_a_lock_of_its_parent(tmp_path):
    reply = subprocess.run(
        [sys.executable, "-c", FORK],
        env={**os.environ, "AL_SPOOL_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (reply.returncode, reply.stdout.strip()) == (0, "0"), reply.stderr
