"""Roboflow Active Learning: its sampling strategies and its prediction documents."""

from collections.abc import Sequence
from typing import Any

from al_framework.api import PredictionAdapter, Strategy, hookimpl


@hookimpl
def al_register_strategies() -> Sequence[type[Strategy[Any]]]:
    """Return the sampling strategies."""
    from al_framework_roboflow.strategies import CloseToThreshold, RandomSampling

    return [CloseToThreshold, RandomSampling]


@hookimpl
def al_register_prediction_adapters() -> Sequence[type[PredictionAdapter[Any]]]:
    """Return the adapter for the documents that Roboflow's models answer with."""
    from al_framework_roboflow.response import RoboflowResponse

    return [RoboflowResponse]
