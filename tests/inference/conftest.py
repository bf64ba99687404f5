"""Everything here needs Roboflow Inference itself: ``tox -e inference``.

Nothing is imported from it unless a test runs, so that collecting without it does no harm.
"""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

TEST_BLOCKS = "al_inference_test_blocks"
OURS = "al_framework_roboflow.inference_plugin"
PLUGINS = f"{OURS},{TEST_BLOCKS}"

if importlib.util.find_spec("inference") is not None:
    # Before its first import: no request to a package index, and no billing.
    os.environ.setdefault("DISABLE_VERSION_CHECK", "True")
    os.environ.setdefault("TELEMETRY_OPT_OUT", "True")
    os.environ.setdefault("WORKFLOWS_PLUGINS", OURS)


@pytest.fixture(scope="session")
def blocks_module():
    """The tests' own detector, as a plugin module that the engine can import by name."""
    import inference.core  # noqa: F401 - the server's settings first, see the plugin's `engine`

    path = Path(__file__).with_name("detector_blocks.py")
    spec = importlib.util.spec_from_file_location(TEST_BLOCKS, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[TEST_BLOCKS] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def plugins(blocks_module, monkeypatch):
    monkeypatch.setenv("WORKFLOWS_PLUGINS", PLUGINS)
    monkeypatch.delenv("AL_INFERENCE_BARE_ALIAS", raising=False)


@pytest.fixture
def picture():
    """A function that makes a picture of its own for every number."""

    def make(seed=0, width=200, height=100):
        random = np.random.default_rng(seed)
        return random.integers(0, 255, (height, width, 3), dtype=np.uint8)

    return make


@pytest.fixture
def run(plugins):
    """Run a workflow as the server does: compiled anew for every call."""
    from inference.core.workflows.execution_engine.core import ExecutionEngine

    def run(document, inputs, *, pool=None, api_key="key-of-request", **parameters):
        init = {f"workflows_core.{name}": value for name, value in parameters.items()}
        init["workflows_core.api_key"] = api_key
        if pool is not None:
            init["workflows_core.al_framework_collector_pool"] = pool
        engine = ExecutionEngine.init(
            workflow_definition=document, init_parameters=init, max_concurrent_steps=1
        )
        return engine.run(runtime_parameters=inputs)

    return run
