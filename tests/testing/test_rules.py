"""The rules that the pipeline follows, from outside."""

from datetime import date

import pytest

from al_framework.testing.rules import (
    LimitsSimulator,
    compose_tags,
    dated_name,
    environment_tags,
    has_batch_room,
    scaled_size,
)


def test_sizes_are_scaled_to_height_and_width():
    assert scaled_size(4000, 3000, (600, 600)) == (600, 450)
    assert scaled_size(4000, 3000, None) == (4000, 3000)


def test_batches_are_named_by_the_calendar():
    assert dated_name("b", "weekly", date(2024, 6, 13)) == "b_2024_06_10"
    with pytest.raises(ValueError, match=r"^batches cannot be recreated 'yearly': use 'never'"):
        dated_name("b", "yearly", date(2024, 6, 13))


def test_tags_stand_in_order():
    tags = compose_tags(
        environment=environment_tags({"ACTIVE_LEARNING_TAGS": "e1, e2"}),
        configuration=("c",),
        strategy=("s",),
        model_id="ds/3",
        persist_predictions=True,
    )

    assert tags == ("e1", "e2", "c", "s", "ds-3")


@pytest.mark.parametrize(
    ("images", "most", "room"), [(4, 5, True), (5, 5, False), (0, 0, False), (9, None, True)]
)
def test_a_batch_has_room_below_its_limit(images, most, room):
    assert has_batch_room(images, most) is room


def test_the_first_strategy_with_room_pays_and_gets_its_credit_back():
    limits = LimitsSimulator()
    matching = {"a": [("minutely", 1)], "b": [("hourly", 1)]}
    first, second, third = (limits.take(matching, at=60.0, scope="w/p") for _ in range(3))
    elsewhere = limits.take(matching, at=60.0, scope="w/q")
    assert first is not None
    limits.give_back(first)
    limits.give_back(first)
    again = [limits.take(matching, at=60.0, scope="w/p") for _ in range(2)]

    assert [("a", 60.0, "w/p"), ("b", 60.0, "w/p"), None] == [
        credit and (credit.strategy, credit.taken_at, credit.scope)
        for credit in (first, second, third)
    ]
    assert elsewhere is not None
    assert elsewhere.strategy == "a"
    assert [credit and credit.strategy for credit in again] == ["a", None]


def test_a_period_that_is_none_is_refused():
    with pytest.raises(
        ValueError, match=r"^limits cannot be 'weekly': use 'minutely', 'hourly', 'daily'$"
    ):
        LimitsSimulator().take({"a": [("weekly", 1)]}, at=0.0)
