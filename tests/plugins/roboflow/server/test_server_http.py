"""Whatever arrives on the socket, the answer is HTTP and the server lives on."""

import contextlib
import http.client
import socket

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from al_framework_roboflow.server import State, running_server
from al_framework_roboflow.server.multipart import MultipartError, parse_multipart
from al_framework_roboflow.server.serving import RoboflowServer

HEAD = b"Host: x\r\nConnection: close\r\n"


def form(data: bytes, boundary: bytes = b"B") -> bytes:
    return (
        b"--" + boundary + b'\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"'
        b"\r\nContent-Type: image/jpeg\r\n\r\n" + data + b"\r\n--" + boundary + b"--\r\n"
    )


@pytest.fixture
def silent(capfd, caplog):
    """Nothing is written and nothing is logged."""
    yield
    assert ("", "") == capfd.readouterr()
    assert caplog.records == []


def test_one_connection_carries_many_requests(server, api, picture):
    for number in range(5):
        api.upload(picture(number))

    assert len({entry["client_port"] for entry in server.requests()}) == 1


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"\x00\xff\r\n\r\n", 400, b"Bad request"),
        (b"GET\r\n\r\n", 400, b'"Bad request syntax"'),
        (b"GET / HTTP/9.9\r\n\r\n", 505, b"Invalid HTTP version"),
        (b"BREW / HTTP/1.1\r\n" + HEAD + b"\r\n", 501, b"Unsupported method"),
        (b"GET http://[ HTTP/1.1\r\n" + HEAD + b"\r\n", 400, b"the request target is no URL"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414, b"Too Long"),
        (
            b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 1_0\r\n\r\n",
            400,
            b"Content-Length '1_0': it is one whole number",
        ),
        (
            b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            400,
            b"it is one whole number",
        ),
        (
            b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            411,
            b"a body is sent with Content-Length, not in chunks",
        ),
        (
            b"POST /dataset/ds/upload?api_key=k HTTP/1.1\r\n" + HEAD + b"\r\n",
            400,
            b"content type '': an upload is sent as multipart/form-data",
        ),
    ],
)
@pytest.mark.usefixtures("silent")
def test_a_malformed_request_gets_an_error_and_the_server_lives(raw, api, data, status, message):
    answer = raw(data)

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert message in answer
    assert b"Traceback" not in answer
    assert api.get("/").status_code == 200


def test_a_body_that_ends_early_is_not_stored(raw, server, picture):
    body = form(picture())
    head = b"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: %d\r\n" % (
        len(body) + 1
    )

    assert b"" == raw(b"POST /dataset/ds/upload?api_key=k HTTP/1.1\r\n" + head + b"\r\n" + body)
    assert [] == server.requests()


def test_an_answer_to_head_has_no_body(raw):
    answer = raw(b"HEAD / HTTP/1.1\r\n" + HEAD + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 501 ")
    assert answer.endswith(b"\r\n\r\n")


def test_a_request_that_is_too_large_is_told_so(api, server, state, picture):
    state.max_body_bytes = 1000
    reply = api.upload(picture() + bytes(5_000_000))

    assert reply.status_code == 413
    assert "at most 1000 are read" in reply.json()["error"]
    assert api.upload(picture()).status_code == 200


def test_a_client_that_claims_too_much_and_leaves_is_forgotten(raw, api, state):
    state.max_body_bytes = 1000

    answer = raw(b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 9999999\r\n\r\nabc")

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert api.get("/").status_code == 200


@pytest.mark.usefixtures("silent")
def test_a_client_that_leaves_before_the_answer_is_no_error(server, api):
    server.set_latency(0.05)
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"GET /?api_key=k HTTP/1.1\r\nHost: x\r\n\r\n")
        while not server.requests():
            pass
    server.set_latency(0)

    assert api.get("/").status_code == 200


def test_a_fault_of_the_server_is_answered_and_logged(api, state, caplog):
    state.new_id = None

    reply = api.upload(b"", query=[("x", "y")])
    broken = api.call(
        "POST",
        "/dataset/ds/upload",
        files={"file": ("f", bytes.fromhex("424d") + bytes(60), "image/bmp")},
    )
    state.workspaces = None
    fault = api.get("/__state")

    assert (400, 400, 500) == (reply.status_code, broken.status_code, fault.status_code)
    assert {"error": "the server failed: its log tells more"} == fault.json()
    assert ["a request could not be answered"] == [record.message for record in caplog.records]


def test_an_error_beside_any_request_is_logged_unless_the_client_left(state, caplog):
    server = RoboflowServer(state)
    for error in (ConnectionResetError(), ValueError("x")):
        try:
            raise error
        except (OSError, ValueError):
            server.handle_error(server.socket, ("127.0.0.1", 1))
    server.server_close()

    assert ["a connection ended with an error"] == [record.message for record in caplog.records]


def test_a_form_that_is_broken_is_logged_without_parts(api, server):
    reply = api.call(
        "POST",
        "/dataset/ds/upload",
        data=b"--B--",
        headers={"Content-Type": "multipart/form-data"},
    )

    assert reply.status_code == 400
    assert "the body is not well-formed multipart/form-data" in reply.json()["error"]
    assert [[]] == [entry["parts"] for entry in server.requests()]


def test_stopping_ends_idle_connections_and_frees_the_address():
    with running_server(State()) as server:
        url = server.url
        host, port = url.removeprefix("http://").split(":")
        idle = http.client.HTTPConnection(host, int(port), timeout=30)
        idle.request("GET", "/?api_key=k")
        assert idle.getresponse().read() == b'{"workspace": "ws"}'
    idle.close()

    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=30)
    with running_server(State(), port=int(port)) as again:
        assert url == again.url


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text("\r\n-B\x00\u00ff", max_size=60).map(str.encode))
def test_multipart_keeps_every_byte(data):
    (part,) = parse_multipart("multipart/form-data; boundary=Bxyz", form(data, b"Bxyz"))

    assert (data, "file", "a.jpg", "image/jpeg") == (
        part.data,
        part.name,
        part.filename,
        part.content_type,
    )


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.binary(max_size=200))
def test_multipart_of_noise_is_refused_or_read(content_type, body):
    with contextlib.suppress(MultipartError):
        parse_multipart(f"multipart/form-data; boundary={content_type}", body)


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        ("application/json", b"{}", "content type 'application/json': an upload is sent as mul"),
        ("multipart/form-data", b"--B--", "well-formed multipart/form-data: NoBoundaryInMultipart"),
        ("multipart/form-data; boundary=B", b"", "well-formed multipart/form-data: StartBoundary"),
        (
            "multipart/form-data; boundary=B",
            form(b"x")[:-6],
            "well-formed multipart/form-data: CloseBoundaryNotFound",
        ),
        (
            "multipart/form-data; boundary=B",
            b"--B\r\n\r\nx\r\n--B--",
            "a part has no name: add name=… to its Content-Disposition",
        ),
        (
            "multipart/form-data; boundary=B",
            form(b"--C\r\n\r\nx\r\n--C--").replace(b"image/jpeg", b"multipart/mixed; boundary=C"),
            "part 'file' consists of parts itself: send a flat form",
        ),
        (
            "multipart/form-data; boundary=B",
            form(b"x").replace(b"image/jpeg", b"message/rfc822\r\n\r\n" * 2000),
            "part 'file' consists of parts itself: send a flat form",
        ),
    ],
)
def test_a_form_that_is_none_is_refused(content_type, body, message):
    with pytest.raises(MultipartError) as caught:
        parse_multipart(content_type, body)

    assert message in str(caught.value)


def test_a_parser_that_breaks_is_a_refusal(monkeypatch):
    def broken(_data: bytes) -> None:
        raise IndexError

    monkeypatch.setattr("al_framework_roboflow.server.multipart.message_from_bytes", broken)
    with pytest.raises(MultipartError, match="not well-formed multipart/form-data: IndexError"):
        parse_multipart("multipart/form-data; boundary=B", b"")
