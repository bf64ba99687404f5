import json
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from al_framework.api import (
    Classification,
    Crop,
    Datapoint,
    Decision,
    Detections,
    Keypoints,
    RleMask,
    StrategyVerdict,
    Unlabelled,
    Verdict,
    datapoint_from_dict,
    datapoint_to_dict,
)
from al_framework.api.codec import json_values


def make_datapoint(prediction=None, **changes):
    decision = Decision(
        frame_id="cam/a.jpg",
        decided_at=1.5,
        seed=2**64 - 1,
        verdicts=(
            StrategyVerdict("s", Verdict(match=True, utility=0.1 + 0.2, reason="why"), 0.25),
            StrategyVerdict("t", Verdict(match=False), None),
        ),
        matching=("s",),
        outcome="selected",
        configuration_hash="abc",
    )
    values = {
        "item_id": "01",
        "frame_id": "cam/a.jpg",
        "content_key": "ff",
        "image": b"jpeg",
        "image_size": (4, 3),
        "prediction": prediction,
        "source_size": (8, 6),
        "batch_name": "b",
        "tags": ("x", "x"),
        "strategy": "s",
        "utility": 0.1 + 0.2,
        "probability": 1 / 3,
        "reason": "why",
        "model_id": "m/1",
        "inference_id": None,
        "captured_at": None,
        "decided_at": 1.5,
        "attributes": {"camera": "left"},
        "source": "cam",
        "parent": Crop(frame_id="p", detection_id="d", left=1, top=2, width=3, height=4),
        "decision": decision,
    }
    return Datapoint(**(values | changes))


DETECTIONS = Detections(
    xyxy=np.array([[0.1 + 0.2, 1, 2, 3], [4, 5, 6, 7]], dtype=np.float64),
    confidence=np.array([0.30000000000000004, 1e-300]),
    class_name=("cat", "dog"),
    image_size=(8, 6),
    class_id=np.array([3, 1]),
    polygons=((np.array([[0, 0], [1, 0], [1, 1.5]]),), ()),
    masks=(RleMask(size=(2, 2), counts=(1, 2, 1)), None),
    keypoints=(
        Keypoints(
            xy=np.array([[1.0, 2.0]]),
            confidence=np.array([0.5]),
            class_name=("nose",),
            class_id=np.array([0]),
        ),
        Keypoints(xy=np.zeros((0, 2))),
    ),
    data={"tracker_id": [np.int64(4), None], "odd": [object(), "x"]},
    embedding=np.array([1.0, 2.0]),
    model_id="m/1",
    inference_id="i",
    document={"predictions": [{"confidence": np.float64(0.1), "box": np.array([1, 2])}]},
)
CLASSIFICATION = Classification(
    class_name=("a", "b"),
    confidence=np.array([0.1, 0.9]),
    image_size=(8, 6),
    top="c",
    top_confidence=0.95,
    predicted=None,
)
PREDICTIONS = [
    None,
    DETECTIONS,
    CLASSIFICATION,
    replace(CLASSIFICATION, top=None, top_confidence=None, predicted=("a",)),
    Unlabelled(prediction_type="stub", image_size=(8, 6), document={"is_stub": True}),
    Unlabelled(),
]


def same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if hasattr(a, "__dataclass_fields__"):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name))
            for f in fields(a)
            if f.name not in ("document", "data")
        )
    return a == b


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_datapoint_survives_json_digit_for_digit(prediction):
    datapoint = make_datapoint(prediction)
    text = json.dumps(datapoint_to_dict(datapoint), allow_nan=False)
    restored = datapoint_from_dict(json.loads(text), image=b"jpeg")

    assert same(datapoint, restored)
    assert json.dumps(datapoint_to_dict(restored)) == text


def test_documents_become_json_values_and_keep_their_digits():
    restored = datapoint_from_dict(datapoint_to_dict(make_datapoint(DETECTIONS)), image=b"")

    assert restored.prediction.document == {"predictions": [{"confidence": 0.1, "box": [1, 2]}]}
    assert restored.prediction.data == {"tracker_id": [4, None], "odd": [None, "x"]}


def test_a_missing_parent_stays_missing():
    restored = datapoint_from_dict(datapoint_to_dict(make_datapoint(parent=None)), image=b"")

    assert restored.parent is None


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "document",
    [object(), float("nan"), float("inf"), {1: "x"}, nested(40), {"a": {"b": object()}}],
)
def test_what_json_cannot_express_is_left_out(document):
    assert json_values(document) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("item_id"),
        lambda v: v.update(image_size=[1]),
        lambda v: v.update(prediction={"kind": "nonsense"}),
        lambda v: v.update(decision=None),
        lambda v: v.update(parent={"frame_id": "p"}),
        lambda v: v["prediction"].update(kind="boxes"),
        lambda v: v["prediction"].update(xyxy=[[1, 2]]),
    ],
)
def test_values_of_another_form_are_refused(change):
    values = datapoint_to_dict(make_datapoint(DETECTIONS))
    change(values)

    with pytest.raises(ValueError):  # noqa: PT011 - numpy and we word it differently
        datapoint_from_dict(values, image=b"")


def test_the_refusal_says_what_was_seen():
    with pytest.raises(ValueError, match="the values are no datapoint: KeyError: 'parent'"):
        datapoint_from_dict({}, image=b"")


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 6))
def test_masks_survive_run_length_encoding(bits, width):
    height = -(-len(bits) // width)
    padded = bits + [False] * (width * height - len(bits))
    mask = np.array(padded, dtype=bool).reshape(height, width)
    rle = RleMask.from_array(mask)

    assert rle.size == (width, height)
    assert np.array_equal(rle.to_array(), mask)


def test_a_mask_whose_runs_do_not_add_up_is_refused():
    with pytest.raises(ValueError, match="the runs of a mask add up to 3, not to 2x2"):
        RleMask(size=(2, 2), counts=(1, 2)).to_array()
