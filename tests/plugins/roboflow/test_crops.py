import base64

import numpy as np
import pytest

from al_framework.api import (
    Classification,
    Crop,
    Detections,
    Frame,
    Image,
    ImageError,
    Options,
    PredictionError,
    Unlabelled,
)
from al_framework.testing import make_context, sample_jpeg, sample_pixels
from al_framework.testing.contracts import AdapterContract
from al_framework_roboflow.crops import RoboflowCrops
from al_framework_roboflow.response import RoboflowResponse

ORIGIN = {"origin_image_size": {"height": 100, "width": 200}}
PARENT = Frame(
    frame_id="cam/1.jpg",
    image=Image(sample_pixels(200, 100)),
    captured_at=12.5,
    source="cam",
    attributes={"site": "north"},
)


def crop(size, parent_id="d-1", **origin):
    return {
        "type": "numpy_object",
        "value": sample_pixels(*size),
        "parent_id": parent_id,
        "origin_coordinates": {**origin, **ORIGIN},
    }


BY_CENTRE = crop((100, 50), center_x=100.0, center_y=50.0, width=100.0, height=50.0)
BY_CORNER = crop((100, 50), left_top_x=50, left_top_y=25, width=100.0, height=50.0)
STATIC_BY_CENTRE = crop((80, 40), "$steps.crop", center_x=80, center_y=40)
STATIC_BY_CORNER = crop((80, 40), "image", left_top_x=40, left_top_y=20)

ENTRY = {"x": 20, "y": 10, "width": 8, "height": 4, "confidence": 0.5, "class": "cup"}
FOUND = {"image": {"width": 100, "height": 50}, "predictions": [ENTRY]}
TOP = {"top": "cat", "confidence": 0.5}


class TestRoboflowCropsContract(AdapterContract):
    component = RoboflowCrops

    def documents(self):
        return (
            {"crops": [], "parent_id": []},
            {"crops": [BY_CENTRE, BY_CORNER], "parent_id": ["d-1", "d-1"]},
            {"crops": (STATIC_BY_CENTRE,), "predictions": [FOUND]},
        )

    def broken_documents(self):
        return ({"predictions": "abc"}, 3, {"top": 3})

    def foreign_documents(self):
        return (*super().foreign_documents(), FOUND, {"crops": "abc"}, [{"crops": []}])


@pytest.fixture
def adapter(tmp_path):
    return RoboflowCrops(Options(), make_context(tmp_path, name="cutter"))


@pytest.fixture
def parts(adapter):
    def run(document, frame=PARENT):
        return list(adapter.split(document, frame=frame))

    return run


@pytest.mark.parametrize(
    ("given", "detection_id", "place"),
    [
        (BY_CENTRE, "d-1", (50, 25, 100, 50)),
        (BY_CORNER, "d-1", (50, 25, 100, 50)),
        (STATIC_BY_CENTRE, None, (40, 20, 80, 40)),
        (STATIC_BY_CORNER, None, (40, 20, 80, 40)),
        # Half to even, and cut off at the right and lower edge.
        (
            crop((9, 7), center_x=50, center_y=25, width=45.0, height=25.0),
            "d-1",
            (28, 12, 9, 7),
        ),
    ],
)
def test_a_crop_says_where_it_was_cut(parts, given, detection_id, place):
    [(frame, prediction)] = parts({"crops": [given]})

    left, top, width, height = place
    assert frame.parent == Crop(
        frame_id="cam/1.jpg",
        detection_id=detection_id,
        left=left,
        top=top,
        width=width,
        height=height,
    )
    assert frame.image.size == (width, height)
    assert prediction is None


def test_crops_are_named_after_their_frame_and_keep_what_is_known_of_it(parts):
    (first, _), (second, _) = parts({"crops": [BY_CENTRE, STATIC_BY_CORNER]})

    assert [first.frame_id, second.frame_id] == ["cam/1.jpg#crop-0", "cam/1.jpg#crop-1"]
    assert (first.captured_at, first.source) == (12.5, "cam")
    assert dict(first.attributes) == {"site": "north", "origin_image_size": "200x100"}
    assert dict(PARENT.attributes) == {"site": "north"}


def test_a_crop_of_a_crop_belongs_to_the_crop(parts):
    [(middle, _)] = parts({"crops": [BY_CENTRE]})
    [(inner, _)] = parts({"crops": [STATIC_BY_CORNER]}, frame=middle)

    assert inner.frame_id == "cam/1.jpg#crop-0#crop-0"
    assert inner.parent.frame_id == "cam/1.jpg#crop-0"


def test_the_origin_need_not_be_stated(parts):
    given = {**BY_CORNER, "origin_coordinates": {"left_top_x": 1, "left_top_y": 2}}
    [(frame, _)] = parts({"crops": [given]})

    assert "origin_image_size" not in frame.attributes


def test_crops_may_be_encoded(parts):
    encoded = base64.b64encode(sample_jpeg(80, 40)).decode()
    [(frame, _)] = parts({"crops": [{**STATIC_BY_CORNER, "type": "base64", "value": encoded}]})

    assert frame.image.size == (80, 40)
    assert frame.parent.width == 80


def test_every_crop_has_its_own_prediction(adapter, parts):
    given = {"crops": [BY_CENTRE] * 4, "predictions": [FOUND, [ENTRY, ENTRY], TOP, None]}

    read = [
        adapter.adapt(prediction, frame=frame, prediction_type=None)
        for frame, prediction in parts(given)
    ]

    assert [type(one) for one in read] == [Detections, Detections, Classification, Unlabelled]
    assert [len(read[0]), len(read[1])] == [1, 2]
    assert read[0].image_size == read[1].image_size == (100, 50)
    assert read[0].document is FOUND


def test_the_callers_type_holds_for_every_crop(adapter):
    for prediction in (FOUND, [ENTRY], None):
        read = adapter.adapt(prediction, frame=PARENT, prediction_type="keypoint-detection")
        assert read.prediction_type == "keypoint-detection"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (3, r"crops\[1\]: .* 'int' cannot be read"),
        (sample_pixels(4, 4), r"crops\[1\]: origin_coordinates is missing: a crop says where it"),
        (
            {key: BY_CENTRE[key] for key in ("type", "value")},
            r"crops\[1\]: origin_coordinates is missing: a crop says where it was cut out",
        ),
        (
            {**BY_CENTRE, "origin_coordinates": {"left_top_x": 1}},
            r"crops\[1\]: 'origin_coordinates' of the image gives missing for 'left_top_y'",
        ),
        (
            {**BY_CENTRE, "value": b"no picture", "type": "bytes"},
            r"crops\[1\]: the image is not a picture that can be read",
        ),
        (
            {
                **BY_CORNER,
                "origin_coordinates": {
                    "left_top_x": 1,
                    "left_top_y": 2,
                    "origin_image_size": {"height": 100, "width": "200"},
                },
            },
            r"crops\[1\]: origin_image_size is {.*}: it has to give width and height in pixels",
        ),
    ],
)
def test_a_bad_crop_is_refused_alone_and_named(adapter, parts, bad, message):
    (one, first), (other, second), (third, last) = parts({"crops": [BY_CENTRE, bad, BY_CORNER]})

    assert [one.frame_id, other.frame_id, third.frame_id] == [
        f"cam/1.jpg#crop-{index}" for index in range(3)
    ]
    assert first is None
    assert last is None
    with pytest.raises(PredictionError, match=f"^adapter 'cutter': {message}") as caught:
        adapter.adapt(second, frame=other, prediction_type=None)
    assert caught.value.frame_id == "cam/1.jpg#crop-1"
    with pytest.raises(ImageError):
        _ = other.image.size


def test_a_bad_prediction_names_its_crop(adapter, parts):
    [_, (frame, prediction)] = parts({"crops": [BY_CENTRE] * 2, "predictions": [FOUND, {"top": 3}]})

    with pytest.raises(
        PredictionError, match=r"^adapter 'cutter': top is 3: it has to be"
    ) as caught:
        adapter.adapt(prediction, frame=frame, prediction_type=None)
    assert caught.value.frame_id == "cam/1.jpg#crop-1"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"crops": [BY_CENTRE] * 3, "predictions": [FOUND]},
            "there are 3 crops and 1 predictions: pass one prediction per crop",
        ),
        (
            {"crops": [BY_CENTRE], "predictions": FOUND},
            "predictions is {.*: beside crops it has to be a list with one prediction per crop",
        ),
        (FOUND, "an object of type 'dict' is no output of a crop step: pass a mapping with a list"),
        ("text", "an object of type 'str' is no output of a crop step"),
    ],
)
def test_what_no_crop_step_gives_is_refused_whole(parts, given, message):
    with pytest.raises(PredictionError, match=f"^adapter 'cutter': {message}") as caught:
        parts(given)

    assert caught.value.frame_id == "cam/1.jpg"


def test_responses_and_crops_are_never_accepted_by_both(adapter, tmp_path):
    response = RoboflowResponse(Options(), make_context(tmp_path))
    given = {"crops": [BY_CENTRE], "predictions": [FOUND]}

    assert (adapter.accepts(given), response.accepts(given)) == (True, False)
    assert (adapter.accepts(FOUND), response.accepts(FOUND)) == (False, True)


def test_nothing_is_decoded_and_nothing_changed(parts):
    value = np.array(BY_CENTRE["value"])
    [(frame, _)] = parts({"crops": [BY_CENTRE]})

    assert not frame.image.decoded
    assert (value == BY_CENTRE["value"]).all()
