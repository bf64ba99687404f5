"""Values that no model states, wherever they may stand in a document."""

import copy
import itertools
import math

import numpy as np
import pytest

from al_framework.api import PredictionError
from al_framework.testing import make_context, sample_frame
from al_framework_roboflow.masks import resized_values
from al_framework_roboflow.response import RoboflowResponse
from al_framework_roboflow.rle import read_mask

STRANGE = [
    None, True, -1, 2**70, math.nan, math.inf, "x", b"x", [], [1], {}, {"a": 1}, (), 1j,
    np.array([0.5]), np.array([1, 2]), np.float32(0.5), object(), "\ud800", [[]],
    {"size": [math.inf, 1], "counts": [1]}, {"size": [2, 2], "counts": [math.inf]},
    {"size": [2, 2], "counts": "€"}, {"size": [2, 2], "counts": b"\xff"},
    [{"x": 1}], [{"x": 1, "y": 2, "class_id": 2**70}], [{"x": 1, "y": 2, "class": 3}],
]  # fmt: skip
ENTRY = {"x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0, "confidence": 0.5, "class": "a"}
KEYS = (*ENTRY, "class_id", "points", "keypoints", "rle", "rle_mask", "mask", "detection_id")
TYPES = (None, "object-detection", "instance-segmentation", "keypoint-detection", "ocr")


@pytest.fixture
def adapter(tmp_path):
    return RoboflowResponse(RoboflowResponse.Options(), make_context(tmp_path))


def documents():
    size = {"width": 64, "height": 48}
    for value, key, rows in itertools.product(STRANGE, KEYS, ((0,), (1,), (0, 1))):
        entries = [copy.copy(ENTRY), copy.copy(ENTRY)]
        for row in rows:
            entries[row][key] = value
        yield {"image": size, "predictions": entries}
    for value in STRANGE:
        yield {"image": size, "predictions": [ENTRY, value]}
        yield {"image": size, "predictions": value}
        yield {"image": value, "predictions": [ENTRY]}
        yield {"image": {"width": value, "height": 48}, "predictions": [ENTRY]}
        yield {"image": size, "predictions": [], "top": value, "confidence": value}
        yield {"image": size, "predictions": {"a": value}, "predicted_classes": ["a"]}
        yield {"image": size, "predictions": {"a": {"confidence": value}}, "predicted_classes": []}
        yield {"image": size, "predictions": {}, "predicted_classes": value}


@pytest.mark.parametrize("prediction_type", TYPES)
def test_whatever_stands_in_a_document_is_read_or_refused_in_words(adapter, prediction_type):
    frame = sample_frame()
    for document in documents():
        try:
            adapter.adapt(document, frame=frame, prediction_type=prediction_type)
        except PredictionError as exc:
            assert "adapter" in str(exc)  # noqa: PT017 - not every document is refused


def test_points_in_an_array_are_refused_at_their_place(adapter):
    entry = {**ENTRY, "points": np.zeros((3, 2))}

    with pytest.raises(PredictionError, match=r"predictions\[0\]\.points is array\("):
        adapter.adapt({"predictions": [entry]}, frame=sample_frame(), prediction_type=None)


@pytest.mark.parametrize(
    "value",
    [{"size": [math.inf, 1], "counts": [1]}, {"size": [1, 1], "counts": [math.inf]}],
)
def test_a_mask_that_is_not_finite_is_no_mask(value):
    with pytest.raises(ValueError, match="a size or run of a mask is not finite"):
        read_mask(value)
    assert resized_values(value, (10, 10)) is value


def test_a_mask_that_would_fill_the_memory_is_refused():
    value = {"size": [100_000, 100_000], "counts": [10**10]}

    with pytest.raises(
        ValueError, match="a mask of 100000x100000 pixels is larger than any picture"
    ):
        read_mask(value)
    assert resized_values(value, (10, 10)) is value
