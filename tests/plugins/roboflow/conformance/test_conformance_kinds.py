"""Cases of batches, pictures, annotations and tags: answers, and the deviation an input names."""

import pytest

from al_framework_roboflow.conformance import batch_names, downscale, encode, forbidden, tags
from al_framework_roboflow.conformance.strategies import Refusal

REFUSED = "refused-by-validation"


def name_case(prefix="b", interval="weekly"):
    return {
        "batches_name_prefix": prefix,
        "recreation_interval": interval,
        "local_now": "2024-03-07T23:59:59",
    }


def test_a_batch_is_named_by_its_monday():
    assert batch_names.answer(name_case()) == "b_2024_03_04"
    assert batch_names.deviation(name_case()) is None


@pytest.mark.parametrize(
    ("case", "place", "message"),
    [
        (name_case(prefix=None), "batches_name_prefix", "None is no text"),
        (
            name_case(interval="yearly"),
            "recreation_interval",
            "batches cannot be recreated 'yearly': use 'never', 'daily', 'weekly' or 'monthly'",
        ),
    ],
)
def test_what_names_no_batch_is_refused(case, place, message):
    refusal = batch_names.answer(case)

    assert isinstance(refusal, Refusal)
    assert (place, message) == (refusal.place, refusal.message)
    assert batch_names.deviation(case) == REFUSED


def size_case(height, width, limit):
    return {"h": height, "w": width, "max_image_size": limit}


@pytest.mark.parametrize(
    ("case", "size", "name"),
    [
        (size_case(1080, 4000, [2080, 2080]), (561, 2080), None),
        (size_case(480, 640, None), (480, 640), None),
        (size_case(480, 640, [480.0, 640]), (480, 640), None),
        (size_case(1, 5000, [100, 100]), (1, 100), "at-least-one-pixel"),
        (size_case(5000, 1, [100, 100]), (100, 1), "at-least-one-pixel"),
        (size_case(50, 5000, [100, 100]), (1, 100), None),
        (size_case(100, 100, [50.0, 60]), (50, 50), "whole-size-with-a-point"),
        (size_case(1, 5000, [100.0, 100]), (1, 100), "at-least-one-pixel"),
    ],
)
def test_a_picture_is_stored_at_its_size(case, size, name):
    answer = downscale.answer(case)

    assert size == (answer["h"], answer["w"])
    assert answer["scale_y"] == answer["scaling_factor"] == size[0] / case["h"]
    assert name == downscale.deviation(case)
    assert name is None or downscale.follows(name, case, answer)


@pytest.mark.parametrize(
    ("case", "place", "message"),
    [
        (size_case(0, 10, None), "h", "a picture of 10x0 pixels is empty"),
        (size_case(10, 0, [5, 5]), "w", "a picture of 0x10 pixels is empty"),
        (size_case(9, 9, [5]), "max_image_size", "[5] is no list of two numbers"),
        (size_case(9, 9, "55"), "max_image_size", "'55' is no list of two numbers"),
        (size_case(9, 9, [5, 0]), "max_image_size[1]", "0 is no whole number above zero"),
        (size_case(9, 9, [5.5, 5]), "max_image_size[0]", "5.5 is no whole number above zero"),
        (size_case(9, 9, [True, 5]), "max_image_size[0]", "True is no whole number above zero"),
    ],
)
def test_sizes_that_cannot_be_are_refused(case, place, message):
    answer = downscale.answer(case)

    assert Refusal(place=place, message=message) == answer
    assert downscale.deviation(case) == REFUSED
    assert downscale.follows(REFUSED, case, answer)


def test_one_pixel_is_left_on_the_side_that_does_not_bind():
    case = size_case(1, 5000, [100, 100])
    wrong = {**downscale.answer(case), "h": 2}

    assert not downscale.follows("at-least-one-pixel", case, wrong)
    assert not downscale.follows("at-least-one-pixel", case, {**wrong, "h": 1, "scale_x": 1})
    assert not downscale.follows(REFUSED, case, downscale.answer(case))


def test_a_whole_size_with_a_point_binds_a_side():
    case = size_case(100, 100, [50.0, 60])
    answer = downscale.answer(case)
    wrong = {**answer, "h": 49}

    assert not downscale.follows("whole-size-with-a-point", case, wrong)
    assert downscale.explains("whole-size-with-a-point", case, {"error": "cv2.error"})
    assert not downscale.explains("whole-size-with-a-point", case, answer)


def text_case(kind="classification", **prediction):
    return {"prediction": prediction, "prediction_type": kind}


@pytest.mark.parametrize(
    ("case", "answer", "name"),
    [
        (text_case(top="cat"), ["cat", "txt"], None),
        (text_case(predicted_classes=["a", "b"]), ["a,b", "txt"], "multi-label-text"),
        (text_case("object-detection", predictions=[]), ['{"predictions": []}', "json"], None),
    ],
)
def test_an_annotation_is_text_or_a_document(case, answer, name):
    assert answer == encode.answer(case)
    assert name == encode.deviation(case)
    assert name is None or encode.follows(name, case, answer)


@pytest.mark.parametrize(
    ("case", "place"),
    [
        (text_case(top=5), "prediction.top"),
        (text_case(predicted_classes=[5]), "prediction.predicted_classes"),
        (text_case(), "prediction"),
        ({"prediction": None, "prediction_type": "classification"}, "prediction"),
        ({"prediction": {}, "prediction_type": None}, "prediction_type"),
        (text_case("object-detection", predictions=float("nan")), "prediction.predictions"),
    ],
)
def test_what_has_no_form_of_annotation_is_refused(case, place):
    answer = encode.answer(case)

    assert isinstance(answer, Refusal)
    assert place == answer.place
    assert encode.deviation(case) == REFUSED
    assert encode.follows(REFUSED, case, answer)


def test_classes_are_joined_by_commas_and_nothing_else():
    case = text_case(predicted_classes=["a", "b"])

    assert not encode.follows("multi-label-text", case, ["a, b", "txt"])


def forbidden_case(prediction, persist=True, image_id="id"):
    return {
        "prediction": prediction,
        "persist_predictions": persist,
        "roboflow_image_id": image_id,
    }


@pytest.mark.parametrize(
    ("case", "answer"),
    [
        (forbidden_case({"predictions": [1]}), False),
        (forbidden_case({"predictions": {"cat": 1}}), False),
        (forbidden_case({"top": ""}), False),
        (forbidden_case({"predictions": []}), True),
        (forbidden_case({"top": "a"}, persist=False), True),
        (forbidden_case({"top": "a"}, image_id=None), True),
    ],
)
def test_an_annotation_is_sent_where_there_is_one(case, answer):
    assert answer is forbidden.answer(case)
    assert forbidden.deviation(case) is None


def test_a_prediction_that_is_none_is_refused():
    refusal = Refusal(place="prediction", message="None is no mapping")

    assert forbidden.answer(forbidden_case(None)) == refusal


@pytest.mark.parametrize("predictions", [None, 5, "abc"])
def test_predictions_that_are_none_are_refused(predictions):
    case = forbidden_case({"predictions": predictions})
    message = f"{predictions!r} is neither a list nor a mapping"

    assert forbidden.answer(case) == Refusal(place="prediction.predictions", message=message)
    assert forbidden.deviation(case) == REFUSED


def tag_case(**changes):
    return {
        "env_tags": ["e"],
        "tags": ["c"],
        "strategies": [{"name": "s", "tags": ["s"]}, {"name": "bare"}],
        "sampling_strategy": "s",
        "persist_predictions": True,
        "model_id": "m/1",
        **changes,
    }


@pytest.mark.parametrize(
    ("case", "answer", "name"),
    [
        (tag_case(), ["e", "c", "s", "m-1"], None),
        (tag_case(env_tags=None, tags="absent", sampling_strategy="bare"), ["m-1"], None),
        (tag_case(persist_predictions=False), ["e", "c", "s"], None),
        (tag_case(persist_predictions=False, model_id=""), ["e", "c", "s"], None),
        (tag_case(model_id=""), ["e", "c", "s", ""], None),
    ],
)
def test_tags_stand_in_order(case, answer, name):
    assert answer == tags.answer(case)
    assert name == tags.deviation(case)


@pytest.mark.parametrize(
    ("case", "place", "message"),
    [
        (tag_case(tags=None), "tags", "None is no list"),
        (tag_case(tags=["a", 1]), "tags[1]", "1 is no text"),
        (tag_case(strategies=[{"name": "s", "tags": 5}]), "strategies[0].tags", "5 is no list"),
        (tag_case(sampling_strategy="x"), "sampling_strategy", "there is no strategy 'x'"),
        (tag_case(env_tags=[5]), "env_tags[0]", "5 is no text"),
        (tag_case(model_id=None), "model_id", "None is no text"),
        (tag_case(sampling_strategy=["s"]), "sampling_strategy", "there is no strategy ['s']"),
        (tag_case(strategies=[5]), "strategies[0]", "5 is no mapping"),
        (tag_case(strategies=5), "strategies", "5 is no list"),
        (tag_case(strategies=[{"name": ["s"]}]), "strategies[0].name", "['s'] is no text"),
        (tag_case(env_tags=False), "env_tags", "False is no list"),
        (tag_case(env_tags=["a,b"]), "env_tags", "['a,b'] cannot stand in ACTIVE_LEARNING_TAGS"),
    ],
)
def test_tags_that_are_none_are_refused(case, place, message):
    answer = tags.answer(case)

    assert Refusal(place=place, message=message) == answer
    assert tags.deviation(case) == REFUSED
