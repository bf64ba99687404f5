"""The command `al workflow`: what it checks, and how it is to be called."""

import json
import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from al_framework.api import ConfigurationError
from al_framework_roboflow.workflow.errors import WorkflowFaultsError


def uploads(roboflow):
    return roboflow.requests("upload")


def test_check_shows_what_a_workflow_would_do(flow, al):
    content = flow.document(
        [flow.model(), flow.collector("$steps.m.predictions")],
        selector="$steps.m.predictions",
        inputs=[{"type": "InferenceParameter", "name": "off", "default_value": False}],
    )

    result = al("check", content)

    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].endswith("doc.json: ok")
    assert lines[1:] == [
        "input   image: InferenceImage",
        "input   off: InferenceParameter (optional)",
        "step    m: ObjectDetectionModel",
        "step    collect: ActiveLearningDataCollector into ds, by its own configuration",
        "output  p: $steps.m.predictions",
    ]


def test_check_lists_every_fault(flow, al):
    result = al("check", flow.document([flow.model(image="$inputs.x", confidence=2)]))

    assert isinstance(result.exception, WorkflowFaultsError)
    assert len(result.exception.faults) == 1


def test_faults_end_with_status_2(flow, tmp_path, monkeypatch):
    from al_framework import cli

    path = tmp_path / "doc.json"
    path.write_text("{}")
    point = EntryPoint("workflow", "al_framework_roboflow.workflow.command:workflow", "g")
    monkeypatch.setattr(cli, "_announced", lambda: {"workflow": point})
    monkeypatch.setattr("sys.argv", ["al", "workflow", "check", str(path)])

    with pytest.raises(SystemExit) as caught:
        cli.main()

    assert caught.value.code == 2


def test_inputs_are_json_or_text(flow, al, roboflow, pictures):
    names = ("off", "project", "threshold")
    content = flow.document(
        [
            flow.model(confidence="$inputs.threshold"),
            flow.collector(
                "$steps.m.predictions",
                disable_active_learning="$inputs.off",
                target_dataset="$inputs.project",
            ),
        ],
        inputs=[{"type": "InferenceParameter", "name": name} for name in names],
    )

    result = al(
        "run",
        content,
        *("--image", pictures[0], "--inputs", "off=false", "project=other", "threshold=0.3"),
    )

    assert result.exit_code == 0, result.output
    assert len(uploads(roboflow)) == 1
    assert "/dataset/other/upload" in json.dumps(uploads(roboflow)[0])


def test_image_inputs_are_named_where_there_are_several(flow, al, roboflow, pictures):
    content = flow.document([flow.model(image=["$inputs.image", "$inputs.other"])])
    content["specification"]["inputs"].append({"type": "InferenceImage", "name": "other"})

    one, other = pictures
    named = al("run", content, "--image", f"image={one}", f"other={other}")
    bare = al("run", content, "--image", one)

    assert named.exit_code == 0, named.output
    assert bare.exit_code == 2
    assert "write name=FILE, the workflow's image inputs are 'image', 'other'" in bare.output


WRONG = [
    ((), "the image input 'image' needs a picture: add --image FILE"),
    (("--image", "1.jpg", "--inference-url", "here"), "--inference-url: has to begin with http://"),
    (("--image", "1.jpg", "--inputs", "key"), "--inputs 'key': write name=value"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_a_wrong_call_says_what_to_write(arguments, message, flow, al):
    result = al("run", flow.document([flow.model()]), *arguments, servers=False)

    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_models_can_come_from_a_file(flow, al, roboflow, pictures, inference):
    Path("models.yaml").write_text(
        "some/1: {type: roboflow_inference, model_id: real/7, "
        f"url: 'http://127.0.0.1:{inference.server_port}'}}\n"
    )
    content = flow.document([flow.model(), flow.collector("$steps.m.predictions")])

    result = al(
        "run",
        content,
        *("--image", pictures[0], "--models", "models.yaml", "--api-url", roboflow.url),
        servers=False,
    )

    assert result.exit_code == 0, result.output
    assert len(uploads(roboflow)) == 1


def test_an_address_where_the_key_can_be_read_on_the_way_is_refused(flow, al, pictures):
    result = al(
        "run",
        flow.document([flow.model()]),
        *("--image", pictures[0], "--api-url", "http://me:hidden@gateway.test"),
        servers=False,
    )

    assert result.exit_code == 2
    assert "--api-url: begins with http://, so the key can be read on the way: use" in result.output
    assert "hidden" not in result.output


def test_without_models_the_document_cannot_run(flow, al, pictures):
    result = al("run", flow.document([flow.model()]), "--image", pictures[0], servers=False)

    assert isinstance(result.exception, WorkflowFaultsError)
    assert "no predictor answers for the model 'some/1'" in str(result.exception)


def test_faults_of_the_models_file_are_told_with_their_lines(flow, al, pictures):
    Path("models.yaml").write_text("some/1:\n  type: roboflow_inferense\n")

    result = al(
        "run", flow.document([flow.model()]), "--image", pictures[0], "--models", "models.yaml"
    )

    assert isinstance(result.exception, ConfigurationError)
    assert re.search(
        r"line 2: \['some/1'\]\.type: there is no predictor type 'roboflow_inferense' \(did you "
        "mean 'roboflow_inference'",
        str(result.exception),
    )


def test_a_mistyped_input_is_no_picture(flow, al, pictures):
    content = flow.document(
        [flow.model()],
        inputs=[{"type": "InferenceParameter", "name": "level", "default_value": 1}],
    )

    result = al("run", content, "--image", pictures[0], "--inputs", "level=1", "levle=2")

    assert isinstance(result.exception, WorkflowFaultsError)
    assert "inputs.levle: is no input: did you mean 'level'?" in str(result.exception)


def test_a_wrong_configuration_is_a_fault_of_the_document(flow, al, roboflow, pictures):
    configuration = flow.CONFIGURATION | {"max_image_size": [0, 1]}
    content = flow.document(
        [
            flow.model(),
            flow.collector("$steps.m.predictions", active_learning_configuration=configuration),
        ]
    )

    for result in (al("check", content), al("run", content, "--image", *pictures)):
        assert isinstance(result.exception, WorkflowFaultsError)
        assert str(result.exception).endswith(
            "doc.json: 1 fault in the workflow\n  specification.steps[1]"
            ".active_learning_configuration.max_image_size[0]: should be greater than 0, not 0"
        )
    assert uploads(roboflow) == []


def test_without_an_account_no_configuration_is_fetched(flow, al, pictures, roboflow, monkeypatch):
    monkeypatch.delenv("ROBOFLOW_API_KEY")
    content = flow.document(
        [flow.model(), flow.collector("$steps.m.predictions", active_learning_configuration=None)]
    )

    result = al("run", content, *("--image", pictures[0], "--sink-directory", "kept"))

    assert result.exit_code == 1
    assert "no api key" in result.output
    assert roboflow.requests() == []
