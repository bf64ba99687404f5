"""Cases of whole documents: targets, strategies and predictions that cannot be read."""

import pytest

from al_framework_roboflow.conformance import config, outcomes, rescale, strategies
from al_framework_roboflow.conformance.kinds import KINDS
from al_framework_roboflow.conformance.strategies import Refusal

REFUSED = "refused-by-validation"


def test_a_document_that_is_to_be_refused_is_refused():
    follows = KINDS["config"].follows

    assert follows(REFUSED, {}, {"remote": {"outcome": "ok"}, "inplace": {"outcome": "error"}})
    assert not follows(REFUSED, {}, {"remote": {"outcome": "ok"}})
    assert follows("null-target-is-none", {}, {"remote": {"outcome": "ok"}})


@pytest.mark.parametrize("target", [None, ""])
def test_an_empty_target_is_none(target):
    document = {
        "enabled": True,
        "persist_predictions": True,
        "sampling_strategies": [{"name": "d", "type": "random", "traffic_percentage": 1.0}],
        "batching_strategy": {"batches_name_prefix": "p", "recreation_interval": "never"},
        "target_project": target,
    }

    answer = config.answer({"config": document})
    assert answer["remote"]["summary"]["dataset_id"] == "coin-detection"
    assert config.deviation({"config": document}) == "null-target-is-none"


@pytest.mark.parametrize("given", [None, 5, {}, "abc"])
def test_strategies_that_are_no_list_are_refused(given):
    case = {"strategies": given, "prediction": {}, "prediction_type": "object-detection"}

    assert strategies.answer(case) == Refusal(place="strategies", message=f"{given!r} is no list")
    assert strategies.deviation(case) == REFUSED


@pytest.mark.parametrize("kind", [None, 5, ["x"], {}])
def test_a_prediction_type_that_is_no_text_is_refused(kind):
    case = {"strategies": [], "prediction": {}, "prediction_type": kind}

    refusal = Refusal(place="prediction_type", message=f"{kind!r} is no text")
    assert strategies.answer(case) == refusal
    assert strategies.deviation(case) == REFUSED


def test_a_top_class_that_a_strategy_cannot_judge_is_refused():
    close = {"type": "close_to_threshold", "threshold": 0.5, "epsilon": 0.1, "probability": 1}
    case = {
        "strategies": [{"name": "s", "only_top_classes": False, **close}],
        "prediction": {"predictions": [], "top": ""},
        "prediction_type": "classification",
    }

    assert isinstance(strategies.answer(case), Refusal)
    assert strategies.deviation(case) == REFUSED


@pytest.mark.parametrize("image", [[None], 5, "x", False])
def test_the_size_of_an_image_that_is_no_mapping_is_refused(image):
    case = {
        "prediction": {"predictions": [], "image": image},
        "scaling_factor": 0.5,
        "prediction_type": "object-detection",
    }

    message = f"{image!r} is no mapping"
    assert rescale.answer(case) == Refusal(place="prediction.image", message=message)


@pytest.mark.parametrize(
    ("kind", "types", "taking"),
    [
        ("object-detection", ["random"], ["random"]),
        ("object-detection", ["random", "classes_based"], ["random"]),
        ("classification", ["random", "classes_based"], []),
        ("classification", ["random", "detections_number_based"], ["random"]),
        ("keypoint-detection", ["random", "close_to_threshold"], []),
    ],
)
def test_a_prediction_that_cannot_be_read_is_lost_to_all_at_roboflow(kind, types, taking):
    entries = [{"name": each, "type": each, "traffic_percentage": 1.0} for each in types]
    entries = [
        entry if entry["type"] == "random" else {"name": entry["name"], "type": entry["type"]}
        for entry in entries
    ]

    assert outcomes.blind_to(entries, kind) == taking
