"""The sink sends a picture and its annotation, each once."""

import dataclasses
import json
import logging

import numpy as np
import pytest

from al_framework.api import (
    Detections,
    PermanentSinkError,
    Receipt,
    SinkPausedError,
    Target,
    TransientSinkError,
    Unlabelled,
)
from al_framework.testing import FakeCheckpoint, sample_datapoint, sample_predictions
from al_framework.testing.contracts import SinkContract
from al_framework_roboflow.annotation import AnnotationError
from al_framework_roboflow.sink import RoboflowSink

KEY = "rf-0123456789-secret"
STORED = {"success": True, "id": "img-1"}


class TestContract(SinkContract):
    component = RoboflowSink

    @pytest.fixture(autouse=True)
    def _roboflow(self, server, roboflow):
        type(self).options = {"api_key": KEY, "project": "ds", "api_url": server.url}
        self.roboflow, self.server = roboflow, server

    def stored(self, sink, directory):
        sink.close()
        return len(self.roboflow.images)

    def faults(self, sink, directory):
        statuses = {TransientSinkError: 503, PermanentSinkError: 400, SinkPausedError: 401}
        return {
            error: lambda status=status: self.server.say({"message": KEY}, status=status)
            for error, status in statuses.items()
        }


def test_a_picture_and_its_annotation_are_sent(server, sink):
    server.say(STORED)
    server.say({"success": True})
    datapoint = sample_datapoint(inference_id="inf-1", tags=("b", "a", "b"))
    checkpoint = FakeCheckpoint()

    receipt = sink.deliver(datapoint, checkpoint)

    assert Receipt(status="created", remote_id="img-1") == receipt
    first, second = server.requests
    assert first.target == (
        f"/dataset/ds/upload?api_key={KEY}&batch=al_batch_2026_01_31&inference_id=inf-1"
        "&tag=b&tag=a&tag=b"
    )
    assert [content for _, content in first.parts] == [b"item-000000.jpg", datapoint.image]
    assert second.target == (
        f"/dataset/ds/annotate/img-1?api_key={KEY}&name=item-000000.json&prediction=true"
    )
    assert json.loads(second.body)["image"] == {"width": 64, "height": 48}
    assert checkpoint.state == {
        "image_id": "img-1",
        "status": "created",
        "uploaded_at": "1700000000.0",
    }


@pytest.mark.parametrize(
    "prediction",
    [None, Unlabelled(), Unlabelled(document={"is_stub": True, "predictions": [{}], "top": "a"})],
)
def test_no_annotation_is_sent_where_there_is_none(server, sink, prediction):
    server.say(STORED)

    receipt = sink.deliver(sample_datapoint(prediction=prediction), FakeCheckpoint())

    assert Receipt(status="created", remote_id="img-1") == receipt
    assert server.calls == "F"


def test_classes_are_sent_as_text(server, sink):
    server.say(STORED)
    server.say({"success": True})

    sink.deliver(
        sample_datapoint(prediction=sample_predictions()["several classes"]), FakeCheckpoint()
    )

    assert dict(server.requests[1].query)["name"] == "item-000000.txt"
    assert server.requests[1].body == b"cat,dog"


def test_a_document_may_name_another_project(server, sink):
    server.say(STORED)
    server.say({"success": True})
    target = Target(workspace="ws2", project="ds2")

    sink.deliver(sample_datapoint(target=target), FakeCheckpoint())

    paths = [request.path for request in server.requests]
    assert paths == ["/dataset/ds2/upload", "/dataset/ds2/annotate/img-1"]


@pytest.mark.parametrize(
    "reply", [{"duplicate": True, "id": "old"}, {"success": True, "duplicate": True, "id": "old"}]
)
def test_a_duplicate_is_annotated_under_its_own_id(server, sink, reply):
    server.say(reply)
    server.say({"success": True})

    receipt = sink.deliver(sample_datapoint(), FakeCheckpoint())

    assert Receipt(status="duplicate", remote_id="old") == receipt
    assert server.requests[1].path == "/dataset/ds/annotate/old"


def test_a_duplicate_without_an_id_goes_without_annotation(server, sink, caplog):
    server.say({"duplicate": True})

    receipt = sink.deliver(sample_datapoint(), FakeCheckpoint())

    assert Receipt(status="duplicate") == receipt
    assert caplog.messages == [
        (
            "sink 'rf': datapoint 'item-000000': the server holds the picture without naming its "
            "id: its annotation is not sent"
        )
    ]


def test_an_annotation_that_is_there_already_is_a_success(server, sink):
    server.say(STORED)
    server.say({"error": "already annotated"}, status=409)

    receipt = sink.deliver(sample_datapoint(), FakeCheckpoint())

    assert Receipt(status="created", remote_id="img-1") == receipt


def test_only_the_annotation_is_sent_again(server, sink):
    server.say(STORED)
    server.say({"error": "e"}, status=503)
    server.say({"success": True})
    checkpoint = FakeCheckpoint()
    with pytest.raises(TransientSinkError):
        sink.deliver(sample_datapoint(), checkpoint)

    receipt = sink.deliver(sample_datapoint(), checkpoint)

    assert Receipt(status="created", remote_id="img-1") == receipt
    assert server.calls == "FGG"
    assert server.requests[1].body == server.requests[2].body


def test_a_duplicate_stays_one_when_its_annotation_is_sent_again(server, sink):
    server.say({"duplicate": True, "id": "old"})
    server.say(drop=True)
    server.say({"success": True})
    checkpoint = FakeCheckpoint()
    with pytest.raises(TransientSinkError):
        sink.deliver(sample_datapoint(), checkpoint)

    assert sink.deliver(sample_datapoint(), checkpoint).status == "duplicate"


def test_the_name_is_the_same_at_every_attempt(server, sink):
    for status in (503, 200):
        server.say(STORED, status=status)
    with pytest.raises(TransientSinkError):
        sink.deliver(sample_datapoint(prediction=None), FakeCheckpoint())
    sink.deliver(sample_datapoint(prediction=None), FakeCheckpoint())

    names = {request.parts[0][1] for request in server.requests}
    assert names == {b"item-000000.jpg"}


def test_what_json_cannot_express_is_found_before_the_upload(server, sink):
    detections = dataclasses.replace(
        sample_predictions()["one detection"], document=None, data={"odd": (object(),)}
    )

    message = (
        "^sink 'rf': datapoint 'item-000000': the prediction cannot be written as JSON: "
        "a value of type 'object'$"
    )
    with pytest.raises(PermanentSinkError, match=message) as caught:
        sink.deliver(sample_datapoint(prediction=detections), FakeCheckpoint())

    assert isinstance(caught.value.__cause__, AnnotationError)
    assert server.requests == []


def test_a_type_without_a_form_goes_without_annotation_and_is_said_once(server, sink, caplog):
    server.always(STORED)
    detections = Detections(
        xyxy=np.zeros((1, 4)),
        confidence=np.ones(1),
        class_name=("a",),
        image_size=(64, 48),
        prediction_type="multi-label-classification",
    )

    for number in range(2):
        sink.deliver(sample_datapoint(number, prediction=detections), FakeCheckpoint())

    assert server.calls == "FF"
    assert caplog.messages == [
        (
            "sink 'rf': a prediction of type 'multi-label-classification' names neither top nor "
            "predicted_classes, so such pictures go without annotation"
        )
    ]


def test_nothing_shows_the_key(sink):
    assert KEY not in f"{sink.options!r} {sink.options} {sink.options.model_dump()} {vars(sink)!r}"


def test_nothing_is_logged_for_a_delivery(server, sink, caplog):
    server.say(STORED)
    server.say({"success": True})

    with caplog.at_level(logging.INFO):
        sink.deliver(sample_datapoint(), FakeCheckpoint())

    assert caplog.messages == []
