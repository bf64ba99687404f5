import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from al_framework.api import (
    Classification,
    Detections,
    Keypoints,
    PredictionError,
    RleMask,
    Unlabelled,
)
from al_framework.pipeline.checking import aspect_agrees, check_placement, check_prediction

SIZE = (100, 80)


def detections(**changes: Any) -> Detections:
    values: dict[str, Any] = {
        "xyxy": np.array([[1.0, 2.0, 30.0, 40.0], [10.0, 10.0, 20.0, 20.0]]),
        "confidence": np.array([0.5, 0.25]),
        "class_name": ("cat", "dog"),
        "image_size": SIZE,
        **changes,
    }
    return Detections(**values)


def classification(**changes: Any) -> Classification:
    values: dict[str, Any] = {
        "class_name": ("cat", "dog"),
        "confidence": np.array([0.5, 0.25]),
        "image_size": SIZE,
        **changes,
    }
    return Classification(**values)


def full(**changes: Any) -> Detections:
    ring = np.array([[0.0, 0.0], [5.0, 0.0], [5.0, 5.0]])
    points = Keypoints(
        xy=np.array([[1.0, 1.0], [2.0, 2.0]]),
        confidence=np.array([0.1, 0.2]),
        class_name=("nose", "ear"),
        class_id=np.array([0, 1]),
    )
    mask = RleMask(size=SIZE, counts=(10, 20, 7970))
    values: dict[str, Any] = {
        "class_id": np.array([0, 1]),
        "polygons": ((ring,), ()),
        "masks": (mask, None),
        "keypoints": (points, Keypoints(xy=np.zeros((0, 2)))),
        "data": {"detection_id": ["a", "b"]},
        "embedding": np.array([0.5, 2.0]),
        **changes,
    }
    return detections(**values)


OBJECTS = np.zeros((0, 2), dtype=object)
LISTS: Any = [[1.0, 1.0]]
NOTHING = detections(xyxy=np.zeros((0, 4)), confidence=np.zeros(0), class_name=())


@pytest.mark.parametrize(
    "prediction",
    [
        detections(),
        full(),
        NOTHING,
        classification(),
        classification(top="cat", top_confidence=0.5),
        classification(class_name=(), confidence=np.zeros(0)),
        Unlabelled(),
        Unlabelled(image_size=SIZE),
    ],
)
def test_sound_predictions_pass(prediction: Any) -> None:
    check_prediction(prediction)
    check_placement(prediction, SIZE)


def test_numbers_whose_squares_overflow_are_finite_all_the_same() -> None:
    check_prediction(detections(confidence=np.array([1e300, 0.5])))
    check_prediction(classification(confidence=np.array([1e300, 0.5])))


def test_a_copied_dtype_is_still_float64() -> None:
    dtype = np.dtype({"names": ["x"], "formats": ["<f8"]}).fields["x"][0].newbyteorder("=")

    check_prediction(detections(confidence=np.array([0.5, 0.25]).astype(dtype)))


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (
            detections(confidence=np.array([0.5, math.nan])),
            r"row 1 of the prediction's confidence is nan, not finite: leave out what the model",
        ),
        (
            detections(xyxy=np.array([[0, 0, math.inf, 1], [0, 0, 1, 1.0]])),
            r"row 0 of the prediction's xyxy is \[0.0, 0.0, inf, 1.0\], not finite: leave out",
        ),
        (
            detections(xyxy=np.array([[0, 0, 1, 1.0], [-math.inf, 0, math.inf, 1]])),
            r"row 1 of the prediction's xyxy is \[-inf, 0.0, inf, 1.0\], not finite",
        ),
        (
            full(embedding=np.array([1.0, 2.0, math.nan])),
            r"row 2 of the prediction's embedding is nan, not finite",
        ),
        (
            detections(confidence=np.array([0.5])),
            r"the prediction's confidence has the shape \(1,\), not \(2,\): give one row per class",
        ),
        (
            detections(xyxy=np.zeros((3, 4))),
            r"the prediction's xyxy has the shape \(3, 4\), not \(2, 4\): give one row",
        ),
        (
            detections(xyxy=np.zeros((2, 5))),
            r"the prediction's xyxy has the shape \(2, 5\), not \(2, 4\)",
        ),
        (
            detections(xyxy=np.zeros((2, 4), np.float32)),
            "the prediction's xyxy is of type 'float32', not a float64 array: convert it in the ad",
        ),
        (
            detections(confidence=[0.5, 0.25]),
            "the prediction's confidence is of type 'list', not a float64 array",
        ),
        (
            full(class_id=np.array([1])),
            "the prediction has 2 class names but 1 rows of 'class_id': give one entry per row",
        ),
        (full(polygons=()), "but 0 rows of 'polygons'"),
        (full(masks=(None,)), "but 1 rows of 'masks'"),
        (full(keypoints=()), "but 0 rows of 'keypoints'"),
        (full(data={"detection_id": ["a", "b"], "tracker_id": [1]}), "but 1 rows of 'tracker_id'"),
        (
            classification(confidence=np.array([math.inf, 0.0])),
            "row 0 of the prediction's confidence is inf",
        ),
        (classification(class_name=("cat",)), r"has the shape \(2,\), not \(1,\)"),
        (
            classification(top_confidence=math.nan),
            "the prediction's top_confidence is nan: give a finite number or None",
        ),
        (
            full(class_id=7),
            r"the prediction is malformed \(TypeError: .*\): the adapter has to fill the fields as",
        ),
        (None, r"the prediction is malformed \(AttributeError: "),
    ],
)
def test_malformed_predictions_name_the_place(prediction: Any, message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        check_prediction(prediction)


@pytest.mark.parametrize(
    ("prediction", "size", "message"),
    [
        (
            detections(),
            (100, 100),
            "refers to a picture of 100x80 pixels, but this one is 100x100: pass the predict",
        ),
        (
            classification(),
            (80, 100),
            "is 80x100: give the model the picture with its EXIF orientation applied",
        ),
        (Unlabelled(image_size=(640, 640)), (1920, 1080), "of 640x640 pixels, but this one is 19"),
        (detections(image_size=(0, 0)), SIZE, "refers to a picture of 0x0 pixels"),
        (
            detections(xyxy=np.array([[1, 1, 2, 2], [30.0, 2, 10, 40]])),
            SIZE,
            r"has the inverted box \[30.0, 2.0, 10.0, 40.0\] \('dog'\): give left, top, right, bot",
        ),
        (
            detections(xyxy=np.array([[1, 9, 2, 2], [3.0, 2, 10, 40]])),
            SIZE,
            "row 0 of the prediction has the inverted box",
        ),
        (
            detections(xyxy=np.array([[1, 1, 2, 2], [101.0, 2, 110, 40]])),
            SIZE,
            r"row 1 .* box \[101.0, 2.0, 110.0, 40.0\] \('dog'\), wholly outside the picture of 1",
        ),
        (detections(xyxy=np.array([[-9.0, 1, -1, 2], [3, 2, 9, 9]])), SIZE, "row 0 .* outside"),
        (detections(xyxy=np.array([[9.0, -9, 19, -2], [3, 2, 9, 9]])), SIZE, "row 0 .* outside"),
        (detections(xyxy=np.array([[9.0, 81, 19, 99], [3, 2, 9, 9]])), SIZE, "row 0 .* outside"),
        (
            full(polygons=((np.array([[0.0, math.nan]]),), ())),
            SIZE,
            "row 0 of the prediction has a polygon that is not finite: leave out what the model",
        ),
        (
            full(polygons=((), (np.zeros(6),))),
            SIZE,
            r"row 1 of the prediction has a polygon of the shape \(6,\): give \(k, 2\)",
        ),
        (
            full(keypoints=(Keypoints(xy=np.array([[math.inf, 0.0]])),) * 2),
            SIZE,
            "row 0 of the prediction has a keypoint that is not finite: leave out what the model",
        ),
        (
            full(keypoints=(Keypoints(xy=np.zeros((2, 2)), confidence=np.zeros(1)),) * 2),
            SIZE,
            "row 0 of the prediction has 2 keypoints but 1 entries of 'confidence': give one per",
        ),
        (
            full(keypoints=(Keypoints(xy=np.zeros((2, 2)), class_name=("nose",)),) * 2),
            SIZE,
            "has 2 keypoints but 1 entries of 'class_name'",
        ),
        (
            full(polygons=((OBJECTS,), ())),
            SIZE,
            r"the prediction is malformed \(TypeError: .*: the adapter has to fill the fields as",
        ),
        (
            full(keypoints=(Keypoints(xy=LISTS), Keypoints(xy=np.zeros((0, 2))))),
            SIZE,
            r"the prediction is malformed \(AttributeError: 'list' object has no attribute 'ndim'",
        ),
        (
            full(masks=(None, RleMask(size=(64, 64), counts=(4096,)))),
            SIZE,
            "row 1 of the prediction has a mask of 64x64 pixels for a picture of 100x80: give it",
        ),
        (
            full(masks=(None, RleMask(size=SIZE, counts=(10, 20)))),
            SIZE,
            "row 1 of the prediction has a mask whose runs add up to 30, not to 100x80: encode",
        ),
        (
            full(masks=(RleMask(size=SIZE, counts=(8010, -10)), None)),
            SIZE,
            "row 0 of the prediction has a mask whose runs add up to 8000",
        ),
    ],
)
def test_predictions_of_another_picture_name_the_place(
    prediction: Any, size: tuple[int, int], message: str
) -> None:
    with pytest.raises(PredictionError, match=message):
        check_placement(prediction, size)


def test_boxes_may_overhang_and_touch_the_border() -> None:
    boxes = np.array([[-20.0, -20, 1, 1], [100, 80, 120, 90]])

    check_placement(detections(xyxy=boxes), SIZE)


def test_outside_is_judged_in_the_predictions_own_pixels() -> None:
    half = detections(xyxy=np.array([[0.0, 0, 1, 1], [60, 10, 70, 20]]), image_size=(50, 40))

    with pytest.raises(PredictionError, match="outside the picture of 50x40 pixels"):
        check_placement(half, SIZE)


def test_masks_may_be_coarser_than_the_picture() -> None:
    check_placement(full(masks=(RleMask(size=(25, 20), counts=(500,)), None)), SIZE)


@pytest.mark.parametrize(
    ("one", "other", "agrees"),
    [
        ((4000, 3000), (1333, 999), True),
        ((4000, 5), (100, 1), True),
        ((1920, 1080), (640, 640), False),
        ((1920, 1080), (1080, 1920), False),
        ((1920, 1080), (1919, 1080), True),
        ((1920, 1080), (1920, 1088), False),
        ((0, 10), (0, 10), False),
        ((641, 480), (100, 74), True),
        ((100, 101), (99, 100), True),
    ],
)
def test_aspects_agree_up_to_a_pixel_of_the_smaller(
    one: tuple[int, int], other: tuple[int, int], agrees: bool
) -> None:
    assert agrees is aspect_agrees(one, other)
    assert agrees is aspect_agrees(other, one)


def test_the_callers_arrays_may_be_read_only_and_stay_as_they_are() -> None:
    prediction = full()
    before = prediction.xyxy.copy()
    prediction.xyxy.setflags(write=False)

    check_prediction(prediction)
    check_placement(dataclasses.replace(prediction), SIZE)

    np.testing.assert_array_equal(before, prediction.xyxy)
