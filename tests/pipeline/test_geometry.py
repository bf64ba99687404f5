import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al_framework.api import Classification, Detections, Keypoints, RleMask, Unlabelled
from al_framework.pipeline.encoding import scaled_size
from al_framework.pipeline.geometry import rescale_prediction

steady = settings(deadline=None, derandomize=True)
sides = st.integers(1, 5000)
fractions = st.floats(0, 1)


def detections(xyxy: Any, size: tuple[int, int], **more: Any) -> Detections:
    boxes = np.asarray(xyxy, dtype=np.float64).reshape(-1, 4)
    return Detections(
        xyxy=boxes,
        confidence=np.full(len(boxes), 0.5),
        class_name=("thing",) * len(boxes),
        image_size=size,
        **more,
    )


def everything() -> Detections:
    return detections(
        [[10, 20, 50, 60], [0, 0, 100, 80]],
        (100, 80),
        class_id=np.array([1, 2]),
        polygons=((np.array([[10.0, 20], [50, 20], [50, 60]]), np.zeros((0, 2))), ()),
        masks=(RleMask.from_array(np.tri(80, 100, dtype=np.bool_)), None),
        keypoints=(
            Keypoints(xy=np.array([[10.0, 20], [-5, 90]]), class_name=("nose", "ear")),
            Keypoints(xy=np.zeros((0, 2))),
        ),
        data={"detection_id": ["a", "b"]},
        embedding=np.array([1.0]),
        document={"predictions": []},
        model_id="m/1",
        inference_id="i",
    )


def test_each_axis_has_its_own_factor() -> None:
    moved = rescale_prediction(everything(), (50, 20))

    assert isinstance(moved, Detections)
    assert moved.image_size == (50, 20)
    np.testing.assert_array_equal([[5, 5, 25, 15], [0, 0, 50, 20]], moved.xyxy)
    assert moved.polygons is not None
    np.testing.assert_array_equal([[5, 5], [25, 5], [25, 15]], moved.polygons[0][0])
    assert moved.polygons[0][1].shape == (0, 2)
    assert moved.polygons[1] == ()


def test_keypoints_move_and_are_not_clipped() -> None:
    moved = rescale_prediction(everything(), (50, 20))

    assert isinstance(moved, Detections)
    assert moved.keypoints is not None
    np.testing.assert_array_equal([[5, 5], [-2.5, 22.5]], moved.keypoints[0].xy)
    assert moved.keypoints[0].class_name == ("nose", "ear")


def test_boxes_and_polygons_are_clipped_to_the_picture() -> None:
    ring = np.array([[-10.0, -10], [300, 40], [50, 400]])
    prediction = detections([[-20, -1, 130, 99]], (100, 80), polygons=((ring,),))

    for size, factor in (((100, 80), 1), ((50, 40), 0.5)):
        moved = rescale_prediction(prediction, size)

        assert isinstance(moved, Detections)
        assert moved.polygons is not None
        np.testing.assert_array_equal([[0, 0, *size]], moved.xyxy)
        expected = np.array([[0, 0], [100, 40], [50, 80]]) * factor
        np.testing.assert_array_equal(expected, moved.polygons[0][0])


def test_masks_are_resized_to_the_nearest_pixel() -> None:
    mask = np.zeros((4, 6), np.bool_)
    mask[:2, :3] = True
    prediction = detections([[0, 0, 3, 2]], (6, 4), masks=(RleMask.from_array(mask),))

    moved = rescale_prediction(prediction, (3, 2))
    enlarged = rescale_prediction(prediction, (12, 8))

    assert isinstance(moved, Detections)
    assert isinstance(enlarged, Detections)
    np.testing.assert_array_equal(mask[1::2, 1::2], moved.masks[0].to_array())  # type: ignore[index, union-attr] # it has masks
    np.testing.assert_array_equal(
        mask.repeat(2, 0).repeat(2, 1),
        enlarged.masks[0].to_array(),  # type: ignore[index, union-attr] # it has masks
    )


def test_a_coarse_mask_becomes_as_large_as_the_stored_picture() -> None:
    mask = RleMask.from_array(np.tri(20, 25, dtype=np.bool_))

    moved = rescale_prediction(detections([[0, 0, 9, 9]], (100, 80), masks=(mask,)), (50, 40))

    assert isinstance(moved, Detections)
    assert moved.masks is not None
    assert moved.masks[0] is not None
    assert moved.masks[0].size == (50, 40)


def test_what_does_not_change_is_kept_by_reference() -> None:
    before = everything()
    moved = rescale_prediction(before, (50, 20))
    same = rescale_prediction(before, (100, 80))

    assert isinstance(moved, Detections)
    assert isinstance(same, Detections)
    for name in ("data", "document", "confidence", "class_name", "class_id", "embedding"):
        assert getattr(before, name) is getattr(moved, name)
    assert same.masks is not None
    assert before.masks is not None
    assert same.masks[0] is before.masks[0]
    assert same.masks[1] is None


@pytest.mark.parametrize(
    "prediction",
    [
        Classification(class_name=("a",), confidence=np.array([0.1]), image_size=(9, 9), top="a"),
        Unlabelled(image_size=None, document={"is_stub": True}),
    ],
)
def test_without_coordinates_only_the_size_changes(prediction: Any) -> None:
    moved = rescale_prediction(prediction, (3, 3))

    assert moved.image_size == (3, 3)
    assert dataclasses.replace(moved, image_size=None).__class__ is prediction.__class__
    assert moved.document is prediction.document


def test_the_callers_arrays_are_never_written_to() -> None:
    prediction = everything()
    arrays = [prediction.xyxy, prediction.polygons[0][0], prediction.keypoints[0].xy]  # type: ignore[index] # it has them
    copies = [array.copy() for array in arrays]
    for array in arrays:
        array.setflags(write=False)

    rescale_prediction(prediction, (33, 7))

    for copy, array in zip(copies, arrays, strict=True):
        np.testing.assert_array_equal(copy, array)


@steady
@given(st.lists(st.tuples(fractions, fractions), max_size=5), sides, sides)
def test_factor_one_keeps_every_bit(
    corners: list[tuple[float, float]], width: int, height: int
) -> None:
    boxes = np.array([[x * width, y * height, width, height] for x, y in corners]).reshape(-1, 4)

    moved = rescale_prediction(detections(boxes, (width, height)), (width, height))

    assert isinstance(moved, Detections)
    assert boxes.tobytes() == moved.xyxy.tobytes()


@steady
@given(
    st.tuples(sides, sides),
    st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
    st.tuples(fractions, fractions, fractions, fractions),
)
def test_scaling_there_and_back_stays_within_half_a_pixel(
    size: tuple[int, int], limit: tuple[int, int], shares: tuple[float, float, float, float]
) -> None:
    width, height = size
    left, right = sorted((shares[0] * width, shares[2] * width))
    top, bottom = sorted((shares[1] * height, shares[3] * height))
    prediction = detections([[left, top, right, bottom]], size)

    stored = rescale_prediction(prediction, scaled_size(width, height, limit))
    back = rescale_prediction(stored, size)

    assert isinstance(stored, Detections)
    assert isinstance(back, Detections)
    assert (stored.xyxy[0] <= [*stored.image_size, *stored.image_size]).all()
    assert np.abs(back.xyxy - prediction.xyxy).max() <= 0.5


@steady
@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.integers(0, 2**32 - 1))
def test_a_mask_scaled_up_and_down_again_is_the_same(size: tuple[int, int], seed: int) -> None:
    width, height = size
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    prediction = detections([[0, 0, 1, 1]], size, masks=(RleMask.from_array(mask),))

    up = rescale_prediction(prediction, (width * 3, height * 3))
    down = rescale_prediction(up, size)

    assert isinstance(down, Detections)
    np.testing.assert_array_equal(mask, down.masks[0].to_array())  # type: ignore[index, union-attr] # it has masks
