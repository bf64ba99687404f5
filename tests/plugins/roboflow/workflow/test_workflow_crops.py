"""Running a workflow: predictions on crops, and where they lie in the picture."""

import copy

import pytest

from al_framework.testing import sample_pixels
from al_framework_roboflow.workflow import WorkflowFaultsError

PIXELS = sample_pixels(200, 100)


def test_predictions_on_crops_are_shown_in_the_parent_by_default(flow, run):
    shown = [run(flow.on_crops(own=own)).outputs["p"] for own in (True, False)]

    assert [one["x"] for one in shown[0][1]] == [25.0, 12.5]
    assert [one["x"] for one in shown[1][1]] == [50.0, 37.5]


@pytest.mark.parametrize(("generation", "moved"), [(1, 5.0), (2, 55.0)])
def test_points_move_into_the_parent_in_the_second_generation(generation, moved, flow, run):
    def answer(width, height):
        entry = flow.boxes(width, height)[0]
        return {"predictions": [entry | {"points": [{"x": 5.0, "y": 5.0}]}]}

    content = flow.on_crops(generation=generation, own=False)
    predictors = {"some/1": flow.Detector(), "second/1": flow.Detector(answer)}

    first = run(content, predictors=predictors).outputs["p"][0][0]

    assert (first["x"], first["points"][0]["x"]) == (100.0, moved)


def test_a_predictor_sees_where_a_crop_comes_from(flow, run):
    detector = flow.Detector()

    run(flow.on_crops(), predictors={"some/1": flow.Detector(), "second/1": detector})

    frame = detector.frames[1]
    parent = frame.parent
    assert frame.frame_id == "$inputs.image > crop[1]"
    assert parent is not None
    assert (parent.frame_id, parent.left, parent.top) == ("$inputs.image", 25, 12)
    assert (parent.width, parent.height) == (50, 25)
    assert parent.detection_id is not None


def test_a_crop_of_a_crop_knows_the_size_of_the_root(flow, run):
    second = flow.CROP | {
        "name": "inner",
        "image": "$steps.crop.crops",
        "predictions": "$steps.c.predictions",
    }
    content = flow.on_crops()
    content["steps"].append(second)

    crops = run(content).steps["inner"]["crops"]

    origin = crops[0]["origin_coordinates"]
    assert len(crops) == 4
    assert origin["origin_image_size"] == {"height": 100, "width": 200}
    assert (origin["left_top_x"], origin["left_top_y"]) == (25, 12)


def static(flow, kind, *place, generation=2):
    names = ("x_center", "y_center", "width", "height")
    step = {"type": kind, "name": "crop", "image": "$inputs.image"}
    step |= dict(zip(names, place, strict=True))
    return flow.document(
        [
            step,
            flow.model(name="c", image="$steps.crop.crops"),
            flow.collector("$steps.c.predictions", image="$steps.crop.crops"),
        ],
        selector="$steps.c.predictions",
        generation=generation,
    )


def test_a_detector_works_on_a_static_crop_of_the_first_generation(flow, run, heard):
    result = run(static(flow, "AbsoluteStaticCrop", 80, 40, 80, 40, generation=1))

    assert result.problems == ()
    (said,) = result.steps["$steps.c"]
    assert said["predictions_parent_coordinates"][0]["x"] == 80.0
    assert said["image_parent_coordinates"] == {"height": 100, "width": 200}
    (image,) = heard.calls[0]["image"]
    assert image["origin_coordinates"] == {
        "center_x": 80,
        "center_y": 40,
        "origin_image_size": {"height": 100, "width": 200},
    }


def test_a_crop_over_the_edge_is_cut_there(flow, run, heard):
    run(static(flow, "AbsoluteStaticCrop", 190, 90, 40, 40))

    (image,) = heard.calls[0]["image"]
    assert image["value"].shape == (30, 30, 3)
    assert image["origin_coordinates"]["left_top_x"] == 170


def test_a_detection_over_the_edge_is_cut_there(flow, run):
    def answer(width, height):
        return {"predictions": [flow.boxes(width, height)[0] | {"x": 10.0, "y": 10.0}]}

    content = flow.document([flow.model(), flow.CROP], generation=1)
    result = run(content, predictors={"*": flow.Detector(answer)})

    (crop,) = result.steps["$steps.crop"]["crops"]
    # Left of the box is -40, and its width 100.
    assert crop["value"].shape == (35, 60, 3)
    assert crop["origin_coordinates"]["center_x"] == 30.0
    assert (crop["origin_coordinates"]["width"], crop["origin_coordinates"]["height"]) == (60, 35)


def test_a_crop_outside_of_the_picture_is_one_failure(flow, run, heard):
    images = [PIXELS, sample_pixels(400, 400)]

    result = run(static(flow, "AbsoluteStaticCrop", 300, 300, 40, 40), images=images)

    first, second = result.collected["collect"]
    assert first.message == (
        "step 'crop': $inputs.image[0] > crop[0]: the box from (280, 280) to (320, 320) holds no "
        "pixel of a picture of 200x100"
    )
    assert second.status == "queued"
    assert result.steps["crop"]["crops"][0] is None


STATIC_FAULTS = [
    ("AbsoluteStaticCrop", (1.5, 1, 1, 1), r"x_center: should be a multiple of 1, not 1.5"),
    ("AbsoluteStaticCrop", (1, 1, 0, 1), r"width: should be greater than or equal to 1"),
    ("AbsoluteStaticCrop", (-1, 1, 1, 1), r"x_center: should be greater than or equal to 0"),
    ("RelativeStaticCrop", (0.5, 0.5, 0, 1), r"width: should be greater than 0, not 0"),
    ("RelativeStaticCrop", (0.5, 1.1, 1, 1), r"y_center: should be less than or equal to 1"),
    ("RelativeStaticCrop", ("a", 0.5, 1, 1), r"x_center: should be a valid number, not 'a'"),
]


@pytest.mark.parametrize(("kind", "place", "message"), STATIC_FAULTS)
def test_an_impossible_place_is_a_fault(kind, place, message, flow, run):
    with pytest.raises(WorkflowFaultsError, match=rf"steps\[0\].{message}"):
        run(static(flow, kind, *place))


def test_a_static_crop_takes_its_place_from_inputs(flow, run):
    content = static(flow, "RelativeStaticCrop", "$inputs.x", 0.5, 0.5, 0.5)
    content["inputs"].append(flow.parameter("x"))

    result = run(content, inputs={"x": 0.25})

    assert result.steps["crop"]["crops"][0]["origin_coordinates"]["left_top_x"] == 0


def test_detections_without_boxes_cannot_be_cropped(flow, run):
    content = flow.document([flow.model(), flow.CROP], generation=2)
    answer = {"predictions": [{"class": "cat", "confidence": 0.5}]}

    result = run(content, predictors={"*": flow.Detector(lambda w, h: copy.deepcopy(answer))})

    (problem,) = result.problems
    assert "predictions[0] has no box (KeyError: 'x'): x, y, width and height have" in problem


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "wide", None])
def test_a_box_that_is_nowhere_cannot_be_cropped_and_its_neighbour_is(value, flow, run):
    content = flow.document([flow.model(), flow.CROP], generation=2)
    answers = [
        {"predictions": [flow.boxes(200, 100)[0] | {"width": value}]},
        {"predictions": flow.boxes(200, 100)},
    ]

    result = run(
        content,
        images=[PIXELS, PIXELS],
        predictors={"*": flow.Detector(lambda w, h: answers.pop(0))},
    )

    (problem,) = result.problems
    assert "step 'crop': $inputs.image[0]: predictions[0] has no box (" in problem
    assert len([one for one in result.steps["crop"]["crops"] if one is not None]) == 2


def test_the_type_of_predictions_may_be_an_input(flow, run, heard):
    content = flow.plain(prediction_type="$inputs.type")
    content["inputs"].append(flow.parameter("type"))

    run(content, inputs={"type": "keypoints-detection"})

    assert heard.calls[0]["prediction_type"] == ["keypoints-detection"]


def test_a_type_of_predictions_that_is_none_is_refused_before_anything_happens(flow, run, heard):
    content = flow.plain(prediction_type="$inputs.type")
    content["inputs"].append(flow.parameter("type"))

    expected = r"steps\[1\].prediction_type: \$inputs.type: 'boxes' is no prediction type: "
    with pytest.raises(WorkflowFaultsError, match=expected):
        run(content, inputs={"type": "boxes"})

    assert heard.calls == []


def test_a_configuration_from_an_input_is_checked_before_anything_happens(flow, run, heard):
    content = flow.plain(active_learning_configuration="$inputs.rules")
    content["inputs"].append(flow.parameter("rules"))
    rules = flow.CONFIGURATION | {"jpeg_compression_level": 101}

    expected = (
        r"steps\[1\].active_learning_configuration.jpeg_compression_level: \$inputs.rules: should"
    )
    with pytest.raises(WorkflowFaultsError, match=expected):
        run(content, inputs={"rules": rules})

    assert heard.calls == []
    assert run(content, inputs={"rules": flow.CONFIGURATION}).problems == ()
    assert run(content, inputs={"rules": None}).problems == ()


@pytest.mark.parametrize("generation", [1, 2])
def test_no_crops_are_no_failure(generation, flow, run, heard):
    nothing = flow.Detector(lambda w, h: {"predictions": []})

    result = run(flow.on_crops(generation=generation), predictors={"*": nothing})

    assert result.problems == ()
    assert result.outputs == {"p": []}
    assert heard.calls == []
    if generation == 1:
        assert result.collected == {"collect": ()}
        assert result.steps["$steps.crop"] == {"crops": [], "parent_id": []}
    else:  # the branch ends there
        assert list(result.steps) == ["m", "crop"]
        assert result.steps["crop"] == {"crops": [], "parent_id": []}


def test_a_branch_ends_for_what_comes_behind_a_model_too(flow, run):
    content = flow.on_crops()
    content["steps"].append(
        {
            "type": "DetectionOffset",
            "name": "o",
            "predictions": "$steps.c.predictions",
            "offset_x": 1,
            "offset_y": 1,
        }
    )
    nothing = flow.Detector(lambda w, h: {"predictions": []})

    assert list(run(content, predictors={"*": nothing}).steps) == ["m", "crop"]
