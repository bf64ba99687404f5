"""Roboflow: Active Learning's strategies and documents, Inference's models, the hosted datasets."""

from collections.abc import Sequence
from typing import Any

from al_framework.api import (
    ConfigurationProvider,
    PredictionAdapter,
    Predictor,
    Sink,
    Strategy,
    hookimpl,
)


@hookimpl
def al_register_predictors() -> Sequence[type[Predictor[Any]]]:
    """Return the predictor that asks an Inference server."""
    from al_framework_roboflow.predictor import RoboflowInference

    return [RoboflowInference]


@hookimpl
def al_register_prediction_adapters() -> Sequence[type[PredictionAdapter[Any]]]:
    """Return the adapters for what Roboflow's models and crop steps answer with."""
    from al_framework_roboflow.crops import RoboflowCrops
    from al_framework_roboflow.response import RoboflowResponse

    return [RoboflowCrops, RoboflowResponse]


@hookimpl
def al_register_strategies() -> Sequence[type[Strategy[Any]]]:
    """Return the sampling strategies."""
    from al_framework_roboflow.strategies import (
        ClassesBased,
        CloseToThreshold,
        DetectionsNumberBased,
        RandomSampling,
    )

    return [ClassesBased, CloseToThreshold, DetectionsNumberBased, RandomSampling]


@hookimpl
def al_register_sinks() -> Sequence[type[Sink[Any]]]:
    """Return the sink that uploads to a Roboflow project."""
    from al_framework_roboflow.sink import RoboflowSink

    return [RoboflowSink]


@hookimpl
def al_register_configuration_providers() -> Sequence[type[ConfigurationProvider[Any]]]:
    """Return the provider that fetches a project's Active Learning document."""
    from al_framework_roboflow.provider import RoboflowConfiguration

    return [RoboflowConfiguration]
