"""What the conformance command makes of batches; the vectors are run in its own tests."""

import pytest

from al_framework_roboflow.conformance import batch_accounting
from al_framework_roboflow.conformance.strategies import Refusal


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
