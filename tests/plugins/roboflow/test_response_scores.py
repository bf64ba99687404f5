"""What the adapter tells before it reads boxes: the same as after, or nothing."""

import pytest

from al_framework.api import Options, PredictionError
from al_framework.testing import make_context, sample_frame
from al_framework_roboflow.response import RoboflowResponse

BOX = {"x": 20.3, "y": 10.1, "width": 7.7, "height": 3.3}
ENTRY = {**BOX, "confidence": 0.5, "class": "cup", "class_id": 1, "detection_id": "d-1"}
OTHER = {**ENTRY, "confidence": 1, "class": "dog"}
POINTS = [{"x": 1, "y": 2.5}, {"x": 10, "y": 2.5}, {"x": 10, "y": 20}]


def document(*entries, **more):
    return {"image": {"width": 64, "height": 48}, "predictions": list(entries), **more}


@pytest.fixture
def adapter(tmp_path):
    return RoboflowResponse(Options(), make_context(tmp_path))


@pytest.mark.parametrize(
    ("given", "task"),
    [
        (document(), None),
        (document(), "object-detection"),
        (document(ENTRY), None),
        (document(ENTRY, OTHER, model_id="m/1", inference_id="i"), None),
        (document(ENTRY, model_id=5, inference_id=None), None),
        (document(ENTRY, prediction_type="instance-segmentation"), None),
        (document({**ENTRY, "points": POINTS}, ENTRY), "instance-segmentation"),
        (document({**ENTRY, "keypoints": []}), "keypoint-detection"),
        (document({"confidence": 0.25, "class": "cup"}), None),
    ],
)
def test_scores_are_those_of_the_whole(adapter, given, task):
    scores = adapter.scores(given, prediction_type=task)
    whole = adapter.adapt(given, frame=sample_frame(), prediction_type=task)

    assert (whole.class_name, whole.confidence.tolist()) == (
        scores.class_name,
        scores.confidence.tolist(),
    )
    assert (whole.prediction_type, whole.model_id, whole.inference_id) == scores[2:]


@pytest.mark.parametrize(
    ("given", "task"),
    [
        (5, None),
        ([document(ENTRY)], None),
        ({"predictions": None}, None),
        ({"predictions": {"cat": {"confidence": 0.5}}, "predicted_classes": []}, None),
        (document(ENTRY, top="cat"), None),
        (document(ENTRY, is_stub=True), None),
        (document([], prediction_type=["object-detection"]), "object-detection"),
        (document(prediction_type=[]), "object-detection"),
        (document(ENTRY), "semantic-segmentation"),
        (document(ENTRY, prediction_type=5), None),
        (document("text"), None),
        (document({**ENTRY, "points": POINTS}), None),
        (document(ENTRY, {**BOX, "confidence": 0.5, "class": "cup", "points": POINTS}), None),
        (document({**ENTRY, "rle_mask": {}}), None),
        (document("text"), "object-detection"),
        (document(BOX), "object-detection"),
        (document({**ENTRY, "class": None}), "object-detection"),
        (document({**ENTRY, "confidence": "0.5"}), "object-detection"),
        (document({**ENTRY, "confidence": None}), "object-detection"),
        (document({**ENTRY, "confidence": float("nan")}), "object-detection"),
        (document({**ENTRY, "confidence": 10**400}), "object-detection"),
    ],
)
def test_what_is_unusual_or_wrong_is_left_to_the_reader_of_the_whole(adapter, given, task):
    assert adapter.scores(given, prediction_type=task) is None


def test_a_box_that_cannot_be_read_is_found_when_it_is_asked_for(adapter):
    given = document({**ENTRY, "x": "left"})
    scores = adapter.scores(given, prediction_type=None)

    assert ("cup",) == scores.class_name
    with pytest.raises(PredictionError, match=r"predictions\[0\]\.x is 'left'"):
        adapter.adapt(given, frame=sample_frame(), prediction_type=None)
