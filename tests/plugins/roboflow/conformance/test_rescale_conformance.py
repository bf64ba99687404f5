"""Cases of `rescale`: coordinates of the stored picture, by an independent calculation."""

import pytest

from al_framework_roboflow.conformance import rescale
from al_framework_roboflow.conformance.strategies import Refusal

STORED, STATED = "stored-frame", "unread-as-stated"
BOX = {"x": 10, "y": 20, "width": 5, "height": 4, "class": "a", "confidence": 0.5}
IMAGE = {"width": 100, "height": 50}


def case(*entries, factor=0.5, kind="object-detection", **document):
    return {
        "prediction": {"image": IMAGE, "predictions": list(entries), **document},
        "scaling_factor": factor,
        "prediction_type": kind,
    }


def test_coordinates_are_those_of_the_stored_picture():
    point = {"x": 4, "y": 6, "class": "nose"}
    given = case({**BOX, "keypoints": [point]}, kind="keypoint-detection")
    answer = rescale.answer(given)

    assert answer["image"] == {"width": 50, "height": 25}
    assert answer["predictions"] == [
        {
            **BOX,
            "x": 5.0,
            "y": 10.0,
            "width": 2.5,
            "height": 2.0,
            "keypoints": [{"x": 2.0, "y": 3.0, "class": "nose"}],
        }
    ]
    assert rescale.deviation(given) == STORED
    assert rescale.follows(STORED, given, answer)
    assert given["prediction"]["predictions"][0]["x"] == 10


def test_each_axis_has_the_factor_of_its_whole_pixels():
    given = case(BOX, factor=0.335)
    answer = rescale.answer(given)

    assert answer["image"] == {"width": 34, "height": 17}
    assert answer["predictions"][0]["x"] == 10 * 0.34
    assert rescale.follows(STORED, given, answer)


def test_a_mask_gets_the_size_of_the_stored_picture():
    mask = {"size": [50, 100], "counts": [0, 5000]}
    given = case({**BOX, "rle": mask}, kind="instance-segmentation")
    answer = rescale.answer(given)

    assert list(answer["predictions"][0]["rle"]["size"]) == [25, 50]
    assert rescale.follows(STORED, given, answer)
    assert not rescale.follows(STORED, given, given["prediction"])


def test_without_a_stated_size_no_stated_size_is_needed():
    given = case(BOX)
    del given["prediction"]["image"]
    answer = rescale.answer(given)

    assert answer["image"] == {"width": 960, "height": 540}
    assert rescale.follows(STORED, given, answer)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (case(BOX, factor=1.0), None),
        (case(BOX, factor=0.999995), None),
        (case(BOX, factor=0.9999), STORED),  # Roboflow moves it, here no pixel is lost
        (case(factor=0.5, kind="ocr", predictions="some text"), STATED),
        (case(factor=0.5, is_stub=True), STATED),
    ],
)
def test_what_keeps_its_frame_stays_as_it_is(given, name):
    assert given["prediction"] == rescale.answer(given)
    assert name == rescale.deviation(given)
    assert name is None or rescale.follows(name, given, rescale.answer(given))


@pytest.mark.parametrize(
    ("given", "place", "message"),
    [
        ({**case(BOX), "prediction": 5}, "prediction", "5 is no Mapping"),
        ({**case(BOX), "prediction_type": None}, "prediction_type", "None is no str"),
        (case(BOX, factor=0), "scaling_factor", "there is no picture of factor 0"),
        (case(BOX, factor=-1.0), "scaling_factor", "there is no picture of factor -1.0"),
        (
            case({**BOX, "x": "1"}),
            "prediction",
            "predictions[0].x is '1': it has to be finite",
        ),
        (case(BOX, image={}), "prediction.image", "{} is no size in pixels"),
        (case(5), "prediction", "predictions[0] is 5: it has to be a mapping"),
    ],
)
def test_what_does_not_pass_our_validation_is_refused(given, place, message):
    answer = rescale.answer(given)

    assert isinstance(answer, Refusal)
    assert place == answer.place
    assert message in answer.message
    assert rescale.deviation(given) == "refused-by-validation"
    assert rescale.follows("refused-by-validation", given, answer)


def changed(answer, **entry):
    return {**answer, "predictions": [{**answer["predictions"][0], **entry}]}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer: {**answer, "image": IMAGE},
        lambda answer: {**answer, "more": 1},
        lambda answer: {**answer, "time": 2},
        lambda answer: {**answer, "predictions": []},
        lambda answer: changed(answer, x=20.0),
        lambda answer: changed(answer, x=5.0001),
        lambda answer: changed(answer, confidence=0.25),
        lambda answer: changed(answer, more=1),
        lambda answer: changed(answer, points=[{"x": 4, "y": 6}]),
    ],
)
def test_any_other_answer_does_not_follow(spoil):
    point = {"x": 4, "y": 6}
    given = case({**BOX, "points": [point]}, kind="instance-segmentation", time=1)
    answer = rescale.answer(given)

    assert rescale.follows(STORED, given, answer)
    assert not rescale.follows(STORED, given, spoil(answer))


def test_a_classification_keeps_its_classes_and_gets_the_size():
    scores = {"cat": {"confidence": 0.5}}
    given = case(kind="classification", predictions=scores, predicted_classes=["cat"])
    answer = rescale.answer(given)

    assert answer["predictions"] == scores
    assert rescale.follows(STORED, given, answer)
    assert not rescale.follows(STORED, given, {**answer, "predictions": {}})


def test_a_drawn_picture_does_not_go_along():
    given = case(BOX, visualization="jpeg")
    answer = rescale.answer(given)

    assert "visualization" not in answer
    assert rescale.follows(STORED, given, answer)
