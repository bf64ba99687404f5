import numpy as np
import pytest

from al_framework.api import RleMask
from al_framework_local.outline import joined, mask_rings, rle_rings


def area(ring: np.ndarray) -> float:
    x, y = ring.T
    return float((np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def filled(ring: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Even-odd fill, sampled at pixel centres."""
    x, y = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    inside = np.zeros(shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def test_a_rectangle_has_four_corners():
    mask = np.zeros((5, 6), dtype=bool)
    mask[1:4, 2:5] = True
    (ring,) = mask_rings(mask)

    assert {(2, 1), (5, 1), (5, 4), (2, 4)} == {tuple(point) for point in ring.tolist()}
    assert area(ring) == 9


def test_a_hole_runs_the_other_way():
    mask = np.ones((5, 5), dtype=bool)
    mask[2, 2] = False

    assert sorted(area(ring) for ring in mask_rings(mask)) == [-1, 25]


def test_pixels_that_touch_at_a_corner_are_separate_rings():
    mask = np.eye(3, dtype=bool)

    assert [area(ring) for ring in mask_rings(mask)] == [1, 1, 1]


def test_an_empty_mask_has_no_rings():
    assert mask_rings(np.zeros((3, 3), dtype=bool)) == []


@pytest.mark.parametrize("seed", range(6))
def test_any_mask_comes_back_from_its_rings_joined_into_one(seed):
    mask = np.random.default_rng(seed).random((17, 23)) < 0.5
    rings = mask_rings(mask)
    ring = joined(rings)

    assert mask.sum() == sum(area(ring) for ring in rings)
    assert np.array_equal(mask, filled(ring, mask.shape))


def test_one_ring_joined_is_itself():
    ring = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])

    assert ring.tolist() == joined([ring]).tolist()


def test_a_large_mask_can_be_looked_at_coarsely():
    mask = np.zeros((100, 203), dtype=bool)
    mask[10:90, 20:203] = True
    (ring,) = rle_rings(RleMask.from_array(mask), max_side=50)

    assert ring.min(axis=0).tolist() == [20, 10]
    assert ring.max(axis=0).tolist() == [203, 90]


def test_a_ring_entered_in_the_middle_of_an_edge_has_no_corner_there():
    mask = np.zeros((4, 5), dtype=bool)
    mask[0, 1:4] = mask[1, :] = True  # the second row's ring is met from above
    mask[3, 0:2] = True
    corners = sum(len(ring) for ring in mask_rings(mask))

    assert corners == 8 + 4
