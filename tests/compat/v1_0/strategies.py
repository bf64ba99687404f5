"""Strategies as they were written for version 1.0 of the plugin API. Never edited."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from al_framework.api import Detections, Frame, Options, Prediction, Strategy, Verdict, hookimpl


class UnsureOptions(Options):
    low: float = Field(default=0.3, ge=0, le=1, description="Confidence from which it is unsure.")
    high: float = Field(default=0.7, ge=0, le=1, description="Confidence up to which it is unsure.")


class Unsure(Strategy[UnsureOptions]):
    """Reads a prediction."""

    type_name = "v1_unsure"
    tasks = frozenset({"object-detection", "instance-segmentation"})
    also_reads = frozenset({"keypoint-detection"})

    def evaluate(self, frame: Frame, prediction: Prediction) -> Verdict:
        assert isinstance(prediction, Detections)
        unsure = [c for c in prediction.confidence if self.options.low <= c <= self.options.high]
        return Verdict(
            match=bool(unsure),
            utility=float(len(unsure)),
            probability=1.0,
            reason=f"{len(unsure)} of {len(prediction)} unsure",
        )


class Bright(Strategy):
    """Reads pixels."""

    type_name = "v1_bright"
    needs_pixels = True

    def evaluate(self, frame: Frame, prediction: Prediction) -> Verdict:
        return Verdict(match=float(frame.image.pixels().mean()) > 100)


class EveryOther(Strategy):
    """Remembers."""

    type_name = "v1_every_other"
    stateful = True

    def start(self) -> None:
        self._seen = 0

    def evaluate(self, frame: Frame, prediction: Prediction) -> Verdict:
        self._seen += 1
        return Verdict(match=self._seen % 2 == 0)

    def state_dict(self) -> Mapping[str, object]:
        return {"seen": self._seen}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        self._seen = int(str(state["seen"]))


@hookimpl
def al_register_strategies() -> list[type[Strategy[Any]]]:
    return [Unsure, Bright, EveryOther]
