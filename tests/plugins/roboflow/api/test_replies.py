import json
from pathlib import Path

import pytest

from al_framework_roboflow.batches import UncountableBatchError, batch_images, find_batch
from al_framework_roboflow.replies import (
    UnreadableReplyError,
    read_batches,
    read_jobs,
    read_project_type,
)

VECTORS = Path(__file__).resolve().parents[4].parent / "shared" / "vectors"


def cases():
    path = VECTORS / "batch_accounting.jsonl"
    if not path.exists():
        return [pytest.param(None, marks=pytest.mark.skip("the vectors are not here"))]
    lines = path.read_text().splitlines()
    return [pytest.param(case, id=case["id"]) for case in map(json.loads, lines)]


def held(case):
    """Return what the batch holds and which endpoints had to be asked."""
    calls = ["batches"]
    batches = read_batches(case["batches"])
    batch = find_batch(batches, case["batch_name"])
    jobs = ()
    if batch is not None and batch.has_jobs:
        calls.append("jobs")
        jobs = read_jobs(case["jobs"])
    return batch_images(batches, jobs, case["batch_name"]) or 0, calls


def is_exact(case):
    """Whether containment of ids, as upstream tests it, is equality of ids in this case."""
    if "batches" not in case["batches"] or not case["jobs"].get("jobs"):
        return True
    batch = next((b for b in case["batches"]["batches"] if b["name"] == case["batch_name"]), {})
    batch_id = batch.get("id", "")
    sources = [job["sourceBatch"] for job in case["jobs"]["jobs"] if "sourceBatch" in job]
    return all(
        isinstance(source, list)
        or (batch_id in source) == (batch_id in {source, source.split("/")[-1]})
        for source in sources
    )


@pytest.mark.parametrize("vector", cases())
def test_a_batch_is_counted_as_upstream_does(vector):
    case, expected = vector["input"], vector["expected"]
    limit = case["max_batch_images"]
    if limit is None or isinstance(limit, str):
        return  # no limit, so nothing is counted; a limit that is text is refused by validation
    if "error" in expected:
        with pytest.raises((UnreadableReplyError, UncountableBatchError, AttributeError)):
            held(case)
        return

    count, calls = held(case)

    assert expected["calls"] == calls
    if is_exact(case):
        assert expected["may_submit"] == (limit > count)


JOBS = [("ws/b1", 3), ("b1", 5), ("b12/x", 100), ("xx-b1", 100), ("b1/other", 100)]


def batches_of(*entries):
    return read_batches({"batches": list(entries)})


def jobs_of(*entries):
    return read_jobs({"jobs": [{"sourceBatch": s, "numImages": n} for s, n in entries]})


PFX = {"name": "pfx", "id": "b1", "images": 2, "numJobs": 1}


def test_jobs_count_when_their_batch_is_the_same_not_when_it_contains_the_id():
    jobs = jobs_of(*JOBS, (["zz", "b1"], 7), (["b12"], 100), ("other", None))

    assert batch_images(batches_of(PFX), jobs, "pfx") == 2 + 3 + 5 + 7


def test_the_first_batch_of_a_name_counts():
    batches = batches_of({"name": "other"}, PFX, {**PFX, "images": 50}, {})

    assert batch_images(batches, (), "pfx") == 2


def test_no_such_batch_is_none():
    assert batch_images(batches_of(PFX), (), "pf") is None
    assert batch_images((), (), "pf") is None


def test_numbers_and_ids_may_be_of_the_other_kind():
    batches = batches_of({"name": "pfx", "id": 7, "images": "2", "numJobs": 1.0, "uploaded": {}})

    assert batch_images(batches, jobs_of(("ws/7", "3")), "pfx") == 5


@pytest.mark.parametrize(
    ("batch", "job", "message"),
    [
        ({"images": None}, {}, "images of the batch 'pfx' is missing"),
        ({"numJobs": None}, {}, "numJobs of the batch 'pfx' is missing"),
        ({"id": None}, {}, "id of the batch 'pfx' is missing"),
        ({"name": None}, {}, "name of a labelling batch is missing"),
        ({}, {"sourceBatch": None}, "sourceBatch of a labelling job is missing"),
        ({}, {"numImages": None}, "numImages of a labelling job of the batch 'pfx' is missing"),
    ],
)
def test_what_is_needed_and_missing_is_named(batch, job, message):
    jobs = read_jobs({"jobs": [{"sourceBatch": "ws/b1", "numImages": 1, **job}]})

    with pytest.raises(UncountableBatchError, match=f"^{message}$"):
        batch_images(batches_of({**PFX, **batch}), jobs, "pfx")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "no list of batches"),
        ({"batches": {}}, "no list of batches"),
        ({"batches": [3]}, r"batches with a strange  \(Input should be a valid dictionary"),
        ({"batches": [{"images": "two"}]}, r"batches with a strange images \(Input should be a"),
    ],
)
def test_a_list_of_another_form_is_named(document, message):
    with pytest.raises(UnreadableReplyError, match=message):
        read_batches(document)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "no project"),
        ({"project": "ds"}, "no project"),
        ({"project": {"type": 3}}, "the project type 3"),
    ],
)
def test_a_project_of_another_form_is_named(document, message):
    with pytest.raises(UnreadableReplyError, match=message):
        read_project_type(document)


def test_a_project_can_have_no_type():
    assert read_project_type({"project": {}}) is None
    assert read_project_type({"project": {"type": "classification"}}) == "classification"
