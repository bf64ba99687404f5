"""Adapters for the objects of other people's libraries, none of which has to be installed."""

from collections.abc import Sequence
from typing import Any

from al_framework.api import PredictionAdapter, hookimpl


@hookimpl
def al_register_prediction_adapters() -> Sequence[type[PredictionAdapter[Any]]]:
    """Return the adapters."""
    from al_framework_adapters.supervision import SupervisionAdapter
    from al_framework_adapters.ultralytics import UltralyticsAdapter

    return [SupervisionAdapter, UltralyticsAdapter]
