"""Workflow documents of both forms are read, from a value or a file."""

import copy
import json
from pathlib import Path

import pytest

from al_framework.api import ConfigurationError
from al_framework_roboflow.workflow import WorkflowFaultsError, read_workflow

GENERATION_1 = json.loads(Path(__file__).with_name("generation_1.json").read_text())
BARE = GENERATION_1["specification"]


def test_the_first_generation_is_wrapped():
    found = read_workflow(GENERATION_1)

    assert found.generation == 1
    assert [step.name for step in found.steps] == ["m", "collect"]
    assert found.images == ["image"]
    assert found.places == {"m": "specification.steps[0]", "collect": "specification.steps[1]"}


def test_the_second_generation_is_bare():
    assert read_workflow(BARE).generation == 2


def test_a_wrapped_document_with_the_words_of_the_second_is_of_the_second():
    document = copy.deepcopy(GENERATION_1)
    document["specification"]["steps"][1]["prediction_type"] = "$steps.m.prediction_type"

    assert read_workflow(document).generation == 2


def test_todays_names_of_inputs_and_models_are_read(document):
    document["inputs"][0]["type"] = "WorkflowImage"
    document["inputs"][1]["type"] = "WorkflowParameter"
    step = document["steps"][0]
    step["type"], step["images"] = "RoboflowObjectDetectionModel", step.pop("image")

    found = read_workflow(document)

    assert found.images == ["image"]
    assert found.steps[0].images() == ["$inputs.image"]


def test_steps_run_after_those_they_refer_to(document):
    document["steps"].reverse()

    assert [step.name for step in read_workflow(document).steps] == ["m", "collect"]


def test_a_file_is_read_and_named(tmp_path):
    path = tmp_path / "doc.json"
    path.write_text(json.dumps(GENERATION_1))

    assert read_workflow(path).origin == str(path)
    assert read_workflow(str(path)).origin == str(path)


def test_a_workflow_is_not_read_twice():
    found = read_workflow(GENERATION_1)

    assert read_workflow(found) is found


def test_the_error_names_the_document_and_counts():
    with pytest.raises(ConfigurationError, match=r"^doc.json: 1 fault in the workflow\n  steps: "):
        read_workflow({"inputs": []}, origin="doc.json")


def test_a_key_is_in_no_repr(document):
    document["steps"][1]["target_dataset_api_key"] = "rf_secret"

    found = read_workflow(document)

    assert "rf_secret" not in repr(found)
    assert "target_dataset_api_key='***'" in repr(found)
    assert "$inputs.key" in repr(read_workflow(BARE))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is no JSON document: "),
        (b"\xff\xfe\x00", "is no JSON document: "),
        (b'{"steps": [], "steps": []}', "the key 'steps' stands twice in one object"),
        (b"[" * 100_000, "is no JSON document: "),
        (b'{"steps": [NaN]}', "is no JSON document: NaN is no number of JSON"),
        (b'{\n "steps": [1,,2]}', r"is no JSON document: .*: line 2 column 14"),
        (b" " * (1024 * 1024 + 1), "it is larger than 1048576 bytes"),
    ],
)
def test_a_file_that_is_no_document_is_refused(content, message, tmp_path):
    path = tmp_path / "doc.json"
    path.write_bytes(content)

    with pytest.raises(WorkflowFaultsError, match=message):
        read_workflow(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WorkflowFaultsError, match=r"none.json: 1 fault.*\n  cannot be read: No"):
        read_workflow(tmp_path / "none.json")


WHOLE = [
    (None, "", "a workflow is a JSON object with inputs, steps and outputs, not None"),
    ([1], "", "a workflow is a JSON object with inputs, steps and outputs, not [1]"),
    ({}, "steps", "is missing: add it"),
    ({"steps": []}, "steps", "is empty: at least one is needed"),
    ({"steps": {}}, "steps", "should be a valid list, not {}"),
    ({"specification": {}}, "specification.steps", "is missing: add it"),
    ({"steps": [1]}, "steps[0]", "is 1, not an object"),
    ({"steps": [{}]}, "steps[0].type", "is missing: add it"),
    ({"specification": BARE, "api_key": "x"}, "api_key", "stands beside 'specification'"),
]


@pytest.mark.parametrize(("document", "path", "message"), WHOLE)
def test_what_is_no_workflow_is_refused(document, path, message, faults):
    (found, *_) = faults(document)

    assert found[0] == path
    assert found[1].startswith(message)


def test_a_configuration_that_is_switched_off_needs_nothing_more(document):
    document["steps"][1]["active_learning_configuration"] = {"enabled": False}

    assert read_workflow(document)


def test_a_prediction_type_may_be_written_or_be_an_input(document):
    for value in ("keypoints-detection", "$inputs.key", "$steps.m.prediction_type", None):
        document["steps"][1]["prediction_type"] = value

        assert read_workflow(document)
