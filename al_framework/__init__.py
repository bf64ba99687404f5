"""Decide which images deserve a label, next to any vision model.

Names are imported when they are first used, so that a plugin's ``from al_framework import api``
pays for nothing else.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from al_framework.api import Classification, Detections, Frame, hookimpl
    from al_framework.assembly.standalone import document_faults, started_components
    from al_framework.collector import Collector
    from al_framework.pipeline.recent import RecentImages

__version__ = "0.1.0"

__all__ = [
    "Classification",
    "Collector",
    "Detections",
    "Frame",
    "RecentImages",
    "__version__",
    "document_faults",
    "hookimpl",
    "started_components",
]

_HOMES = {
    "Classification": "al_framework.api",
    "Collector": "al_framework.collector",
    "Detections": "al_framework.api",
    "Frame": "al_framework.api",
    "RecentImages": "al_framework.pipeline.recent",
    "document_faults": "al_framework.assembly.standalone",
    "hookimpl": "al_framework.api",
    "started_components": "al_framework.assembly.standalone",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
