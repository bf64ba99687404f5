"""Running a workflow: what a collector is given, and what the run gives back."""

import copy

import pytest

from al_framework.testing import sample_pixels
from al_framework_roboflow.step import StepResult
from al_framework_roboflow.workflow import read_workflow

PIXELS = sample_pixels(200, 100)


def test_a_classification_goes_whole_so_that_its_confidence_is_known(flow, run, heard):
    content = flow.document(
        [flow.model("ClassificationModel"), flow.collector("$steps.m.top")], generation=1
    )

    run(content, predictors={"*": flow.Detector(flow.classified)})

    assert heard.calls[0]["predictions"] == [
        {"image": {"width": 200, "height": 100}, **flow.classified(0, 0)}
    ]
    assert heard.calls[0]["prediction_type"] == ["classification"]


@pytest.mark.parametrize("field", ["predictions", "predicted_classes"])
def test_several_labels_are_a_source(field, flow, run, heard):
    answer = {"predictions": {"cat": {"confidence": 0.9}}, "predicted_classes": ["cat"]}
    content = flow.document(
        [flow.model("MultiLabelClassificationModel"), flow.collector(f"$steps.m.{field}")],
        generation=2,
    )

    run(content, predictors={"*": flow.Detector(lambda w, h: copy.deepcopy(answer))})

    assert heard.calls[0]["predictions"] == [{"image": {"width": 200, "height": 100}, **answer}]


def test_the_parameters_of_the_step_reach_it(flow, run, heard):
    content = flow.plain(
        target_dataset="$inputs.project",
        target_dataset_api_key="$inputs.key",
        disable_active_learning="$inputs.off",
        active_learning_configuration="$inputs.configuration",
        prediction_type="instance-segmentation",
    )
    content["inputs"] += [flow.parameter(n) for n in ("project", "key", "off", "configuration")]

    run(
        content,
        inputs={"project": "p", "key": "secret", "off": True, "configuration": {"enabled": False}},
        api_key="request-key",
    )

    (call,) = heard.calls
    assert call["target_dataset"] == "p"
    assert call["target_dataset_api_key"].get_secret_value() == "secret"
    assert call["api_key"].get_secret_value() == "request-key"
    assert call["disable_active_learning"] is True
    assert call["active_learning_configuration"] == {"enabled": False}
    assert call["prediction_type"] == ["instance-segmentation"]


def test_without_a_key_of_its_own_the_requests_counts(flow, run, heard):
    run(flow.plain(), api_key="request-key")

    assert heard.calls[0]["target_dataset_api_key"].get_secret_value() == "request-key"


def test_the_collector_tells_what_it_did(flow, run, heard):
    heard.answers.append(
        [
            StepResult(status="accepted", error_status=False, message="safe", item_id="i"),
            StepResult(status="invalid", error_status=True, message="step 'collect': bad"),
        ]
    )
    content = flow.plain()
    content["outputs"].append(flow.output("$steps.collect.*", name="all"))
    content["outputs"].append(flow.output("$steps.collect.error_status", name="failed"))

    result = run(content, images=[PIXELS, PIXELS])

    assert result.outputs["failed"] == [False, True]
    assert result.outputs["all"][0]["item_id"] == "i"
    assert result.collected["collect"][0].status == "accepted"
    assert result.problems == ("step 'collect': bad",)


def test_a_collector_that_fails_does_not_break_the_workflow(flow, run, heard, caplog):
    heard.answers.append(RuntimeError("no disk"))

    result = run(flow.plain())

    assert result.outputs["p"][0]
    assert result.collected["collect"][0].status == "error"
    assert result.problems == ("step 'collect': RuntimeError: no disk",)
    assert "step 'collect' failed" in caplog.text


def test_two_collectors_see_the_same_untouched_predictions(flow, run, heard):
    content = flow.plain()
    content["steps"].append(
        flow.collector(
            "$steps.m.predictions", name="second", prediction_type="$steps.m.prediction_type"
        )
    )

    result = run(content)

    first, second = heard.calls
    assert (first["step"], second["step"]) == ("collect", "second")
    assert first["predictions"] == second["predictions"]
    assert result.outputs["p"][0] == result.steps["m"]["predictions"][0]
    assert first["predictions"][0]["predictions"] == result.steps["m"]["predictions"][0]


def test_the_models_own_answer_is_left_alone(flow, run):
    answer = {"predictions": flow.boxes(200, 100), "image": {"width": 200, "height": 100}}
    before = copy.deepcopy(answer)

    class Same:
        def predict(self, frame):
            return answer

    run(flow.plain(), predictors={"*": Same()})

    assert answer == before


class Pool:
    """Notes who was waited for."""

    def __init__(self):
        self.asked = []

    def collector(self, **arguments):
        self.asked.append(arguments)
        return self

    def wait_for_configuration(self, timeout_s):
        self.asked.append(timeout_s)
        return True


WAITS = [
    ({"active_learning_configuration": None}, {"wait_configuration_s": 5.0}, True),
    ({"active_learning_configuration": None}, {}, False),
    ({}, {"wait_configuration_s": 5.0}, False),
    (
        {"active_learning_configuration": None, "disable_active_learning": True},
        {"wait_configuration_s": 5.0},
        False,
    ),
]


@pytest.mark.parametrize(("options", "arguments", "waits"), WAITS)
def test_a_configuration_that_is_fetched_can_be_waited_for(options, arguments, waits, flow, heard):
    from al_framework_roboflow.workflow import run_workflow

    pool = Pool()
    content = flow.plain(**options)

    run_workflow(
        content,
        images=PIXELS,
        predictors={"*": flow.Detector()},
        pool=pool,
        api_key="key",
        **arguments,
    )

    assert bool(pool.asked) == waits
    if waits:
        assert pool.asked[0]["target_dataset"] == "ds"
        assert pool.asked[0]["configuration"] is None
        assert pool.asked[1] == 5.0


def test_everything_of_a_step_is_shown_with_a_star(flow, run):
    content = flow.document([flow.model()], selector="$steps.m.*", own=False)

    (shown,) = run(content).outputs["p"]

    assert set(shown) == {"time", "image", "predictions", "prediction_type", "parent_id"}


def test_what_a_model_does_not_say_is_none(flow, run):
    content = flow.document([flow.model()], selector="$steps.m.inference_id")

    assert run(content).outputs["p"] == [None]


def test_a_run_does_not_check_a_configuration_again(flow, run, monkeypatch):
    content = flow.plain(disable_active_learning="$inputs.off")
    content["inputs"].append(flow.parameter("off", default_value=False))
    workflow = read_workflow(content)
    monkeypatch.setattr("al_framework.assembly.standalone.document_faults", None)

    assert run(workflow).problems == ()
