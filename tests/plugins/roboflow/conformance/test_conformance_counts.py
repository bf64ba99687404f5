"""Cases of limits and batch sizes: where Roboflow counts otherwise, the deviation is named."""

import pytest

from al_framework_roboflow.conformance import batch_accounting, limits
from al_framework_roboflow.conformance.kinds import KINDS


def test_a_clock_set_back_by_an_hour_is_where_roboflow_takes_one_minute_for_another():
    """Roboflow's key of a minute is its number: of 8:00 and of 7:00 it is the same."""
    ops = [
        {"t": f"2024-06-10T{moment}", "op": "use", "matching": [["a", [["minutely", 1]]]]}
        for moment in ("08:00:10", "07:00:50")
    ]

    def roboflow():
        used = set()
        for op in ops:
            minute = op["t"][14:16]
            yield None if minute in used else "a"
            used.add(minute)

    assert list(roboflow()) == ["a", None]
    assert limits.answer({"ops": ops}) == ["a", "a"]
    assert limits.deviation({"ops": ops}) == "clock-backwards"
    assert KINDS["limits"].follows("clock-backwards", {"ops": ops}, ["a", "a"])
    assert limits.explains("clock-backwards", {"ops": ops}, ["a", None])
    assert not limits.explains("clock-backwards", {"ops": ops}, ["a", "a"])


def test_a_clock_set_back_shows_to_which_window_a_credit_returns():
    """Taken at 8:00 and returned at 8:01: with the clock at 8:00 again it is there, or is not."""
    use = {"op": "use", "matching": [["a", [["minutely", 1]]]]}
    ops = [
        {"t": "2024-06-10T08:00:10", **use},
        {"t": "2024-06-10T08:01:10", "op": "return", "strategy": "a"},
        {"t": "2024-06-10T08:00:50", **use},
    ]

    assert limits.answer({"ops": ops}) == ["a", None, "a"]
    assert limits.deviation({"ops": ops}) == "clock-backwards"
    assert limits.explains("clock-backwards", {"ops": ops}, ["a", None, None])


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        (["08:00:10", "08:01:10", "08:00:20"], ["a", "a", None]),
        (["08:00:10", "09:00:10", "08:02:20"], ["a", "a", "a"]),
        (["08:00:10", "08:03:00", "08:00:20"], ["a", "a", None]),
    ],
)
def test_roboflow_knows_a_minute_by_its_number_for_two_minutes(moments, expected):
    ops = [
        {"t": f"2024-06-10T{moment}", "op": "use", "matching": [["a", [["minutely", 1]]]]}
        for moment in moments
    ]

    assert limits.explains("clock-backwards", {"ops": ops}, expected)


def test_roboflow_counts_a_return_in_the_windows_that_it_knows():
    use = {"op": "use", "matching": [["a", [["minutely", 1]]]]}
    back = {"op": "return", "strategy": "a"}
    ops = [{"t": "2024-06-10T08:00:10", **op} for op in (back, use, use, back, back, use, use)]

    expected = [None, "a", None, None, None, "a", None]
    assert limits.explains("clock-backwards", {"ops": ops}, expected)
    assert limits.answer({"ops": ops}) == expected


def count_case(batches, jobs=(), most=6):
    return {
        "batch_name": "b1",
        "max_batch_images": most,
        "batches": {"batches": list(batches)},
        "jobs": {"jobs": list(jobs)},
    }


NAMELESS = {"numJobs": 0, "images": 1, "id": "Z"}
FULL = {"name": "b1", "numJobs": 0, "images": 6, "id": "Y"}
WITH_JOBS = {"name": "b1", "numJobs": 1, "images": 6, "id": "Y"}
LOOKALIKE_OF_NO_SIZE = {"sourceBatch": "ws/YY"}


def test_a_reply_that_cannot_be_counted_leaves_room_and_never_takes_it():
    case = count_case([{"name": "b1"}])
    answer = {"may_submit": True, "calls": ["batches"]}

    assert batch_accounting.answer(case) == answer
    assert batch_accounting.deviation(case) == "unreadable-reply"
    assert batch_accounting.follows("unreadable-reply", case, answer)
    assert not batch_accounting.follows("unreadable-reply", case, {**answer, "may_submit": False})


@pytest.mark.parametrize(
    ("case", "name"),
    [
        (count_case([NAMELESS, FULL]), "unreadable-reply"),
        (count_case([FULL, NAMELESS]), None),
        (count_case([WITH_JOBS], [LOOKALIKE_OF_NO_SIZE]), "unreadable-reply"),
        (count_case([WITH_JOBS], [{"sourceBatch": 5, "numImages": 1}]), "unreadable-reply"),
    ],
)
def test_what_is_not_asked_for_does_not_spoil_the_count(case, name):
    answer = batch_accounting.answer(case)

    assert answer["may_submit"] is False
    assert batch_accounting.deviation(case) == name
    assert name is None or batch_accounting.follows(name, case, answer)
    theirs = {"calls": answer["calls"][: 1 + (NAMELESS not in case["batches"]["batches"])]}
    assert name is None or batch_accounting.explains(name, case, {"error": "KeyError", **theirs})
    assert not batch_accounting.explains("unreadable-reply", case, {"may_submit": True})


def test_a_job_whose_source_contains_the_id_is_counted_by_roboflow():
    case = count_case([{**WITH_JOBS, "images": 3}], [{"sourceBatch": "ws/YY", "numImages": 3}])
    answer = batch_accounting.answer(case)

    assert answer["may_submit"] is True
    assert batch_accounting.deviation(case) == "exact-batch-id"
    assert batch_accounting.follows("exact-batch-id", case, answer)
    assert not batch_accounting.follows("exact-batch-id", case, {"may_submit": False})
    assert batch_accounting.explains("exact-batch-id", case, {**answer, "may_submit": False})
