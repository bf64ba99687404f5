"""Each rule of the contract for network sinks is shown failing once."""

import contextlib
import logging
import socket
import ssl

import pytest
import requests
from pydantic import Field, SecretStr

from al_framework.api import (
    Options,
    PermanentSinkError,
    Receipt,
    Sink,
    SinkPausedError,
    TransientSinkError,
)
from al_framework.testing import Answer, FaultServer, NetworkSinkContract
from al_framework.testing.certificates import make_certificates

KEY = "canary-0123456789"


class NaiveOptions(Options):
    url: str = Field(description="Address.")
    key: SecretStr = Field(description="Key.")
    patience_s: float = Field(description="Seconds.")


class Naive(Sink[NaiveOptions]):
    """What a first version looks like."""

    type_name = "naive"
    tries = 1
    verify = True
    error = TransientSinkError
    patient = False

    def deliver(self, datapoint, checkpoint):
        for _ in range(self.tries):
            late = broken = None
            try:
                reply = requests.put(
                    self.options.url,
                    params={"naive_key": self.options.key.get_secret_value()},
                    data=datapoint.image,
                    timeout=60 if self.patient else self.options.patience_s,
                    verify=self.verify,
                )
            except requests.ConnectionError:
                broken = self.error("broken")
            except requests.RequestException:
                late = TransientSinkError("late")
            if late or broken:
                raise late or broken
        if reply.ok:
            return Receipt(status="created")
        raise self.error(f"{reply.status_code}")


def contract(**changes):
    class Contract(NetworkSinkContract):
        component = type("Changed", (Naive,), changes)
        answers = (Answer(),)
        secret = KEY

        def connected(self, url, *, patience_s):
            return {"url": url, "key": KEY, "patience_s": patience_s}

    return Contract()


def test_every_check_is_shown_failing(request):
    source = request.path.read_text(encoding="utf-8")
    own = [name for name in vars(NetworkSinkContract) if name.startswith("test_")]

    assert [] == [name for name in own if name.removeprefix("test_") not in source]


class TellingError(TransientSinkError):
    def __init__(self, text):
        super().__init__(f"{text} with {KEY}")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    # Clients of other tests have made these loggers hide what a naive sink is to show.
    for name in ("urllib3.connection", "urllib3.connectionpool"):
        monkeypatch.setattr(logging.getLogger(name), "filters", [])
    monkeypatch.setattr("al_framework.testing.contracts.network._HANG_S", 3.0)


@pytest.mark.parametrize(
    ("test", "changes", "message"),
    [
        ("a_delivery_makes_its_requests_once", {}, "a log shows the key"),
        ("a_delivery_makes_its_requests_once", {"tries": 2}, "the delivery fails: Trans"),
        ("every_status_has_its_verdict", {}, "status 301 at request 0 gives Receipt"),
        (
            "a_broken_connection_costs_one_attempt",
            {"error": TellingError},
            "a TellingError shows the key",
        ),
        ("what_is_there_already_is_delivered", {}, "409 at request 0 gives Trans"),
        ("retry_after_is_passed_on", {}, "gives None s: it has to be 7.0"),
        ("a_broken_connection_costs_one_attempt", {"error": SinkPausedError}, "to be a Transient"),
        ("silence_ends_in_time", {"patient": True}, "an attempt is not over after 3 s"),
        ("an_endless_answer_is_not_taken", {}, "100 MiB with 200 give Receipt"),
        ("a_page_is_no_answer", {}, r"a page at request 0 gives Receipt\("),
        ("no_redirect_is_followed", {}, "redirect 301 gives"),
        ("a_server_that_is_down_is_tried_again", {"error": PermanentSinkError}, "a refused conn"),
    ],
)
def test_a_naive_sink_is_caught(tmp_path, test, changes, message):
    with pytest.raises(AssertionError, match=message):
        getattr(contract(**changes), f"test_{test}")(tmp_path)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize(
    ("test", "changes", "message"),
    [
        ("only_a_good_certificate_is_trusted", {"verify": False}, "certificate: expired gives Rec"),
        (
            "an_unknown_host_pauses_and_a_silent_name_server_does_not",
            {},
            "name server error -2 gives Trans",
        ),
    ],
)
def test_a_trusting_sink_is_caught(tmp_path, monkeypatch, test, changes, message):
    with pytest.raises(AssertionError, match=message):
        getattr(contract(**changes), f"test_{test}")(tmp_path, monkeypatch)


def test_ipv6_has_to_be_spoken(tmp_path):
    def deliver(sink, datapoint, checkpoint):
        raise TransientSinkError("no")

    with pytest.raises(AssertionError, match="a server on ::1 gives Trans"):
        contract(deliver=deliver).test_ipv6_is_spoken(tmp_path)


def ask(server, *, body=b"", path="/a?b=1"):
    """What comes back over a plain socket, to its end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while data := sock.recv(65536):
                received += data
        return received


def test_the_server_answers_in_order_and_remembers():
    with FaultServer() as server:
        server.say(Answer(status=201, body="é", headers={"Connection": "close", "X": "1"}))
        first = ask(server, body=b"given")
        server.otherwise = lambda request: Answer(
            body={"path": request.path}, headers={"Connection": "close"}, delay_s=0.01
        )
        second = ask(server)

    assert first == (
        b"HTTP/1.1 201 Whatever\r\nContent-Length: 2\r\nConnection: close\r\nX: 1\r\n\r\n\xc3\xa9"
    )
    assert b"\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" in second
    assert second.endswith(b'{"path": "/a"}')
    assert [(r.method, r.target, r.body, r.connection) for r in server.requests] == [
        ("POST", "/a?b=1", b"given", 1),
        ("POST", "/a?b=1", b"", 2),
    ]
    assert server.sent_bytes == len(first) + len(second)


@pytest.mark.parametrize(
    ("how", "received"),
    [("reset_at_once", 0), ("reset_unanswered", 0), ("cut_midway", 50), ("drip_body", 100)],
)
def test_the_server_breaks_off_where_it_is_told(how, received):
    with FaultServer() as server:
        server.say(Answer(how=how, body=bytes(100), drip_s=0.0001))
        _, _, body = ask(server, body=b"given").partition(b"\r\n\r\n")

        assert len(body) == received
        assert [r.body for r in server.requests] == [b"" if "at_once" in how else b"given"]
        server.forget()
        assert (server.requests, server.sent_bytes) == ([], 0)


def test_half_a_request_is_none():
    with FaultServer() as server:
        for data in (b"POST / HT", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                assert sock.recv(10) == b""

    assert server.requests == []


def test_a_server_can_be_named(tmp_path):
    _, contexts = make_certificates(tmp_path)

    with FaultServer(tls=contexts["good"], name="localhost") as server:
        assert server.url == f"https://localhost:{server.port}"
        assert isinstance(contexts["good"], ssl.SSLContext)
