import base64
import hashlib
import hmac
import json
import logging

import numpy as np
import pytest

from al_framework.api import (
    PermanentSinkError,
    Receipt,
    SinkPausedError,
    TransientSinkError,
    datapoint_from_dict,
)
from al_framework.testing import (
    Answer,
    FakeCheckpoint,
    FakeClock,
    FaultServer,
    SinkContract,
    make_context,
    sample_datapoint,
)
from al_framework_webhook import al_register_sinks
from al_framework_webhook.sink import WebhookSink

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture
def server():
    with FaultServer() as started:
        started.otherwise = lambda _: Answer(status=204)
        yield started


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def make(server, tmp_path, clock):
    made = []

    def build(**options):
        values = {"url": f"{server.url}/in", "allow_insecure": True, "secret": SECRET, **options}
        context = make_context(tmp_path, name="wh", clock=clock)
        made.append(WebhookSink(WebhookSink.Options(**values), context))
        return made[-1]

    yield build
    for sink in made:
        sink.close()


@pytest.fixture
def sink(make):
    return make()


def signature(request):
    headers = request.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
    return "v1," + base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()


class TestContract(SinkContract):
    component = WebhookSink

    @pytest.fixture(autouse=True)
    def _receiver(self, server):
        type(self).options = {"url": server.url, "allow_insecure": True, "secret": SECRET}
        self.held, self.server = {}, server

        def take(request):
            is_new = request.headers["webhook-id"] not in self.held
            self.held[request.headers["webhook-id"]] = request.body
            return Answer(body={"duplicate": not is_new})

        server.otherwise = take

    def stored(self, sink, directory):
        return len(self.held)

    def faults(self, sink, directory):
        statuses = {TransientSinkError: 503, PermanentSinkError: 415, SinkPausedError: 401}
        return {
            error: lambda status=status: self.server.say(Answer(status=status, body=f"no {SECRET}"))
            for error, status in statuses.items()
        }


def test_the_plugin_registers_the_sink():
    assert al_register_sinks() == (WebhookSink,)


def test_a_message_is_signed_named_and_dated(server, sink):
    datapoint = sample_datapoint()

    receipt = sink.deliver(datapoint, FakeCheckpoint())

    assert Receipt(status="created") == receipt
    [request] = server.requests
    assert (request.method, request.target) == ("POST", "/in")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == datapoint.item_id
    assert request.headers["webhook-timestamp"] == "1700000000"
    assert request.headers["webhook-signature"] == signature(request)


# The example of the specification's own test suite: id, time, body, secret and signature are fixed.
def test_the_signature_is_that_of_standard_webhooks():
    from pydantic import SecretStr

    from al_framework_webhook.signing import signed_headers

    headers = signed_headers(
        SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        sent_at=1614265330.9,
        body=b'{"test": 2432232314}',
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_message_holds_the_whole_datapoint(server, sink):
    datapoint = sample_datapoint(frame_id="half a character \ud800")

    sink.deliver(datapoint, FakeCheckpoint())

    document = json.loads(server.requests[0].body)
    assert (document["type"], document["timestamp"]) == (
        "datapoint.collected",
        "2023-11-14T22:13:20+00:00",
    )
    picture = document["data"].pop("image")
    image = base64.b64decode(picture["base64"])
    assert image == datapoint.image
    assert picture["media_type"] == "image/jpeg"
    assert picture["sha256"] == hashlib.sha256(image).hexdigest()
    again = datapoint_from_dict(document["data"], image=image)
    assert again.frame_id == datapoint.frame_id
    assert np.array_equal(again.prediction.xyxy, datapoint.prediction.xyxy)


def test_every_attempt_sends_the_same_id_and_body_at_its_own_time(server, sink, clock):
    server.say(Answer(status=503), Answer(how="reset_unanswered"))
    for expected in (TransientSinkError, TransientSinkError):
        with pytest.raises(expected):
            sink.deliver(sample_datapoint(), FakeCheckpoint())
        clock.advance(60)
    sink.deliver(sample_datapoint(), FakeCheckpoint())

    assert len({request.body for request in server.requests}) == 1
    assert len({request.headers["webhook-id"] for request in server.requests}) == 1
    times = [request.headers["webhook-timestamp"] for request in server.requests]
    assert times == ["1700000000", "1700000060", "1700000120"]


def test_headers_and_query_of_ones_own_are_sent(server, make):
    sink = make(headers={"Authorization": "Bearer abc"}, query={"code": "a&b"})

    sink.deliver(sample_datapoint(), FakeCheckpoint())

    assert server.requests[0].target == "/in?code=a%26b"
    assert server.requests[0].headers["authorization"] == "Bearer abc"


CREATED, DUPLICATE = Receipt(status="created"), Receipt(status="duplicate")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(status=204), CREATED),
        (Answer(body="ok"), CREATED),
        (Answer(body='"ok"'), CREATED),
        (Answer(body="[]"), CREATED),
        (Answer(status=202, body={}), CREATED),
        (Answer(body={"success": True, "id": "a"}), Receipt(status="created", remote_id="a")),
        (Answer(body={"id": 7, "url": "https://a.test/7"}), Receipt(
            status="created", remote_id="7", url="https://a.test/7"
        )),
        (Answer(body={"id": True, "url": "javascript:x"}), CREATED),
        (Answer(body={"id": "x" * 300, "url": "https://a.test/\n"}), CREATED),
        (Answer(body={"id": "", "url": 7, "duplicate": False}), CREATED),
        (Answer(body={"duplicate": True, "id": "a"}), Receipt(status="duplicate", remote_id="a")),
        (Answer(status=409), DUPLICATE),
        (Answer(status=409, body="<html>"), DUPLICATE),
        (Answer(status=409, body="[" * 100_000), DUPLICATE),
        (Answer(status=409, body="[1]"), DUPLICATE),
        (Answer(status=409, body={"id": "a"}), Receipt(status="duplicate", remote_id="a")),
    ],
)  # fmt: skip
def test_an_answer_tells_what_became_of_it(server, sink, answer, expected):
    server.say(answer)

    assert expected == sink.deliver(sample_datapoint(), FakeCheckpoint())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            " <html>sign in</html>",
            r"the answer 200 holds a page, ' <html>sign in</html>', where a short answer belongs",
        ),
        ('{"id": ', "holds no JSON object but '{\"id\": ': check that url"),
        (
            {"success": False},
            "the datapoint was not taken: the server answered '{\"success\": false}'",
        ),
    ],
)
def test_an_odd_answer_is_tried_three_times(server, sink, body, message):
    server.say(*[Answer(body=body)] * 3)
    checkpoint = FakeCheckpoint()

    for expected in (TransientSinkError, TransientSinkError, PermanentSinkError):
        with pytest.raises(expected, match=message):
            sink.deliver(sample_datapoint(), checkpoint)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "check headers and secret"),
        (403, "check headers and secret"),
        (404, "check url"),
        (405, "check url: nothing takes POST there"),
        (410, "the receiver wants no more: correct url or remove the sink"),
    ],
)
def test_a_wrong_address_or_key_pauses_the_sink(server, sink, status, advice):
    server.say(Answer(status=status))

    message = f"sink 'wh': datapoint 'item-000000': POST {server.url}/in: the answer is {status} "
    with pytest.raises(SinkPausedError) as caught:
        sink.deliver(sample_datapoint(), FakeCheckpoint())

    assert str(caught.value) == f"{message}with '': {advice}"


def test_a_number_that_json_cannot_express_ends_the_datapoint(server, sink):
    message = "datapoint 'item-000000': cannot be written as JSON: Out of range float"
    with pytest.raises(PermanentSinkError, match=message):
        sink.deliver(sample_datapoint(utility=float("nan")), FakeCheckpoint())

    assert server.requests == []


def test_the_location_is_the_address(make):
    sink = make(query={"code": "hidden"})

    assert sink.location.endswith("/in")


@pytest.mark.parametrize("content", [None, "nothing"])
def test_a_ca_file_without_certificates_stops_the_start(make, tmp_path, content):
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    sink = make(ca_file="ca.pem")

    with pytest.raises(SinkPausedError, match=r"sink 'wh': '.*ca\.pem' holds no certificate \("):
        sink.start()


def test_a_ca_file_of_ones_own_is_trusted(make, tmp_path):
    from al_framework.testing.certificates import make_certificates

    _, contexts = make_certificates(tmp_path)
    with FaultServer(tls=contexts["good"]) as server:
        server.say(Answer(status=204))
        sink = make(ca_file="authority.pem", url=server.url)
        sink.start()

        assert sink.deliver(sample_datapoint(), FakeCheckpoint()).status == "created"


@pytest.mark.parametrize("answer", [Answer(status=401), Answer(how="reset_unanswered")])
def test_secrets_are_shown_nowhere(server, make, caplog, answer):
    sink = make(headers={"X-Key": "hidden-header-key"}, query={"code": "hidden-query-key"})
    server.say(answer)

    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises((SinkPausedError, TransientSinkError)) as caught,
    ):
        sink.deliver(sample_datapoint(), FakeCheckpoint())

    assert caught.value.__cause__ is None
    shown = [str(caught.value), str(caught.value.__context__), repr(sink.options), caplog.text]
    assert [text for text in shown if "hidden" in text or SECRET[6:] in text] == []
