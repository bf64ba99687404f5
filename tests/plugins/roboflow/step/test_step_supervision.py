import json

import numpy as np
import pytest

from al_framework.api import PredictionError
from al_framework_roboflow.elements.predictions import read_prediction
from al_framework_roboflow.elements.supervision import document_of, is_detections

sv = pytest.importorskip("supervision")


def detections(count=2, **changes):
    values = {
        "xyxy": np.array([[10.0, 20.0, 30.0, 60.0], [0.0, 0.0, 5.0, 5.0]], dtype=np.float32)[
            :count
        ],
        "confidence": np.array([0.5, 0.25], dtype=np.float32)[:count],
        "class_id": np.array([0, 3])[:count],
        "data": {
            "class_name": np.array(["cat", "dog"])[:count],
            "detection_id": np.array(["d1", "d2"])[:count],
            "prediction_type": np.array(["object-detection"] * 2)[:count],
            "inference_id": np.array(["i1"] * 2)[:count],
            "image_dimensions": np.array([[50, 100]] * 2)[:count],
            "parent_coordinates": np.array([[0, 0]] * 2)[:count],
        },
    }
    values["data"].update(changes.pop("data", {}))
    return sv.Detections(**{**values, **changes})


def test_detections_become_the_document_of_a_model():
    document = document_of(detections(tracker_id=np.array([7, 8])))

    assert document["image"] == {"width": 100, "height": 50}
    assert document["prediction_type"] == "object-detection"
    assert document["inference_id"] == "i1"
    assert document["predictions"][0] == {
        "x": 20.0,
        "y": 40.0,
        "width": 20.0,
        "height": 40.0,
        "confidence": 0.5,
        "class_id": 0,
        "class": "cat",
        "detection_id": "d1",
        "tracker_id": 7,
    }
    json.dumps(document, allow_nan=False)


def test_the_box_wins_over_data_that_is_called_like_its_sides():
    document = document_of(detections(data={"width": np.array([1, 1]), "rect": [[1], [2]]}))

    assert document["predictions"][0]["width"] == 20.0
    assert document["predictions"][1]["rect"] == [2]


def test_plain_detections_need_nothing_but_boxes():
    plain = sv.Detections(xyxy=np.array([[0.0, 0.0, 4.0, 2.0]]))

    document = document_of(plain)

    assert document == {
        "predictions": [
            {"x": 2.0, "y": 1.0, "width": 4.0, "height": 2.0, "confidence": 1.0, "class": "object"}
        ],
        "prediction_type": "object-detection",
    }
    plain.class_id = np.array([5])
    assert document_of(plain)["predictions"][0]["class"] == "5"


def test_masks_become_runs_unless_an_outline_is_there():
    mask = np.zeros((2, 3, 4), dtype=bool)
    mask[0, 1, 1:3] = True
    outline = np.array([[[0, 0], [3, 0], [0, 3]], [[1, 1], [2, 1], [1, 2]]])

    runs = document_of(detections(mask=mask))
    points = document_of(detections(mask=mask, data={"polygon": outline}))

    assert runs["predictions"][0]["rle_mask"] == {"size": [3, 4], "counts": [4, 1, 2, 1, 4]}
    assert points["predictions"][1]["points"][2] == {"x": 1.0, "y": 2.0}
    assert "rle_mask" not in points["predictions"][0]
    del runs["prediction_type"]
    assert read_prediction(runs).prediction_type == "instance-segmentation"


def test_runs_in_the_data_are_kept():
    runs = [{"size": [3, 4], "counts": b"04"}, {"size": np.array([3, 4]), "counts": "1"}]

    document = document_of(detections(data={"rle_mask": np.array(runs, dtype=object)}))

    assert [entry["rle_mask"] for entry in document["predictions"]] == [
        {"size": [3, 4], "counts": "04"},
        {"size": [3, 4], "counts": "1"},
    ]


def test_keypoints_lose_the_padding():
    data = {
        "keypoints_xy": np.array([[[1.0, 2.0], [0.0, 0.0]], [[3.0, 4.0], [5.0, 6.0]]]),
        "keypoints_confidence": np.array([[0.5, 0.0], [0.25, 0.75]]),
        "keypoints_class_id": np.array([[0, 0], [0, 1]]),
        "keypoints_class_name": np.array([["nose", ""], ["nose", "ear"]]),
    }

    document = document_of(detections(data=data))

    assert [entry["keypoints"] for entry in document["predictions"]] == [
        [{"x": 1.0, "y": 2.0, "confidence": 0.5, "class_id": 0, "class": "nose"}],
        [
            {"x": 3.0, "y": 4.0, "confidence": 0.25, "class_id": 0, "class": "nose"},
            {"x": 5.0, "y": 6.0, "confidence": 0.75, "class_id": 1, "class": "ear"},
        ],
    ]


def test_keypoints_need_no_names():
    bare = sv.Detections(
        xyxy=np.zeros((1, 4)), data={"keypoints_xy": np.array([[[1.0, 2.0], [3.0, 4.0]]])}
    )

    document = document_of(bare)

    assert document["prediction_type"] == "keypoint-detection"
    assert document["predictions"][0]["keypoints"] == [{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": 4.0}]


def test_without_a_row_the_metadata_says_what_the_rows_would():
    empty = sv.Detections.empty()
    empty.metadata = {"image_dimensions": [50, 100], "prediction_type": "instance-segmentation"}

    document = document_of(empty)

    assert document == {
        "predictions": [],
        "image": {"width": 100, "height": 50},
        "prediction_type": "instance-segmentation",
    }
    assert document_of(sv.Detections.empty())["prediction_type"] == "object-detection"


def test_columns_of_another_length_are_refused():
    crooked = detections()
    crooked.data["detection_id"] = np.array(["d1"])

    with pytest.raises(PredictionError, match=r"have 2 boxes and 1 values in data\['detection_id"):
        document_of(crooked)


def test_detections_are_recognised_and_nothing_of_them_is_shared():
    one = detections()

    assert is_detections(one)
    assert not is_detections({"xyxy": 1})
    read = read_prediction(one)
    read.document["predictions"].clear()
    assert len(one) == 2
