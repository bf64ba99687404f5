"""The hooks: six that register component classes, three that tell what happened.

pluggy's hooks are called *once* to collect classes; nothing that happens per frame is a hook. Two
entries of one type, options checked before the first frame, the configuration's order, and one
failing strategy not taking the others with it all follow from that.
"""

from collections.abc import Sequence
from typing import Any

import pluggy

from al_framework.api.components import (
    ConfigurationProvider,
    PredictionAdapter,
    Predictor,
    Sink,
    Source,
    Strategy,
)
from al_framework.api.runs import RunInfo, RunSummary
from al_framework.api.types import Datapoint, Receipt

PROJECT_NAME = "al_framework"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)


@hookspec
def al_register_sources() -> Sequence[type[Source[Any]]]:  # type: ignore[empty-body]  # a specification
    """Return the plugin's source classes.

    Called once by each host, on the thread that makes it. An error leaves the plugin out and is
    reported with its name.
    """


@hookspec
def al_register_predictors() -> Sequence[type[Predictor[Any]]]:  # type: ignore[empty-body]  # a specification
    """Return the plugin's predictor classes.

    Called once by each host, on the thread that makes it. An error leaves the plugin out and is
    reported with its name.
    """


@hookspec
def al_register_prediction_adapters() -> Sequence[type[PredictionAdapter[Any]]]:  # type: ignore[empty-body]  # a specification
    """Return the plugin's prediction adapter classes.

    Called once by each host, on the thread that makes it. An error leaves the plugin out and is
    reported with its name.
    """


@hookspec
def al_register_strategies() -> Sequence[type[Strategy[Any]]]:  # type: ignore[empty-body]  # a specification
    """Return the plugin's strategy classes.

    Called once by each host, on the thread that makes it. An error leaves the plugin out and is
    reported with its name.
    """


@hookspec
def al_register_sinks() -> Sequence[type[Sink[Any]]]:  # type: ignore[empty-body]  # a specification
    """Return the plugin's sink classes.

    Called once by each host, on the thread that makes it. An error leaves the plugin out and is
    reported with its name.
    """


@hookspec
def al_register_configuration_providers() -> Sequence[type[ConfigurationProvider[Any]]]:  # type: ignore[empty-body]  # a specification
    """Return the plugin's configuration provider classes.

    Called once by each host, on the thread that makes it. An error leaves the plugin out and is
    reported with its name.
    """


@hookspec
def al_run_started(run: RunInfo) -> None:
    """Hear that a run begins.

    Called once per run, after every component has started, on the thread that starts the run. An
    error is logged with the plugin's name and ignored.
    """


@hookspec
def al_datapoint_delivered(sink: str, datapoint: Datapoint, receipt: Receipt) -> None:
    """Hear that a sink holds a datapoint.

    Called once per delivered datapoint and sink, duplicates included, on a delivery thread: return
    quickly. An error is logged with the plugin's name and ignored.
    """


@hookspec
def al_run_finished(summary: RunSummary) -> None:
    """Hear that a run is over.

    Called once per run, after the last delivery and before the components close, on the thread
    that started the run. An error is logged with the plugin's name and ignored.
    """
