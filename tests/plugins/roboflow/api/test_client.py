import json
import logging
import re
import socket
import ssl
import threading
import traceback
from pathlib import Path

import pytest
import requests
import urllib3
from pydantic import SecretStr

from al_framework import __version__
from al_framework_roboflow.answers import RoboflowApiError, retry_after_s
from al_framework_roboflow.client import RoboflowClient
from al_framework_roboflow.replies import UploadReply
from al_framework_roboflow.scrubbing import hide_keys_in_logs, scrub

WIRE = Path(__file__).resolve().parents[4].parent / "shared" / "wire"
SECRET = "rf/Se+cret 0123456789"
FORMS = (SECRET, "rf%2FSe%2Bcret+0123456789", "rf%2FSe%2Bcret%200123456789")


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


STATUS_ADVICE = [
    (400, "it will not be taken"),
    (401, "check api_key"),
    (402, "check the plan of the workspace"),
    (403, "check what api_key has access to"),
    (404, "check workspace and project, and whether api_key belongs to them"),
    (407, "check the proxy's user and password"),
    (413, "send smaller pictures, see max_image_size"),
    (423, "the workspace is paused, which its owner can end"),
    (429, "there are too many requests, so wait"),
    (500, "the server failed, so try later"),
    (503, "the server failed, so try later"),
]


@pytest.mark.parametrize(("status", "advice"), STATUS_ADVICE)
def test_a_status_says_what_to_do(server, client, status, advice):
    server.say({"error": "e"}, status=status, headers={"Retry-After": "7"})

    with pytest.raises(RoboflowApiError) as caught:
        client.jobs("ws", "ds")

    error = caught.value
    assert f"GET {server.url}/ws/ds/jobs: the answer is {status} with " in str(error)
    assert str(error).endswith(f"""'{{"error": "e"}}': {advice}""")
    assert (error.kind, error.status, error.retry_after_s) == ("status", status, 7.0)


def test_a_redirect_is_not_followed(server, client):
    server.say({}, status=307, headers={"Location": f"{server.url}/elsewhere"})

    message = "the answer is 307, a redirect, which is never followed: correct api_url"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        client.workspace()

    assert caught.value.kind == "configuration"
    assert len(server.requests) == 1


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


def test_an_endless_answer_is_cut_off(server, client):
    server.say(text="x" * (1024 * 1024 + 1))

    message = "the answer is longer than 1048576 bytes: check that api_url is the address"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        client.workspace()

    assert caught.value.kind == "malformed"


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


def test_a_dropped_connection_is_unreachable(server, client):
    server.say(drop=True)

    message = rf"GET {server.url}/: the connection failed \(.+\): check the network and api_url"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        client.workspace()

    assert (caught.value.kind, caught.value.status) == ("unreachable", None)


def test_an_answer_that_breaks_off_is_unreachable(server, client):
    server.say(text="{", headers={"Content-Length": "500"})

    with pytest.raises(RoboflowApiError, match="the connection failed") as caught:
        client.workspace()

    assert caught.value.kind == "unreachable"


def test_a_refused_connection_is_unreachable():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = RoboflowClient(api_key=SecretStr("k"), api_url=url)

        with pytest.raises(RoboflowApiError, match=r"\(Connection refused\)") as caught:
            client.workspace()

    assert caught.value.kind == "unreachable"


def test_silence_is_a_timeout(server):
    server.say(hang=True)
    client = RoboflowClient(api_key=SecretStr("k"), api_url=server.url, timeout_s=0.05)

    message = r"no answer within 0.05 s: check the network, or raise timeout_s"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        client.workspace()

    assert caught.value.kind == "timeout"
    client.close()


def raising(monkeypatch, exc):
    def request(*args, **kwargs):
        raise exc

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", request)


def test_an_answer_that_stops_half_way_is_a_timeout(monkeypatch):
    inner = urllib3.exceptions.ReadTimeoutError(None, "/", "Read timed out.")
    raising(monkeypatch, requests.ConnectionError(inner))

    with pytest.raises(RoboflowApiError, match="no answer within 30 s") as caught:
        RoboflowClient(api_key=SecretStr("k")).workspace()

    assert caught.value.kind == "timeout"


def test_an_unknown_host_is_a_fault_of_the_configuration(monkeypatch):
    cause = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    inner = urllib3.exceptions.NameResolutionError("rf.invalid", None, cause)
    inner.__cause__ = cause
    raising(
        monkeypatch, requests.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/", inner))
    )

    with pytest.raises(RoboflowApiError, match=r"is no host 'rf\.invalid': correct") as caught:
        RoboflowClient(api_key=SecretStr("k"), api_url="https://rf.invalid").workspace()

    assert caught.value.kind == "configuration"


def test_an_untrusted_certificate_is_a_fault_of_the_configuration(monkeypatch):
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "self-signed certificate"
    inner = urllib3.exceptions.MaxRetryError(None, "/", urllib3.exceptions.SSLError(cause))
    raising(monkeypatch, requests.exceptions.SSLError(inner))

    message = r"certificate is not trusted \(self-signed certificate\): correct api_url, or install"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        RoboflowClient(api_key=SecretStr("k")).workspace()

    assert caught.value.kind == "configuration"


def test_an_unusable_address_is_a_fault_of_the_configuration():
    client = RoboflowClient(api_key=SecretStr("k"), api_url="ftp://example.test")

    message = r"GET ftp://example.test/: the address cannot be used \(InvalidSchema\): correct"
    with pytest.raises(RoboflowApiError, match=message) as caught:
        client.workspace()

    assert caught.value.kind == "configuration"


class Everything(logging.Handler):
    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []

    def emit(self, record):
        self.lines += [record.getMessage(), repr(record.__dict__)]


def texts_of(error):
    """All that an error and what led to it can be made to say."""
    chain, waiting = [], [error]
    while waiting:
        exc = waiting.pop()
        if exc is not None and exc not in chain:
            chain.append(exc)
            waiting += [exc.__cause__, exc.__context__]
    for exc in chain:
        yield from (str(exc), repr(exc), repr(exc.args), repr(vars(exc)))
        found = traceback.TracebackException.from_exception(exc, capture_locals=True)
        for frame in found.stack:
            if "al_framework_roboflow" in frame.filename:
                yield repr(frame.locals)
        yield "".join(traceback.format_exception(exc))


FAILURES = [
    {"drop": True},
    {"status": 401, "document": {"error": f"no key {SECRET}"}},
    {"status": 500, "text": f"at /upload?api_key={FORMS[1]}&tag=a"},
    {"text": f"<html>{FORMS[2]}"},
    {"document": {"success": False, "request": f"?api_key={FORMS[1]}"}},
    {"status": 302, "headers": {"Location": f"/?api_key={FORMS[1]}"}},
    {"hang": True},
]


@pytest.mark.parametrize("failure", FAILURES)
def test_the_key_appears_nowhere(server, failure):
    everything, root = Everything(), logging.getLogger()
    level = root.level
    root.addHandler(everything)
    root.setLevel(logging.DEBUG)
    client = RoboflowClient(api_key=SecretStr(SECRET), api_url=server.url, timeout_s=0.3)
    try:
        server.say(**failure)
        with pytest.raises(RoboflowApiError) as caught:
            client.upload("ds", b"x", name="n.jpg", batch="b", tags=())
    finally:
        root.removeHandler(everything)
        root.setLevel(level)
        client.close()

    texts = [*everything.lines, *texts_of(caught.value), repr(client), repr(vars(client))]
    assert server.requests[0].query[0] == ("api_key", SECRET)
    assert [text for text in texts for form in FORMS if form in text] == []
    if "hang" not in failure and "drop" not in failure:
        assert any("/dataset/ds/upload?api_key=***&batch=b" in line for line in everything.lines)


@pytest.mark.parametrize("number", range(2))
def test_logs_of_others_are_left_alone(caplog, number):
    logger = logging.getLogger("urllib3.connectionpool")
    hide_keys_in_logs()
    hide_keys_in_logs()

    with caplog.at_level(logging.DEBUG, logger=logger.name):
        logger.debug("%s got %d of %s", "a", number, {"b": 1})
        logger.debug("got /?API_KEY=%s&b=1", "abc")

    assert [r.getMessage() for r in caplog.records] == [
        f"a got {number} of {{'b': 1}}",
        "got /?API_KEY=***&b=1",
    ]
    assert caplog.records[0].args == ("a", number, {"b": 1})
    assert len(logger.filters) == len(set(logger.filters))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((form, "***") for form in (*FORMS, "cmYvU2UrY3JldCAwMTIzNDU2Nzg5")),
        ("api_key=whatever", "api_key=***"),
        ("api_key%3Dwhatever", "api_key%3D***"),
    ],
)
def test_every_form_of_a_key_is_replaced(text, expected):
    assert f"{expected} & more" == scrub(f"{text} & more", SecretStr(SECRET))


def test_an_empty_key_replaces_nothing():
    assert scrub("as it is", SecretStr("")) == "as it is"
