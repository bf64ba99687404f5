"""Statuses, silence and odd answers decide what follows a delivery."""

import pytest

from al_framework.api import PermanentSinkError, Receipt, SinkPausedError, TransientSinkError
from al_framework.testing import FakeCheckpoint, sample_datapoint

KEY = "rf-0123456789-secret"
STORED = {"success": True, "id": "img-1"}
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
