"""What each kind of case is answered with, and which deviation its input names."""

import pytest

from al_framework_roboflow.conformance import (
    batch_accounting,
    batch_names,
    config,
    downscale,
    encode,
    forbidden,
    limits,
    outcomes,
    rescale,
    strategies,
    tags,
)
from al_framework_roboflow.conformance.kinds import KINDS
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


def test_a_clock_set_back_by_an_hour_is_where_roboflow_takes_one_minute_for_another():
    """Roboflow's key of a minute is its number: of 8:00 and of 7:00 it is the same."""
    ops = [
        {"t": f"2024-06-10T{moment}", "op": "use", "matching": [["a", [["minutely", 1]]]]}
        for moment in ("08:00:10", "07:00:50")
    ]

    def roboflow():
        used = set()
        for op in ops:
            minute = op["t"][14:16]
            yield None if minute in used else "a"
            used.add(minute)

    assert list(roboflow()) == ["a", None]
    assert limits.answer({"ops": ops}) == ["a", "a"]
    assert limits.deviation({"ops": ops}) == "clock-backwards"
    assert KINDS["limits"].follows("clock-backwards", {"ops": ops}, ["a", "a"])
    assert limits.explains("clock-backwards", {"ops": ops}, ["a", None])
    assert not limits.explains("clock-backwards", {"ops": ops}, ["a", "a"])


def test_a_clock_set_back_shows_to_which_window_a_credit_returns():
    """Taken at 8:00 and returned at 8:01: with the clock at 8:00 again it is there, or is not."""
    use = {"op": "use", "matching": [["a", [["minutely", 1]]]]}
    ops = [
        {"t": "2024-06-10T08:00:10", **use},
        {"t": "2024-06-10T08:01:10", "op": "return", "strategy": "a"},
        {"t": "2024-06-10T08:00:50", **use},
    ]

    assert limits.answer({"ops": ops}) == ["a", None, "a"]
    assert limits.deviation({"ops": ops}) == "clock-backwards"
    assert limits.explains("clock-backwards", {"ops": ops}, ["a", None, None])


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        (["08:00:10", "08:01:10", "08:00:20"], ["a", "a", None]),
        (["08:00:10", "09:00:10", "08:02:20"], ["a", "a", "a"]),
        (["08:00:10", "08:03:00", "08:00:20"], ["a", "a", None]),
    ],
)
def test_roboflow_knows_a_minute_by_its_number_for_two_minutes(moments, expected):
    ops = [
        {"t": f"2024-06-10T{moment}", "op": "use", "matching": [["a", [["minutely", 1]]]]}
        for moment in moments
    ]

    assert limits.explains("clock-backwards", {"ops": ops}, expected)


def test_roboflow_counts_a_return_in_the_windows_that_it_knows():
    use = {"op": "use", "matching": [["a", [["minutely", 1]]]]}
    back = {"op": "return", "strategy": "a"}
    ops = [{"t": "2024-06-10T08:00:10", **op} for op in (back, use, use, back, back, use, use)]

    expected = [None, "a", None, None, None, "a", None]
    assert limits.explains("clock-backwards", {"ops": ops}, expected)
    assert limits.answer({"ops": ops}) == expected


def count_case(batches, jobs=(), most=6):
    return {
        "batch_name": "b1",
        "max_batch_images": most,
        "batches": {"batches": list(batches)},
        "jobs": {"jobs": list(jobs)},
    }


NAMELESS = {"numJobs": 0, "images": 1, "id": "Z"}
FULL = {"name": "b1", "numJobs": 0, "images": 6, "id": "Y"}
WITH_JOBS = {"name": "b1", "numJobs": 1, "images": 6, "id": "Y"}
LOOKALIKE_OF_NO_SIZE = {"sourceBatch": "ws/YY"}


def test_a_reply_that_cannot_be_counted_leaves_room_and_never_takes_it():
    case = count_case([{"name": "b1"}])
    answer = {"may_submit": True, "calls": ["batches"]}

    assert batch_accounting.answer(case) == answer
    assert batch_accounting.deviation(case) == "unreadable-reply"
    assert batch_accounting.follows("unreadable-reply", case, answer)
    assert not batch_accounting.follows("unreadable-reply", case, {**answer, "may_submit": False})


@pytest.mark.parametrize(
    ("case", "name"),
    [
        (count_case([NAMELESS, FULL]), "unreadable-reply"),
        (count_case([FULL, NAMELESS]), None),
        (count_case([WITH_JOBS], [LOOKALIKE_OF_NO_SIZE]), "unreadable-reply"),
        (count_case([WITH_JOBS], [{"sourceBatch": 5, "numImages": 1}]), "unreadable-reply"),
    ],
)
def test_what_is_not_asked_for_does_not_spoil_the_count(case, name):
    answer = batch_accounting.answer(case)

    assert answer["may_submit"] is False
    assert batch_accounting.deviation(case) == name
    assert name is None or batch_accounting.follows(name, case, answer)
    theirs = {"calls": answer["calls"][: 1 + (NAMELESS not in case["batches"]["batches"])]}
    assert name is None or batch_accounting.explains(name, case, {"error": "KeyError", **theirs})
    assert not batch_accounting.explains("unreadable-reply", case, {"may_submit": True})


def test_a_job_whose_source_contains_the_id_is_counted_by_roboflow():
    case = count_case([{**WITH_JOBS, "images": 3}], [{"sourceBatch": "ws/YY", "numImages": 3}])
    answer = batch_accounting.answer(case)

    assert answer["may_submit"] is True
    assert batch_accounting.deviation(case) == "exact-batch-id"
    assert batch_accounting.follows("exact-batch-id", case, answer)
    assert not batch_accounting.follows("exact-batch-id", case, {"may_submit": False})
    assert batch_accounting.explains("exact-batch-id", case, {**answer, "may_submit": False})


def test_a_document_that_is_to_be_refused_is_refused():
    follows = KINDS["config"].follows

    assert follows(REFUSED, {}, {"remote": {"outcome": "ok"}, "inplace": {"outcome": "error"}})
    assert not follows(REFUSED, {}, {"remote": {"outcome": "ok"}})
    assert follows("null-target-is-none", {}, {"remote": {"outcome": "ok"}})


@pytest.mark.parametrize("target", [None, ""])
def test_an_empty_target_is_none(target):
    document = {
        "enabled": True,
        "persist_predictions": True,
        "sampling_strategies": [{"name": "d", "type": "random", "traffic_percentage": 1.0}],
        "batching_strategy": {"batches_name_prefix": "p", "recreation_interval": "never"},
        "target_project": target,
    }

    answer = config.answer({"config": document})
    assert answer["remote"]["summary"]["dataset_id"] == "coin-detection"
    assert config.deviation({"config": document}) == "null-target-is-none"


@pytest.mark.parametrize("given", [None, 5, {}, "abc"])
def test_strategies_that_are_no_list_are_refused(given):
    case = {"strategies": given, "prediction": {}, "prediction_type": "object-detection"}

    assert strategies.answer(case) == Refusal(place="strategies", message=f"{given!r} is no list")
    assert strategies.deviation(case) == REFUSED


@pytest.mark.parametrize("kind", [None, 5, ["x"], {}])
def test_a_prediction_type_that_is_no_text_is_refused(kind):
    case = {"strategies": [], "prediction": {}, "prediction_type": kind}

    refusal = Refusal(place="prediction_type", message=f"{kind!r} is no text")
    assert strategies.answer(case) == refusal
    assert strategies.deviation(case) == REFUSED


def test_a_top_class_that_a_strategy_cannot_judge_is_refused():
    close = {"type": "close_to_threshold", "threshold": 0.5, "epsilon": 0.1, "probability": 1}
    case = {
        "strategies": [{"name": "s", "only_top_classes": False, **close}],
        "prediction": {"predictions": [], "top": ""},
        "prediction_type": "classification",
    }

    assert isinstance(strategies.answer(case), Refusal)
    assert strategies.deviation(case) == REFUSED


@pytest.mark.parametrize("image", [[None], 5, "x", False])
def test_the_size_of_an_image_that_is_no_mapping_is_refused(image):
    case = {
        "prediction": {"predictions": [], "image": image},
        "scaling_factor": 0.5,
        "prediction_type": "object-detection",
    }

    message = f"{image!r} is no mapping"
    assert rescale.answer(case) == Refusal(place="prediction.image", message=message)


@pytest.mark.parametrize(
    ("kind", "types", "taking"),
    [
        ("object-detection", ["random"], ["random"]),
        ("object-detection", ["random", "classes_based"], ["random"]),
        ("classification", ["random", "classes_based"], []),
        ("classification", ["random", "detections_number_based"], ["random"]),
        ("keypoint-detection", ["random", "close_to_threshold"], []),
    ],
)
def test_a_prediction_that_cannot_be_read_is_lost_to_all_at_roboflow(kind, types, taking):
    entries = [{"name": each, "type": each, "traffic_percentage": 1.0} for each in types]
    entries = [
        entry if entry["type"] == "random" else {"name": entry["name"], "type": entry["type"]}
        for entry in entries
    ]

    assert outcomes.blind_to(entries, kind) == taking
