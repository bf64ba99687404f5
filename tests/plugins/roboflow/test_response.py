import copy
import math
from types import MappingProxyType

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pydantic import BaseModel, Field

from al_framework.api import (
    Classification,
    Detections,
    Frame,
    Image,
    Options,
    PredictionError,
    RleMask,
    Unlabelled,
)
from al_framework.testing import make_context, sample_frame
from al_framework.testing.contracts import AdapterContract
from al_framework_roboflow.response import RoboflowResponse
from al_framework_roboflow.rle import decompress_counts, read_mask

IMAGE = {"width": 64, "height": 48}
BOX = {"x": 20.3, "y": 10.1, "width": 7.7, "height": 3.3}
ENTRY = {**BOX, "confidence": 0.5, "class": "cup", "class_id": 1, "detection_id": "d-1"}
POINTS = [{"x": 1, "y": 2.5}, {"x": 10, "y": 2.5}, {"x": 10, "y": 20}]
NOSE = {"x": 3.5, "y": 4.5, "confidence": 0.75, "class_id": 0, "class": "nose"}
MULTI_CLASS = {
    "image": IMAGE,
    "top": "cat",
    "confidence": 0.6,
    "predictions": [{"class": "cat", "class_id": 0, "confidence": 0.55}],
}
MULTI_LABEL = {
    "image": IMAGE,
    "predictions": {"cat": {"confidence": 0.6, "class_id": 0}, "dog": {"confidence": 0.25}},
    "predicted_classes": ["cat"],
}
STUB = {"is_stub": True, "model_id": "stub/0", "task_type": "object-detection", "time": 0.1}


def document(*entries, **more):
    return {"image": IMAGE, "predictions": list(entries), **more}


class ResponseEntry(BaseModel):
    x: float = 20.3
    y: float = 10.1
    width: float = 7.7
    height: float = 3.3
    confidence: float = 0.5
    class_name: str = Field("cup", alias="class")
    tracker_id: int | None = None


class Response(BaseModel):
    predictions: list[ResponseEntry]
    image: dict[str, int] = IMAGE
    inference_id: str | None = "inference-1"
    visualization: bytes | None = None


class TestRoboflowResponseContract(AdapterContract):
    component = RoboflowResponse

    def documents(self):
        return (
            document(),
            document(ENTRY, ENTRY),
            document({**ENTRY, "points": POINTS}),
            document({**ENTRY, "keypoints": [NOSE]}, ENTRY),
            MULTI_CLASS,
            MULTI_LABEL,
            STUB,
            Response(predictions=[ResponseEntry()]),
        )

    def broken_documents(self):
        return (
            document({**ENTRY, "confidence": math.nan}),
            document({**ENTRY, "x": "3"}),
            document({"class": "cup"}),
            document(ENTRY, "cup"),
            {**MULTI_CLASS, "confidence": "high"},
            {"predictions": "abc"},
        )


@pytest.fixture
def adapt(tmp_path):
    adapter = RoboflowResponse(Options(), make_context(tmp_path, name="server"))

    def adapt(given, prediction_type=None, frame=None):
        return adapter.adapt(given, frame=frame or sample_frame(), prediction_type=prediction_type)

    return adapt


def test_boxes_are_centred_and_every_other_key_is_kept(adapt):
    given = document(
        ENTRY,
        {**ENTRY, "x": 1e-3, "detection_id": "d-2"},
        inference_id="inference-1",
        model_id="project/3",
        time=0.1,
    )

    found = adapt(given)

    assert isinstance(found, Detections)
    expected = [[20.3 - 7.7 / 2, 10.1 - 3.3 / 2, 20.3 + 7.7 / 2, 10.1 + 3.3 / 2]]
    assert expected == found.xyxy[:1].tolist()
    assert found.confidence.tolist() == [0.5, 0.5]
    assert found.class_name == ("cup", "cup")
    assert found.class_id.tolist() == [1, 1]
    assert dict(found.data) == {"detection_id": ("d-1", "d-2")}
    assert found.image_size == (64, 48)
    assert found.prediction_type == "object-detection"
    assert (found.model_id, found.inference_id) == ("project/3", "inference-1")
    assert found.document is given


def test_corners_are_what_python_computes(adapt):
    rng = np.random.default_rng(3)
    rows = rng.uniform(0, 4000, size=(500, 4)).tolist()
    entries = [
        {**ENTRY, **dict(zip(("x", "y", "width", "height"), row, strict=True))} for row in rows
    ]

    found = adapt(document(*entries))

    assert [
        [x - w / 2, y - h / 2, x + w / 2, y + h / 2] for x, y, w, h in rows
    ] == found.xyxy.tolist()


def test_entries_may_differ_in_their_keys(adapt):
    found = adapt(
        document(
            ENTRY, {**BOX, "class": "cat", "confidence": 1, "tracker_id": 7}, {**ENTRY, "z": 1}
        )
    )

    assert found.class_name == ("cup", "cat", "cup")
    assert found.class_id is None
    assert dict(found.data) == {
        "detection_id": ("d-1", None, "d-1"),
        "tracker_id": (None, 7, None),
        "z": (None, None, 1),
    }


def test_entries_may_have_as_many_but_other_keys(adapt):
    found = adapt(
        document(
            {**BOX, "class": "a", "confidence": 1, "p": 2},
            {**BOX, "class": "b", "confidence": 1, "q": 3},
        )
    )

    assert dict(found.data) == {"p": (2, None), "q": (None, 3)}


def test_huge_numbers_are_numbers(adapt):
    found = adapt(document({**ENTRY, "confidence": 1.7e308}, {**ENTRY, "confidence": 1.7e308}))

    assert found.confidence.tolist() == [1.7e308, 1.7e308]


def test_detections_without_boxes_get_one_of_size_zero(adapt):
    alike = adapt(document({"class": "cup", "confidence": 0.5}))
    mixed = adapt(document({"class": "cup", "confidence": 0.5}, ENTRY))

    uneven = adapt(
        document({"class": "a", "confidence": 0.5}, {"class": "b", "confidence": 1, "p": 1})
    )

    assert alike.xyxy.tolist() == [[0, 0, 0, 0]]
    assert uneven.xyxy.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0]]
    assert mixed.xyxy[0].tolist() == [0, 0, 0, 0]
    assert mixed.xyxy[1, 0] > 16


def test_the_picture_is_asked_only_where_the_document_does_not_state_its_size(adapt):
    unreadable = Frame(frame_id="f", image=Image(b"no picture"))

    assert adapt(document(ENTRY), frame=unreadable).image_size == (64, 48)
    assert adapt({"is_stub": True}, frame=unreadable).image_size is None
    assert adapt({"predictions": [ENTRY], "image": {"width": None}}).image_size == (64, 48)
    assert adapt({**document(), "image": {"width": 640.0, "height": 480}}).image_size == (640, 480)


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


def test_multi_class_keeps_the_stated_confidence_beside_the_listed_one(adapt):
    found = adapt(MULTI_CLASS)

    assert isinstance(found, Classification)
    assert (found.top, found.top_confidence, found.predicted) == ("cat", 0.6, None)
    assert (found.class_name, found.confidence.tolist()) == (("cat",), [0.55])
    assert found.prediction_type == "classification"


def test_multi_class_need_not_list_its_classes(adapt):
    found = adapt({"top": "cat", "confidence": 1})

    assert (found.class_name, found.confidence.tolist()) == (("cat",), [1.0])


@pytest.mark.parametrize("more", [{}, {"confidence": None}, {"predictions": None}])
def test_a_top_class_need_not_have_a_confidence(adapt, more):
    found = adapt({"top": "cat", **more}, "classification")

    assert (found.top, found.top_confidence, found.class_name) == ("cat", None, ())
    assert adapt({"top": "", "predictions": [], "confidence": 0.0}).top_confidence == 0.0


def test_multi_label_is_read(adapt):
    found = adapt(MULTI_LABEL, "classification")

    assert (found.predicted, found.top, found.top_confidence) == (("cat",), None, None)
    assert (found.class_name, found.confidence.tolist()) == (("cat", "dog"), [0.6, 0.25])


@pytest.mark.parametrize(
    ("given", "prediction_type"),
    [
        (STUB, None),
        (STUB, "object-detection"),
        ({}, None),
        ({"predictions": None, "result": "text"}, None),
        ({"predictions": {}}, None),
        ({"predictions": [{"masks": [[[1, 2]]], "confidence": 0.5}]}, None),
        ({"predictions": [{"yaw": 0.5}]}, None),
        ({"predictions": {"segmentation_mask": "…"}}, "semantic-segmentation"),
        ({"predictions": ["text"]}, "ocr"),
        ({"predictions": "text"}, "llm"),
        ({"top": 3}, "llm"),
        (document(ENTRY, "cup"), "llm"),
        ({"response": {}}, None),
    ],
)
def test_what_is_no_task_of_ours_is_unlabelled(adapt, given, prediction_type):
    found = adapt(given, prediction_type)

    assert isinstance(found, Unlabelled)
    assert (prediction_type or "") == found.prediction_type
    assert found.document is given


@pytest.mark.parametrize(
    ("given", "kind"),
    [(document(ENTRY), Detections), (MULTI_CLASS, Classification), (MULTI_LABEL, Classification)],
)
@pytest.mark.parametrize("prediction_type", ["", "Object-Detection", "qrcode-detection"])
def test_a_type_of_another_name_is_read_by_shape_and_keeps_its_name(
    adapt, given, kind, prediction_type
):
    found = adapt(given, prediction_type)

    assert isinstance(found, kind)
    assert prediction_type == found.prediction_type


def test_the_callers_type_decides_what_a_document_is(adapt):
    assert isinstance(adapt(document(ENTRY, top="cup"), "object-detection"), Detections)
    assert isinstance(adapt(MULTI_CLASS, "my-task"), Classification)
    assert isinstance(adapt(document(ENTRY), "my-task"), Detections)


def test_a_response_object_is_dumped_with_its_aliases(adapt):
    found = adapt(Response(predictions=[ResponseEntry()]))

    assert found.class_name == ("cup",)
    assert found.inference_id == "inference-1"
    assert "visualization" not in found.document
    assert "class" in found.document["predictions"][0]


def test_any_mapping_will_do(adapt):
    entry = MappingProxyType(ENTRY)

    found = adapt(MappingProxyType({"image": IMAGE, "predictions": (entry, entry)}))

    assert len(found) == 2


def test_numpy_numbers_are_numbers(adapt):
    entry = {**ENTRY, "confidence": np.float32(0.1), "class_id": np.int64(2)}

    found = adapt(document(entry))

    assert [float(np.float32(0.1))] == found.confidence.tolist()
    assert found.class_id.tolist() == [2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (7, "an object of type 'int' is no Roboflow response: pass one response as a mapping"),
        ([], "a list of 0 responses is about as many images: pass one response for one frame"),
        ([document()] * 2, "a list of 2 responses is about as many images"),
        ([7], "an object of type 'int' is no Roboflow response"),
        ({"predictions": 3}, "predictions is 3: it has to be a list of detections, or a mapping"),
        ({"predictions": "abc"}, "predictions is 'abc': it has to be a list of detections, or a"),
        ({"predictions": ["cup"]}, r"predictions\[0\] is 'cup': it has to be a mapping"),
        (document(ENTRY, "cup"), r"predictions\[1\] is 'cup': it has to be a mapping"),
        (document({"x": 1}), r"predictions\[0\].class is missing: add it"),
        (document({**BOX, "class": "cup"}), r"predictions\[0\].confidence is missing: add it"),
        (
            document(ENTRY, {**ENTRY, "confidence": "0.5"}),
            r"predictions\[1\].confidence is '0.5': it has to be finite",
        ),
        (document({**ENTRY, "y": math.nan}), r"predictions\[0\].y is nan: it has to be finite"),
        (document({**ENTRY, "x": math.inf}), r"predictions\[0\].x is inf: it has to be finite"),
        (document({**ENTRY, "x": 10**400}), r"predictions\[0\].x is 1000\d+\.\.\.: it has to be"),
        (
            document({"class": "cup", "confidence": None}),
            r"predictions\[0\].confidence is missing: it has to be finite",
        ),
        (
            document({**ENTRY, "class": None}),
            r"predictions\[0\].class is missing: it has to be the name of a class",
        ),
        (
            document({**ENTRY, "class_id": "1"}),
            r"predictions\[0\].class_id is '1': it has to be a whole number",
        ),
        (
            document({**ENTRY, "class_id": 2**70}),
            r"predictions\[0\].class_id is \d+: it has to be a whole number",
        ),
        (
            document({"class": "cup", "confidence": 0.5, "x": 1, "width": 2}),
            r"predictions\[0\].y is missing: a box needs x, y, width and height",
        ),
        (
            document(ENTRY, {"class": "cup", "confidence": 0.5, "x": 1}),
            r"predictions\[1\].y is missing: a box needs x, y, width and height",
        ),
        (
            document({**ENTRY, "points": 3}),
            r"predictions\[0\].points is 3: it has to be a list of points",
        ),
        (
            document({**ENTRY, "points": [{"x": 1}]}),
            r"predictions\[0\].points\[0\].y is missing: it has to be finite",
        ),
        (
            document({**ENTRY, "keypoints": [{**NOSE, "confidence": "a"}]}),
            r"predictions\[0\].keypoints\[0\].confidence is 'a': it has to be finite",
        ),
        (
            document({**ENTRY, "rle": {"size": [2, 2], "counts": [1, 2]}}),
            r"predictions\[0\].rle: the runs of a mask add up to 3, not to 2x2",
        ),
        (
            document({**ENTRY, "rle": {"size": [2, 2], "counts": [None]}}),
            r"predictions\[0\].rle: int\(\)",
        ),
        ({**document(), "image": {"width": "64", "height": 48}}, "image.width is '64'"),
        (
            {**document(), "image": {"width": 64, "height": 0}},
            "image.height is 0.0: it has to be a number of pixels",
        ),
        (
            {"top": ["cat"], "confidence": 0.5},
            r"top is \['cat'\]: it has to be the name of a class",
        ),
        ({"top": "cat", "confidence": "1"}, "confidence is '1': it has to be finite"),
        ({"top": "cat", "confidence": math.nan}, "confidence is nan: it has to be finite"),
        ({**MULTI_CLASS, "predictions": {}}, "predictions is {}: it has to be a list"),
        (
            {**MULTI_CLASS, "predictions": [{"class": 3}]},
            r"predictions\[0\].class is 3: it has to be the name of a class",
        ),
        (
            {**MULTI_CLASS, "predictions": [{"class": "cat"}]},
            r"predictions\[0\].confidence is missing: it has to be finite",
        ),
        (
            {"predictions": [], "predicted_classes": []},
            r"predictions is \[\]: beside predicted_classes it has to map classes",
        ),
        (
            {**MULTI_LABEL, "predicted_classes": "cat"},
            "predicted_classes is 'cat': it has to be a list of names",
        ),
        (
            {**MULTI_LABEL, "predictions": {"cat": {}}},
            r"predictions\['cat'\].confidence is missing: it has to be finite",
        ),
        (
            {**MULTI_LABEL, "predictions": {"cat": 0.5}},
            r"predictions\['cat'\].confidence is missing: it has to be finite",
        ),
    ],
)
def test_a_bad_document_names_the_place(adapt, given, message):
    before = copy.deepcopy(given)

    with pytest.raises(PredictionError, match=f"^adapter 'server': {message}") as caught:
        adapt(given)

    assert caught.value.frame_id == "frame-1"
    assert repr(before) == repr(given)


@pytest.mark.parametrize(
    "prediction_type",
    ["object-detection", "instance-segmentation", "keypoint-detection", "keypoints-detection"],
)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "predictions is missing: it has to be a list"),
        ({"predictions": None}, "predictions is missing: it has to be a list"),
        ({"predictions": "abc"}, "predictions is 'abc': it has to be a list"),
        ({"predictions": {}}, "predictions is {}: it has to be a list"),
        (document({}), r"predictions\[0\].class is missing: add it"),
        (MULTI_LABEL, "predictions is {'cat': .*: it has to be a list"),
    ],
)
def test_a_detection_document_states_detections(adapt, given, prediction_type, message):
    with pytest.raises(PredictionError, match=f"^adapter 'server': {message}"):
        adapt(given, prediction_type)


@pytest.mark.parametrize(
    "given", [{}, {"predictions": "abc"}, {"predictions": []}, {"predictions": {}}, document(ENTRY)]
)
def test_a_classification_states_its_class(adapt, given):
    message = (
        "^adapter 'server': top is missing: a classification states its top class, or "
        "predicted_classes where an image can have several$"
    )

    with pytest.raises(PredictionError, match=message):
        adapt(given, "classification")
