import math
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from al_framework.api import Classification, Detections, Unlabelled
from al_framework.testing import make_context, sample_frame
from al_framework.testing.contracts import StrategyContract
from al_framework_roboflow.strategies import DetectionsNumberBased

FRAME = sample_frame()


class TestDetectionsNumberBasedContract(StrategyContract):
    component = DetectionsNumberBased
    options: ClassVar = {"probability": 0.25}


class TestDetectionsNumberBasedContractWithEverythingSet(StrategyContract):
    component = DetectionsNumberBased
    options: ClassVar = {
        "probability": 1,
        "more_than": 0,
        "less_than": 9,
        "selected_class_names": ["person", "cat"],
    }


@pytest.fixture
def numbered(tmp_path):
    def build(**options):
        options = DetectionsNumberBased.Options(**{"probability": 0.25, **options})
        return DetectionsNumberBased(options, make_context(tmp_path, name="crowd"))

    return build


def detections(*rows):
    return Detections(
        xyxy=np.zeros((len(rows), 4)),
        confidence=np.array([confidence for _, confidence in rows], dtype=np.float64),
        class_name=tuple(name for name, _ in rows),
        image_size=(64, 48),
    )


@pytest.mark.parametrize(
    ("bounds", "matching"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"more_than": None, "less_than": None}, [0, 1, 2, 3, 4, 5]),
        ({"more_than": 3}, [4, 5]),
        ({"less_than": 2}, [0, 1]),
        ({"more_than": 1, "less_than": 4}, [2, 3]),
        ({"more_than": 3, "less_than": 4}, []),
        ({"more_than": -1}, [0, 1, 2, 3, 4, 5]),
        ({"less_than": 0}, []),
        ({"more_than": -5, "less_than": -1}, []),
    ],
)
def test_both_bounds_are_exclusive_and_either_may_be_missing(numbered, bounds, matching):
    strategy = numbered(**bounds)
    counts = range(6)

    assert matching == [
        count
        for count in counts
        if strategy.evaluate(FRAME, detections(*[("cup", 0.5)] * count)).match
    ]


@pytest.mark.parametrize(
    ("selected", "count"), [(None, 4), (["cup"], 2), (["cup", "dog"], 3), ([], 0), (["cow"], 0)]
)
def test_only_selected_classes_are_counted(numbered, selected, count):
    found = detections(("cup", 0.5), ("dog", 0.5), ("cup", 0.9), ("person", 0.1))

    exactly = numbered(more_than=count - 1, less_than=count + 1, selected_class_names=selected)

    assert exactly.evaluate(FRAME, found).match
    assert not numbered(more_than=count, selected_class_names=selected).evaluate(FRAME, found).match


@pytest.mark.parametrize(
    ("confidence", "counts"),
    [
        (-0.5, False),
        # The next double: its distance to 0.5 rounds to 1.
        (-0.49999999999999994, False),
        (-0.49, True),
        (1.4999999999999998, True),
        (1.5, False),
    ],
)
def test_a_confidence_that_no_model_states_does_not_count(numbered, confidence, counts):
    found = detections(("cup", confidence))

    assert counts == numbered(more_than=0).evaluate(FRAME, found).match


def test_a_match_says_how_many_and_how_far_from_the_bounds(numbered):
    found = detections(*[("cup", 0.5)] * 5, ("dog", 0.5))

    between = numbered(more_than=1, less_than=9).evaluate(FRAME, found)
    cups = numbered(less_than=9, selected_class_names=["dog"]).evaluate(FRAME, found)
    unbounded = numbered().evaluate(FRAME, found)

    assert (between.utility, between.probability) == (3.0, 0.25)
    assert between.reason == "6 detections, more than 1 and less than 9"
    assert (cups.utility, cups.reason) == (8.0, "1 selected detection, less than 9")
    assert (unbounded.utility, unbounded.reason) == (1.0, "6 detections, any number")


def test_refused_frames_share_one_verdict(numbered):
    strategy = numbered(more_than=1, less_than=3, selected_class_names=["cup"])
    classes = Classification(class_name=(), confidence=np.empty(0), image_size=(64, 48), top="cup")

    first = strategy.evaluate(FRAME, detections())

    assert (first.match, first.probability) == (False, 0.25)
    assert first is strategy.evaluate(FRAME, detections(("dog", 0.5), ("dog", 0.5)))
    assert first is strategy.evaluate(FRAME, detections(*[("cup", 0.5)] * 3))
    assert first is strategy.evaluate(FRAME, Unlabelled())
    assert first is strategy.evaluate(FRAME, classes)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(-2, 3)), max_size=6),
    st.none() | st.integers(-2, 5),
    st.none() | st.integers(-2, 7),
    st.none() | st.sets(st.sampled_from("abcd")),
)
def test_detections_are_counted_as_python_floats_compare(
    tmp_path_factory, rows, more_than, less_than, selected
):
    if None not in (more_than, less_than) and more_than >= less_than:
        less_than = None
    options = DetectionsNumberBased.Options(
        probability=1,
        more_than=more_than,
        less_than=less_than,
        selected_class_names=None if selected is None else tuple(selected),
    )
    strategy = DetectionsNumberBased(options, make_context(tmp_path_factory.getbasetemp()))

    verdict = strategy.evaluate(FRAME, detections(*rows))

    number = sum(
        (selected is None or name in selected) and abs(confidence - 0.5) < 1
        for name, confidence in rows
    )
    expected = (more_than is None or number > more_than) and (
        less_than is None or number < less_than
    )
    assert expected == verdict.match
    assert math.isfinite(verdict.utility)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "probability\n"),
        ({"probability": True}, "probability\n"),
        ({"probability": 1, "more_than": "1"}, "more_than\n"),
        ({"probability": 1, "more_than": True}, "more_than\n"),
        ({"probability": 1, "less_than": 1.5}, "less_than\n"),
        ({"probability": 1, "selected_class_names": "cat"}, "selected_class_names\n"),
        (
            {"probability": 1, "more_than": 2, "less_than": 2},
            "less_than\n  Value error, is 2, and more_than is 2: no number is between them, ",
        ),
        (
            {"probability": 1, "less_than": 1, "more_than": 5},
            "less_than\n  Value error, is 1, and more_than is 5: .* make less_than the greater one",
        ),
    ],
)
def test_options_of_other_types_or_ranges_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        DetectionsNumberBased.Options(**options)
