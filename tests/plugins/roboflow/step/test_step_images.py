"""Every form of image that a workflow passes is unpacked, and a crop knows its parent."""

import base64
import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from al_framework.api import Crop, ImageError
from al_framework_roboflow.elements import RawElement, read_element
from al_framework_roboflow.elements.pictures import read_picture


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


def test_a_file_is_read_once_when_its_size_is_asked_for(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(100, 50))
    document = {"image": {"width": 100, "height": 50}, "predictions": []}

    element = read_element(RawElement(image=path, prediction=document))

    assert element.image == png(100, 50)
    assert element.prediction is document
    assert read_element(RawElement(image=path, prediction={"is_stub": True})).image is path
    assert read_element(RawElement(image=path)).image is path
