"""The contract: all that a plugin may import, and all that it needs.

Minor versions only add to what is exported here.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from al_framework.api.codec import datapoint_from_dict, datapoint_to_dict
from al_framework.api.component import Clock, Component, Context, Options, require
from al_framework.api.components import (
    COMPONENT_KINDS,
    Checkpoint,
    ConfigurationProvider,
    PredictionAdapter,
    Predictor,
    ProvidedConfiguration,
    Sink,
    Source,
    Strategy,
)
from al_framework.api.deprecations import find_former_name as _find_former_name
from al_framework.api.errors import (
    AlFrameworkError,
    ComponentError,
    ConfigurationError,
    Fault,
    FrameError,
    ImageError,
    LeaseLostError,
    MissingExtraError,
    PermanentSinkError,
    PluginError,
    PluginLoadError,
    PredictionError,
    SinkError,
    SinkPausedError,
    SourceError,
    SpoolDiskFullError,
    SpoolError,
    SpoolFullError,
    TransientSinkError,
)
from al_framework.api.hookspecs import hookimpl
from al_framework.api.image import ColorOrder, Image, ImageInput, ImageSize
from al_framework.api.predictions import (
    Classification,
    Detections,
    Keypoints,
    Prediction,
    RleMask,
    Scores,
    Unlabelled,
)
from al_framework.api.runs import (
    Counts,
    CreditUse,
    Health,
    RunInfo,
    RunSummary,
    SinkCounts,
    SinkHealth,
    SpoolHealth,
    StrategyCounts,
)
from al_framework.api.types import (
    Crop,
    Datapoint,
    Decision,
    Frame,
    FrameKey,
    Receipt,
    StrategyVerdict,
    Target,
    Ticket,
    Verdict,
)

__all__ = [
    "COMPONENT_KINDS",
    "AlFrameworkError",
    "Checkpoint",
    "Classification",
    "Clock",
    "ColorOrder",
    "Component",
    "ComponentError",
    "ConfigurationError",
    "ConfigurationProvider",
    "Context",
    "Counts",
    "CreditUse",
    "Crop",
    "Datapoint",
    "Decision",
    "Detections",
    "Fault",
    "Frame",
    "FrameError",
    "FrameKey",
    "Health",
    "Image",
    "ImageError",
    "ImageInput",
    "ImageSize",
    "Keypoints",
    "LeaseLostError",
    "MissingExtraError",
    "Options",
    "PermanentSinkError",
    "PluginError",
    "PluginLoadError",
    "Prediction",
    "PredictionAdapter",
    "PredictionError",
    "Predictor",
    "ProvidedConfiguration",
    "Receipt",
    "RleMask",
    "RunInfo",
    "RunSummary",
    "Scores",
    "Sink",
    "SinkCounts",
    "SinkError",
    "SinkHealth",
    "SinkPausedError",
    "Source",
    "SourceError",
    "SpoolDiskFullError",
    "SpoolError",
    "SpoolFullError",
    "SpoolHealth",
    "Strategy",
    "StrategyCounts",
    "StrategyVerdict",
    "Target",
    "Ticket",
    "TransientSinkError",
    "Unlabelled",
    "Verdict",
    "datapoint_from_dict",
    "datapoint_to_dict",
    "hookimpl",
    "require",
]

if not _TYPE_CHECKING:  # to a type checker it would mean that every name is there

    def __getattr__(name: str) -> object:
        """Find what has another name by now; see `al_framework.api.deprecations`."""
        return _find_former_name(name)
