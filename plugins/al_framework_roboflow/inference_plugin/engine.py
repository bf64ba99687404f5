"""The one door to Inference's workflows engine.

Everything is fetched by name at run time, since the engine is no dependency of ours: type checkers
see `Any`, and a server without one of the optional names still gets the block.
"""

import importlib
from typing import Any


def _fetch(module: str) -> Any:
    """Return a module of the engine.

    Raises:
        ImportError: There is no such engine, with what to install.
    """
    name = f"roboflow_workflows.{module}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        raise ImportError(
            f"the workflows engine of Roboflow Inference lacks {exc.name!r}: install "
            "inference or inference-cpu 1.8, for which this block is made"
        ) from exc


def _let_the_server_configure_first() -> None:
    """Import the server, where it is installed, before anything of the engine.

    The engine takes its settings for good when it is first imported, and the server's have to be
    there by then: an engine imported first makes a later ``import inference`` fail.
    """
    try:
        importlib.import_module("inference.core")
    except ModuleNotFoundError as exc:
        if exc.name not in {"inference", "inference.core"}:
            raise


_let_the_server_configure_first()

_base = _fetch("execution_engine.entities.base")
_block = _fetch("prototypes.block")

kinds: Any = _fetch("execution_engine.entities.types")
OutputDefinition: Any = _base.OutputDefinition
WorkflowBlock: Any = _block.WorkflowBlock
WorkflowBlockManifest: Any = _block.WorkflowBlockManifest
AirGappedAvailability: Any = _block.AirGappedAvailability
platform_project: Any = getattr(_block, "roboflow_platform_project", None)
work_operations: Any = getattr(_fetch("execution_engine.entities.workload"), "WorkOperation", None)
outline_of_mask: Any = _fetch("core_steps.common.serializers").mask_to_polygon


def core_blocks() -> list[Any]:
    """Return the engine's own block classes; it keeps the list, so this is cheap."""
    loader = _fetch("execution_engine.introspection.blocks_loader")
    return [known.block_class for known in loader.load_core_workflow_blocks()]


def tensors_are_used() -> bool:
    """Tell whether the steps of this process exchange tensors instead of ``sv.Detections``."""
    return bool(_fetch("environment").ENABLE_TENSOR_DATA_REPRESENTATION)


def conversion_of_tensors() -> Any:
    """Return the engine's own conversion, the one that custom Python blocks get.

    Raises:
        ImportError: This engine has none, or another.
    """
    boundary = _fetch("execution_engine.v1.dynamic_blocks.representation_boundary")
    convert = getattr(boundary, "convert_kwargs_to_legacy", None)
    if convert is None:
        raise ImportError(
            "ENABLE_TENSOR_DATA_REPRESENTATION is on, and this version of Inference cannot convert "
            "tensors for the block 'al_framework/active_learning_data_collector@v1': switch it "
            "off, or install inference 1.8"
        )
    return convert


def without_tensors(prediction: object) -> object:
    """Return a prediction as ``sv.Detections`` or a dictionary where it is made of tensors."""
    if not tensors_are_used():
        return prediction
    converted = conversion_of_tensors()(
        kwargs={"predictions": prediction},
        manifest_description=None,
        block_name="al_framework/active_learning_data_collector@v1",
    )
    return converted["predictions"]
