"""Predictor ``onnx``: run a detector that was exported to ONNX."""

from collections.abc import Sequence
from typing import Any

from al_framework.api import Predictor, hookimpl


@hookimpl
def al_register_predictors() -> Sequence[type[Predictor[Any]]]:
    """Announce the predictor."""
    from al_framework_onnx.predictor import OnnxPredictor

    return [OnnxPredictor]
