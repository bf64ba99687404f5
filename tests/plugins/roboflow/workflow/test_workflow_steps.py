"""What a filter and an offset make of the entries between a model and a collector."""

import copy
import re

import pytest

from al_framework_roboflow.workflow import WorkflowFaultsError

ENTRIES = [
    {
        "x": 100.0,
        "y": 50.0,
        "width": 100.0,
        "height": 50.0,
        "confidence": 0.9,
        "class": "cat",
        "class_id": 0,
        "detection_id": "one",
    },
    {
        "x": 50.0,
        "y": 25.0,
        "width": 50.0,
        "height": 25.0,
        "confidence": 0.4,
        "class": "dog",
        "class_id": 1,
        "detection_id": "two",
    },
]


def seen(entries):
    return lambda w, h: {"predictions": copy.deepcopy(entries)}


@pytest.fixture
def through(flow, run):
    """Run one step behind a model and return what it says of the one picture."""

    def through(step, *, entries=ENTRIES, inputs=None, declared=(), generation=2):
        content = flow.document(
            [flow.model(), {"name": "s", "predictions": "$steps.m.predictions", **step}],
            inputs=[{"type": "InferenceParameter", "name": name} for name in declared],
            generation=generation,
        )
        predictors = {"*": flow.Detector(seen(entries))}
        return run(content, predictors=predictors, inputs=inputs or {})

    return through


def condition(name, operator, value):
    return {
        "type": "DetectionFilterDefinition",
        "field_name": name,
        "operator": operator,
        "reference_value": value,
    }


def both(left, operator, right):
    return {
        "type": "CompoundDetectionFilterDefinition",
        "left": left,
        "operator": operator,
        "right": right,
    }


CAT, SURE = condition("class", "equal", "cat"), condition("confidence", ">", 0.5)
BROKEN = condition("nothing", "equal", 1)
KEPT = [
    (condition("class", "equal", "cat"), ["one"]),
    (condition("class", "==", "cat"), ["one"]),
    (condition("class", "not_equal", "cat"), ["two"]),
    (condition("class", "!=", "cat"), ["two"]),
    (condition("confidence", "lower_than", 0.9), ["two"]),
    (condition("confidence", "<", 0.9), ["two"]),
    (condition("confidence", "greater_than", 0.4), ["one"]),
    (condition("confidence", ">", 0.4), ["one"]),
    (condition("confidence", "lower_or_equal_than", 0.4), ["two"]),
    (condition("confidence", "<=", 0.4), ["two"]),
    (condition("confidence", "greater_or_equal_than", 0.4), ["one", "two"]),
    (condition("confidence", ">=", 0.9), ["one"]),
    (condition("class", "in", ["cat", "bird"]), ["one"]),
    (condition("class", "in", "catalogue"), ["one"]),
    (condition("class", "str_starts_with", "c"), ["one"]),
    (condition("class", "str_ends_with", "g"), ["two"]),
    (condition("class", "str_contains", "o"), ["two"]),
    (condition("class_id", "equal", 1), ["two"]),
    (condition("class", "equal", 1), []),
    (both(CAT, "and", SURE), ["one"]),
    (both(condition("class", "equal", "dog"), "and", SURE), []),
    (both(condition("class", "equal", "dog"), "or", SURE), ["one", "two"]),
    (both(both(CAT, "and", SURE), "or", condition("x", "<", 60)), ["one", "two"]),
    (both(condition("x", ">", 0), "or", BROKEN), ["one", "two"]),
    (both(condition("x", "<", 0), "and", BROKEN), []),
]


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize(("definition", "expected"), KEPT)
def test_a_filter_keeps_what_meets_its_condition(definition, expected, generation, through):
    result = through(
        {"type": "DetectionFilter", "filter_definition": definition}, generation=generation
    )

    (said,) = result.steps["$steps.s"] if generation == 1 else rows(result.steps["s"])
    assert [entry["detection_id"] for entry in said["predictions"]] == expected
    assert result.problems == ()


def rows(columns):
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def test_a_filter_compares_with_an_input(through):
    step = {"type": "DetectionFilter", "filter_definition": condition("class", "==", "$inputs.c")}

    result = through(step, declared=["c"], inputs={"c": "dog"})

    assert [e["detection_id"] for e in result.steps["s"]["predictions"][0]] == ["two"]


def test_a_filter_copies_what_it_keeps(through):
    result = through({"type": "DetectionFilter", "filter_definition": condition("x", ">", 0)})

    assert result.steps["s"]["predictions"][0][0] == result.steps["m"]["predictions"][0][0]
    assert result.steps["s"]["predictions"][0][0] is not result.steps["m"]["predictions"][0][0]


UNANSWERABLE = [
    (BROKEN, r"predictions\[0\] has no 'nothing' to filter by: it has 'x', 'y', 'width', "),
    (
        condition("class", "greater_than", 0.5),
        r"predictions\[0\].class is 'cat': 'greater_than' cannot compare it with 0.5",
    ),
    (condition("x", "in", 5), r"predictions\[0\].x is 100.0: 'in' cannot compare it with 5"),
    (condition("x", "str_starts_with", "a"), r"predictions\[0\].x is 100.0: 'str_starts_with' "),
]


@pytest.mark.parametrize(("definition", "message"), UNANSWERABLE)
def test_a_filter_that_cannot_compare_says_with_what(definition, message, through):
    result = through({"type": "DetectionFilter", "filter_definition": definition})

    (problem,) = result.problems
    assert re.match(rf"step 's': \$inputs.image: {message}", problem)
    assert result.steps["s"] == {}


def test_an_offset_enlarges_copies_and_remembers_the_parent(through):
    result = through({"type": "DetectionOffset", "offset_width": 10.6, "offset_height": -5})

    first = result.steps["s"]["predictions"][0][0]
    assert (first["width"], first["height"]) == (111.0, 45.0)
    assert first["parent_id"] == "one"
    assert first["detection_id"] not in ("one", "two")
    assert result.steps["m"]["predictions"][0][0]["width"] == 100.0
    assert result.steps["s"]["parent_id"] == [["one", "two"]]


def test_an_offset_can_be_an_input(through):
    step = {"type": "DetectionOffset", "offset_x": "$inputs.by", "offset_y": 0}

    result = through(step, declared=["by"], inputs={"by": 4})

    assert result.steps["s"]["predictions"][0][0]["width"] == 104.0


@pytest.mark.parametrize("by", [float("inf"), float("nan")])
def test_an_offset_is_a_finite_number(by, through):
    step = {"type": "DetectionOffset", "offset_x": "$inputs.by", "offset_y": 0}

    with pytest.raises(WorkflowFaultsError, match=r"offset_x: \$inputs.by: should be a finite num"):
        through(step, declared=["by"], inputs={"by": by})


def test_an_entry_without_a_box_cannot_be_enlarged(through):
    step = {"type": "DetectionOffset", "offset_x": 1, "offset_y": 1}

    result = through(step, entries=[{"class": "cat", "confidence": 0.5}])

    (problem,) = result.problems
    assert "predictions[0] has no box to enlarge (KeyError: 'width')" in problem
