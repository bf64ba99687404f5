import json
from collections import Counter
from pathlib import Path

import pytest

from al_framework_roboflow.conformance.config import (
    DEVIATIONS,
    NULL_TARGET,
    REFUSED,
    UNKNOWN_STRATEGY,
    answer,
    comparable,
    deviation,
    refusals,
)

VECTORS = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "config.jsonl"

pytestmark = pytest.mark.skipif(
    not VECTORS.exists(), reason="the golden vectors are not beside this repository"
)


@pytest.fixture(scope="module")
def vectors():
    return [json.loads(line) for line in VECTORS.read_text().splitlines()]


def test_every_document_is_understood_as_roboflow_does_or_deviates_by_name(vectors):
    other = [
        vector["id"]
        for vector in vectors
        if answer(vector["input"]) != comparable(vector["expected"])
        and deviation(vector["input"]) is None
    ]

    assert [] == other


def test_every_deviation_is_needed(vectors):
    needed = {
        deviation(vector["input"])
        for vector in vectors
        if answer(vector["input"]) != comparable(vector["expected"])
    }

    assert set(DEVIATIONS) == needed


def test_what_roboflow_accepts_and_documents_is_accepted_with_the_same_meaning(vectors):
    count = 0
    for vector in vectors:
        if vector["tag"] == "valid":
            count += 1

            assert answer(vector["input"]) == comparable(vector["expected"])
            assert deviation(vector["input"]) is None

    assert count > 50


def test_every_refusal_names_its_places(vectors):
    refused = [vector for vector in vectors if refusals(vector["input"])]
    without = [
        v["id"]
        for v in refused
        if isinstance(v["input"]["config"], dict) and not all(refusals(v["input"]))
    ]

    assert refused
    assert [] == without


def test_a_document_that_roboflow_refuses_is_taken_only_without_what_is_not_known(vectors):
    taken = Counter(
        deviation(vector["input"])
        for vector in vectors
        if vector["expected"]["remote"]["outcome"] == "error"
        and answer(vector["input"])["remote"]["outcome"] == "ok"
    )

    assert {UNKNOWN_STRATEGY} == set(taken)


DOCUMENT = {
    "enabled": True,
    "persist_predictions": True,
    "sampling_strategies": [{"name": "a", "type": "random", "traffic_percentage": 0.5}],
    "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"target_project": None}, NULL_TARGET),
        ({"enabled": False, "target_project": None}, None),
        ({"enabled": None}, REFUSED),
        ({"tags": "ab"}, REFUSED),
        ({"zebra": 1}, REFUSED),
        ({"sampling_strategies": [{"name": "a", "type": "novel", "limits": 5}]}, UNKNOWN_STRATEGY),
    ],
)
def test_the_deviation_follows_from_the_document_alone(change, expected):
    assert expected == deviation({"config": DOCUMENT | change})


def test_the_verdict_in_place_is_given_where_it_differs():
    said = answer({"config": DOCUMENT | {"enabled": 0}})

    assert {"remote": {"outcome": "disabled"}, "inplace": {"outcome": "error"}} == said
