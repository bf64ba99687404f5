"""The step offers what a workflow hands it, element by element, and says what became of each."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from al_framework.api import ConfigurationError, Crop, Fault, Ticket
from al_framework_roboflow.step import StepResult

SECRET = "rf_abcdefgh12345678"
BOX = json.loads(Path(__file__).with_name("box.json").read_text())


def array(width=100, height=50):
    return np.zeros((height, width, 3), dtype=np.uint8)


def test_an_element_is_offered_with_its_model_and_its_document(step, workshop, arguments):
    pixels = array()

    results = step.run(**arguments(image=pixels))

    assert results == [
        StepResult(
            status="accepted",
            error_status=False,
            message="chosen, and safe on disk until it is delivered",
            frame_id="f1",
            item_id="i1",
        )
    ]
    [offer] = workshop.made[0].submitted
    assert offer["image"] is pixels
    assert offer == {
        "image": pixels,
        "prediction": {"predictions": [BOX], "image": {"width": 100, "height": 50}},
        "prediction_type": "object-detection",
        "model_id": "my-project/workflows",
        "parent": None,
        "attributes": {},
    }


def test_a_crop_is_offered_with_its_parent(step, workshop, arguments):
    crop = {
        "type": "numpy_object",
        "value": array(10, 8),
        "parent_id": "d1",
        "origin_coordinates": {
            "left_top_x": 40,
            "left_top_y": 20,
            "width": 10.0,
            "height": 8.0,
            "origin_image_size": {"height": 50, "width": 100},
        },
    }

    step.run(**arguments(image=[crop], predictions=["cat"]))

    [offer] = workshop.made[0].submitted
    assert offer["parent"] == Crop(
        frame_id="d1", detection_id="d1", left=40, top=20, width=10, height=8
    )
    assert offer["attributes"] == {"origin_image_size": "100x50"}
    assert offer["prediction"] == {"top": "cat", "image": {"width": 10, "height": 8}}
    assert offer["prediction_type"] == "classification"


def test_a_classification_keeps_its_confidences(step, workshop, arguments):
    document = {
        "image": {"width": 100, "height": 50},
        "predictions": [{"class": "cat", "confidence": 0.8}],
        "top": "cat",
        "confidence": 0.8,
    }

    step.run(**arguments(predictions=document))

    assert workshop.made[0].submitted[0]["prediction"] is document


def test_one_bad_element_leaves_its_neighbours_alone(step, workshop, arguments):
    results = step.run(
        **arguments(
            image=[array(), {"type": "url", "value": "http://a/b.jpg"}, array(), array()],
            predictions=[[BOX], [BOX], 3, [BOX]],
        )
    )

    assert [one.status for one in results] == ["accepted", "invalid", "invalid", "accepted"]
    assert [one.error_status for one in results] == [False, True, True, False]
    assert results[1].message.startswith("step 'collect': the image is the address 'http://a/b")
    assert results[2].message.startswith("step 'collect': a prediction of type 'int'")
    assert len(workshop.made[0].submitted) == 2


class Explosive:
    """Looks like detections until one reads them."""

    mask = confidence = class_id = tracker_id = None
    data = {}

    @property
    def xyxy(self):
        return [["no", "number"]]


def test_whatever_an_element_holds_the_step_goes_on(step, arguments):
    [result, good] = step.run(
        **arguments(image=[array(), array()], predictions=[Explosive(), [BOX]])
    )

    assert result.status == "invalid"
    assert "the element cannot be read: ValueError: " in result.message
    assert good.status == "accepted"


def test_positions_that_are_not_filled_are_errors(step, arguments):
    results = step.run(**arguments(image=[array()], predictions=[[BOX], [BOX]]))

    assert [one.status for one in results] == ["accepted", "invalid"]
    assert results[1].message.startswith("step 'collect': there are 1 images, 2 predictions")


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"disable_active_learning": True}, 1),
        ({"disable_active_learning": np.True_}, 1),
        ({"disable_active_learning": "$inputs.off", "inputs": {"off": True}}, 1),
        ({"disable_active_learning": True, "api_key": None, "target_dataset": 3}, 1),
        ({"disable_active_learning": True, "image": [3, 4], "predictions": [5, 6]}, 2),
        ({"active_learning_configuration": {"enabled": False}, "api_key": None}, 1),
        ({"active_learning_configuration": {"enabled": False, "x": 1}}, 1),
    ],
)
def test_a_step_that_is_switched_off_reads_nothing(step, workshop, changes, count, arguments):
    results = step.run(**arguments(**changes))

    assert [(one.status, one.error_status) for one in results] == [("disabled", False)] * count
    assert results[0].message in {
        "switched off for this call",
        "switched off in its configuration",
    }
    assert workshop.attempts == 0


@pytest.mark.parametrize("off", [False, None, np.False_])
def test_a_switch_that_is_not_set_changes_nothing(step, off, arguments):
    assert step.run(**arguments(disable_active_learning=off))[0].status == "accepted"


@pytest.mark.parametrize("key", [None, "", SecretStr("")])
def test_without_a_key_every_element_says_so(step, workshop, key, arguments):
    results = step.run(**arguments(image=[array(), array()], predictions=None, api_key=key))

    assert [one.status for one in results] == ["no_api_key"] * 2
    assert results[0].error_status
    assert results[0].message == (
        "step 'collect': there is no API key: pass 'target_dataset_api_key', or send one with the "
        "request"
    )


def test_the_datasets_own_key_comes_before_the_requests(step, workshop, arguments):
    step.run(**arguments(target_dataset_api_key=SecretStr("own"), api_key=SECRET))
    step.run(**arguments(target_dataset_api_key="$inputs.key", inputs={"key": "other"}))
    step.run(**arguments(target_dataset_api_key=None))

    step.run(**arguments(api_key="$ecret", inputs=None))

    keys = [one.document["sinks"][0]["api_key"] for one in workshop.made]
    assert keys == ["own", "other", SECRET, "$ecret"]


def test_every_argument_may_refer_to_an_input(step, workshop, arguments):
    step.run(
        **arguments(
            target_dataset="$inputs.where",
            prediction_type="$inputs.kind",
            active_learning_configuration="$inputs.rules",
            inputs={"where": "there", "kind": "keypoint-detection", "rules": {"enabled": True}},
        )
    )

    [made] = workshop.made
    assert made.document["sinks"][0]["project"] == "there"
    assert made.document["active_learning"] == {"enabled": True}
    assert made.submitted[0]["prediction_type"] == "keypoint-detection"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"target_dataset": "$inputs.x", "inputs": {"a": 1}},
            (
                "'target_dataset' refers to '$inputs.x', which is not there; the inputs are "
                "'$inputs.a'"
            ),
        ),
        (
            {"target_dataset_api_key": "$steps.a.b"},
            (
                "'target_dataset_api_key' refers to '$steps.a.b', which is not there; the inputs "
                "are none"
            ),
        ),
        ({"disable_active_learning": "$inputs.x"}, "'disable_active_learning' refers to"),
        ({"prediction_type": "$inputs.x"}, "'prediction_type' refers to '$inputs.x'"),
        (
            {"disable_active_learning": "yes"},
            "'disable_active_learning' is 'yes': it has to be true or false",
        ),
        ({"api_key": 3}, "'api_key' is of type 'int': it has to be text"),
        ({"api_key": "a b"}, "the API key is no key of Roboflow"),
        ({"target_dataset": ""}, "the target dataset is '': pass the short name of a project"),
        ({"active_learning_configuration": [1]}, "the configuration is of type 'list'"),
    ],
)
def test_a_call_that_cannot_be_served_says_why_for_every_element(
    step, workshop, changes, message, arguments
):
    results = step.run(**arguments(image=[array(), array()], predictions=None, **changes))

    assert [(one.status, one.error_status) for one in results] == [("error", True)] * 2
    assert results[0].message.startswith("step 'collect': ")
    assert message in results[0].message
    assert workshop.attempts == 0


def test_a_faulty_configuration_is_an_error_and_never_an_exception(
    step, workshop, caplog, arguments
):
    workshop.fault = ConfigurationError([Fault(path="active_learning.tags", message="is bad")])
    calls = [step.run(**arguments(active_learning_configuration={"tags": 3})) for _ in range(3)]

    for [result] in calls:
        assert (result.status, result.error_status) == ("error", True)
        assert result.message == (
            "step 'collect': no collector for the dataset 'my-project': 1 fault: "
            "active_learning_configuration.tags: is bad"
        )
    assert caplog.text.count("is bad") == 1
    workshop.fault = None
    assert step.run(**arguments())[0].status == "accepted"


@pytest.mark.parametrize(
    ("ticket", "error", "message"),
    [
        (
            ("queued", ""),
            False,
            "a strategy takes it; its limits and the disk decide next",
        ),
        (("not_selected", ""), False, "no sampling strategy takes it"),
        (("not_selected", "it is off"), False, "nothing is collected: it is off"),
        (("limited", ""), False, "every strategy that takes it has spent its limit"),
        (
            ("dropped", "recently_sent"),
            False,
            "the same picture went to this dataset within the last ten minutes",
        ),
        (
            ("dropped", "batch_full"),
            False,
            "the labelling batch holds as many pictures as it may",
        ),
        (
            ("dropped", "no_configuration"),
            False,
            "the project's configuration has not been fetched yet",
        ),
        (("dropped", "spool_full"), True, "step 'collect': the image is lost: spool_full"),
        (("invalid", "it is torn"), True, "step 'collect': it is torn"),
    ],
)
def test_results_say_what_became_of_the_element(
    *, step, workshop, ticket, error, message, arguments
):
    step.run(**arguments())
    status, reason = ticket
    workshop.made[0].ticket = Ticket(status=status, reason=reason, frame_id="f2")

    assert step.run(**arguments()) == [
        StepResult(status=status, error_status=error, message=message, frame_id="f2")
    ]


def test_nothing_of_the_callers_is_changed(step, workshop, arguments):
    entries, pixels = [dict(BOX)], array()
    configuration = {"enabled": True, "tags": ["${HOME}"]}
    before = copy.deepcopy((entries, configuration, pixels.tobytes()))

    step.run(
        **arguments(image=pixels, predictions=entries, active_learning_configuration=configuration)
    )

    assert (entries, configuration, pixels.tobytes()) == before


def test_no_result_tells_the_key(step, workshop, arguments):
    workshop.fault = ValueError(f"at https://x?api_key={SECRET}")

    [result] = step.run(**arguments())

    assert SECRET not in repr(result)
    assert "api_key=***" in result.message
