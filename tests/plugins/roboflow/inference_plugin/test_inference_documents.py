import numpy as np
import pytest
import supervision as sv

from al_framework_roboflow.inference_plugin.documents import MisplacedPredictionError, readable


def detections(**data):
    return sv.Detections(
        xyxy=np.array([[0.0, 0.0, 10.0, 20.0]]),
        confidence=np.array([0.5]),
        class_id=np.array([3]),
        data={"class_name": np.array(["cat"]), **data},
    )


def read(prediction, *, place=(0, 0), outline=lambda mask: None):
    return readable(prediction, image_size=(40, 30), place=place, outline=outline)


@pytest.mark.parametrize("value", [{"top": "cat"}, "cat", None, [{"class": "cat"}]])
def test_what_is_no_detections_is_handed_on_untouched(value):
    document, kind = read(value)

    assert document is value
    assert kind is None


def test_detections_without_a_size_get_that_of_their_image():
    document, kind = read(detections())

    assert document["image"] == {"width": 40, "height": 30}
    assert kind == "object-detection"
    assert "prediction_type" not in document


def test_detections_that_state_a_size_keep_it():
    document, _ = read(detections(image_dimensions=np.array([[60, 80]])))

    assert document["image"] == {"width": 80, "height": 60}


def test_the_models_word_for_the_task_is_taken():
    _, kind = read(detections(prediction_type=np.array(["keypoint-detection"])))

    assert kind == "keypoint-detection"


def masked(*, part=np.s_[0, :, :], **data):
    prediction = detections(**data)
    prediction.mask = np.zeros((1, 30, 40), dtype=bool)
    prediction.mask[part] = True
    return prediction


def corners(mask):
    """The box around a mask: an outline that is easily checked."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return None
    return np.array([[columns.min(), rows.min()], [columns.max(), rows.max()]])


@pytest.mark.parametrize(
    "part",
    [
        np.s_[0, 2:9, 3:8],  # within the box, 10 wide and 20 high
        np.s_[0, 0:21, 0:11],  # a pixel beyond it
        np.s_[0, 5:28, 6:33],  # well beyond it
    ],
)
@pytest.mark.parametrize("shift", [0, 7])
def test_the_outline_does_not_depend_on_where_it_is_looked_for(part, shift):
    prediction = masked(part=part)
    prediction.mask = np.roll(prediction.mask, shift, axis=(1, 2))
    prediction.xyxy = prediction.xyxy + shift
    document, _ = read(prediction, outline=corners)

    expected = corners(prediction.mask[0]).tolist()
    assert [[p["x"], p["y"]] for p in document["predictions"][0]["points"]] == expected


def test_a_box_outside_the_picture_finds_no_outline():
    prediction = masked(part=np.s_[0, :0])
    prediction.xyxy = np.array([[50.0, 50.0, 60.0, 60.0]])
    document, _ = read(prediction, outline=corners)

    assert "points" not in document["predictions"][0]


def test_a_mask_becomes_the_polygon_of_the_engine_and_the_caller_keeps_it():
    prediction, seen = masked(), []
    document, kind = read(
        prediction, outline=lambda mask: seen.append(mask) or np.array([[1, 2], [3, 4], [5, 6]])
    )

    assert kind == "instance-segmentation"
    assert document["predictions"][0]["points"] == [
        {"x": 1.0, "y": 2.0},
        {"x": 3.0, "y": 4.0},
        {"x": 5.0, "y": 6.0},
    ]
    assert seen[0].shape == (30, 40)
    assert prediction.mask is not None
    assert "rle_mask" not in document["predictions"][0]


def test_an_empty_mask_leaves_its_instance_without_points():
    document, kind = read(masked())

    assert kind == "instance-segmentation"
    assert "points" not in document["predictions"][0]


def test_a_mask_is_not_outlined_where_its_polygon_is_there():
    polygon = np.array([[[0, 0], [9, 0], [9, 9]]])
    document, _ = read(masked(polygon=polygon), outline=None)

    assert len(document["predictions"][0]["points"]) == 3


def test_a_mask_does_not_hide_the_models_word_for_the_task():
    _, kind = read(masked(prediction_type=np.array(["semantic-segmentation"])))

    assert kind == "semantic-segmentation"


def test_detections_of_the_same_place_are_read():
    document, _ = read(detections(root_parent_coordinates=np.array([[5, 6]])), place=(5, 6))

    assert len(document["predictions"]) == 1


@pytest.mark.parametrize("rows", [0, 1])
def test_detections_of_another_place_are_refused(rows):
    prediction = detections(root_parent_coordinates=np.array([[5, 6]]))[:rows]
    if not rows:
        prediction.metadata["root_parent_coordinates"] = [5, 6]

    with pytest.raises(
        MisplacedPredictionError,
        match=r"made at \(5, 6\) of the input image and the image lies at \(0, 0\): 'images' and",
    ):
        read(prediction)
