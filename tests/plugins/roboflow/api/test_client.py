"""The client sends what was recorded and tells what became of it."""

import json
import re
import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from al_framework import __version__
from al_framework_roboflow.answers import RoboflowApiError, retry_after_s
from al_framework_roboflow.client import RoboflowClient
from al_framework_roboflow.replies import UploadReply

WIRE = Path(__file__).resolve().parents[4].parent / "shared" / "wire"


def recorded():
    """Every request of inference to the endpoints A to G, once per address and body."""
    cases = {}
    for path in sorted(WIRE.glob("*.json")):
        if path.stem.startswith(("sdk", "dsu", "decisions")) or "gateway" in path.stem:
            continue
        for exchange in json.loads(path.read_text()).get("exchanges", ()):
            key = (exchange["raw_target"], exchange.get("body_text"))
            cases.setdefault(key, pytest.param(exchange, id=f"{path.stem}-{exchange['n']}"))
    return [*cases.values()] or [pytest.param(None, marks=pytest.mark.skip("no recordings here"))]


def repeat(client, exchange):
    """Make the recorded request with our client."""
    query, path = exchange["query"], exchange["path"].split("/")
    values = dict(map(tuple, query))
    if exchange["method"] == "GET":
        if exchange["path"] == "/":
            return client.workspace()
        last = {"active_learning": client.active_learning, "batches": client.batches}
        last |= {"jobs": client.jobs}
        call = last[path[3]] if len(path) > 3 else client.project_type
        return call(path[1], path[2])
    if path[3] == "upload":
        name, picture = exchange["multipart"]
        return client.upload(
            path[2],
            b"x" * picture["length"],
            name=name["text"],
            batch=values["batch"],
            tags=[value for key, value in query if key == "tag"],
            inference_id=values.get("inference_id"),
        )
    body = exchange.get("body_text", "").encode()
    return client.annotate(path[2], path[4], body, name=values["name"])


@pytest.mark.parametrize("exchange", recorded())
def test_a_request_is_as_recorded(server, exchange):
    reply = exchange["reply"]
    server.say(
        reply.get("json"),
        status=reply.get("status", 200),
        text=reply.get("text"),
        drop=reply.get("drop", False),
    )
    key = dict(map(tuple, exchange["query"]))["api_key"]
    client = RoboflowClient(api_key=SecretStr(key), api_url=server.url)
    try:
        repeat(client, exchange)
    except RoboflowApiError:
        pass
    finally:
        client.close()

    (request,) = server.requests
    assert (exchange["method"], exchange["raw_target"]) == (request.method, request.target)
    assert exchange.get("body_length", 0) == len(request.body)
    content_type = exchange["headers"].get("Content-Type", "")
    seen = re.sub(r"boundary=.*", "boundary=<boundary>", request.header("content-type") or "")
    assert content_type == seen
    if "multipart" in exchange:
        assert [part["headers"] for part in exchange["multipart"]] == [h for h, _ in request.parts]
        assert exchange["multipart"][0]["text"].encode() == request.parts[0][1]
    elif "body_text" in exchange:
        assert exchange["body_text"].encode() == request.body


def test_headers_are_our_own(server, client):
    server.say({"workspace": "ws"})

    client.workspace()

    host = server.url.removeprefix("http://")
    assert server.requests[0].headers == [
        ("Host", host),
        ("User-Agent", f"al-framework/{__version__}"),
        ("Accept-Encoding", "gzip, deflate"),
        ("Accept", "*/*"),
        ("Connection", "keep-alive"),
    ]


def test_the_workspace_is_asked_for_once(server, client):
    server.say({"error": "later"}, status=503)
    server.say({"workspace": "ws-1_A"})
    with pytest.raises(RoboflowApiError):
        client.workspace()
    assert client.known_workspace is None

    assert [client.workspace(), client.workspace(), client.known_workspace] == ["ws-1_A"] * 3
    assert server.calls == "AA"


def test_one_connection_serves_a_thread(server, client):
    server.always({"batches": []})

    def ask():
        for _ in range(3):
            client.batches("ws", "ds")

    ask()
    server.say(status=503, text="<html>later</html>")
    with pytest.raises(RoboflowApiError):
        client.jobs("ws", "ds")
    ask()
    assert server.connections == 1
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.connections == 3
    client.close()
    ask()
    assert server.connections == 4


def test_the_child_of_a_fork_opens_a_connection_of_its_own(server, client, monkeypatch):
    server.always({"batches": []})
    client.batches("ws", "ds")
    monkeypatch.setattr("os.getpid", lambda: -1)

    client.batches("ws", "ds")

    assert server.connections == 2


def test_netrc_adds_nothing(server, client, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password other-secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.say({"workspace": "ws"})

    client.workspace()

    assert server.requests[0].header("authorization") is None


@pytest.mark.parametrize(
    ("workspace", "project"), [("..", "ds"), ("ws", "."), ("ws", ""), ("", "ds")]
)
def test_a_name_cannot_move_the_path(server, client, workspace, project):
    message = r"'\.{0,2}' is no name of a workspace, a project or an image: correct it"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        client.batches(workspace, project)

    assert caught.value.kind == "configuration"
    assert server.requests == []


def test_names_are_quoted(server, client):
    server.say({"batches": []})

    client.batches("w s", "../a?b#c")

    assert server.requests[0].target == "/w%20s/..%2Fa%3Fb%23c/batches?api_key=test-api-key"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ({"success": True, "id": "a"}, UploadReply(image_id="a", duplicate=False)),
        ({"success": True, "id": 7}, UploadReply(image_id="7", duplicate=False)),
        ({"success": True}, UploadReply(image_id=None, duplicate=False)),
        ({"success": True, "id": ""}, UploadReply(image_id=None, duplicate=False)),
        ({"success": True, "id": True}, UploadReply(image_id=None, duplicate=False)),
        ({"duplicate": True, "id": "old"}, UploadReply(image_id="old", duplicate=True)),
        ({"duplicate": True}, UploadReply(image_id=None, duplicate=True)),
        (
            {"success": True, "duplicate": True, "id": "x"},
            UploadReply(image_id="x", duplicate=True),
        ),
    ],
)
def test_upload_tells_what_became_of_a_picture(server, client, reply, expected):
    server.say(reply)

    assert expected == client.upload("ds", b"x", name="n.jpg", batch="b", tags=())


@pytest.mark.parametrize(
    ("answer_", "expected"),
    [
        ({"document": {"id": "old"}}, "old"),
        ({"document": {}}, None),
        ({"text": "<html>"}, None),
    ],
)
def test_a_conflicting_upload_is_a_duplicate(server, client, answer_, expected):
    server.say(status=409, **answer_)

    found = client.upload("ds", b"x", name="n.jpg", batch="b", tags=())

    assert UploadReply(image_id=expected, duplicate=True) == found


DATE = {"Date": "Sun, 22 Nov 2026 10:00:00 GMT"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 120 "}, 120.0),
        ({"Retry-After": "-1", **DATE}, None),
        ({"Retry-After": "1.5", **DATE}, None),
        ({"Retry-After": "soon", **DATE}, None),
        ({"Retry-After": "\u0663", **DATE}, None),
        ({"Retry-After": "Sun, 22 Nov 2026 10:01:30 GMT", **DATE}, 90.0),
        ({"Retry-After": "Sun, 22 Nov 2026 09:59:00 GMT", **DATE}, 0.0),
        ({"Retry-After": "Sun, 22 Nov 2026 10:01:30 GMT"}, None),
        ({"Retry-After": "Sun, 22 Nov 2026 10:01:30 -0000", **DATE}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers, expected):
    assert expected == retry_after_s(headers)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("<html>sorry</html>", "no JSON object but '<html>sorry</html>'"),
        ("[1]", "no JSON object but '[1]'"),
        ("", "no JSON object but ''"),
        ("[" * 100_000, "no JSON object but '[[["),
        ("\x00\xff", "no JSON object but "),
        ('{"workspace": ""}', "the workspace ''"),
        ('{"workspace": "a b"}', "the workspace 'a b'"),
        ("{}", "the workspace None"),
    ],
)
def test_an_answer_of_another_form_is_malformed(server, client, text, seen):
    server.say(text=text)

    with pytest.raises(RoboflowApiError) as caught:
        client.workspace()

    assert f"GET {server.url}/: the answer 200 holds {seen}" in str(caught.value)
    assert str(caught.value).endswith(": check that api_url is the address of Roboflow's API")
    assert caught.value.kind == "malformed"
    assert len(str(caught.value)) < 500


def test_a_refused_picture_is_rejected(server, client):
    server.say({"success": False, "error": "not today"})

    message = r"upload: the picture was not taken: the server answered .*not today"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        client.upload("ds", b"x", name="n.jpg", batch="b", tags=())

    assert caught.value.kind == "rejected"


@pytest.mark.parametrize(
    "reply",
    [{}, {"success": False}, {"success": True, "error": "bad"}, {"success": True, "error": None}],
)
def test_a_refused_annotation_is_rejected(server, client, reply):
    server.say(reply)

    with pytest.raises(RoboflowApiError, match="the annotation was not taken: the") as caught:
        client.annotate("ds", "img", b"{}", name="n.json")

    assert caught.value.kind == "rejected"


def test_annotations_are_stored_or_there_already(server, client):
    server.say({"success": True})
    server.say({"error": "already annotated"}, status=409)

    found = [client.annotate("ds", "img", b"{}", name="n.json") for _ in range(2)]

    assert found == ["stored", "already_annotated"]
