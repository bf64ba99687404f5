"""Predictions of the framework's own become the documents that Roboflow reads."""

import json

import numpy as np
import pytest

from al_framework.api import Classification, Detections, Keypoints, RleMask
from al_framework.testing import make_context, sample_datapoint, sample_frame, sample_predictions
from al_framework_roboflow.annotation import (
    Annotation,
    AnnotationError,
    NoFormError,
    annotation_for,
)
from al_framework_roboflow.masks import compress_counts
from al_framework_roboflow.response import RoboflowResponse


def filled(width=40, height=24):
    mask = np.zeros((height, width), dtype=bool)
    mask[4:20, 8:30] = True
    return mask


def native(**changes):
    values = {
        "xyxy": np.array([[10.0, 20.0, 30.5, 35.25], [0.0, 0.0, 4.0, 4.0]]),
        "confidence": np.array([0.1 + 0.2, 0.5]),
        "class_name": ("cat", "żółw"),
        "class_id": np.array([0, 7]),
        "image_size": (64, 48),
        "data": {"tracker_id": (np.int64(4), None), "detection_id": ("a", "b"), "x": (9, 9)},
        **changes,
    }
    return Detections(**values)


def test_arrays_become_an_equal_document(tmp_path):
    body = annotation_for(sample_datapoint(prediction=native(inference_id="i"))).body
    found = json.loads(body)

    assert body.isascii()
    assert found == {
        "inference_id": "i",
        "image": {"width": 64, "height": 48},
        "predictions": [
            {
                "x": 20.25,
                "y": 27.625,
                "width": 20.5,
                "height": 15.25,
                "confidence": 0.30000000000000004,
                "class": "cat",
                "class_id": 0,
                "tracker_id": 4,
                "detection_id": "a",
            },
            {
                "x": 2.0,
                "y": 2.0,
                "width": 4.0,
                "height": 4.0,
                "confidence": 0.5,
                "class": "żółw",
                "class_id": 7,
                "tracker_id": None,
                "detection_id": "b",
            },
        ],
    }
    adapter = RoboflowResponse(RoboflowResponse.Options(), make_context(tmp_path))
    again = adapter.adapt(found, frame=sample_frame(), prediction_type="object-detection")
    np.testing.assert_array_equal(native().xyxy, again.xyxy)
    np.testing.assert_array_equal(native().confidence, again.confidence)


def entries(**changes):
    found = annotation_for(sample_datapoint(prediction=native(**changes)))
    return json.loads(found.body)["predictions"]


def test_arrays_without_class_ids_name_none():
    assert "class_id" not in entries(class_id=None)[0]


def test_polygons_become_the_largest_ring():
    small = np.array([[1.0, 1.0], [2.0, 1.0], [2.0, 2.0]])
    large = np.array([[10.0, 20.0], [30.5, 20.0], [30.5, 35.25], [10.0, 35.25]])

    first, second = entries(polygons=((small, large, np.empty((0, 2))), ()))

    assert first["points"] == [{"x": x, "y": y} for x, y in large.tolist()]
    assert first["mask_format"] == "polygon"
    assert "points" not in second


def test_masks_become_todays_form():
    mask = RleMask.from_array(filled(64, 48))

    first, second = entries(masks=(mask, None))

    assert first["rle"] == {"size": [48, 64], "counts": compress_counts(mask.counts)}
    assert first["mask_format"] == "rle"
    assert "rle" not in second


def test_keypoints_become_points_with_what_is_known():
    full = Keypoints(
        xy=np.array([[1.5, 2.0]]),
        confidence=np.array([0.5]),
        class_name=("nose",),
        class_id=np.array([3]),
    )

    first, second = entries(keypoints=(full, Keypoints(xy=np.array([[1.0, 2.0]]))))

    assert first["keypoints"] == [
        {"x": 1.5, "y": 2.0, "confidence": 0.5, "class_id": 3, "class": "nose"}
    ]
    assert second["keypoints"] == [{"x": 1.0, "y": 2.0}]


SCORES = {"class_name": ("cat", "dog"), "confidence": np.array([0.6, 0.4]), "image_size": (64, 48)}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"top": "cat", "top_confidence": 0.6}, b"cat"),
        ({"top": "cat"}, b"cat"),
        ({"top": ""}, b""),
        ({"top": "cat", "class_name": (), "confidence": np.empty(0)}, b"cat"),
        ({"predicted": ("dog", "cat")}, b"dog,cat"),
        ({"predicted": ()}, b""),
        ({"top": "dog", "document": {"top": "dog", "other": {1}}}, b"dog"),
        ({"top": "dog", "document": {"label": "dog"}}, b"dog"),
        ({"top": "dog", "document": object()}, b"dog"),
    ],
)
def test_scores_become_the_names_of_classes(changes, expected):
    found = annotation_for(sample_datapoint(prediction=Classification(**{**SCORES, **changes})))

    assert Annotation(body=expected, extension="txt") == found


def test_scores_of_another_type_become_a_document():
    prediction = Classification(
        **SCORES, top="cat", top_confidence=0.6, prediction_type="ocr", inference_id="i"
    )

    found = annotation_for(sample_datapoint(prediction=prediction))

    assert json.loads(found.body) == {
        "inference_id": "i",
        "image": {"width": 64, "height": 48},
        "predictions": [
            {"class": "cat", "confidence": 0.6},
            {"class": "dog", "confidence": 0.4},
        ],
        "top": "cat",
        "confidence": 0.6,
    }


def test_no_classes_have_no_annotation():
    prediction = sample_predictions()["no classes"]

    assert annotation_for(sample_datapoint(prediction=prediction)) is None


def test_scores_that_name_no_class_have_no_form():
    document = {"predictions": [{"class": "cat", "confidence": 1}] * 2}
    boxes = native(prediction_type="x-classification", document=document)

    for prediction in (Classification(**SCORES), boxes):
        with pytest.raises(NoFormError):
            annotation_for(sample_datapoint(prediction=prediction))


def test_a_class_that_is_no_unicode_is_an_error():
    prediction = Classification(**SCORES, top="\ud800")

    with pytest.raises(AnnotationError, match=r"the class '\\ud800' is no valid Unicode text"):
        annotation_for(sample_datapoint(prediction=prediction))


@pytest.mark.parametrize(
    "document",
    [
        {"predictions": [{"class": "cat", "confidence": 1}]},
        {"predictions": [{"label": "cat"}, {"label": "dog"}]},
        {"predictions": "none"},
        {"boxes": []},
        {"predictions": [{"class": "a", "confidence": 1, "x": {1}}] * 2},
        [],
    ],
)
def test_a_document_of_another_kind_is_written_from_the_columns(document):
    assert [entry["class"] for entry in entries(document=document)] == ["cat", "żółw"]


def test_every_kind_of_prediction_is_written_or_left_out():
    for prediction in sample_predictions().values():
        found = annotation_for(sample_datapoint(prediction=prediction))

        assert found is None or found.extension in {"json", "txt"}
