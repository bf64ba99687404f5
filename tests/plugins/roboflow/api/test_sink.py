import dataclasses
import json
import logging

import numpy as np
import pydantic
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
from al_framework.testing import (
    FakeCheckpoint,
    FakeClock,
    make_context,
    sample_datapoint,
    sample_predictions,
)
from al_framework.testing.contracts import SinkContract
from al_framework_roboflow.annotation import AnnotationError
from al_framework_roboflow.batches import UncountableBatchError
from al_framework_roboflow.client import RoboflowApiError
from al_framework_roboflow.sink import RoboflowSink

KEY = "rf-0123456789-secret"
STORED = {"success": True, "id": "img-1"}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def make(server, tmp_path, clock):
    made = []

    def build(**options):
        values = {"api_key": KEY, "project": "ds", "api_url": server.url, **options}
        context = make_context(tmp_path, name="rf", clock=clock)
        made.append(RoboflowSink(RoboflowSink.Options(**values), context))
        return made[-1]

    yield build
    for sink in made:
        sink.close()


@pytest.fixture
def sink(make):
    return make()


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


STATUSES = [
    (301, SinkPausedError),
    (400, PermanentSinkError),
    (401, SinkPausedError),
    (402, SinkPausedError),
    (403, SinkPausedError),
    (404, SinkPausedError),
    (407, SinkPausedError),
    (408, TransientSinkError),
    (410, PermanentSinkError),
    (413, PermanentSinkError),
    (415, PermanentSinkError),
    (422, PermanentSinkError),
    (423, SinkPausedError),
    (425, TransientSinkError),
    (429, TransientSinkError),
    (500, TransientSinkError),
    (501, PermanentSinkError),
    (502, TransientSinkError),
    (503, TransientSinkError),
    (504, TransientSinkError),
    (505, PermanentSinkError),
    (520, TransientSinkError),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_a_status_of_the_upload_decides_what_follows(server, sink, status, kind):
    server.say({"error": "e"}, status=status)

    message = rf"^sink 'rf': datapoint 'item-000000': POST .*/dataset/ds/upload: .* {status}"
    with pytest.raises(kind, match=message) as caught:
        sink.deliver(sample_datapoint(), FakeCheckpoint())

    assert type(caught.value) is kind
    assert KEY not in str(caught.value)
    assert server.calls == "F"


@pytest.mark.parametrize(("status", "kind"), [case for case in STATUSES if case[0] != 404])
def test_a_status_of_the_annotation_decides_what_follows(server, sink, status, kind):
    server.say(STORED)
    server.say({"error": "e"}, status=status)
    checkpoint = FakeCheckpoint()

    with pytest.raises(kind, match=rf"annotate/img-1: .* {status}") as caught:
        sink.deliver(sample_datapoint(), checkpoint)

    assert type(caught.value) is kind
    assert checkpoint.state["image_id"] == "img-1"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "30"}, 30.0),
        (
            {
                "Date": "Sun, 22 Nov 2026 10:00:00 GMT",
                "Retry-After": "Sun, 22 Nov 2026 10:00:45 GMT",
            },
            45.0,
        ),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_passed_on(server, sink, status, headers, expected):
    server.say({}, status=status, headers=headers)

    with pytest.raises(TransientSinkError) as caught:
        sink.deliver(sample_datapoint(), FakeCheckpoint())

    assert expected == caught.value.retry_after_s


def test_a_dropped_connection_is_transient(server, sink):
    server.say(drop=True)

    with pytest.raises(TransientSinkError, match="the connection failed"):
        sink.deliver(sample_datapoint(), FakeCheckpoint())


def test_silence_is_transient(server, make):
    server.say(hang=True)

    with pytest.raises(TransientSinkError, match=r"no answer within 0\.05 s"):
        make(timeout_s=0.05).deliver(sample_datapoint(), FakeCheckpoint())


ODD = [
    ({"document": {"success": False}}, "the picture was not taken"),
    ({"document": {}}, "the picture was not taken"),
    ({"text": "<html>busy</html>"}, "no JSON object but '<html>busy</html>'"),
]


@pytest.mark.parametrize(("reply", "message"), ODD)
def test_an_odd_answer_to_the_upload_is_tried_three_times(server, sink, reply, message):
    checkpoint = FakeCheckpoint()
    kinds = []
    for _ in range(3):
        server.say(**reply)
        with pytest.raises((TransientSinkError, PermanentSinkError), match=message) as caught:
            sink.deliver(sample_datapoint(), checkpoint)
        kinds.append(type(caught.value))

    assert kinds == [TransientSinkError, TransientSinkError, PermanentSinkError]
    assert str(caught.value).endswith("(after 3 such answers)")
    assert server.calls == "FFF"


@pytest.mark.parametrize(
    "reply",
    [
        {"document": {"success": False}},
        {"document": {}},
        {"document": {"success": True, "error": "bad"}},
        {"text": "<html>busy</html>"},
    ],
)
def test_an_odd_answer_to_the_annotation_is_tried_three_times(server, sink, reply):
    checkpoint = FakeCheckpoint()
    server.say(STORED)
    kinds = []
    for _ in range(3):
        server.say(**reply)
        with pytest.raises((TransientSinkError, PermanentSinkError)) as caught:
            sink.deliver(sample_datapoint(), checkpoint)
        kinds.append(type(caught.value))

    assert kinds == [TransientSinkError, TransientSinkError, PermanentSinkError]
    assert server.calls == "FGGG"


def test_a_success_without_an_id_is_sent_again_to_learn_it(server, sink):
    server.say({"success": True})
    server.say({"duplicate": True, "id": "img-1"})
    server.say({"success": True})
    checkpoint = FakeCheckpoint()
    message = "the server took the picture without naming its id: the picture is sent again to"
    with pytest.raises(TransientSinkError, match=message):
        sink.deliver(sample_datapoint(), checkpoint)

    receipt = sink.deliver(sample_datapoint(), checkpoint)

    assert Receipt(status="created", remote_id="img-1") == receipt
    assert server.calls == "FFG"


def test_a_picture_whose_id_is_never_told_is_delivered_without_annotation(server, sink, caplog):
    server.always({"success": True})
    checkpoint = FakeCheckpoint()
    for _ in range(2):
        with pytest.raises(TransientSinkError):
            sink.deliver(sample_datapoint(), checkpoint)
    assert caplog.messages == []

    receipt = sink.deliver(sample_datapoint(), checkpoint)

    assert Receipt(status="created") == receipt
    assert "its annotation is not sent" in caplog.text


def test_a_success_without_an_id_is_enough_where_nothing_follows(server, sink):
    server.say({"success": True})

    receipt = sink.deliver(sample_datapoint(prediction=None), FakeCheckpoint())

    assert Receipt(status="created") == receipt


def test_a_picture_that_is_not_there_yet_is_waited_for_and_then_sent_once_more(server, sink, clock):
    checkpoint = FakeCheckpoint()
    server.say(STORED)
    for _ in range(2):
        server.say({}, status=404)
        with pytest.raises(TransientSinkError, match="the picture is not there yet: POST"):
            sink.deliver(sample_datapoint(), checkpoint)
        clock.advance(60)
    server.say({}, status=404)
    with pytest.raises(TransientSinkError, match="the picture is gone, so it is sent again: POST"):
        sink.deliver(sample_datapoint(), checkpoint)
    server.say({"duplicate": True, "id": "img-2"})
    server.say({}, status=404)
    with pytest.raises(TransientSinkError, match="not there yet"):
        sink.deliver(sample_datapoint(), checkpoint)
    clock.advance(121)
    server.say({}, status=404)
    with pytest.raises(PermanentSinkError, match="the picture is gone a second time: POST"):
        sink.deliver(sample_datapoint(), checkpoint)

    assert server.calls == "FGGGFGG"
    assert checkpoint.state["status"] == "created"


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


BATCH = {"name": "b", "id": "b1", "images": 2, "numJobs": 1}


def test_a_batch_is_counted_with_its_jobs(server, sink):
    server.say({"workspace": "ws"})
    server.say({"batches": [BATCH]})
    server.say({"jobs": [{"sourceBatch": "x/b1", "numImages": 3}]})
    server.say({"batches": []})

    assert [sink.batch_size("b", Target()) for _ in range(2)] == [5, 0]
    assert [request.path for request in server.requests] == [
        "/",
        "/ws/ds/batches",
        "/ws/ds/jobs",
        "/ws/ds/batches",
    ]


def test_jobs_are_asked_for_only_where_there_are_some(server, make):
    server.always({"batches": [{**BATCH, "numJobs": 0}]})

    assert make(workspace="w").batch_size("b", Target()) == 2
    assert server.requests[0].path == "/w/ds/batches"
    assert server.calls == "D"


def test_a_batch_of_another_target_is_counted_there(server, make):
    server.always({"batches": []})

    make(workspace="w").batch_size("b", Target(workspace="ws2", project="ds2"))

    assert server.requests[0].path == "/ws2/ds2/batches"


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_batch_that_cannot_be_asked_for_is_an_error(server, make, status):
    server.say({}, status=status)

    with pytest.raises(RoboflowApiError, match=f"batches: the answer is {status}"):
        make(workspace="w").batch_size("b", Target())


def test_a_batch_that_cannot_be_counted_is_an_error(server, make):
    server.say({"batches": [{"name": "b", "images": 2}]})

    with pytest.raises(UncountableBatchError, match="numJobs of the batch 'b' is missing"):
        make(workspace="w").batch_size("b", Target())


def test_the_target_is_what_the_options_name_and_nothing_is_asked(server, make):
    assert make().target == Target(project="ds")
    assert make(workspace="w").target == Target(workspace="w", project="ds")
    assert server.requests == []


def test_the_location_is_a_web_address_once_the_workspace_is_known(server, make, sink):
    assert make(workspace="w", api_url="https://api.roboflow.com/").location == (
        "https://app.roboflow.com/w/ds"
    )
    assert sink.location is None
    server.say({"workspace": "ws"})
    server.say({"batches": []})
    sink.batch_size("b", Target())

    assert f"{server.url}/ws/ds" == sink.location


@pytest.mark.parametrize(
    "change",
    [
        {"api_key": ""},
        {"project": ""},
        {"project": "ws/ds"},
        {"workspace": "a b"},
        {"timeout_s": 0},
        {"api_url": "api.roboflow.com"},
        {"api_url": "ftp://api.roboflow.com"},
        {"api_url": "https://me:pw@api.roboflow.com"},
        {"api_url": "https://api.roboflow.com/?api_key=1"},
        {"api_url": "https://"},
        {"nothing": 1},
    ],
)
def test_options_that_cannot_be_meant_are_refused(make, change):
    with pytest.raises(pydantic.ValidationError) as caught:
        make(**change)

    assert KEY not in str(caught.value)
    if "api_url" in change:
        assert "has to be an address like 'https://api.roboflow.com', without user" in str(
            caught.value
        )


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.test",
        "HTTP://api.roboflow.com",
        "http://localhost.gateway.test",
        "http://127.0.0.1.gateway.test",
        "http://10.0.0.7:9001",
        "http://0.0.0.0",
        "http://[2001:db8::1]",
    ],
)
def test_what_could_be_read_on_the_way_has_to_be_allowed(make, url):
    with pytest.raises(
        pydantic.ValidationError,
        match="begins with http://: use https://, or set allow_insecure where the network is your "
        "own",
    ) as caught:
        make(api_url=url)

    assert make(api_url=url, allow_insecure=True).options.api_url == url
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1:9876", "127.8.9.1", "localhost:1", "[::1]:80"])
def test_this_machine_needs_no_encryption(make, host):
    assert make(api_url=f"http://{host}").options.allow_insecure is False


def test_nothing_shows_the_key(sink):
    assert KEY not in f"{sink.options!r} {sink.options} {sink.options.model_dump()} {vars(sink)!r}"


def test_nothing_is_logged_for_a_delivery(server, sink, caplog):
    server.say(STORED)
    server.say({"success": True})

    with caplog.at_level(logging.INFO):
        sink.deliver(sample_datapoint(), FakeCheckpoint())

    assert caplog.messages == []
