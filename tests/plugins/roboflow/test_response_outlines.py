"""Polygons, masks and keypoints of a document are read in all their forms."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from al_framework.api import RleMask
from al_framework_roboflow.rle import decompress_counts, read_mask

IMAGE = {"width": 64, "height": 48}
BOX = {"x": 20.3, "y": 10.1, "width": 7.7, "height": 3.3}
ENTRY = {**BOX, "confidence": 0.5, "class": "cup", "class_id": 1, "detection_id": "d-1"}
POINTS = [{"x": 1, "y": 2.5}, {"x": 10, "y": 2.5}, {"x": 10, "y": 20}]
NOSE = {"x": 3.5, "y": 4.5, "confidence": 0.75, "class_id": 0, "class": "nose"}


def document(*entries, **more):
    return {"image": IMAGE, "predictions": list(entries), **more}


def test_points_become_polygons(adapt):
    found = adapt(document({**ENTRY, "points": POINTS}, {**ENTRY, "points": []}, ENTRY))

    assert found.prediction_type == "instance-segmentation"
    assert found.polygons[0][0].tolist() == [[1.0, 2.5], [10.0, 2.5], [10.0, 20.0]]
    assert found.polygons[1:] == ((), ())


@pytest.mark.parametrize("key", ["rle", "rle_mask"])
@pytest.mark.parametrize("compressed", [True, False])
def test_run_length_masks_are_read(adapt, key, compressed):
    mask = np.zeros((48, 64), dtype=bool)
    mask[3:30, 5:50] = True
    mask[10:14, 8:9] = False
    expected = RleMask.from_array(mask)
    value = {"size": [48, 64], "counts": list(expected.counts)}
    if compressed:
        value = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        value = {**value, "counts": value["counts"].decode()}

    found = adapt(document({**ENTRY, key: value}, ENTRY))

    assert found.prediction_type == "instance-segmentation"
    assert (expected, None) == found.masks
    assert key not in found.data


def test_compressed_masks_agree_with_pycocotools():
    rng = np.random.default_rng(1)
    for threshold in (0.01, 0.5, 0.99):
        mask = rng.random((37, 91)) < threshold
        encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))

        found = read_mask(encoded)

        assert (mask == found.to_array()).all()


@pytest.mark.parametrize(
    "value",
    [None, "a mask", {"size": 3, "counts": ""}, {"size": [1, 2], "counts": 3}, {"size": "ab"}],
)
def test_other_values_are_no_masks_and_stay_in_the_data(adapt, value):
    assert read_mask(value) is None
    assert {"detection_id": ("d-1",), "mask": (value,)} == dict(
        adapt(document({**ENTRY, "mask": value})).data
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\x20", "' ' is no character of a compressed mask"),
        ("o" * 20, "'o' is no character of a compressed mask"),
        ("o", "a compressed mask ends inside a number"),
    ],
)
def test_a_damaged_mask_says_so(text, message):
    with pytest.raises(ValueError, match=message):
        decompress_counts(text)


def test_keypoints_are_read_with_both_spellings_of_their_names(adapt):
    older = {"x": 1, "y": 2, "confidence": 0.5, "class_id": 1, "class_name": "tail"}
    bare = {"x": 1, "y": 2}

    found = adapt(
        document({**ENTRY, "keypoints": [NOSE, older]}, {**ENTRY, "keypoints": [bare]}, ENTRY)
    )

    assert found.prediction_type == "keypoint-detection"
    first, second, third = found.keypoints
    assert first.xy.tolist() == [[3.5, 4.5], [1, 2]]
    assert first.confidence.tolist() == [0.75, 0.5]
    assert (first.class_name, first.class_id.tolist()) == (("nose", "tail"), [0, 1])
    assert (second.confidence, second.class_name, second.class_id) == (None, (), None)
    assert third.xy.shape == (0, 2)
