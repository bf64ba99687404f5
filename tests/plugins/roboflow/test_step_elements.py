import base64
import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from al_framework.api import (
    Classification,
    Crop,
    Detections,
    ImageError,
    PredictionError,
    Unlabelled,
)
from al_framework_roboflow.elements import RawElement, paired, read_element
from al_framework_roboflow.elements.pictures import read_picture
from al_framework_roboflow.elements.predictions import (
    PREDICTION_TYPES,
    read_prediction,
    stated_size,
)

BOX = {
    "x": 50.0,
    "y": 20.0,
    "width": 20.0,
    "height": 10.0,
    "confidence": 0.5,
    "class": "cat",
    "class_id": 0,
    "detection_id": "d1",
}


def array(width=100, height=50):
    return np.zeros((height, width, 3), dtype=np.uint8)


def png(width=100, height=50):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def test_plain_images_are_passed_on_as_they_are():
    for value in (array(), png(), bytearray(png()), Path("a.png"), "a.png"):
        assert read_picture(value).value is value

    pil = PIL.Image.new("RGB", (4, 3))

    assert read_picture(pil).value is pil


def test_the_dictionaries_of_inference_are_unpacked():
    pixels, data = array(), png()
    text = base64.b64encode(data).decode()

    assert read_picture({"type": "numpy_object", "value": pixels}).value is pixels
    assert read_picture({"type": "base64", "value": text}).value == data
    assert read_picture({"type": "base64", "value": f"data:image/png;base64,{text}"}).value == data
    assert read_picture({"type": "base64", "value": text.encode()}).value == data
    assert read_picture({"type": "base64", "value": f"{text[:8]}\n {text[8:]}"}).value == data
    assert read_picture({"type": "file", "value": "a.png"}).value == "a.png"
    assert read_picture({"type": "bytes", "value": data}).value is data
    pil = PIL.Image.new("RGB", (4, 3))
    assert read_picture({"type": "pil", "value": pil}).value is pil


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "the image is missing: a step before this one gave none"),
        (42, "an image of type 'int' cannot be read: pass encoded bytes"),
        (
            {"type": "url", "value": "https://a.b/c.jpg?signature=s3cret"},
            (
                "the image is the address 'https://a.b/c.jpg', and this step fetches nothing: pass "
                "the picture itself, as type 'numpy_object' or 'base64'"
            ),
        ),
        ("https://a.b/c.jpg", "the image is the address 'https://a.b/c.jpg', and this step"),
        ({"type": "file", "value": "http://a.b"}, "the image is the address 'http://a.b'"),
        ({"type": "base64"}, "the image is a mapping without 'value': pass its 'type' and its"),
        (
            {"type": "numpy", "value": b"x"},
            (
                "an image of type 'numpy' is not read here: pass one of 'numpy_object', 'base64', "
                "'file', 'bytes', 'pil'"
            ),
        ),
        ({"value": b"x"}, "an image of type missing is not read here"),
        (
            {"type": "numpy_object", "value": [1]},
            "the value of an image of type 'numpy_object' is of type 'list': pass a uint8 array",
        ),
        (
            {"type": "file", "value": 3},
            "the value of an image of type 'file' is of type 'int': pass a path",
        ),
        (
            {"type": "bytes", "value": "x"},
            "the value of an image of type 'bytes' is of type 'str': pass encoded bytes",
        ),
        (
            {"type": "base64", "value": 3},
            "the value of an image of type 'base64' is of type 'int': pass text",
        ),
        ({"type": "base64", "value": "ab!="}, "the image of type 'base64' holds no base64: "),
        ({"type": "base64", "value": "é"}, "the image of type 'base64' holds no base64: "),
        (
            {"type": "base64", "value": "a" * 70 + "é"},
            "the image of type 'base64' holds no base64: letters beyond ASCII",
        ),
        (
            {"type": "numpy_object", "value": array(), "origin_coordinates": 3},
            "'origin_coordinates' of the image is 3: it has to be a mapping",
        ),
        (
            {"type": "numpy_object", "value": array(), "origin_coordinates": {"left_top_x": 1}},
            "'origin_coordinates' of the image gives missing for 'left_top_y': it has to be a",
        ),
        (
            {"type": "numpy_object", "value": array(), "origin_coordinates": {"center_x": "4"}},
            "gives '4' for 'center_x': it has to be a number of pixels",
        ),
        (
            {
                "type": "numpy_object",
                "value": array(),
                "origin_coordinates": {"center_x": float("inf")},
            },
            "gives inf for 'center_x': it has to be a number of pixels",
        ),
        (
            {
                "type": "numpy_object",
                "value": array(),
                "origin_coordinates": {"center_x": ["long"] * 40},
            },
            "gives ['long', ",
        ),
    ],
)
def test_what_is_no_image_is_refused_by_name(given, message):
    with pytest.raises(ImageError) as caught:
        read_picture(given)

    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("parent_id", "origin", "expected"),
    [
        (  # first generation, around a detection
            "d1",
            {"center_x": 100.0, "center_y": 50.0, "width": 100.0, "height": 50.0},
            Crop(frame_id="d1", detection_id="d1", left=50, top=25, width=100, height=50),
        ),
        (  # second generation, around a detection
            "d1",
            {"left_top_x": 50, "left_top_y": 25, "width": 100.0, "height": 50.0},
            Crop(frame_id="d1", detection_id="d1", left=50, top=25, width=100, height=50),
        ),
        (  # first generation, static: the centre alone
            "$steps.crop",
            {"center_x": 80, "center_y": 40},
            Crop(frame_id="$steps.crop", detection_id=None, left=30, top=15, width=100, height=50),
        ),
        (  # second generation, static
            "image",
            {"left_top_x": 40, "left_top_y": 20},
            Crop(frame_id="image", detection_id=None, left=40, top=20, width=100, height=50),
        ),
        (  # halves go to the even number, as the crop was cut
            None,
            {"center_x": 2.0, "center_y": 3.0, "width": 3.0, "height": 3.0},
            Crop(frame_id="", detection_id=None, left=0, top=2, width=100, height=50),
        ),
    ],
)
def test_a_crop_knows_where_it_was_cut_out(parent_id, origin, expected):
    given = {
        "type": "numpy_object",
        "value": array(),
        "parent_id": parent_id,
        "origin_coordinates": {**origin, "origin_image_size": {"width": 200, "height": 100}},
    }

    picture = read_picture(given)

    assert picture.parent == expected
    assert picture.attributes == {"origin_image_size": "200x100"}


def test_an_input_image_has_no_parent_although_it_names_one():
    given = {"type": "numpy_object", "value": array(), "parent_id": "$inputs.image"}

    assert read_picture(given).parent is None


@pytest.mark.parametrize(
    ("given", "kind", "document", "expected"),
    [
        ("cat", None, {"top": "cat"}, "classification"),
        ("", "classification", {"top": ""}, "classification"),
        ([BOX], None, {"predictions": [BOX]}, "object-detection"),
        ([], None, {"predictions": []}, "object-detection"),
        ([], "instance-segmentation", {"predictions": []}, "instance-segmentation"),
        ((), None, {"predictions": ()}, "object-detection"),
        ({"predictions": [BOX]}, None, None, "object-detection"),
        ({"predictions": [{**BOX, "points": []}]}, None, None, "instance-segmentation"),
        ({"predictions": [{**BOX, "keypoints": []}]}, None, None, "keypoint-detection"),
        ({"predictions": [BOX]}, "keypoints-detection", None, "keypoints-detection"),
        ({"predictions": []}, None, None, "object-detection"),
        ({"predictions": None}, None, None, "object-detection"),
        (
            {"predictions": [BOX], "prediction_type": "keypoint-detection"},
            None,
            None,
            "keypoint-detection",
        ),
        (
            {"predictions": [BOX], "prediction_type": "keypoint-detection"},
            "object-detection",
            None,
            "object-detection",
        ),
        ({"top": "cat", "confidence": 0.5, "predictions": []}, None, None, "classification"),
        (
            {"predictions": {"cat": {"confidence": 0.9}}, "predicted_classes": ["cat"]},
            None,
            None,
            "classification",
        ),
        ({"is_stub": True, "task_type": "x"}, None, None, None),
        ({"predictions": [], "is_stub": True}, "ocr", None, "ocr"),
        (None, None, None, None),
        (None, "object-detection", None, "object-detection"),
    ],
)
def test_a_prediction_is_read_by_its_shape(given, kind, document, expected):
    read = read_prediction(given, kind)

    assert (read.document, read.prediction_type) == (document or given, expected)


def test_the_entries_are_the_very_same_objects():
    entries = [BOX]

    read = read_prediction(entries)

    assert read.document["predictions"] is entries


def test_the_entries_of_a_classification_tell_its_top_class_and_confidence():
    entries = [{"class": "cat", "confidence": 0.2}, {"class": "dog", "confidence": 0.8}]

    for kind in (None, "classification"):
        read = read_prediction(entries, kind)

        assert read.prediction_type == "classification"
        assert read.document == {"predictions": entries, "top": "dog", "confidence": 0.8}


def test_entries_without_class_and_box_go_to_the_adapter_which_names_them():
    read = read_prediction([{"class": "cat"}, {"x": 1}])

    assert read.document == {"predictions": [{"class": "cat"}, {"x": 1}]}


@pytest.mark.parametrize(
    "given",
    [
        Unlabelled(image_size=(3, 2), prediction_type="ocr"),
        Classification(
            class_name=(), confidence=np.empty(0), image_size=(3, 2), prediction_type="ocr"
        ),
        Detections(
            xyxy=np.empty((0, 4)),
            confidence=np.empty(0),
            class_name=(),
            image_size=(3, 2),
            prediction_type="ocr",
        ),
    ],
)
def test_the_frameworks_own_predictions_pass_through(given):
    assert read_prediction(given).document is given
    assert read_prediction(given).prediction_type == "ocr"
    assert read_prediction(given, "object-detection").prediction_type == "object-detection"
    assert stated_size(given) == (3, 2)


class Response:
    def __init__(self, values):
        self.values = values

    def model_dump(self, **_):
        return self.values


def test_a_response_object_is_dumped():
    read = read_prediction(Response({"predictions": [BOX]}))

    assert read.document == {"predictions": [BOX]}


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (3, None, "a prediction of type 'int' cannot be read: pass the model's document"),
        (Response([]), None, "a prediction of type 'Response' cannot be read"),
        (BOX, None, "the prediction is a single entry: pass the list of all entries of its image"),
        ({"time": 1, 2: 3}, None, "the prediction is a mapping that holds 'time', '2': a document"),
        ({}, None, "the prediction is a mapping that holds nothing: a document has"),
        ([BOX, 3], None, "predictions[1] is of type 'int': it has to be a mapping"),
        (
            "cat",
            "object-detection",
            (
                "the prediction is the name of a class, 'cat', and its type is 'object-detection': "
                "pass detections, or 'classification' as 'prediction_type'"
            ),
        ),
        (
            [],
            "classification",
            "the entries hold no classes: of a classification pass its whole document",
        ),
        ([BOX], "classification", "the entries hold no classes"),
        (
            [{"class": "cat", "confidence": "much"}],
            None,
            "the class 'cat' has the confidence 'much': it has to be a number",
        ),
        (
            [BOX],
            "object detection",
            (
                "'prediction_type' is 'object detection', which is unknown: choose one of "
                "'object-detection', 'instance-segmentation', 'keypoint-detection'"
            ),
        ),
        ([BOX], ["long"] * 30, "'prediction_type' is ['long', 'long', 'long', "),
        (
            {"predictions": [], "prediction_type": "x"},
            None,
            "the document's 'prediction_type' is 'x', which is unknown",
        ),
    ],
)
def test_what_is_no_prediction_is_refused_by_name(given, kind, message):
    with pytest.raises(PredictionError) as caught:
        read_prediction(given, kind)

    assert message in str(caught.value)


@pytest.mark.parametrize("kind", PREDICTION_TYPES)
def test_every_type_of_roboflow_is_known(kind):
    assert read_prediction({"predictions": []}, kind).prediction_type == kind


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (None, None),
        ({"predictions": []}, None),
        ({"image": 3}, None),
        ({"image": {"width": None, "height": None}}, None),
        ({"image": {"width": 100, "height": 50}}, (100, 50)),
        ({"image": {"width": 100.0, "height": 50.0}}, (100, 50)),
        ({"image": {"width": 100.5, "height": 50}}, None),
        ({"image": {"width": float("nan"), "height": 50}}, None),
    ],
)
def test_the_size_that_a_document_states(document, expected):
    assert stated_size(document) == expected


def test_a_prediction_about_another_image_is_refused():
    raw = RawElement(
        image=array(100, 50),
        prediction={"image": {"width": 200, "height": 100}, "predictions": []},
    )

    with pytest.raises(PredictionError) as caught:
        read_element(raw)

    assert str(caught.value) == (
        "the prediction is about an image of 200x100 pixels and the image has 100x50: 'image' and "
        "'predictions' have to come from the same step"
    )


def test_a_file_is_read_once_when_its_size_is_asked_for(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(100, 50))
    document = {"image": {"width": 100, "height": 50}, "predictions": []}

    element = read_element(RawElement(image=path, prediction=document))

    assert element.image == png(100, 50)
    assert element.prediction is document
    assert read_element(RawElement(image=path, prediction={"is_stub": True})).image is path
    assert read_element(RawElement(image=path)).image is path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([BOX], {"predictions": [BOX]}),
        ("cat", {"top": "cat"}),
        ({"predictions": [], "image": None}, {"predictions": []}),
        ({"predictions": [], "image": {"width": None, "height": None}}, {"predictions": []}),
    ],
)
def test_a_document_without_the_images_size_is_given_it(given, expected):
    before = repr(given)

    element = read_element(RawElement(image=array(100, 50), prediction=given))

    assert element.prediction == {**expected, "image": {"width": 100, "height": 50}}
    assert repr(given) == before


def test_an_element_carries_everything():
    pixels = array()
    raw = RawElement(
        image={
            "type": "numpy_object",
            "value": pixels,
            "parent_id": "image",
            "origin_coordinates": {"left_top_x": 4, "left_top_y": 2},
        },
        prediction=[BOX],
        prediction_type="object-detection",
    )

    element = read_element(raw)

    assert element.image is pixels
    assert element.prediction["predictions"] == [BOX]
    assert element.prediction_type == "object-detection"
    assert element.parent.left == 4
    assert element.attributes == {}


def test_one_image_is_one_element_even_with_a_list_of_entries():
    [element] = paired("a.png", [BOX, BOX], None)

    assert element.prediction == [BOX, BOX]
    assert paired("a.png", [BOX], ["ocr"])[0].prediction_type == "ocr"


def test_a_batch_pairs_by_position():
    elements = paired(["a", "b"], ([BOX], []), "object-detection")

    assert [(e.image, e.prediction, e.prediction_type) for e in elements] == [
        ("a", [BOX], "object-detection"),
        ("b", [], "object-detection"),
    ]
    assert [e.prediction_type for e in paired(["a", "b"], None, ["ocr", None])] == ["ocr", None]
    assert paired([], [], None) == []


@pytest.mark.parametrize(
    ("images", "predictions", "kind", "good", "message"),
    [
        (["a", "b"], [[]], None, 1, "there are 2 images, 1 predictions: this position"),
        (["a"], [[], [], []], None, 1, "there are 1 images, 3 predictions: this position"),
        (
            ["a", "b"],
            [[], []],
            ["ocr"],
            1,
            (
                "there are 2 images, 2 predictions and 1 prediction types: this position is not "
                "filled by all of them; pass as many of each"
            ),
        ),
    ],
)
def test_positions_that_are_not_filled_are_refused_and_the_others_kept(
    images, predictions, kind, good, message
):
    elements = paired(images, predictions, kind)

    assert [not e.problem for e in elements] == [i < good for i in range(len(elements))]
    assert len(elements) == max(len(images), len(predictions))
    assert message in elements[-1].problem


def test_one_prediction_for_a_batch_is_refused():
    elements = paired(["a", "b"], "cat", None)

    assert [e.problem for e in elements] == [
        (
            "'predictions' is one value of type 'str' for a batch of 2 images: pass a list with "
            "one for each"
        )
    ] * 2
