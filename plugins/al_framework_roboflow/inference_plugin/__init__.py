"""The ``ActiveLearningDataCollector`` block for Roboflow Inference 1.8.

Install this distribution beside ``inference``, list this module, and every process that compiles
workflows offers the block::

    WORKFLOWS_PLUGINS=al_framework_roboflow.inference_plugin

Read from the environment: ``AL_INFERENCE_BARE_ALIAS=0`` leaves the old name
``ActiveLearningDataCollector`` out, ``AL_SPOOL_DIR`` says where accepted pictures wait, and the
address of the API is Inference's own, ``API_BASE_URL``.

What the engine looks for in a plugin are the three public names below.
Source: roboflow-workflows 0.2.13, ``execution_engine/introspection/blocks_loader.py``.
"""

from collections.abc import Callable
from typing import Any

# Why the engine's own namespace: the server hands the key of a request, and its wish that sinks
# stay quiet, to blocks of this source alone; under our module's name a block can ask for neither.
# What comes with it: the server lists the block beside its own; a Python user passes the key as
# ``workflows_core.api_key``, as for the blocks of the core, since a bare ``api_key`` is hidden by
# the registered default; and our initialisers share one namespace with the core's, where an equal
# name would replace the core's for every block, hence their prefix.
BLOCKS_SOURCE = "workflows_core"


def _collector_pool() -> object:
    from al_framework_roboflow.inference_plugin.shared import collector_pool

    return collector_pool()


REGISTERED_INITIALIZERS: dict[str, Callable[[], object]] = {
    "al_framework_collector_pool": _collector_pool
}


def load_blocks() -> list[type[Any]]:
    """Return the block, under as many names as are free.

    Raises:
        ImportError: The workflows engine is not installed, or too different from the one known.
    """
    from al_framework_roboflow.inference_plugin.block import block_class
    from al_framework_roboflow.inference_plugin.names import type_names

    return [block_class(type_names())]
