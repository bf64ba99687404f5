"""Checked by mypy and pyright, never run: what a plugin's author writes has the right types.

pluggy cannot tie an implementation to its specification, but a module can be checked against a
Protocol, and so can a component's options.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import Field

import al_framework_adapters
import al_framework_local
import al_framework_onnx
import al_framework_roboflow
import al_framework_video
from al_framework import Collector, Detections
from al_framework.api import (
    Checkpoint,
    Clock,
    Component,
    Datapoint,
    Frame,
    Options,
    Prediction,
    PredictionAdapter,
    Predictor,
    Receipt,
    Sink,
    Source,
    Strategy,
    Ticket,
    Verdict,
)
from al_framework.pipeline.clock import SystemClock
from al_framework.testing import FakeCheckpoint, FakeClock


class ProvidesStrategies(Protocol):
    def al_register_strategies(self) -> Sequence[type[Strategy[Any]]]: ...


class ProvidesSinks(Protocol):
    def al_register_sinks(self) -> Sequence[type[Sink[Any]]]: ...


class ProvidesSources(Protocol):
    def al_register_sources(self) -> Sequence[type[Source[Any]]]: ...


class ProvidesPredictors(Protocol):
    def al_register_predictors(self) -> Sequence[type[Predictor[Any]]]: ...


class ProvidesAdapters(Protocol):
    def al_register_prediction_adapters(self) -> Sequence[type[PredictionAdapter[Any]]]: ...


strategies: ProvidesStrategies = al_framework_roboflow
roboflow_adapters: ProvidesAdapters = al_framework_roboflow
framework_adapters: ProvidesAdapters = al_framework_adapters
sinks: ProvidesSinks = al_framework_local
directory: ProvidesSources = al_framework_local
video: ProvidesSources = al_framework_video
predictors: ProvidesPredictors = al_framework_onnx

wrong: ProvidesSinks = al_framework_video  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # it provides no sinks

clock: Clock = FakeClock()
real_clock: Clock = SystemClock()
checkpoint: Checkpoint = FakeCheckpoint()


class MinimumOptions(Options):
    minimum: float = Field(0.5, description="Least confidence.")


class Confident(Strategy[MinimumOptions]):
    type_name = "confident"

    def evaluate(self, frame: Frame, prediction: Prediction) -> Verdict:
        minimum: float = self.options.minimum
        found = isinstance(prediction, Detections) and bool((prediction.confidence > minimum).any())
        return Verdict(match=found, reason=frame.frame_id)


class Keep(Sink):
    type_name = "keep"

    def deliver(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
        checkpoint.save(seen=datapoint.item_id)
        return Receipt(status="created", remote_id=datapoint.item_id)


components: Sequence[type[Component[Any]]] = [Confident, Keep]


def use(collector: Collector, picture: bytes) -> Ticket:
    return collector.submit(picture, {"predictions": []}, frame_id="f", attributes={"camera": "1"})
