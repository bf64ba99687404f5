from typing import ClassVar

import numpy as np
import pytest
from pydantic import ValidationError

from al_framework.api import Classification, Detections, Unlabelled
from al_framework.testing import make_context, sample_detections, sample_frame
from al_framework.testing.contracts import StrategyContract
from al_framework_roboflow.strategies import ClassesBased

FRAME = sample_frame()
BASE = {"selected_class_names": ["cat", "cow"], "probability": 0.25}


class TestClassesBasedContract(StrategyContract):
    component = ClassesBased
    options: ClassVar = {"selected_class_names": ["cat", "person"], "probability": 0.25}


class TestClassesBasedContractOnDetections(StrategyContract):
    component = type("OnDetections", (ClassesBased,), {"tasks": ClassesBased.also_reads})
    options: ClassVar = {"selected_class_names": ["person"], "probability": 1}


@pytest.fixture
def based(tmp_path):
    def build(**changes):
        options = ClassesBased.Options(**{**BASE, **changes})
        return ClassesBased(options, make_context(tmp_path, name="wanted"))

    return build


def classes(scores, **kind):
    return Classification(
        class_name=tuple(scores),
        confidence=np.array(list(scores.values()), dtype=np.float64),
        image_size=(64, 48),
        **kind,
    )


def detections(*rows):
    return Detections(
        xyxy=np.zeros((len(rows), 4)),
        confidence=np.array([confidence for _, confidence in rows], dtype=np.float64),
        class_name=tuple(name for name, _ in rows),
        image_size=(64, 48),
    )


def test_a_selected_top_class_matches(based):
    verdict = based().evaluate(FRAME, classes({"cat": 0.1}, top="cat", top_confidence=0.75))

    assert (verdict.match, verdict.utility, verdict.probability) == (True, 0.75, 0.25)
    assert verdict.reason == "1 selected top class: cat 0.75"


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        (-0.5, False),
        # The next double: its distance to 0.5 rounds to 1.
        (-0.49999999999999994, False),
        (-0.49, True),
        (0.0, True),
        (1.4999999999999998, True),
        (1.5, False),
        (7, False),
    ],
)
def test_a_confidence_that_no_model_states_does_not_count(based, confidence, expected):
    top = classes({}, top="cat", top_confidence=float(confidence))
    labels = classes({"cat": confidence}, predicted=("cat",))

    assert expected == based().evaluate(FRAME, top).match
    assert expected == based().evaluate(FRAME, labels).match
    assert expected == based().evaluate(FRAME, detections(("cat", confidence))).match


def test_without_any_confidence_the_top_class_alone_decides(based):
    verdict = based().evaluate(FRAME, classes({}, top="cat"))

    assert (verdict.match, verdict.utility) == (True, 0.5)
    assert verdict.reason == "1 selected top class: cat"
    assert not based().evaluate(FRAME, classes({}, top="dog")).match


def test_without_a_stated_confidence_the_listed_one_of_the_top_class_counts(based):
    verdict = based().evaluate(FRAME, classes({"cat": 0.75}, top="cat"))

    assert verdict.reason == "1 selected top class: cat 0.75"
    assert not based().evaluate(FRAME, classes({"cat": 1.5}, top="cat")).match


@pytest.mark.parametrize(
    ("selected", "predicted", "expected"),
    [
        (["cat"], ("cat", "dog"), True),
        (["cat"], ("dog",), False),
        (["cat", "dog"], ("dog",), True),
        (["cat"], (), False),
        ([], ("cat", "dog"), False),
        (["unscored"], ("unscored",), False),
    ],
)
def test_a_multi_label_prediction_matches_by_its_predicted_classes(
    based, selected, predicted, expected
):
    labels = classes({"cat": 0.9, "dog": 0.6}, predicted=predicted)

    assert expected == based(selected_class_names=selected).evaluate(FRAME, labels).match


def test_predicted_classes_are_named_the_least_sure_first(based):
    labels = classes({"cat": 0.9, "dog": 0.6, "cow": 0.55}, predicted=("cat", "dog", "cow"))

    verdict = based().evaluate(FRAME, labels)

    assert verdict.utility == pytest.approx(0.95)
    assert verdict.reason == "2 selected predicted classes: cow 0.55, cat 0.9"


def test_detections_match_by_the_class_of_any(based):
    verdict = based().evaluate(FRAME, detections(("dog", 0.5), ("cat", 0.75), ("cat", 0.625)))

    assert (verdict.match, verdict.utility) == (True, 0.875)
    assert verdict.reason == "2 selected detections: cat 0.625, cat 0.75"
    assert not based().evaluate(FRAME, detections(("dog", 0.5))).match


def test_detections_are_read_only_where_they_are_asked_for():
    assert ClassesBased.tasks == {"classification"}
    assert {"object-detection", "keypoint-detection", "keypoints-detection"} < (
        ClassesBased.also_reads
    )


def test_refused_frames_share_one_verdict(based):
    strategy = based(selected_class_names=[])

    first = strategy.evaluate(FRAME, Unlabelled())

    assert not first.match
    assert first is strategy.evaluate(FRAME, sample_detections(3))
    assert first is strategy.evaluate(FRAME, classes({"cat": 0.5}, predicted=("cat",)))
    assert first is strategy.evaluate(FRAME, classes({"cat": 0.5}, top="cat"))


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"probability": 1}, "selected_class_names"),
        ({"selected_class_names": ["cat"]}, "probability"),
        ({**BASE, "selected_class_names": "cat"}, "selected_class_names"),
        ({**BASE, "selected_class_names": None}, "selected_class_names"),
        ({**BASE, "selected_class_names": [1]}, "selected_class_names"),
        ({**BASE, "probability": 1.5}, "probability"),
        ({**BASE, "probability": "1"}, "probability"),
        ({**BASE, "threshold": 0.5}, "threshold"),
    ],
)
def test_options_of_other_types_or_ranges_are_refused(options, key):
    with pytest.raises(ValidationError, match=key):
        ClassesBased.Options(**options)
