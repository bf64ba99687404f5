"""Running a workflow: pictures, crops, models, collectors, and what goes wrong on the way."""

import copy
import io

import numpy as np
import PIL.Image
import pytest

from al_framework.api import (
    AlFrameworkError,
    Detections,
    FrameError,
    Image,
    ImageError,
    Unlabelled,
)
from al_framework.testing import make_context, sample_jpeg, sample_pixels
from al_framework_roboflow.predictor import RoboflowInference, RoboflowInferenceOptions
from al_framework_roboflow.step import StepResult
from al_framework_roboflow.workflow import WorkflowFaultsError, read_workflow

CROP = {
    "type": "Crop",
    "name": "crop",
    "image": "$inputs.image",
    "predictions": "$steps.m.predictions",
}


def parameter(name, **more):
    return {"type": "InferenceParameter", "name": name, **more}


def plain(flow, **more):
    return flow.document(
        [flow.model(), flow.collector("$steps.m.predictions", **more)],
        selector="$steps.m.predictions",
        generation=2,
    )


def on_crops(flow, *, generation=2, kind="ObjectDetectionModel", field="predictions", **system):
    second = flow.model(kind, name="c", image="$steps.crop.crops", model_id="second/1")
    collector = flow.collector(f"$steps.c.{field}", image="$steps.crop.crops")
    return flow.document(
        [flow.model(), CROP, second, collector],
        selector=f"$steps.c.{field}",
        generation=generation,
        **system,
    )


# ---------------------------------------------------------------- pictures

PIXELS = sample_pixels(200, 100)


def png():
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.ascontiguousarray(PIXELS[:, :, ::-1])).save(buffer, "PNG")
    return buffer.getvalue()


PICTURES = [
    PIXELS,
    png(),
    PIL.Image.fromarray(np.ascontiguousarray(PIXELS[:, :, ::-1])),
    Image(PIXELS),
    {"type": "numpy_object", "value": PIXELS},
]


@pytest.mark.parametrize("given", PICTURES, ids=lambda given: type(given).__name__)
def test_every_kind_of_picture_is_read(given, flow, run):
    detector = flow.Detector()

    result = run(plain(flow), images=given, predictors={"*": detector})

    assert result.problems == ()
    (frame,) = detector.frames
    assert frame.image.pixels().tolist() == PIXELS.tolist()


def test_a_file_is_named_after_itself_and_goes_as_it_is(flow, run, heard, tmp_path):
    path = tmp_path / "one.jpg"
    path.write_bytes(sample_jpeg())

    result = run(plain(flow), images=str(path))

    assert heard.calls[0]["image"] == [str(path)]
    assert result.collected["collect"][0].picture == str(path)


def test_a_batch_names_its_pictures_in_the_words_of_its_generation(flow, run):
    documents = [
        flow.document([flow.model()], selector="$steps.m.parent_id", generation=generation)
        for generation in (1, 2)
    ]

    names = [run(one, images=[PIXELS, PIXELS]).outputs["p"] for one in documents]

    assert names == [["$inputs.image.[0]", "$inputs.image.[1]"], ["image.[0]", "image.[1]"]]


def test_several_image_inputs_are_given_by_name(flow, run, heard):
    content = plain(flow)
    content["inputs"].append({"type": "InferenceImage", "name": "other"})
    content["steps"][0]["image"] = ["$inputs.image", "$inputs.other"]
    content["steps"][1]["image"] = ["$inputs.image", "$inputs.other"]

    result = run(content, images={"image": PIXELS, "other": [PIXELS, PIXELS]})

    assert [one.picture for one in result.collected["collect"]] == [
        "$inputs.image",
        "$inputs.other[0]",
        "$inputs.other[1]",
    ]
    assert len(heard.calls[0]["image"]) == 3


BAD_STARTS = [
    ({"images": {"imge": PIXELS}}, r"images.imge: is no image input of the workflow: it has image"),
    ({"images": {}}, r"inputs.image: the image is not given"),
    ({"inputs": {"of": True}}, r"inputs.of: is no input: did you mean 'off'\?"),
    ({"inputs": {"image": PIXELS}}, r"inputs.image: is no input: known inputs: 'off'"),
    (
        {"inputs": {"off": "yes"}},
        r"steps\[1\].disable_active_learning: \$inputs.off: should be a ",
    ),
    (
        {"predictors": {"some/2": None}},
        (
            r"steps\[0\]: no predictor answers for the model 'some/1': did you mean 'some/2'\?; "
            r"'\*' stands for all others"
        ),
    ),
    ({"predictors": {}}, r"no predictor answers for the model 'some/1': known models: none"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_STARTS)
def test_what_a_run_is_started_with_is_checked_before_anything_happens(
    arguments, message, flow, run, heard
):
    content = plain(flow, disable_active_learning="$inputs.off")
    content["inputs"].append(parameter("off", default_value=False))

    with pytest.raises(WorkflowFaultsError, match=message):
        run(content, **arguments)

    assert heard.calls == []


def test_several_image_inputs_have_to_be_told_apart(flow, run):
    content = plain(flow)
    content["inputs"].append({"type": "InferenceImage", "name": "other"})

    expected = "images: name the input of each: this workflow's are 'image', 'other'"
    with pytest.raises(WorkflowFaultsError, match=expected):
        run(content, images=PIXELS)


def test_an_input_without_a_default_has_to_be_given(flow, run):
    content = plain(flow, target_dataset_api_key="$inputs.key")
    content["inputs"].append(parameter("key"))

    with pytest.raises(WorkflowFaultsError, match=r"inputs.key: is not given, and has no default"):
        run(content)


# ---------------------------------------------------------------- failures stay where they are


def test_a_picture_that_does_not_decode_does_not_disturb_its_neighbours(flow, run, heard):
    result = run(plain(flow), images=[PIXELS, b"nothing", PIXELS])

    assert len(heard.calls[0]["image"]) == 2
    first, second, third = result.collected["collect"]
    assert (first.status, third.status) == ("queued", "queued")
    assert (second.status, second.error_status) == ("invalid", True)
    assert second.message == result.problems[0]
    assert second.message.startswith("$inputs.image[1]: the image ")
    assert [value is None for value in result.outputs["p"]] == [False, True, False]


class Fails:
    def __init__(self, error):
        self._error = error
        self._left = 1

    def predict(self, frame):
        if self._left:
            self._left -= 1
            raise self._error
        width, height = frame.image.size
        return {"image": {"width": width, "height": height}, "predictions": []}


ERRORS = [
    (FrameError("no good"), "step 'm': $inputs.image[0]: no good"),
    (ImageError("torn"), "step 'm': $inputs.image[0]: torn"),
    (AlFrameworkError("not started"), "step 'm': $inputs.image[0]: AlFrameworkError: not started"),
    (KeyError("x"), "step 'm': $inputs.image[0]: KeyError: 'x'"),
]


@pytest.mark.parametrize(("error", "message"), ERRORS)
def test_a_model_that_fails_once_costs_one_picture(error, message, flow, run, caplog):
    result = run(plain(flow), images=[PIXELS, PIXELS], predictors={"*": Fails(error)})

    assert result.problems == (message,)
    assert [one.status for one in result.collected["collect"]] == ["invalid", "queued"]
    assert ("KeyError" in caplog.text) == isinstance(error, KeyError)


NOT_OF_THE_KIND = [
    (
        "ObjectDetectionModel",
        {"predictions": {}},
        "without a list of predictions: it is no object-",
    ),
    ("KeypointsDetectionModel", {"top": "cat"}, "it is no keypoint-detection model"),
    ("ClassificationModel", {"predictions": []}, "answered without 'top': it does not do what a s"),
    ("MultiLabelClassificationModel", {"top": "cat"}, "answered without 'predicted_classes'"),
    ("ObjectDetectionModel", {"predictions": [3]}, "without a list of predictions"),
]


@pytest.mark.parametrize(("kind", "answer", "message"), NOT_OF_THE_KIND)
def test_an_answer_of_another_kind_is_one_failure(kind, answer, message, flow, run):
    content = flow.document([flow.model(kind)], generation=2)

    result = run(content, predictors={"*": flow.Detector(lambda w, h: copy.deepcopy(answer))})

    (problem,) = result.problems
    assert message in problem


def test_a_failure_travels_through_all_later_steps(flow, run):
    steps = [
        flow.model(),
        {
            "type": "DetectionOffset",
            "name": "o",
            "predictions": "$steps.m.predictions",
            "offset_x": 1,
            "offset_y": 1,
        },
        {
            "type": "DetectionsConsensus",
            "name": "v",
            "predictions": ["$steps.o.predictions"],
            "required_votes": 1,
        },
        CROP | {"predictions": "$steps.v.predictions"},
        flow.model(name="c", image="$steps.crop.crops", model_id="second/1"),
        flow.collector("$steps.c.predictions", image="$steps.crop.crops"),
    ]
    predictors = {"some/1": Fails(FrameError("no good")), "second/1": flow.Detector()}

    result = run(flow.document(steps, generation=2), predictors=predictors)

    (one,) = result.collected["collect"]
    assert "step 'm': $inputs.image: no good" in one.message
    assert one.status == "invalid"


# ---------------------------------------------------------------- crops


def test_predictions_on_crops_are_shown_in_the_parent_by_default(flow, run):
    shown = [run(on_crops(flow, own=own)).outputs["p"] for own in (True, False)]

    assert [one["x"] for one in shown[0][1]] == [25.0, 12.5]
    assert [one["x"] for one in shown[1][1]] == [50.0, 37.5]


@pytest.mark.parametrize(("generation", "moved"), [(1, 5.0), (2, 55.0)])
def test_points_move_into_the_parent_in_the_second_generation(generation, moved, flow, run):
    def answer(width, height):
        entry = flow.boxes(width, height)[0]
        return {"predictions": [entry | {"points": [{"x": 5.0, "y": 5.0}]}]}

    content = on_crops(flow, generation=generation, own=False)
    predictors = {"some/1": flow.Detector(), "second/1": flow.Detector(answer)}

    first = run(content, predictors=predictors).outputs["p"][0][0]

    assert (first["x"], first["points"][0]["x"]) == (100.0, moved)


def test_a_predictor_sees_where_a_crop_comes_from(flow, run):
    detector = flow.Detector()

    run(on_crops(flow), predictors={"some/1": flow.Detector(), "second/1": detector})

    frame = detector.frames[1]
    parent = frame.parent
    assert frame.frame_id == "$inputs.image > crop[1]"
    assert parent is not None
    assert (parent.frame_id, parent.left, parent.top) == ("$inputs.image", 25, 12)
    assert (parent.width, parent.height) == (50, 25)
    assert parent.detection_id is not None


def test_a_crop_of_a_crop_knows_the_size_of_the_root(flow, run):
    second = CROP | {
        "name": "inner",
        "image": "$steps.crop.crops",
        "predictions": "$steps.c.predictions",
    }
    content = on_crops(flow)
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

    content = flow.document([flow.model(), CROP], generation=1)
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
    content["inputs"].append(parameter("x"))

    result = run(content, inputs={"x": 0.25})

    assert result.steps["crop"]["crops"][0]["origin_coordinates"]["left_top_x"] == 0


def test_detections_without_boxes_cannot_be_cropped(flow, run):
    content = flow.document([flow.model(), CROP], generation=2)
    answer = {"predictions": [{"class": "cat", "confidence": 0.5}]}

    result = run(content, predictors={"*": flow.Detector(lambda w, h: copy.deepcopy(answer))})

    (problem,) = result.problems
    assert "predictions[0] has no box (KeyError: 'x'): x, y, width and height have" in problem


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "wide", None])
def test_a_box_that_is_nowhere_cannot_be_cropped_and_its_neighbour_is(value, flow, run):
    content = flow.document([flow.model(), CROP], generation=2)
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
    content = plain(flow, prediction_type="$inputs.type")
    content["inputs"].append(parameter("type"))

    run(content, inputs={"type": "keypoints-detection"})

    assert heard.calls[0]["prediction_type"] == ["keypoints-detection"]


def test_a_type_of_predictions_that_is_none_is_refused_before_anything_happens(flow, run, heard):
    content = plain(flow, prediction_type="$inputs.type")
    content["inputs"].append(parameter("type"))

    expected = r"steps\[1\].prediction_type: \$inputs.type: 'boxes' is no prediction type: "
    with pytest.raises(WorkflowFaultsError, match=expected):
        run(content, inputs={"type": "boxes"})

    assert heard.calls == []


def test_a_configuration_from_an_input_is_checked_before_anything_happens(flow, run, heard):
    content = plain(flow, active_learning_configuration="$inputs.rules")
    content["inputs"].append(parameter("rules"))
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

    result = run(on_crops(flow, generation=generation), predictors={"*": nothing})

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
    content = on_crops(flow)
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


# ---------------------------------------------------------------- models


def test_predictors_are_chosen_by_model_id(flow, run):
    one, other = flow.Detector(), flow.Detector()

    run(on_crops(flow), predictors={"second/1": one, "*": other})

    assert (len(one.frames), len(other.frames)) == (2, 1)


def test_our_own_detections_become_documents(flow, run, heard):
    class Ours:
        def predict(self, frame):
            return Detections(
                xyxy=np.array([[0.0, 0.0, 20.0, 10.0]]),
                confidence=np.array([0.7]),
                class_name=("cat",),
                image_size=frame.image.size,
            )

    run(plain(flow), predictors={"*": Ours()})

    (document,) = heard.calls[0]["predictions"]
    assert document["image"] == {"width": 200, "height": 100}
    assert document["predictions"][0] == {
        "x": 10.0,
        "y": 5.0,
        "width": 20.0,
        "height": 10.0,
        "confidence": 0.7,
        "class": "cat",
        "detection_id": "id-1",
        "parent_id": "image",
    }


def test_an_answer_without_labels_is_one_failure(flow, run):
    class Blind:
        def predict(self, frame):
            return Unlabelled()

    (problem,) = run(plain(flow), predictors={"*": Blind()}).problems

    assert "an answer of type 'Unlabelled' is no prediction" in problem


def test_names_that_a_model_gives_are_kept(flow, run):
    def answer(width, height):
        return {"predictions": [flow.boxes(width, height)[0] | {"detection_id": "mine"}]}

    result = run(plain(flow), predictors={"*": flow.Detector(answer)})

    assert result.outputs["p"][0][0]["detection_id"] == "mine"


THRESHOLDS = [
    ({}, ["cat", "dog"]),
    ({"confidence": 0.4}, ["cat", "dog"]),
    ({"confidence": 0.5}, ["cat"]),
    ({"confidence": None}, ["cat", "dog"]),
    ({"class_filter": ["dog"]}, ["dog"]),
    ({"max_detections": 1}, ["cat"]),
    ({"confidence": "$inputs.c"}, ["cat"]),
]


@pytest.mark.parametrize(("options", "expected"), THRESHOLDS)
def test_thresholds_of_a_document_hold_for_every_predictor(options, expected, flow, run):
    content = flow.document(
        [flow.model(**options)],
        selector="$steps.m.predictions",
        inputs=[parameter("c", default_value=0.5)],
    )

    assert [one["class"] for one in run(content).outputs["p"][0]] == expected


@pytest.fixture
def serve(flow, tmp_path):
    """Make a document of one model, and a server that notes what it is asked."""

    def serve(kind, options):
        step = flow.model(kind, **options)
        if kind == "YoloWorld":
            del step["model_id"]
        server = Server(tmp_path, lambda w, h: {"predictions": flow.boxes(w, h)})
        return flow.document([step], generation=2), server

    return serve


class Server(RoboflowInference):
    """An Inference server without the network."""

    def __init__(self, tmp_path, answer):
        options = RoboflowInferenceOptions(model_id="*")
        super().__init__(options, make_context(tmp_path))
        self.requests = []
        self._answer = answer

    def predict_model(self, frame, request):
        self.requests.append(request)
        return self._answer(*frame.image.size)


SERVED = [
    (
        "InstanceSegmentationModel",
        {"confidence": 0.3, "mask_decode_mode": "fast", "disable_active_learning": False},
        ("instance-segmentation", "some/1", {"confidence": 0.3, "mask_decode_mode": "fast"}),
    ),
    (
        "KeypointsDetectionModel",
        {"keypoint_confidence": 0.1, "class_filter": ["a"], "active_learning_target_dataset": "x"},
        ("keypoint-detection", "some/1", {"keypoint_confidence": 0.1, "class_filter": ["a"]}),
    ),
    ("ObjectDetectionModel", {}, ("object-detection", "some/1", {})),
    (
        "YoloWorld",
        {"class_names": ["cat"], "version": "v2-s"},
        ("yolo-world", "yolo_world/v2-s", {"text": ["cat"]}),
    ),
]


@pytest.mark.parametrize(("kind", "options", "request_"), SERVED)
def test_a_server_is_asked_for_the_model_with_the_documents_parameters(
    kind, options, request_, run, serve
):
    content, server = serve(kind, options)

    result = run(content, predictors={"*": server})

    (asked,) = server.requests
    assert (asked.task, asked.model_id, dict(asked.parameters)) == request_
    assert result.problems == ()


def test_a_language_model_that_classifies_is_a_source(flow, run, heard):
    step = {
        "type": "LMMForClassification",
        "name": "m",
        "image": "$inputs.image",
        "lmm_type": "gpt_4v",
        "classes": ["cat", "dog"],
    }
    content = flow.document([step, flow.collector("$steps.m.top")], generation=2)
    answer = {"raw_output": "a cat", "top": "cat"}

    run(content, predictors={"gpt_4v": flow.Detector(lambda w, h: dict(answer))})

    assert heard.calls[0]["predictions"] == [
        {"image": {"width": 200, "height": 100}, "top": "cat"},
    ]


# ---------------------------------------------------------------- collectors


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
    content = plain(
        flow,
        target_dataset="$inputs.project",
        target_dataset_api_key="$inputs.key",
        disable_active_learning="$inputs.off",
        active_learning_configuration="$inputs.configuration",
        prediction_type="instance-segmentation",
    )
    content["inputs"] += [parameter(n) for n in ("project", "key", "off", "configuration")]

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
    run(plain(flow), api_key="request-key")

    assert heard.calls[0]["target_dataset_api_key"].get_secret_value() == "request-key"


def test_the_collector_tells_what_it_did(flow, run, heard):
    heard.answers.append(
        [
            StepResult(status="accepted", error_status=False, message="safe", item_id="i"),
            StepResult(status="invalid", error_status=True, message="step 'collect': bad"),
        ]
    )
    content = plain(flow)
    content["outputs"].append(flow.output("$steps.collect.*", name="all"))
    content["outputs"].append(flow.output("$steps.collect.error_status", name="failed"))

    result = run(content, images=[PIXELS, PIXELS])

    assert result.outputs["failed"] == [False, True]
    assert result.outputs["all"][0]["item_id"] == "i"
    assert result.collected["collect"][0].status == "accepted"
    assert result.problems == ("step 'collect': bad",)


def test_a_collector_that_fails_does_not_break_the_workflow(flow, run, heard, caplog):
    heard.answers.append(RuntimeError("no disk"))

    result = run(plain(flow))

    assert result.outputs["p"][0]
    assert result.collected["collect"][0].status == "error"
    assert result.problems == ("step 'collect': RuntimeError: no disk",)
    assert "step 'collect' failed" in caplog.text


def test_two_collectors_see_the_same_untouched_predictions(flow, run, heard):
    content = plain(flow)
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

    run(plain(flow), predictors={"*": Same()})

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
    content = plain(flow, **options)

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


# ---------------------------------------------------------------- outputs


def test_everything_of_a_step_is_shown_with_a_star(flow, run):
    content = flow.document([flow.model()], selector="$steps.m.*", own=False)

    (shown,) = run(content).outputs["p"]

    assert set(shown) == {"time", "image", "predictions", "prediction_type", "parent_id"}


def test_what_a_model_does_not_say_is_none(flow, run):
    content = flow.document([flow.model()], selector="$steps.m.inference_id")

    assert run(content).outputs["p"] == [None]


def test_a_run_does_not_check_a_configuration_again(flow, run, monkeypatch):
    content = plain(flow, disable_active_learning="$inputs.off")
    content["inputs"].append(parameter("off", default_value=False))
    workflow = read_workflow(content)
    monkeypatch.setattr("al_framework.assembly.standalone.document_faults", None)

    assert run(workflow).problems == ()
