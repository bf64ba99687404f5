"""Run workflow documents of Roboflow around the step ``ActiveLearningDataCollector``.

The documents of both historical generations run unchanged: models through a predictor; crops,
filters, offsets and consensus here; and collectors through `al_framework_roboflow.step`.

Names are imported when they are first used, so that the help of `al workflow` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from al_framework_roboflow.workflow.documents import Workflow, read_workflow
    from al_framework_roboflow.workflow.errors import WorkflowFaultsError
    from al_framework_roboflow.workflow.execution import ANY_MODEL, PredictorLike
    from al_framework_roboflow.workflow.running import Collected, WorkflowResult, run_workflow

__all__ = [
    "ANY_MODEL",
    "Collected",
    "PredictorLike",
    "Workflow",
    "WorkflowFaultsError",
    "WorkflowResult",
    "read_workflow",
    "run_workflow",
]

_HOMES = {
    "ANY_MODEL": "execution",
    "Collected": "running",
    "PredictorLike": "execution",
    "Workflow": "documents",
    "WorkflowFaultsError": "errors",
    "WorkflowResult": "running",
    "read_workflow": "documents",
    "run_workflow": "running",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
