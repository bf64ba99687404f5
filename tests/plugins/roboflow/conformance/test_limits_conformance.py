"""What the conformance command makes of limits; the vectors are run in its own tests."""

import pytest

from al_framework_roboflow.conformance import limits
from al_framework_roboflow.conformance.strategies import Refusal


def use(moment, *limits_of_a):
    return {"t": f"2024-06-{moment}", "op": "use", "matching": [["a", list(limits_of_a)]]}


DAILY = ["daily", 9]


@pytest.mark.parametrize(
    ("moments", "name"),
    [
        (["10T08:00:10", "10T07:00:50"], "clock-backwards"),
        (["10T08:00:10", "09T23:00:00", "09T08:30:00"], "clock-backwards"),
        (["10T08:00:10", "10T07:59:40"], "clock-backwards"),
        (["10T08:00:10", "10T08:00:05"], "clock-backwards"),
        (["10T07:00:10", "10T08:00:10"], None),
    ],
)
def test_a_clock_set_back_is_told_from_the_times(moments, name):
    assert limits.deviation({"ops": [use(moment, DAILY) for moment in moments]}) == name


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (["weekly", 1], "Input should be 'minutely', 'hourly' or 'daily'"),
        (["daily", 0], "Input should be greater than 0"),
        (["daily", "5"], "Input should be a valid integer"),
        (["daily", 1.5], "Input should be a valid integer"),
        (["daily", True], "Input should be a valid integer"),
        (["daily"], "Field required"),
    ],
)
def test_a_limit_that_the_loader_refuses_is_refused_with_its_place(limit, message):
    case = {"ops": [use("10T08:00:00", DAILY), use("10T08:00:00", DAILY, limit)]}

    assert limits.deviation(case) == "refused-by-validation"
    assert limits.answer(case) == Refusal(place="ops[1].matching[0].limits[1]", message=message)


def test_a_whole_number_with_a_fraction_of_zero_is_one():
    assert limits.answer({"ops": [use("10T08:00:00", ["daily", 1.0])] * 2}) == ["a", None]


def test_every_deviation_is_described():
    assert set(limits.DEVIATIONS) == {limits.REFUSED, limits.BACKWARDS}
