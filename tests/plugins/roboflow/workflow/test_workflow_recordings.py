"""The historical documents run, and their steps say what the historical packages said."""

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[4]
WIRE = ROOT.parent / "shared" / "wire"

KEYPOINTS = [{"x": 100.0, "y": 40.0, "confidence": 0.8, "class_id": 0, "class_name": "nose"}]
POINTS = [{"x": 60.0, "y": 30.0}, {"x": 140.0, "y": 30.0}, {"x": 100.0, "y": 70.0}]
CONFIDENT = {
    1: {"field_name": "confidence", "operator": "greater_than", "reference_value": 0.5},
    2: {"field_name": "confidence", "operator": ">", "reference_value": 0.5},
}


def one_box(f, **more):
    return lambda w, h: {"predictions": [f.boxes(w, h)[0] | more]}


def whole(*more, top=False):
    """A model on the whole picture, steps behind it, and a collector on the last of them."""

    def build(f, generation):
        del generation
        steps = [f.model(), *more]
        return [*steps, f.collector(f"$steps.{steps[-1]['name']}.predictions")]

    return build


def filtered(f, generation):
    definition = {"type": "DetectionFilterDefinition", **CONFIDENT[generation]}
    step = {
        "type": "DetectionFilter",
        "name": "filter",
        "predictions": "$steps.m.predictions",
        "filter_definition": definition,
    }
    return [f.model(), step, f.collector("$steps.filter.predictions")]


def consensus(f, generation):
    del generation
    step = {
        "type": "DetectionsConsensus",
        "name": "consensus",
        "predictions": ["$steps.a.predictions", "$steps.b.predictions"],
        "required_votes": 2,
    }
    return [
        f.model(name="a"),
        f.model(name="b"),
        step,
        f.collector("$steps.consensus.predictions"),
    ]


def offset(f, generation):
    del generation
    step = {
        "type": "DetectionOffset",
        "name": "offset",
        "predictions": "$steps.m.predictions",
        "offset_x": 10,
        "offset_y": 20,
    }
    return [f.model(), step, f.collector("$steps.offset.predictions")]


def single(kind, field="predictions"):
    return lambda f, _: [f.model(kind), f.collector(f"$steps.m.{field}")]


def world(f, generation):
    del generation
    step = f.model("YoloWorld", class_names=["cat"])
    del step["model_id"]
    return [step, f.collector("$steps.m.predictions")]


def cropped(kind, field):
    def build(f, generation):
        del generation
        crop = {
            "type": "Crop",
            "name": "crop",
            "image": "$inputs.image",
            "predictions": "$steps.m.predictions",
        }
        second = f.model(kind, name="c", image="$steps.crop.crops")
        return [
            f.model(),
            crop,
            second,
            f.collector(f"$steps.c.{field}", image="$steps.crop.crops"),
        ]

    return build


def static(kind, model, field, numbers):
    def build(f, generation):
        del generation
        names = ("x_center", "y_center", "width", "height")
        place = dict(zip(names, numbers, strict=True))
        crop = {"type": kind, "name": "crop", "image": "$inputs.image", **place}
        second = f.model(model, name="c", image="$steps.crop.crops")
        return [crop, second, f.collector(f"$steps.c.{field}", image="$steps.crop.crops")]

    return build


OBJECTS, CLASSES = "ObjectDetectionModel", "ClassificationModel"
CASES = {
    "01_od": (whole(), "m.predictions"),
    "02_filter": (filtered, "filter.predictions"),
    "03_consensus": (consensus, "consensus.predictions"),
    "04_keypoints": (single("KeypointsDetectionModel"), "m.predictions"),
    "05_iseg": (single("InstanceSegmentationModel"), "m.predictions"),
    "06_classification": (single(CLASSES, "top"), "m.top"),
    "08_crop_classification": (cropped(CLASSES, "top"), "c.top"),
    "09_crop_od": (cropped(OBJECTS, "predictions"), "c.predictions"),
    "10_abs_crop_od": (
        static("AbsoluteStaticCrop", OBJECTS, "predictions", (80, 40, 80, 40)),
        "c.predictions",
    ),
    "11_rel_crop_cls": (
        static("RelativeStaticCrop", CLASSES, "top", (0.5, 0.5, 0.5, 0.5)),
        "c.top",
    ),
    "12_yolo_world": (world, "m.predictions"),
    "13_offset": (offset, "offset.predictions"),
    "21_batch_two": (whole(), "m.predictions"),
}


def answers(f, case):
    """Return what the recorded models answered."""
    by_case = {
        "04_keypoints": one_box(f, keypoints=KEYPOINTS),
        "05_iseg": one_box(f, points=POINTS),
        "06_classification": f.classified,
    }
    detector = f.Detector(by_case.get(case))
    if case in ("08_crop_classification", "11_rel_crop_cls"):
        return {"some/1": detector, "cls/1": f.Detector(f.classified)}
    return {"*": detector}


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_the_historical_document_says_what_it_said(case, generation, flow, run, heard):
    recorded = recording(f"old{generation}_{case}.json")
    build, selector = CASES[case]
    steps = build(flow, generation)
    for step in steps:
        if step["type"] == CLASSES and case != "06_classification":
            step["model_id"] = "cls/1"
    content = flow.document(steps, selector=f"$steps.{selector}", generation=generation)
    images = np.zeros((100, 200, 3), np.uint8)
    if case == "21_batch_two":
        images = [images, np.zeros((100, 100, 3), np.uint8)]

    result = run(content, images=images, predictors=answers(flow, case))

    ids: dict[str, str] = {}
    said = dict(result.steps)
    # The collector had no outputs then; what it says now is new.
    said.pop(f"{'$steps.' if generation == 1 else ''}collect")
    expected = dict(recorded["step_outputs"])
    expected.pop("collect", None)
    assert flow.difference(expected, flow.shape_of(said), ids) is None
    assert flow.difference(recorded["result"], flow.shape_of(dict(result.outputs)), ids) is None
    assert registration_fault(flow, recorded, heard, ids) is None


@pytest.mark.parametrize("case", ["10_abs_crop_od", "12_yolo_world"])
def test_what_the_first_generation_refused_runs(case, flow, run, heard):
    """D29: a detector on a static crop, and YOLO-World as a source."""
    build, selector = CASES[case]
    content = flow.document(build(flow, 1), selector=f"$steps.{selector}", generation=1)

    result = run(content)

    assert result.problems == ()
    assert len(heard.calls[0]["predictions"][0]["predictions"]) == 2


def registration_fault(flow, recorded, heard, ids):
    """Return how what reached the collector differs from what reached the historical one."""
    (call,) = heard.calls
    (registered,) = recorded["register_called_with"]
    kinds = set(call["prediction_type"])
    assert kinds == {registered["prediction_type"]}
    assert call["target_dataset"] == registered["dataset_name"]
    images = [
        one if isinstance(one, dict) else {"type": "numpy_object", "value": one}
        for one in call["image"]
    ]
    # Whole pictures go as they were given; their name was of no use to anybody.
    named = [
        one if "origin_coordinates" in one else {k: v for k, v in one.items() if k != "parent_id"}
        for one in registered["images"]
    ]
    # Of a classification everything goes along, not the class alone.
    documents = [
        {key: one[key] for key in expected}
        for one, expected in zip(call["predictions"], registered["predictions"], strict=True)
    ]
    return flow.difference(named, flow.shape_of(images), ids) or flow.difference(
        registered["predictions"], flow.shape_of(documents), ids
    )


def recording(name):
    path = WIRE / name
    if not path.exists():
        pytest.skip(f"the recording {name} is not here")
    returned = json.loads(path.read_text())["outcome"].get("returned")
    if returned is None:
        pytest.skip(f"{name}: the historical package refused this document")
    return returned
