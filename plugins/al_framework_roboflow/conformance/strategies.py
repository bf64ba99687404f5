"""Cases of `strategies`: a document's strategies and a prediction, and who takes the frame.

`answer` asks the real strategies about what the real adapter reads. `deviation` says, from the
input alone, whether and why our answer may differ from Roboflow's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from pydantic import ValidationError

from al_framework.api import (
    Classification,
    Frame,
    Image,
    Options,
    Prediction,
    PredictionError,
    Strategy,
    Unlabelled,
)
from al_framework.testing import make_context
from al_framework_roboflow.response import RoboflowResponse
from al_framework_roboflow.strategies import (
    ClassesBased,
    CloseToThreshold,
    DetectionsNumberBased,
    RandomSampling,
)

REFUSED: Final = "refused-by-validation"
SPELLING: Final = "documented-spelling"
TOP_ALONE: Final = "top-alone"

DEVIATIONS: Final[Mapping[str, str]] = {
    REFUSED: "an option or a value is of a type or range that Roboflow's documentation rules out, "
    "or the document lacks what its prediction type promises; Roboflow checks neither and answers, "
    "or dies, as it happens (D26)",
    SPELLING: "Roboflow's documentation spells the keypoint task 'keypoints-detection'; its "
    "strategies pass that spelling over, ours read both",
    TOP_ALONE: "a top class without a confidence, or without a list of classes beside it, as "
    "workflows hand it over: Roboflow's strategies fail and collect nothing (D12), ours judge by "
    "what is there",
}

_TYPES: Final[Mapping[str, type[Strategy[Any]]]] = {
    kind.type_name: kind
    for kind in (ClassesBased, CloseToThreshold, DetectionsNumberBased, RandomSampling)
}
_OF_THE_HOST = frozenset({"name", "type", "tags", "limits"})
_DOCUMENTED_KEYPOINTS = "keypoints-detection"
_DRAW = 0.5  # between the chances of the cases, which are 0 and 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What does not pass.

    Attributes:
        place: Where it stands in the case: ``strategies[0].probability``, ``prediction``.
        message: What is wrong with it.
    """

    place: str
    message: str


Case: TypeAlias = Mapping[str, Any]


def answer(case: Case, *, draw: float = _DRAW) -> list[str] | Refusal:
    """Return the names of the strategies that take the frame, in order.

    A strategy of an unknown type is left out, as it is in a document that comes from Roboflow.

    Args:
        case: ``strategies``, ``prediction`` and ``prediction_type``.
        draw: The number that every strategy draws.
    """
    checked = _check(case)
    if isinstance(checked, Refusal):
        return checked
    strategies, prediction = checked
    taking = []
    for name, strategy in strategies:
        if not _eligible(strategy, prediction):
            continue
        try:
            verdict = strategy.evaluate(_frame(), prediction)
        except PredictionError as exc:
            return Refusal(place="prediction", message=str(exc))
        if verdict.match and draw < verdict.probability:
            taking.append(name)
    return taking


def deviation(case: Case) -> str | None:
    """Return the name of the rule by which our answer may differ, a key of `DEVIATIONS`."""
    checked = _check(case)
    if isinstance(checked, Refusal) or isinstance(answer(case), Refusal):
        return REFUSED
    strategies, prediction = checked
    choosy = any(strategy.tasks is not None for _, strategy in strategies)
    if choosy and prediction.prediction_type == _DOCUMENTED_KEYPOINTS:
        return SPELLING
    if choosy and isinstance(prediction, Classification) and prediction.top is not None:
        document = case["prediction"]
        if document.get("confidence") is None or document.get("predictions") is None:
            return TOP_ALONE
    return None


def _check(case: Case) -> tuple[Sequence[tuple[str, Strategy[Any]]], Prediction] | Refusal:
    """Return what passes our validation, ready to be asked, or the first thing that does not."""
    strategies: dict[str, Strategy[Any]] = {}
    if not isinstance(case["strategies"], list):
        return Refusal(place="strategies", message=f"{case['strategies']!r} is no list")
    if not isinstance(case["prediction_type"], str):
        message = f"{case['prediction_type']!r} is no text"
        return Refusal(place="prediction_type", message=message)
    for index, entry in enumerate(case["strategies"]):
        place = f"strategies[{index}]"
        fault = _fault_of(entry, strategies, place)
        if fault is not None:
            return fault
        kind = _TYPES.get(entry["type"])
        if kind is None:
            continue
        values = {key: _whole(value) for key, value in entry.items() if key not in _OF_THE_HOST}
        try:
            # As the loader does: strictly, as JSON.
            options: Any = kind.Options.model_validate_json(json.dumps(values), strict=True)
        except ValidationError as exc:
            error = exc.errors(include_url=False)[0]
            where = ".".join([place, *map(str, error["loc"])])
            return Refusal(place=where, message=error["msg"])
        strategies[entry["name"]] = kind(options, make_context(Path(), name=entry["name"]))
    adapter = RoboflowResponse(Options(), make_context(Path(), name="roboflow_response"))
    try:
        prediction = adapter.adapt(
            case["prediction"], frame=_frame(), prediction_type=case["prediction_type"]
        )
    except PredictionError as exc:
        return Refusal(place="prediction", message=str(exc.__cause__ or exc))
    return list(strategies.items()), prediction


def _fault_of(entry: Any, taken: Mapping[str, Any], place: str) -> Refusal | None:
    """Return what is wrong with what all strategies have in common."""
    if not isinstance(entry, Mapping):
        return Refusal(place=place, message=f"{entry!r} is no mapping")
    for key in ("name", "type"):
        value = entry.get(key)
        if not isinstance(value, str) or not value:
            return Refusal(place=f"{place}.{key}", message=f"{value!r} is no text")
    if entry["name"] in taken:
        return Refusal(place=f"{place}.name", message=f"{entry['name']!r} is taken")
    return None


def _eligible(strategy: Strategy[Any], prediction: Prediction) -> bool:
    """Tell what the engine would."""
    if strategy.tasks is None:
        return True
    return prediction.prediction_type in strategy.tasks and not isinstance(prediction, Unlabelled)


def _whole(value: object) -> object:
    """Return 5.0 as 5, as the loader does: JSON has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _frame() -> Frame:
    return Frame(frame_id="case", image=Image(np.zeros((480, 640, 3), np.uint8)))
