"""Roboflow's own answers: golden vectors made with inference 1.8.3 (see shared/vectors/README.md).

Answers and deviations come from the conformance command's own functions. What these call a refusal
is looked at once more here, by rules written down apart from the models.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from al_framework_roboflow.conformance.strategies import (
    DEVIATIONS,
    REFUSED,
    SPELLING,
    TOP_ALONE,
    Refusal,
    answer,
    deviation,
)

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
VECTORS = SHARED / "vectors" / "strategies.jsonl"
DECISIONS = SHARED / "wire" / "decisions.json"

DETECTION_TYPES = (
    "object-detection",
    "instance-segmentation",
    "keypoint-detection",
    "keypoints-detection",
)


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_fraction(value):
    return is_number(value) and 0 <= value <= 1


def is_whole(value):
    return type(value) is int


def is_names(value):
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def is_text(value):
    return isinstance(value, str) and value != ""


def or_nothing(check):
    return lambda value: value is None or check(value)


OPTIONS = {
    "name": is_text,
    "type": is_text,
    "traffic_percentage": is_fraction,
    "threshold": is_fraction,
    "epsilon": is_fraction,
    "probability": is_fraction,
    "selected_class_names": or_nothing(is_names),
    "only_top_classes": lambda value: isinstance(value, bool),
    "minimum_objects_close_to_threshold": is_whole,
    "more_than": or_nothing(is_whole),
    "less_than": or_nothing(is_whole),
}
REQUIRED = {
    "random": ("name", "traffic_percentage"),
    "close_to_threshold": ("name", "threshold", "epsilon", "probability"),
    "classes_based": ("name", "selected_class_names", "probability"),
    "detections_number_based": ("name", "probability"),
}


def forbidden_options(entry):
    """Return the options that Roboflow's documentation rules out."""
    if not is_text(entry.get("type")):
        return {"type"}
    if entry["type"] not in REQUIRED:
        return {"name"} - {key for key in ("name",) if is_text(entry.get(key))}
    wrong = {key for key, value in entry.items() if key in OPTIONS and not OPTIONS[key](value)}
    wrong |= set(REQUIRED[entry["type"]]) - set(entry)
    bounds = entry.get("more_than"), entry.get("less_than")
    if entry["type"] == "classes_based" and entry.get("selected_class_names") is None:
        wrong.add("selected_class_names")
    if not wrong and None not in bounds and bounds[0] >= bounds[1]:
        wrong.add("less_than")
    return wrong


def document_is_malformed(document, prediction_type):
    """Tell whether the document lacks what its type promises, or gives another kind of value."""
    entries = document.get("predictions")
    if document.get("is_stub"):
        return False
    if prediction_type in DETECTION_TYPES:
        return not is_list_of_classes(entries)
    if prediction_type != "classification":
        return False  # of another task
    if "top" in document:
        confidence = document.get("confidence")
        stated = isinstance(document["top"], str) and (confidence is None or is_number(confidence))
        return not (stated and (entries is None or is_list_of_classes(entries)))
    if not is_names(document.get("predicted_classes")) or not isinstance(entries, dict):
        return True
    return not all(
        isinstance(score, dict) and is_number(score.get("confidence")) for score in entries.values()
    )


def is_list_of_classes(entries):
    return isinstance(entries, list) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("class"), str)
        and is_number(entry.get("confidence"))
        for entry in entries
    )


def is_justified(refusal, given):
    if refusal.place == "prediction":
        return document_is_malformed(given["prediction"], given["prediction_type"])
    for index, entry in enumerate(given["strategies"]):
        places = {f"strategies[{index}].{key}" for key in forbidden_options(entry)}
        if any(refusal.place == place or refusal.place.startswith(f"{place}.") for place in places):
            return True
    return False


@pytest.mark.skipif(not VECTORS.exists(), reason="the golden vectors are not part of this checkout")
def test_the_strategies_answer_as_roboflow_does():
    counts, differences, unjustified = Counter(), [], []
    with VECTORS.open(encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines]
    for case in cases:
        given, expected = case["input"], case["expected"]
        got = answer(given)
        refused, failed = isinstance(got, Refusal), isinstance(expected, dict)
        if got == expected:
            counts["equal"] += 1
        elif refused and failed:
            counts["both refuse"] += 1
        elif (name := deviation(given)) is None or (name == REFUSED) != refused:
            differences.append((case["id"], given, expected, got))
        else:
            counts[name] += 1
            if refused and not is_justified(got, given):
                unjustified.append((case["id"], given, got))

    assert differences == []
    assert unjustified == []
    assert dict(counts) == {
        "equal": 2273,
        "both refuse": 194,
        REFUSED: 139,
        SPELLING: 7,
        TOP_ALONE: 3,
    }


@pytest.mark.skipif(not VECTORS.exists(), reason="the golden vectors are not part of this checkout")
def test_no_deviation_is_named_in_vain():
    with VECTORS.open(encoding="utf-8") as lines:
        names = {deviation(json.loads(line)["input"]) for line in lines}

    assert {None, *DEVIATIONS} == names


@pytest.mark.skipif(not DECISIONS.exists(), reason="the recordings are not part of this checkout")
def test_recorded_decisions_are_ours_number_drawn_included():
    differences, names = [], Counter()
    for vector in json.loads(DECISIONS.read_text(encoding="utf-8"))["vectors"]:
        given = {
            "strategies": [{"name": "s", **vector["strategy"]}],
            "prediction": vector["prediction"],
            "prediction_type": vector["prediction_type"],
        }
        got = answer(given, draw=vector["random"])
        failed = "error" in vector
        if (failed and isinstance(got, Refusal)) or (
            not failed and got == (["s"] if vector["sampled"] else [])
        ):
            continue
        name = deviation(given)
        names[name] += 1
        if name is None or (name == REFUSED) != isinstance(got, Refusal):
            differences.append((vector, got))

    assert differences == []
    assert set(names) <= set(DEVIATIONS)


CUP = {"class": "cup", "confidence": 0.5}
RANDOM = {"name": "all", "type": "random", "traffic_percentage": 1}
MANY = {"name": "many", "type": "detections_number_based", "probability": 1, "more_than": 0}
CAT = {"name": "cat", "type": "classes_based", "probability": 1, "selected_class_names": ["cat"]}
CLOSE = {
    "name": "close",
    "type": "close_to_threshold",
    "threshold": 0.5,
    "epsilon": 0.1,
    "probability": 1,
}


def case(*strategies, prediction=None, prediction_type="object-detection"):
    document = {"predictions": [CUP]} if prediction is None else prediction
    return {
        "strategies": list(strategies),
        "prediction": document,
        "prediction_type": prediction_type,
    }


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (case(RANDOM, MANY, CLOSE), ["all", "many", "close"]),
        (case(MANY, RANDOM, {**RANDOM, "name": "none", "traffic_percentage": 0}), ["many", "all"]),
        (case({"name": "new", "type": "from_the_future", "speed": 3}, RANDOM), ["all"]),
        (case(RANDOM, MANY, CLOSE, prediction={"is_stub": True}), ["all"]),
        (case(RANDOM, CLOSE, prediction_type="ocr"), ["all"]),
        (case({**MANY, "more_than": 1.0}), []),
    ],
)
def test_an_answer_names_who_takes_the_frame(given, names):
    assert names == answer(given)
    assert deviation(given) is None


@pytest.mark.parametrize(
    ("given", "name", "names"),
    [
        (case(RANDOM, MANY, CLOSE, prediction_type="keypoints-detection"), SPELLING, None),
        (case(CAT, prediction={"top": "cat"}, prediction_type="classification"), TOP_ALONE, None),
        (
            case(
                {**CLOSE, "only_top_classes": False},
                prediction={"top": "cat", "confidence": 0.5},
                prediction_type="classification",
            ),
            TOP_ALONE,
            None,
        ),
        (case(RANDOM, prediction_type="keypoints-detection"), None, ["all"]),
        (case(RANDOM, prediction={"top": "a"}, prediction_type="classification"), None, ["all"]),
    ],
)
def test_a_deviation_is_decided_from_the_input(given, name, names):
    assert name == deviation(given)
    every = [strategy["name"] for strategy in given["strategies"]]
    assert answer(given) == (every if names is None else names)


@pytest.mark.parametrize(
    ("given", "place", "message"),
    [
        (case(3), "strategies[0]", "3 is no mapping"),
        (case({"type": "random"}), "strategies[0].name", "None is no text"),
        (case(RANDOM, {**MANY, "type": []}), "strategies[1].type", "[] is no text"),
        (case(RANDOM, RANDOM), "strategies[1].name", "'all' is taken"),
        (
            case({**RANDOM, "traffic_percentage": 2}),
            "strategies[0].traffic_percentage",
            "Input should be less than or equal to 1",
        ),
        (
            case({**CAT, "selected_class_names": [1]}),
            "strategies[0].selected_class_names.0",
            "Input should be a valid string",
        ),
        (
            case(RANDOM, prediction={"predictions": [{**CUP, "confidence": "0.5"}]}),
            "prediction",
            "predictions[0].confidence is '0.5': it has to be finite",
        ),
        (
            case(CLOSE, prediction={"top": "cat"}, prediction_type="classification"),
            "prediction",
            (
                "strategy 'close': the prediction of frame 'case' gives no confidence for its top "
                "class 'cat': have the adapter set top_confidence"
            ),
        ),
    ],
)
def test_a_refusal_says_what_stands_where(given, place, message):
    assert answer(given) == Refusal(place=place, message=message)
