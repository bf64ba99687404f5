"""Running a workflow: what a run may be started with, and which failure costs what."""

import copy
import io

import numpy as np
import PIL.Image
import pytest

from al_framework.api import (
    AlFrameworkError,
    FrameError,
    Image,
    ImageError,
)
from al_framework.testing import sample_jpeg, sample_pixels
from al_framework_roboflow.workflow import WorkflowFaultsError

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

    result = run(flow.plain(), images=given, predictors={"*": detector})

    assert result.problems == ()
    (frame,) = detector.frames
    assert frame.image.pixels().tolist() == PIXELS.tolist()


def test_a_file_is_named_after_itself_and_goes_as_it_is(flow, run, heard, tmp_path):
    path = tmp_path / "one.jpg"
    path.write_bytes(sample_jpeg())

    result = run(flow.plain(), images=str(path))

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
    content = flow.plain()
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
    content = flow.plain(disable_active_learning="$inputs.off")
    content["inputs"].append(flow.parameter("off", default_value=False))

    with pytest.raises(WorkflowFaultsError, match=message):
        run(content, **arguments)

    assert heard.calls == []


def test_several_image_inputs_have_to_be_told_apart(flow, run):
    content = flow.plain()
    content["inputs"].append({"type": "InferenceImage", "name": "other"})

    expected = "images: name the input of each: this workflow's are 'image', 'other'"
    with pytest.raises(WorkflowFaultsError, match=expected):
        run(content, images=PIXELS)


def test_an_input_without_a_default_has_to_be_given(flow, run):
    content = flow.plain(target_dataset_api_key="$inputs.key")
    content["inputs"].append(flow.parameter("key"))

    with pytest.raises(WorkflowFaultsError, match=r"inputs.key: is not given, and has no default"):
        run(content)


def test_a_picture_that_does_not_decode_does_not_disturb_its_neighbours(flow, run, heard):
    result = run(flow.plain(), images=[PIXELS, b"nothing", PIXELS])

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
    result = run(flow.plain(), images=[PIXELS, PIXELS], predictors={"*": Fails(error)})

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
        flow.CROP | {"predictions": "$steps.v.predictions"},
        flow.model(name="c", image="$steps.crop.crops", model_id="second/1"),
        flow.collector("$steps.c.predictions", image="$steps.crop.crops"),
    ]
    predictors = {"some/1": Fails(FrameError("no good")), "second/1": flow.Detector()}

    result = run(flow.document(steps, generation=2), predictors=predictors)

    (one,) = result.collected["collect"]
    assert "step 'm': $inputs.image: no good" in one.message
    assert one.status == "invalid"
