"""The limit of a batch against the public vectors; deviations decided from the input alone."""

import json
from collections import Counter
from pathlib import Path

import pytest

from al_framework_roboflow.conformance import batch_accounting
from al_framework_roboflow.conformance.strategies import Refusal

VECTORS = (
    Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "batch_accounting.jsonl"
)


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not here")
def test_a_picture_goes_in_where_roboflow_lets_it():
    counts = Counter()
    failed = []
    for line in VECTORS.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        answer = batch_accounting.answer(case["input"])
        name = batch_accounting.deviation(case["input"])
        if answer == case["expected"]:
            counts["equal"] += 1
            assert name is None, case["id"]  # a deviation that nothing needs is a bug
        elif name is None:
            failed.append((case["id"], answer))
        else:
            counts[name] += 1

    assert [] == failed
    assert {
        "equal": 178,
        "refused-by-validation": 25,
        "unreadable-reply": 7,
        "exact-batch-id": 6,
    } == dict(counts)


def case(most=5, images=1, jobs=(), **batch):
    entry = {"name": "b", "id": "XY", "images": images, "numJobs": len(jobs), **batch}
    replies = {"batches": {"batches": [entry]}, "jobs": {"jobs": list(jobs)}}
    return {"batch_name": "b", "max_batch_images": most, **replies}


def job(source, images):
    return {"sourceBatch": source, "numImages": images}


@pytest.mark.parametrize(
    ("given", "may_submit", "calls"),
    [
        (case(most=None), True, []),
        (case(most=2), True, ["batches"]),
        (case(most=2.0, images=2), False, ["batches"]),
        (case(jobs=[job("w/XY", 3)]), True, ["batches", "jobs"]),
        (case(jobs=[job("XY", 4)]), False, ["batches", "jobs"]),
        (case(jobs=[job(["XY", "Z"], 4)]), False, ["batches", "jobs"]),
        ({**case(), "batch_name": "another"}, True, ["batches"]),
    ],
)
def test_a_batch_counts_with_its_jobs(given, may_submit, calls):
    assert batch_accounting.answer(given) == {"may_submit": may_submit, "calls": calls}
    assert batch_accounting.deviation(given) is None


@pytest.mark.parametrize(("images", "name"), [(3, None), (4, "exact-batch-id")])
def test_a_job_whose_id_contains_the_batch_matters_where_it_fills_it(images, name):
    given = case(jobs=[job("XYZ", images)])

    assert batch_accounting.answer(given) == {"may_submit": True, "calls": ["batches", "jobs"]}
    assert batch_accounting.deviation(given) == name


@pytest.mark.parametrize(
    ("given", "calls"),
    [
        ({**case(), "batches": []}, ["batches"]),
        ({**case(), "batches": {}}, ["batches"]),
        (case(images=None), ["batches"]),
        (case(numJobs=None), ["batches"]),
        ({**case(jobs=[job("XY", 1)]), "jobs": {"jobs": None}}, ["batches", "jobs"]),
        (case(jobs=[job("XY", None)]), ["batches", "jobs"]),
        (case(jobs=[job("XY", 1)], id=None), ["batches", "jobs"]),
    ],
)
def test_what_cannot_be_counted_stops_nobody(given, calls):
    assert batch_accounting.answer(given) == {"may_submit": True, "calls": calls}
    assert batch_accounting.deviation(given) == "unreadable-reply"


@pytest.mark.parametrize("most", [0, -1, 2.5, "5", True])
def test_a_limit_that_the_loader_refuses_is_refused(most):
    answer = batch_accounting.answer(case(most=most))

    assert isinstance(answer, Refusal)
    assert answer.place == "max_batch_images"
    assert batch_accounting.deviation(case(most=most)) == "refused-by-validation"


def test_every_deviation_is_described():
    names = {batch_accounting.REFUSED, batch_accounting.EXACT_ID, batch_accounting.UNREADABLE}

    assert names == set(batch_accounting.DEVIATIONS)
