"""Predictions that somebody made to hurt: they cost a count and a reason, never the memory."""

import numpy as np
import pytest

from al_framework.api import Classification, Detections, Frame, Image, Keypoints, RleMask
from al_framework.api.errors import PredictionError
from al_framework.pipeline import checking
from al_framework.pipeline.checking import check_placement, check_prediction
from al_framework.pipeline.encoding import EncodingRules, encode_frame
from al_framework.testing.fakes import sample_jpeg

SIZE = (100, 80)


def detections(rows=1, **fields):
    values = {
        "xyxy": np.tile([1.0, 2.0, 3.0, 4.0], (rows, 1)),
        "confidence": np.full(rows, 0.5),
        "class_name": ("cat",) * rows,
        "image_size": SIZE,
        **fields,
    }
    return Detections(**values)


def classification(classes):
    return Classification(
        class_name=("cat",) * classes, confidence=np.full(classes, 0.5), image_size=SIZE
    )


@pytest.mark.parametrize("rows", [10_001, 1_000_000])
def test_more_boxes_than_a_model_finds_are_refused(rows):
    with pytest.raises(
        PredictionError,
        match=rf"^the prediction has {rows} rows, more than the 10000 we take: leave out those of",
    ):
        check_prediction(detections(rows))


def test_more_classes_than_a_model_knows_are_refused():
    with pytest.raises(PredictionError, match=r"has 100001 rows, more than the 100000 we take"):
        check_prediction(classification(100_001))


@pytest.mark.parametrize("prediction", [detections(10_000), classification(100_000)])
def test_as_many_as_are_taken_are_taken(prediction):
    check_prediction(prediction)


@pytest.mark.parametrize("size", [(1_000_000, 800_000), (10_000, 8_000)])
def test_a_mask_that_would_fill_the_memory_is_refused_before_it_is_made(size):
    width, height = size
    mask = RleMask(size=size, counts=(width * height,))
    frame = Frame(frame_id="f", image=Image(sample_jpeg(*SIZE)))

    with pytest.raises(PredictionError, match=r"row 0 .* more than we decode \(50000000 for one"):
        encode_frame(
            frame, detections(image_size=size, masks=(mask,)), EncodingRules(max_image_size=None)
        )


def test_masks_are_bounded_together(monkeypatch):
    monkeypatch.setattr(checking, "MAX_MASK_PIXELS", 20_000)
    mask = RleMask(size=SIZE, counts=(8000,))
    check_placement(detections(2, masks=(mask, mask)), SIZE)

    with pytest.raises(PredictionError, match=r"row 2 of the prediction has a mask of 100x80 pix"):
        check_placement(detections(3, masks=(mask, mask, mask)), SIZE)


def test_points_are_bounded_together():
    ring = np.zeros((600_000, 2))
    points = Keypoints(xy=np.zeros((400_001, 2)))

    with pytest.raises(
        PredictionError,
        match=r"^the prediction's polygons and keypoints have 1000001 points, more than the ",
    ):
        check_placement(detections(polygons=((ring,),), keypoints=(points,)), SIZE)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf")], ids=["nan", "inf", "-inf"]
)
@pytest.mark.parametrize("place", ["xyxy", "confidence", "embedding"])
def test_numbers_that_are_not_finite_are_refused_wherever_they_stand(place, value):
    array = np.array([0.5]) if place != "xyxy" else np.array([[1.0, 2.0, 3.0, 4.0]])
    array.flat[0] = value

    with pytest.raises(PredictionError, match=rf"{place} is .*not finite"):
        check_prediction(detections(**{place: array}))


def test_metadata_larger_than_we_store_cost_one_frame(monkeypatch):
    from al_framework.pipeline import composing

    monkeypatch.setattr(composing, "_MAX_METADATA_BYTES", 10)
    monkeypatch.setattr(composing, "datapoint_to_dict", lambda datapoint: {"document": "x" * 10})

    with pytest.raises(
        PredictionError,
        match=r"^its metadata are 26 bytes as JSON, more than the 10 we store: look at its source",
    ):
        composing._check_writable(None)
