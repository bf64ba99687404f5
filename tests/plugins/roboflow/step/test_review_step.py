"""Arguments of the step that contradict each other or are of a wrong type."""

import numpy as np
import pytest

from al_framework_roboflow.elements.predictions import lacks_size, stated_size
from al_framework_roboflow.pool import CollectorPool
from al_framework_roboflow.step import ActiveLearningDataCollector


def never(document, recent):
    raise AssertionError("no collector is needed")


@pytest.fixture
def step(tmp_path):
    pool = CollectorPool(spool_root=tmp_path, build=never)
    yield ActiveLearningDataCollector(pool)
    pool.close()


def arguments(**changes):
    return {
        "image": [np.zeros((4, 4, 3), np.uint8)] * 2,
        "predictions": [[], []],
        "target_dataset": "p",
        "api_key": "keyaaaa",
        **changes,
    }


@pytest.mark.parametrize(
    "fault",
    [
        {"prediction_type": "$inputs.nowhere"},
        {"target_dataset": "$inputs.nowhere"},
        {"active_learning_configuration": 5},
        {"api_key": None},
    ],
)
def test_switched_off_wins_over_every_fault(step, fault):
    results = step.run(**arguments(disable_active_learning=True, **fault))

    assert [(one.status, one.error_status) for one in results] == [("disabled", False)] * 2


def test_a_prediction_type_that_refers_to_nowhere_is_an_error(step):
    results = step.run(**arguments(prediction_type="$inputs.nowhere"))

    assert [one.status for one in results] == ["error"] * 2
    assert "'prediction_type' refers to '$inputs.nowhere'" in results[0].message


def test_inputs_that_are_no_mapping_are_an_error(step):
    [first, _] = step.run(**arguments(target_dataset="$inputs.x", inputs=5))

    assert first.status == "error"
    assert first.message == (
        "step 'collector': 'inputs' is of type 'int': it has to map names to values"
    )


@pytest.mark.parametrize(
    "image",
    [{"width": np.int64(7), "height": np.float32(5)}, [{"width": 7, "height": 5}]],
)
def test_a_size_is_found_in_whatever_form_it_is_stated(image):
    document = {"image": image, "predictions": []}

    assert stated_size(document) == (7, 5)
    assert not lacks_size(document)
