"""Steps that refer to each other in a circle, to crops, or from deep within a filter."""

import pytest

from al_framework_roboflow.workflow import read_workflow


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


def test_steps_that_wait_for_each_other_are_a_fault(document, faults):
    document["steps"] += [filter_step("a", "b"), filter_step("b", "c"), filter_step("c", "a")]

    assert faults(document) == [("steps[2]", "the steps wait for each other: a → b → c → a")]


def test_a_step_that_waits_for_itself_is_a_fault(document, faults):
    document["steps"].append(filter_step("a", "a"))

    assert faults(document) == [("steps[2]", "the steps wait for each other: a → a")]


@pytest.mark.parametrize("through_a_filter", [False, True])
def test_predictions_on_crops_do_not_belong_to_the_whole_image(through_a_filter, document, faults):
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
def test_a_fault_in_a_filter_is_found_at_its_place(change, path, message, document, faults):
    step = filter_step("f", "m")
    step["filter_definition"] |= change
    document["steps"].append(step)

    (found,) = faults(document)

    assert found[0] == path
    assert found[1].startswith(message)


def test_a_filter_without_a_type_lacks_it(document, faults):
    step = filter_step("f", "m")
    del step["filter_definition"]["type"]
    document["steps"].append(step)

    assert faults(document) == [(f"{FILTER}.type", "is missing: add it")]


def test_a_filter_nested_too_deeply_is_one_readable_fault(document, faults):
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


def test_a_fault_deep_in_a_filter_is_found_at_its_place(document, faults):
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


def chain(document, length):
    """Give a document more steps, and put them all in the opposite order of their work."""
    sources = ["m", *(f"f{number}" for number in range(length))]
    steps = [filter_step(f"f{number}", source) for number, source in enumerate(sources[:-1])]
    document["steps"] = [*reversed(steps), *document["steps"]]


def test_a_long_chain_of_steps_is_put_in_order(document):
    chain(document, 1500)

    found = read_workflow(document)

    assert [step.name for step in found.steps[:3]] == ["m", "f0", "f1"]
    assert len(found.steps) == 1502


def test_a_long_circle_of_steps_is_a_fault(document, faults):
    chain(document, 1500)
    document["steps"][1499]["predictions"] = "$steps.f1499.predictions"

    ((path, message),) = faults(document)

    assert path == "steps[0]"
    names = " → ".join(f"f{number}" for number in range(1499, 1491, -1))
    assert message == f"the steps wait for each other: {names} → … → f1499"
