"""Workflow documents: both forms, and every fault with its place."""

import copy
import json

import pytest

from al_framework.api import ConfigurationError
from al_framework_roboflow.workflow import WorkflowFaultsError, read_workflow

GENERATION_1 = {
    "specification": {
        "version": "1.0",
        "inputs": [
            {"type": "InferenceImage", "name": "image"},
            {"type": "InferenceParameter", "name": "off", "default_value": False},
            {"type": "InferenceParameter", "name": "key"},
        ],
        "steps": [
            {
                "type": "ObjectDetectionModel",
                "name": "m",
                "image": "$inputs.image",
                "model_id": "my-model/1",
                "disable_active_learning": True,
            },
            {
                "type": "ActiveLearningDataCollector",
                "name": "collect",
                "image": "$inputs.image",
                "predictions": "$steps.m.predictions",
                "target_dataset": "my-project",
                "target_dataset_api_key": "$inputs.key",
                "disable_active_learning": "$inputs.off",
                "active_learning_configuration": {
                    "enabled": True,
                    "persist_predictions": True,
                    "sampling_strategies": [
                        {"name": "all", "type": "random", "traffic_percentage": 0.1}
                    ],
                    "batching_strategy": {
                        "batches_name_prefix": "pfx",
                        "recreation_interval": "daily",
                    },
                },
            },
        ],
        "outputs": [{"type": "JsonField", "name": "p", "selector": "$steps.m.predictions"}],
    }
}


def bare():
    return copy.deepcopy(GENERATION_1["specification"])


def faults(document):
    with pytest.raises(WorkflowFaultsError) as caught:
        read_workflow(document, origin="doc.json")
    return [(fault.path, fault.message) for fault in caught.value.faults]


def test_the_first_generation_is_wrapped():
    found = read_workflow(GENERATION_1)

    assert found.generation == 1
    assert [step.name for step in found.steps] == ["m", "collect"]
    assert found.images == ["image"]
    assert found.places == {"m": "specification.steps[0]", "collect": "specification.steps[1]"}


def test_the_second_generation_is_bare():
    assert read_workflow(bare()).generation == 2


def test_a_wrapped_document_with_the_words_of_the_second_is_of_the_second():
    document = copy.deepcopy(GENERATION_1)
    document["specification"]["steps"][1]["prediction_type"] = "$steps.m.prediction_type"

    assert read_workflow(document).generation == 2


def test_todays_names_of_inputs_and_models_are_read():
    document = bare()
    document["inputs"][0]["type"] = "WorkflowImage"
    document["inputs"][1]["type"] = "WorkflowParameter"
    step = document["steps"][0]
    step["type"], step["images"] = "RoboflowObjectDetectionModel", step.pop("image")

    found = read_workflow(document)

    assert found.images == ["image"]
    assert found.steps[0].images() == ["$inputs.image"]


def test_steps_run_after_those_they_refer_to():
    document = bare()
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


def test_a_key_is_in_no_repr():
    document = bare()
    document["steps"][1]["target_dataset_api_key"] = "rf_secret"

    found = read_workflow(document)

    assert "rf_secret" not in repr(found)
    assert "target_dataset_api_key='***'" in repr(found)
    assert "$inputs.key" in repr(read_workflow(bare()))


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
    ({"specification": bare(), "api_key": "x"}, "api_key", "stands beside 'specification'"),
]


@pytest.mark.parametrize(("document", "path", "message"), WHOLE)
def test_what_is_no_workflow_is_refused(document, path, message):
    (found, *_) = faults(document)

    assert found[0] == path
    assert found[1].startswith(message)


def change(document, path, value):
    """Set one place of the document; the value ``...`` removes it."""
    *keys, last = path
    for key in keys:
        document = document[key]
    if value is ...:
        del document[last]
    else:
        document[last] = value


M, C = ("steps", 0), ("steps", 1)
FAULTS = [
    # wrong fields
    (("stepz",), [], "stepz", "is unknown: did you mean 'steps'?"),
    ((*M, "confidance"), 0.5, "steps[0].confidance", "is unknown: did you mean 'confidence'?"),
    ((*M, "image"), ..., "steps[0].image", "is missing: add it"),
    ((*M, "name"), ..., "steps[0].name", "is missing: add it"),
    ((*M, "name"), "a.b", "steps[0].name", "'a.b' can be no name: selectors could not refer to it"),
    ((*C, "target_dataset"), ..., "steps[1].target_dataset", "is missing: add it"),
    (("inputs", 0, "nam"), "x", "inputs[0].nam", "is unknown: did you mean 'name'?"),
    # wrong types and ranges
    ((*M, "confidence"), "high", "steps[0].confidence", "should be a valid number, not 'h"),
    ((*M, "confidence"), 1.5, "steps[0].confidence", "should be less than or equal to 1, n"),
    ((*M, "max_detections"), 0, "steps[0].max_detections", "should be greater than or equa"),
    ((*M, "model_id"), "", "steps[0].model_id", "is empty: fill it in"),
    ((*M, "class_filter"), "cat", "steps[0].class_filter", "should be a valid list, not '"),
    ((*C, "disable_active_learning"), "yes", "steps[1].disable_active_learning", "should b"),
    ((*C, "target_dataset"), 3, "steps[1].target_dataset", "should be a valid string, not 3"),
    ((*C, "target_dataset_api_key"), 3, "steps[1].target_dataset_api_key", "should be a v"),
    (
        (*C, "active_learning_configuration"),
        [],
        "steps[1].active_learning_configuration",
        "should be an object, not []",
    ),
    # unknown types
    ((*M, "type"), "ObjectDetectoinModel", "steps[0].type", "'ObjectDetectoinModel' is no type: d"),
    ((*M, "type"), 7, "steps[0].type", "7 is no type: known types: 'AbsoluteStaticCrop', "),
    ((*M, "type"), "OCRModel", "steps[0].type", "steps of type 'OCRModel' are not run here: they"),
    (("inputs", 0, "type"), "Image", "inputs[0].type", "'Image' is no type: known types: 'Inf"),
    (("outputs", 0, "type"), "Field", "outputs[0].type", "'Field' is no type: did you mean 'Json"),
    # names
    ((*C, "name"), "m", "steps[1].name", "'m' is taken by steps[0]: names are unique"),
    (("inputs", 1, "name"), "key", "inputs[2].name", "'key' is taken by inputs[1]: names are uni"),
    # selectors to nowhere
    ((*M, "image"), "$inputs.img", "steps[0].image", "'$inputs.img' refers to no input: did you"),
    ((*M, "image"), "image", "steps[0].image[0]", "'image' is no selector: write $inputs.<name>"),
    ((*M, "image"), [], "steps[0].image", "is empty: at least one is needed"),
    ((*M, "model_id"), "$inputs", "steps[0].model_id", "'$inputs' is no selector: write $inputs."),
    ((*M, "model_id"), "$steps.m.top", "steps[0].model_id", "'$steps.m.top' refers to a step: wr"),
    ((*M, "model_id"), "$inputs.image", "steps[0].model_id", "'$inputs.image' is an image: a va"),
    (
        (*M, "image"),
        "$inputs.off",
        "steps[0].image",
        "'$inputs.off' is a value: an image is needed",
    ),
    (
        (*C, "predictions"),
        "$steps.n.predictions",
        "steps[1].predictions",
        "'$steps.n.predictions' refers to no step: ",
    ),
    (
        (*C, "predictions"),
        "$steps.m.prediction",
        "steps[1].predictions",
        (
            "'$steps.m.prediction': a step of type 'ObjectDetectionModel' has no such output: did "
            "you mean 'predictions'?"
        ),
    ),
    (
        (*C, "predictions"),
        "$steps.m.top",
        "steps[1].predictions",
        "'$steps.m.top': a step of type 'ObjectDetectionModel' has no such output: known outputs: ",
    ),
    (
        (*C, "predictions"),
        "$steps.m.image",
        "steps[1].predictions",
        "'$steps.m.image' is no classification or detections: known selectors that fit: '$steps.m.",
    ),
    (
        (*C, "predictions"),
        "$inputs.off",
        "steps[1].predictions",
        "'$inputs.off' refers to no step: write $steps.<step name>.<output>",
    ),
    (
        (*C, "prediction_type"),
        "$steps.m.image",
        "steps[1].prediction_type",
        "'$steps.m.image' is no prediction type: ",
    ),
    (
        ("outputs", 0, "selector"),
        "$steps.mm.predictions",
        "outputs[0].selector",
        "'$steps.mm.predictions' refers to no step: did you mean 'm'?",
    ),
    (
        ("outputs", 0, "selector"),
        "$inputs.off",
        "outputs[0].selector",
        "'$inputs.off' refers to an input: outputs show what steps say, $steps.<name>.<output>",
    ),
    (
        ("outputs", 0, "selector"),
        "predictions",
        "outputs[0].selector",
        "'predictions' is no selector: write ",
    ),
    (
        ("outputs", 0, "coordinates_system"),
        "mine",
        "outputs[0].coordinates_system",
        "should be ",
    ),
]


@pytest.mark.parametrize(("at", "value", "path", "message"), FAULTS)
def test_a_fault_is_found_at_its_place(at, value, path, message):
    document = bare()
    change(document, at, value)

    found = faults(document)[0]  # what refers to a name that has changed comes after it

    assert found[0] == path
    assert found[1].startswith(message)


def test_a_key_of_the_wrong_form_is_not_shown():
    document = bare()
    change(document, (*C, "target_dataset_api_key"), ["rf_secret"])

    assert "rf_secret" not in str(faults(document))


def test_all_faults_are_in_one_report():
    document = bare()
    change(document, (*M, "confidence"), 2)
    change(document, (*C, "predictions"), "$steps.x.predictions")
    change(document, (*C, "target_datset"), "x")
    change(document, ("outputs", 0, "selector"), "$steps.x.predictions")

    assert [path for path, _ in faults(document)] == [
        "steps[0].confidence",
        "steps[1].target_datset",
        "outputs[0].selector",
    ]


def test_a_step_with_a_fault_is_no_selector_to_nowhere():
    document = bare()
    change(document, (*M, "confidence"), 2)

    assert [path for path, _ in faults(document)] == ["steps[0].confidence"]


def test_an_input_with_a_fault_is_no_selector_to_nowhere():
    document = bare()
    change(document, ("inputs", 0, "size"), 2)

    assert [path for path, _ in faults(document)] == ["inputs[0].size"]


def filter_step(name, source):
    definition = {
        "type": "DetectionFilterDefinition",
        "field_name": "class",
        "operator": "equal",
        "reference_value": "cat",
    }
    return {
        "type": "DetectionFilter",
        "name": name,
        "predictions": f"$steps.{source}.predictions",
        "filter_definition": definition,
    }


def test_steps_that_wait_for_each_other_are_a_fault():
    document = bare()
    document["steps"] += [filter_step("a", "b"), filter_step("b", "c"), filter_step("c", "a")]

    assert faults(document) == [("steps[2]", "the steps wait for each other: a → b → c → a")]


def test_a_step_that_waits_for_itself_is_a_fault():
    document = bare()
    document["steps"].append(filter_step("a", "a"))

    assert faults(document) == [("steps[2]", "the steps wait for each other: a → a")]


@pytest.mark.parametrize("through_a_filter", [False, True])
def test_predictions_on_crops_do_not_belong_to_the_whole_image(through_a_filter):
    document = bare()
    source = "c"
    document["steps"].insert(
        1,
        {
            "type": "Crop",
            "name": "crop",
            "image": "$inputs.image",
            "detections": "$steps.m.predictions",
        },
    )
    document["steps"].insert(
        2,
        {
            "type": "ObjectDetectionModel",
            "name": "c",
            "image": "$steps.crop.crops",
            "model_id": "x/1",
        },
    )
    if through_a_filter:
        document["steps"].insert(3, filter_step("f", "c"))
        source = "f"
    document["steps"][-1]["predictions"] = f"$steps.{source}.predictions"

    assert faults(document) == [
        (
            f"steps[{3 + through_a_filter}]",
            (
                f"'$steps.{source}.predictions' is about $steps.crop.crops, and the step looks at "
                "$inputs.image: both have to be the same"
            ),
        )
    ]


FILTER = "steps[2].filter_definition"
DEFINITIONS = [
    ({"operator": "bigger"}, f"{FILTER}.operator", "should be 'equal', 'not_equal', "),
    ({"field": "x"}, f"{FILTER}.field", "is unknown: did you mean 'field_name'?"),
    (
        {"type": "Filter"},
        f"{FILTER}.type",
        "'Filter' is no type: known types: 'CompoundDetectionFilterDef",
    ),
    ({"type": 3}, f"{FILTER}.type", "'3' is no type: known types: 'CompoundDetectionFilterDef"),
    ({"reference_value": "$inputs.x"}, f"{FILTER}.reference_value", "'$inputs.x' refers to no in"),
]


@pytest.mark.parametrize(("change", "path", "message"), DEFINITIONS)
def test_a_fault_in_a_filter_is_found_at_its_place(change, path, message):
    document = bare()
    step = filter_step("f", "m")
    step["filter_definition"] |= change
    document["steps"].append(step)

    (found,) = faults(document)

    assert found[0] == path
    assert found[1].startswith(message)


def test_a_filter_without_a_type_lacks_it():
    document = bare()
    step = filter_step("f", "m")
    del step["filter_definition"]["type"]
    document["steps"].append(step)

    assert faults(document) == [(f"{FILTER}.type", "is missing: add it")]


def test_a_filter_nested_too_deeply_is_one_readable_fault():
    document = bare()
    step = filter_step("f", "m")
    plain = step["filter_definition"]
    for _ in range(400):
        step["filter_definition"] = {
            "type": "CompoundDetectionFilterDefinition",
            "operator": "and",
            "left": step["filter_definition"],
            "right": dict(plain),
        }
    document["steps"].append(step)

    ((path, message),) = faults(document)

    assert path == f"{FILTER}{11 * '.left'}..."
    assert message == "is nested too deeply: make it flatter"


def test_a_fault_deep_in_a_filter_is_found_at_its_place():
    document = bare()
    step = filter_step("f", "m")
    good = step["filter_definition"]
    bad = {key: value for key, value in good.items() if key != "operator"}
    step["filter_definition"] = {
        "type": "CompoundDetectionFilterDefinition",
        "operator": "and",
        "left": good,
        "right": {
            "type": "CompoundDetectionFilterDefinition",
            "operator": "or",
            "left": bad,
            "right": good,
        },
    }
    document["steps"].append(step)

    assert faults(document) == [(f"{FILTER}.right.left.operator", "is missing: add it")]


def test_the_package_names_what_it_has():
    import al_framework_roboflow.workflow as package

    assert all(hasattr(package, name) for name in package.__all__)
    assert not hasattr(package, "nothing")


@pytest.mark.parametrize("section", ["inputs", "steps", "outputs"])
@pytest.mark.parametrize("value", [[], {}, 3])
def test_a_type_that_is_no_text_is_a_fault(section, value):
    document = bare()
    document[section][0]["type"] = value

    path, message = faults(document)[0]

    assert path == f"{section}[0].type"
    assert message.startswith(f"{value!r} is no type: known types: ")


@pytest.mark.parametrize("name", [3, "", None, ["m"]])
def test_a_step_without_a_usable_name_makes_no_selector_to_nowhere(name):
    document = bare()
    document["steps"][0]["name"] = name

    assert [path for path, _ in faults(document)] == ["steps[0].name"]


def chain(length):
    """Return a document whose steps stand in the opposite order of their work."""
    document = bare()
    sources = ["m", *(f"f{number}" for number in range(length))]
    steps = [filter_step(f"f{number}", source) for number, source in enumerate(sources[:-1])]
    document["steps"] = [*reversed(steps), *document["steps"]]
    return document


def test_a_long_chain_of_steps_is_put_in_order():
    found = read_workflow(chain(1500))

    assert [step.name for step in found.steps[:3]] == ["m", "f0", "f1"]
    assert len(found.steps) == 1502


def test_a_long_circle_of_steps_is_a_fault():
    document = chain(1500)
    document["steps"][1499]["predictions"] = "$steps.f1499.predictions"

    ((path, message),) = faults(document)

    assert path == "steps[0]"
    names = " → ".join(f"f{number}" for number in range(1499, 1491, -1))
    assert message == f"the steps wait for each other: {names} → … → f1499"


CONFIGURATION = "steps[1].active_learning_configuration"
CONFIGURATIONS = [
    ({"max_image_size": [0, 1]}, f"{CONFIGURATION}.max_image_size[0]", "should be greater than 0"),
    ({"sampling_strategies": 3}, f"{CONFIGURATION}.sampling_strategies", "should be a list"),
    ({"enable": True}, f"{CONFIGURATION}.enable", "unknown key, did you mean 'enabled'?"),
]


@pytest.mark.parametrize(("more", "path", "message"), CONFIGURATIONS)
@pytest.mark.parametrize("disabled", [False, True])
def test_a_fault_in_a_configuration_is_found_at_its_place(more, path, message, disabled):
    document = bare()
    document["steps"][1]["active_learning_configuration"] |= more
    document["steps"][1]["disable_active_learning"] = disabled

    (found,) = faults(document)

    assert found[0] == path
    assert found[1].startswith(message)


def test_a_configuration_that_is_switched_off_needs_nothing_more():
    document = bare()
    document["steps"][1]["active_learning_configuration"] = {"enabled": False}

    assert read_workflow(document)


def test_a_prediction_type_may_be_written_or_be_an_input():
    for value in ("keypoints-detection", "$inputs.key", "$steps.m.prediction_type", None):
        document = bare()
        document["steps"][1]["prediction_type"] = value

        assert read_workflow(document)


TYPES = [
    ("objects-detection", "'objects-detection' is no prediction type: did you mean 'object-det"),
    ("$steps.m", "'$steps.m' is no selector: write $inputs.<name> or $steps.<step name>.<output>"),
    ("$steps.m.image", "'$steps.m.image' is no prediction type: "),
    ("$inputs.image", "'$inputs.image' is an image: a value is needed here"),
    ("$inputs.kee", "'$inputs.kee' refers to no input: did you mean 'key'?"),
    (3, "should be a valid string, not 3"),
]


@pytest.mark.parametrize(("value", "message"), TYPES)
def test_a_prediction_type_that_is_none_is_a_fault(value, message):
    document = bare()
    document["steps"][1]["prediction_type"] = value

    ((path, found),) = faults(document)

    assert path == "steps[1].prediction_type"
    assert found.startswith(message)
