"""Every fault of a workflow document is found at its place, all in one report."""

import pytest


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
def test_a_fault_is_found_at_its_place(*, at, value, path, message, document, faults):
    change(document, at, value)

    found = faults(document)[0]  # what refers to a name that has changed comes after it

    assert found[0] == path
    assert found[1].startswith(message)


def test_a_key_of_the_wrong_form_is_not_shown(document, faults):
    change(document, (*C, "target_dataset_api_key"), ["rf_secret"])

    assert "rf_secret" not in str(faults(document))


def test_all_faults_are_in_one_report(document, faults):
    change(document, (*M, "confidence"), 2)
    change(document, (*C, "predictions"), "$steps.x.predictions")
    change(document, (*C, "target_datset"), "x")
    change(document, ("outputs", 0, "selector"), "$steps.x.predictions")

    assert [path for path, _ in faults(document)] == [
        "steps[0].confidence",
        "steps[1].target_datset",
        "outputs[0].selector",
    ]


def test_a_step_with_a_fault_is_no_selector_to_nowhere(document, faults):
    change(document, (*M, "confidence"), 2)

    assert [path for path, _ in faults(document)] == ["steps[0].confidence"]


def test_an_input_with_a_fault_is_no_selector_to_nowhere(document, faults):
    change(document, ("inputs", 0, "size"), 2)

    assert [path for path, _ in faults(document)] == ["inputs[0].size"]


def test_the_package_names_what_it_has():
    import al_framework_roboflow.workflow as package

    assert all(hasattr(package, name) for name in package.__all__)
    assert not hasattr(package, "nothing")


@pytest.mark.parametrize("section", ["inputs", "steps", "outputs"])
@pytest.mark.parametrize("value", [[], {}, 3])
def test_a_type_that_is_no_text_is_a_fault(section, value, document, faults):
    document[section][0]["type"] = value

    path, message = faults(document)[0]

    assert path == f"{section}[0].type"
    assert message.startswith(f"{value!r} is no type: known types: ")


@pytest.mark.parametrize("name", [3, "", None, ["m"]])
def test_a_step_without_a_usable_name_makes_no_selector_to_nowhere(name, document, faults):
    document["steps"][0]["name"] = name

    assert [path for path, _ in faults(document)] == ["steps[0].name"]


CONFIGURATION = "steps[1].active_learning_configuration"
CONFIGURATIONS = [
    ({"max_image_size": [0, 1]}, f"{CONFIGURATION}.max_image_size[0]", "should be greater than 0"),
    ({"sampling_strategies": 3}, f"{CONFIGURATION}.sampling_strategies", "should be a list"),
    ({"enable": True}, f"{CONFIGURATION}.enable", "unknown key, did you mean 'enabled'?"),
]


@pytest.mark.parametrize(("more", "path", "message"), CONFIGURATIONS)
@pytest.mark.parametrize("disabled", [False, True])
def test_a_fault_in_a_configuration_is_found_at_its_place(
    *, more, path, message, disabled, document, faults
):
    document["steps"][1]["active_learning_configuration"] |= more
    document["steps"][1]["disable_active_learning"] = disabled

    (found,) = faults(document)

    assert found[0] == path
    assert found[1].startswith(message)


TYPES = [
    ("objects-detection", "'objects-detection' is no prediction type: did you mean 'object-det"),
    ("$steps.m", "'$steps.m' is no selector: write $inputs.<name> or $steps.<step name>.<output>"),
    ("$steps.m.image", "'$steps.m.image' is no prediction type: "),
    ("$inputs.image", "'$inputs.image' is an image: a value is needed here"),
    ("$inputs.kee", "'$inputs.kee' refers to no input: did you mean 'key'?"),
    (3, "should be a valid string, not 3"),
]


@pytest.mark.parametrize(("value", "message"), TYPES)
def test_a_prediction_type_that_is_none_is_a_fault(value, message, document, faults):
    document["steps"][1]["prediction_type"] = value

    ((path, found),) = faults(document)

    assert path == "steps[1].prediction_type"
    assert found.startswith(message)
