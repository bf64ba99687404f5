import math
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from al_framework.api import Classification, Detections, PredictionError, Unlabelled
from al_framework.testing import make_context, sample_frame
from al_framework.testing.contracts import StrategyContract
from al_framework.testing.samples import sample_detections
from al_framework_roboflow.strategies import CloseToThreshold, RandomSampling

FRAME = sample_frame()
BASE = {"threshold": 0.4, "epsilon": 0.1, "probability": 0.25}


class TestRandomContract(StrategyContract):
    component = RandomSampling
    options: ClassVar = {"traffic_percentage": 0.25}


class TestCloseToThresholdContract(StrategyContract):
    component = CloseToThreshold
    options = BASE


class TestCloseToThresholdContractWithEverythingSet(StrategyContract):
    component = CloseToThreshold
    options: ClassVar = {
        **BASE,
        "selected_class_names": ["person", "cat"],
        "only_top_classes": False,
        "minimum_objects_close_to_threshold": 0,
    }


@pytest.fixture
def close(tmp_path):
    def build(**changes):
        options = CloseToThreshold.Options(**{**BASE, **changes})
        return CloseToThreshold(options, make_context(tmp_path, name="hard"))

    return build


def detections(*rows):
    return Detections(
        xyxy=np.zeros((len(rows), 4)),
        confidence=np.array([confidence for _, confidence in rows], dtype=np.float64),
        class_name=tuple(name for name, _ in rows),
        image_size=(64, 48),
    )


def classes(scores, **kind):
    return Classification(
        class_name=tuple(scores),
        confidence=np.array(list(scores.values()), dtype=np.float64),
        image_size=(64, 48),
        **kind,
    )


def test_random_matches_everything_with_its_share(tmp_path):
    strategy = RandomSampling(
        RandomSampling.Options(traffic_percentage=0.05), make_context(tmp_path)
    )

    verdict = strategy.evaluate(FRAME, Unlabelled())

    assert (verdict.match, verdict.utility, verdict.probability) == (True, 1.0, 0.05)
    assert verdict.reason == "a random sample of 5% of all frames"


def test_close_detections_are_named_the_closest_first(close):
    found = detections(("cup", 0.45), ("person", 0.38), ("dog", 0.9))

    verdict = close().evaluate(FRAME, found)

    assert verdict.match
    assert verdict.probability == 0.25
    assert verdict.utility == pytest.approx(0.8)
    assert verdict.reason == "2 detections within 0.1 of 0.4: person 0.38, cup 0.45"


def test_no_more_than_three_detections_are_named(close):
    verdict = close().evaluate(FRAME, detections(*[("cup", 0.4 + i / 100) for i in range(5)]))

    assert verdict.reason == "5 detections within 0.1 of 0.4: cup 0.4, cup 0.41, cup 0.42, …"


@pytest.mark.parametrize(
    ("threshold", "epsilon", "confidence", "expected"),
    [
        (0.7, 0.1, 0.8, False),
        (0.9, 0.1, 1.0, True),
        (0.5, 0.125, 0.625, False),
        (0.5, 0.125, 0.6249999999999999, True),
        (0.5, 0.0, 0.5, False),
        (0.35, 0.15, 0.19999999999999998, False),
    ],
)
def test_the_edges_are_strict_in_doubles(close, threshold, epsilon, confidence, expected):
    strategy = close(threshold=threshold, epsilon=epsilon)

    assert expected == strategy.evaluate(FRAME, detections(("cup", confidence))).match
    top = classes({}, top="cup", top_confidence=confidence)
    assert expected == strategy.evaluate(FRAME, top).match


@given(st.floats(0, 1), st.floats(0, 1), st.lists(st.floats(-2, 2), max_size=6), st.integers(-1, 3))
def test_detections_are_counted_as_python_floats_compare(
    tmp_path_factory, threshold, epsilon, confidences, minimum
):
    options = CloseToThreshold.Options(
        threshold=threshold,
        epsilon=epsilon,
        probability=1,
        minimum_objects_close_to_threshold=minimum,
    )
    strategy = CloseToThreshold(options, make_context(tmp_path_factory.getbasetemp()))

    verdict = strategy.evaluate(FRAME, detections(*[("cup", c) for c in confidences]))

    expected = sum(abs(c - threshold) < epsilon for c in confidences) >= minimum
    assert expected == verdict.match
    assert math.isfinite(verdict.utility)


@pytest.mark.parametrize(
    ("selected", "minimum", "expected"),
    [
        (None, 2, True),
        (["person"], 1, True),
        (["person"], 2, False),
        (["dog"], 1, False),
        ([], 1, False),
        ([], 0, True),
        (["person", "cup"], 2, True),
    ],
)
def test_only_selected_classes_count(close, selected, minimum, expected):
    strategy = close(selected_class_names=selected, minimum_objects_close_to_threshold=minimum)
    found = detections(("person", 0.38), ("cup", 0.45), ("dog", 0.9))

    assert expected == strategy.evaluate(FRAME, found).match


def test_a_minimum_of_zero_is_met_without_detections(close):
    verdict = close(minimum_objects_close_to_threshold=0).evaluate(FRAME, sample_detections(0))

    assert (verdict.match, verdict.utility) == (True, 0.0)
    assert verdict.reason == "no detection has to be close to the threshold"


def test_refused_frames_share_one_verdict(close):
    strategy = close()

    first = strategy.evaluate(FRAME, sample_detections(0))

    assert first is strategy.evaluate(FRAME, Unlabelled())
    assert not first.match


def test_the_top_class_is_judged_by_its_stated_confidence(close):
    prediction = classes({"cat": 0.9, "dog": 0.4}, top="cat", top_confidence=0.45)

    verdict = close().evaluate(FRAME, prediction)

    assert verdict.reason == "1 top class within 0.1 of 0.4: cat 0.45"
    assert not close(selected_class_names=["dog"]).evaluate(FRAME, prediction).match


def test_without_a_stated_confidence_the_listed_one_of_the_top_class_counts(close):
    assert close().evaluate(FRAME, classes({"cat": 0.45}, top="cat")).match
    assert not close().evaluate(FRAME, classes({"cat": 0.9}, top="cat")).match


def test_a_top_class_without_any_confidence_is_an_error(close):
    message = (
        r"strategy 'hard': the prediction of frame 'frame-1' gives no confidence for its top class "
        r"'cat': have the adapter set top_confidence"
    )

    with pytest.raises(PredictionError, match=message):
        close().evaluate(FRAME, classes({"dog": 0.4}, top="cat"))
    with pytest.raises(PredictionError, match=message):
        close(only_top_classes=False).evaluate(FRAME, classes({}, top="cat"))
    assert not close(selected_class_names=["dog"]).evaluate(FRAME, classes({}, top="cat")).match


def test_any_class_counts_with_only_top_classes_off(close):
    prediction = classes({"cat": 0.9, "dog": 0.4, "cow": 0.35}, top="cat", top_confidence=0.9)
    strategy = close(only_top_classes=False, minimum_objects_close_to_threshold=5)

    verdict = strategy.evaluate(FRAME, prediction)

    assert verdict.reason == "2 classes within 0.1 of 0.4: dog 0.4, cow 0.35"


@pytest.mark.parametrize(
    ("predicted", "changes", "expected"),
    [
        (("dog",), {}, True),
        (("cat",), {}, False),
        ((), {}, False),
        (None, {}, False),
        (("cat",), {"only_top_classes": False}, True),
        (("dog",), {"selected_class_names": ["cat"]}, False),
        (("dog",), {"selected_class_names": ["dog"]}, True),
    ],
)
def test_multi_label_looks_at_predicted_classes(close, predicted, changes, expected):
    prediction = classes({"cat": 0.9, "dog": 0.4}, predicted=predicted)

    assert expected == close(**changes).evaluate(FRAME, prediction).match


@pytest.mark.parametrize(
    ("kind", "options", "key"),
    [
        (RandomSampling, {}, "traffic_percentage"),
        (RandomSampling, {"traffic_percentage": "1"}, "traffic_percentage"),
        (RandomSampling, {"traffic_percentage": True}, "traffic_percentage"),
        (RandomSampling, {"traffic_percentage": 1.5}, "traffic_percentage"),
        (RandomSampling, {"traffic_percentage": math.nan}, "traffic_percentage"),
        (CloseToThreshold, {**BASE, "threshold": -0.1}, "threshold"),
        (CloseToThreshold, {**BASE, "epsilon": None}, "epsilon"),
        (CloseToThreshold, {**BASE, "probability": "0.5"}, "probability"),
        (CloseToThreshold, {**BASE, "selected_class_names": "cat"}, "selected_class_names"),
        (CloseToThreshold, {**BASE, "selected_class_names": [1]}, "selected_class_names"),
        (CloseToThreshold, {**BASE, "only_top_classes": "false"}, "only_top_classes"),
        (CloseToThreshold, {**BASE, "minimum_objects_close_to_threshold": 1.5}, "minimum_objects"),
    ],
)
def test_options_of_other_types_or_ranges_are_refused(kind, options, key):
    with pytest.raises(ValidationError, match=key):
        kind.Options(**options)


def test_whole_numbers_are_fractions_too():
    assert RandomSampling.Options(traffic_percentage=1).traffic_percentage == 1.0
