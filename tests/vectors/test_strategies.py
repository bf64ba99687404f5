"""Roboflow's own answers: golden vectors made with inference 1.8.3 (see shared/vectors/README.md).

Three deviations are allowed, each decided from the case's input and never by its name:

* ``refused-by-validation``: an option or a value is of a type or range that the schema forbids.
  Upstream checks none of them, and answers or dies as it happens.
* ``documented-spelling``: `close_to_threshold` reads ``keypoints-detection`` too.
* ``no-where-upstream-fails``: upstream dies with a KeyError, TypeError or AttributeError inside a
  sampler; we say no, since the document is `Unlabelled` or lists no classes.
"""

import json
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from al_framework.api import Frame, Image, Options, PredictionError, Unlabelled
from al_framework.testing import make_context, sample_pixels
from al_framework_roboflow.response import RoboflowResponse
from al_framework_roboflow.strategies import CloseToThreshold, RandomSampling

VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "strategies.jsonl"
TYPES = {"random": RandomSampling, "close_to_threshold": CloseToThreshold}
OURS_TO_NAME = ("name", "type", "tags", "limits")
DRAW = 0.5  # chances in these vectors are 0 or 1


def cases():
    with VECTORS.open(encoding="utf-8") as lines:
        for line in lines:
            case = json.loads(line)
            if all(entry.get("type") in tuple(TYPES) for entry in case["input"]["strategies"]):
                yield case


def evaluate(given, directory):
    """Answer as the engine does: names of the strategies that take the frame, or ``refused``."""
    context = make_context(directory)
    frame = Frame(frame_id="f", image=Image(sample_pixels(640, 480)))
    try:
        strategies = [
            (
                entry["name"],
                (kind := TYPES[entry["type"]])(
                    kind.Options(**{k: v for k, v in entry.items() if k not in OURS_TO_NAME}),
                    context,
                ),
            )
            for entry in given["strategies"]
        ]
        if not all(isinstance(name, str) and name for name, _ in strategies):
            return "refused"
        prediction = RoboflowResponse(Options(), context).adapt(
            given["prediction"], frame=frame, prediction_type=given["prediction_type"]
        )
    except (ValidationError, PredictionError, KeyError):
        return "refused"
    names = []
    for name, strategy in strategies:
        eligible = strategy.tasks is None or (
            prediction.prediction_type in strategy.tasks and not isinstance(prediction, Unlabelled)
        )
        if eligible:
            verdict = strategy.evaluate(frame, prediction)
            if verdict.match and verdict.probability > DRAW:
                names.append(name)
    return names


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_fraction(value):
    return is_number(value) and 0 <= value <= 1


def is_names(value):
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


OPTION_CHECKS = {
    "name": lambda value: isinstance(value, str) and value != "",
    "traffic_percentage": is_fraction,
    "threshold": is_fraction,
    "epsilon": is_fraction,
    "probability": is_fraction,
    "selected_class_names": lambda value: value is None or is_names(value),
    "only_top_classes": lambda value: isinstance(value, bool),
    "minimum_objects_close_to_threshold": lambda value: type(value) is int,
}


def schema_forbids(given):
    """Tell whether types or ranges of the input are outside what Roboflow's schema says."""
    for entry in given["strategies"]:
        for key, value in entry.items():
            if key in OPTION_CHECKS and not OPTION_CHECKS[key](value):
                return True
    document = given["prediction"]
    entries = document.get("predictions", [])
    if isinstance(entries, dict):
        scores = entries.values()
        if not is_names(document.get("predicted_classes", [])):
            return True
    else:
        scores = entries
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            return True
        if not all(isinstance(entry.get("class"), str) for entry in entries):
            return True
    if "top" in document and not (
        isinstance(document["top"], str) and is_number(document.get("confidence"))
    ):
        return True
    return not all(is_number(score.get("confidence")) for score in scores)


def deviation(given, expected, answer):
    """Name the deviation that covers a difference, or None."""
    strategies = given["strategies"]
    if answer == "refused":
        return "refused-by-validation" if schema_forbids(given) else None
    if isinstance(expected, dict):
        document = given["prediction"]
        threshold = any(entry["type"] == "close_to_threshold" for entry in strategies)
        lacks = "predictions" not in document or not (
            isinstance(document["predictions"], list)
            if given["prediction_type"] != "classification"
            else {"top", "predicted_classes"} & set(document)
        )
        return "no-where-upstream-fails" if threshold and lacks and answer == [] else None
    if given["prediction_type"] == "keypoints-detection":
        random_only = [n for n in answer if n in expected]
        return "documented-spelling" if random_only == expected else None
    return None


@pytest.mark.skipif(not VECTORS.exists(), reason="the golden vectors are not part of this checkout")
def test_random_and_close_to_threshold_answer_as_roboflow_does(tmp_path):
    counts = Counter()
    differences = []
    for case in cases():
        given, expected = case["input"], case["expected"]
        answer = evaluate(given, tmp_path)
        if answer == expected:
            counts["equal"] += 1
        elif answer == "refused" and isinstance(expected, dict):
            counts["both refuse"] += 1
        elif (name := deviation(given, expected, answer)) is not None:
            counts[name] += 1
        else:
            differences.append((case["id"], given, expected, answer))

    assert differences == []
    assert dict(counts) == {
        "equal": 1245,
        "both refuse": 75,
        "refused-by-validation": 68,
        "documented-spelling": 2,
        "no-where-upstream-fails": 21,
    }
