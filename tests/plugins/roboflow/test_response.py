"""A document of Roboflow becomes a prediction, by its type or its shape."""

import json
import math
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from pydantic import BaseModel, Field

from al_framework.api import Classification, Detections, Frame, Image, Unlabelled
from al_framework.testing.contracts import AdapterContract
from al_framework_roboflow.response import RoboflowResponse

IMAGE = {"width": 64, "height": 48}
BOX = {"x": 20.3, "y": 10.1, "width": 7.7, "height": 3.3}
ENTRY = {**BOX, "confidence": 0.5, "class": "cup", "class_id": 1, "detection_id": "d-1"}
POINTS = [{"x": 1, "y": 2.5}, {"x": 10, "y": 2.5}, {"x": 10, "y": 20}]
NOSE = {"x": 3.5, "y": 4.5, "confidence": 0.75, "class_id": 0, "class": "nose"}
CLASSIFICATIONS = json.loads(Path(__file__).with_name("classifications.json").read_text())
MULTI_CLASS, MULTI_LABEL = CLASSIFICATIONS["multi-class"], CLASSIFICATIONS["multi-label"]
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
