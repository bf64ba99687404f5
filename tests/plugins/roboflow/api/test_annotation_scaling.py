"""Coordinates and masks move into the frame of the picture that is stored."""

import copy
import dataclasses
import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from al_framework.api import RleMask, Unlabelled
from al_framework.testing import sample_datapoint
from al_framework_roboflow.annotation import (
    AnnotationError,
    annotation_for,
    encode_prediction,
    in_stored_frame,
)
from al_framework_roboflow.masks import compress_counts, mask_values, resized_values
from al_framework_roboflow.rle import decompress_counts, read_mask

ENTRY = {
    "x": 100.25,
    "y": 60,
    "width": 50.5,
    "height": 30.125,
    "confidence": 0.30000000000000004,
    "class": "cat",
    "class_id": 3,
    "detection_id": "d-1",
    "parent_id": "p-1",
    "tracker_id": None,
    "something": {"x": 1},
}


@pytest.fixture
def written(datapoint_of):
    """Return the document that is sent for the one given."""

    def write(document, kind, **sizes):
        found = annotation_for(datapoint_of(document, kind, **sizes))
        assert found.extension == "json"
        return json.loads(found.body)

    return write


def test_each_axis_has_its_own_factor(written):
    document = {
        "inference_id": "i",
        "image": {"width": 400, "height": 240, "more": 1},
        "predictions": [ENTRY],
        "time": 0.5,
    }
    before = copy.deepcopy(document)

    found = written(document, "object-detection", source=(400, 240), stored=(100, 59))

    assert found == {
        "inference_id": "i",
        "image": {"width": 100, "height": 59, "more": 1},
        "predictions": [
            {
                **ENTRY,
                "x": 100.25 * (100 / 400),
                "y": 60 * (59 / 240),
                "width": 50.5 * (100 / 400),
                "height": 30.125 * (59 / 240),
            }
        ],
        "time": 0.5,
    }
    assert list(found) == list(document)
    assert list(found["predictions"][0]) == list(ENTRY)
    assert before == document


def test_an_axis_that_keeps_its_size_keeps_its_digits():
    document = {"predictions": [{"x": 1, "y": 2.5, "width": 3, "height": 1e-07}]}

    moved = in_stored_frame(document, source_size=(100, 40), image_size=(100, 20))

    assert encode_prediction(moved, "")[0] == (
        '{"predictions": [{"x": 1, "y": 1.25, "width": 3, "height": 5e-08}], '
        '"image": {"width": 100, "height": 20}}'
    )


def test_nothing_changes_where_nothing_is_scaled():
    document = {"image": {"width": 160.0, "height": 120}, "predictions": [{"x": 1, "y": True}]}
    without = {"predictions": [{"x": 1}]}

    sizes = {"source_size": (160, 120), "image_size": (160, 120)}
    assert json.dumps(in_stored_frame(document, **sizes)) == json.dumps(document)
    assert json.dumps(in_stored_frame(without, **sizes)) == json.dumps(without)


def test_what_the_adapter_reads_as_a_coordinate_is_moved():
    document = {"predictions": [{"x": True, "y": "a", "width": None}]}

    moved = in_stored_frame(document, source_size=(10, 10), image_size=(20, 20))

    assert moved["predictions"] == [{"x": 2.0, "y": "a", "width": None}]


@pytest.mark.parametrize(
    "image", [None, "a", {}, {"width": "a", "height": 2}, {"width": 0, "height": 2}]
)
def test_the_frame_is_the_source_where_the_document_states_none(image):
    document = {"image": image, "predictions": [{"x": 8, "y": 8}, "no entry"]}

    moved = in_stored_frame(document, source_size=(40, 40), image_size=(20, 10))

    assert moved == {
        "image": {"width": 20, "height": 10},
        "predictions": [{"x": 4.0, "y": 2.0}, "no entry"],
    }


def test_points_and_keypoints_are_moved(written):
    points = [{"x": 10.0, "y": 20.0}, {"x": 11, "y": 21}, {"x": 12, "y": 23}]
    keypoint = {"x": 38.0, "y": 29.0, "confidence": 0.7, "class_id": 0, "class": "nose"}
    sizes = {"source": (400, 240), "stored": (200, 60)}
    image = {"width": 400, "height": 240}

    segmented = written(
        {"image": image, "predictions": [{**ENTRY, "points": points}]},
        "instance-segmentation",
        **sizes,
    )
    posed = written(
        {"image": image, "predictions": [{**ENTRY, "keypoints": [keypoint]}]},
        "keypoint-detection",
        **sizes,
    )

    assert segmented["predictions"][0]["points"] == [
        {"x": 5.0, "y": 5.0},
        {"x": 5.5, "y": 5.25},
        {"x": 6.0, "y": 5.75},
    ]
    assert posed["predictions"][0]["keypoints"] == [{**keypoint, "x": 19.0, "y": 7.25}]
    assert posed["predictions"][0]["x"] == 100.25 / 2


def filled(width=40, height=24):
    mask = np.zeros((height, width), dtype=bool)
    mask[4:20, 8:30] = True
    return mask


@pytest.mark.parametrize("key", ["rle", "rle_mask", "mask"])
@pytest.mark.parametrize("as_text", [True, False])
def test_masks_are_resized_in_the_form_they_have(key, as_text, written):
    mask = RleMask.from_array(filled())
    value = {"size": [24, 40], "counts": list(mask.counts), "more": 1}
    if as_text:
        value["counts"] = compress_counts(mask.counts)
    document = {"predictions": [{**ENTRY, "x": 20, "y": 12, key: value, "mask_format": "rle"}]}

    entry = written(
        document,
        "instance-segmentation",
        source=(40, 24),
        stored=(20, 12),
        spooled=True,
    )["predictions"][0]

    assert entry["mask_format"] == "rle"
    assert (entry[key]["size"], entry[key]["more"]) == ([12, 20], 1)
    assert isinstance(entry[key]["counts"], str) == as_text
    assert (read_mask(entry[key]).to_array() == filled()[1::2, 1::2]).all()


@pytest.mark.parametrize(
    "value",
    [
        None,
        "mask",
        {"size": 3},
        {"size": [2, 2], "counts": [1, 1]},
        {"size": [2, 2], "counts": [None]},
        {"size": [12, 20], "counts": [240]},
    ],
)
def test_what_is_no_mask_or_has_the_size_already_stays_as_it_is(value):
    assert resized_values(value, (20, 12)) is value


def test_counts_in_bytes_become_text():
    value = {"size": [12, 20], "counts": compress_counts([240]).encode()}

    assert resized_values(value, (20, 12)) == {"size": [12, 20], "counts": "`7"}
    assert resized_values(value, (10, 6))["counts"] == compress_counts([60])


def test_compressed_counts_agree_with_pycocotools():
    rng = np.random.default_rng(5)
    for threshold in (0.0, 0.02, 0.5, 0.98, 1.0):
        mask = rng.random((37, 91)) < threshold
        expected = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        found = mask_values(RleMask.from_array(mask))

        assert {"size": expected["size"], "counts": expected["counts"].decode()} == found
        assert decompress_counts(found["counts"]) == list(RleMask.from_array(mask).counts)


def test_a_reduced_grid_of_masks_is_brought_back(written):
    document = {
        "image": {"width": 40, "height": 24},
        "original_image": {"width": 160, "height": 120},
        "mask_metadata": {"width": 40, "height": 24, "scale_x": 4.0, "scale_y": 5.0},
        "predictions": [{**ENTRY, "x": 10, "y": 12, "rle": {"size": [24, 40], "counts": [0, 960]}}],
    }

    found = written(document, "instance-segmentation")

    assert list(found) == ["image", "predictions"]
    assert found["image"] == {"width": 160, "height": 120}
    assert found["predictions"][0]["x"] == 40.0
    assert found["predictions"][0]["rle"] == {"size": [120, 160], "counts": [0, 160 * 120]}


def test_a_drawn_picture_is_left_out(written):
    document = {"predictions": [ENTRY], "visualization": "base64", "image": None}

    assert list(written(document, "object-detection")) == [
        "predictions",
        "image",
    ]


def test_a_document_of_an_unknown_task_is_sent_in_its_own_frame(written):
    document = {
        "image": {"width": 160, "height": 120},
        "predictions": {"segmentation_mask": "…", "x": 3},
    }
    sizes = {"stored": (80, 60)}

    assert written(document, "semantic-segmentation", **sizes) == document


def test_an_unknown_task_without_entries_or_document_has_no_annotation():
    for document in (None, "text", {"result": "abc"}, {"predictions": []}):
        prediction = Unlabelled(document=document, prediction_type="ocr")

        assert annotation_for(sample_datapoint(prediction=prediction)) is None


def test_an_unknown_task_that_json_cannot_express_is_an_error():
    prediction = Unlabelled(document={"predictions": {"a": {1}}}, prediction_type="ocr")

    with pytest.raises(AnnotationError, match="cannot be written as JSON: a value of type 'set'"):
        annotation_for(sample_datapoint(prediction=prediction))


def test_the_prediction_of_a_crop_is_written_as_any(datapoint_of):
    document = {"image": {"width": 50, "height": 25}, "predictions": [ENTRY]}

    datapoint = datapoint_of(document, "object-detection", source=(50, 25))

    assert json.loads(annotation_for(datapoint).body) == document
    assert annotation_for(dataclasses.replace(datapoint, prediction=None)) is None
