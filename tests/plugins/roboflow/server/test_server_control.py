"""Failures on demand, latency, and the log of requests."""

import threading
import time

import pytest
import requests

from al_framework_roboflow.server import Failure, Remote, State, running_server


def statuses(api, count, call=lambda api: api.get("/ws/ds/batches")):
    return [call(api).status_code for _ in range(count)]


def test_a_failure_goes_wrong_as_often_as_asked(api, server):
    server.fail(endpoint="batches", status=503, times=2)

    assert [503, 503, 200] == statuses(api, 3)


def test_a_failure_without_count_holds_until_it_is_cleared(api, server):
    server.fail(status=500, times=None)
    before = statuses(api, 3)
    server.clear_failures()

    assert [500, 500, 500, 200] == before + statuses(api, 1)


def test_failures_are_used_in_order_and_may_skip(api, server):
    server.fail(endpoint="batches", status=503, skip=1)
    server.fail(endpoint="batches", status=500)

    assert [500, 503, 200] == statuses(api, 3)


def test_a_failure_meets_its_endpoint_and_project_only(api, server):
    server.fail(endpoint="batches", project="ds2", status=503)

    assert [200] == statuses(api, 1)
    assert api.get("/ws2/ds2/jobs").status_code == 200
    assert api.get("/ws2/ds2/batches").status_code == 503


def test_a_failure_answers_with_headers_and_body(api, server):
    server.fail(endpoint="root", status=429, headers={"Retry-After": "7"}, body={"message": "x"})
    server.fail(endpoint="root", status=200, text="<html>")
    server.fail(endpoint="root", status=402)

    limited, html, default = (api.get("/") for _ in range(3))

    assert ("7", {"message": "x"}) == (limited.headers["Retry-After"], limited.json())
    assert ("<html>", "text/html; charset=utf-8") == (html.text, html.headers["Content-Type"])
    assert {"error": "failure on demand"} == default.json()


@pytest.mark.parametrize("stored", [False, True])
def test_a_connection_can_be_dropped_before_or_after_storing(api, server, picture, stored):
    server.fail(endpoint="upload", drop=True, after_storing=stored)

    with pytest.raises(requests.ConnectionError):
        api.upload(picture())
    again = api.upload(picture()).json()

    assert stored is bool(again.get("duplicate"))
    first, second = server.requests("upload")
    assert (None, True) == (first["status"], first["dropped"])
    assert (200, False) == (second["status"], second["dropped"])


def test_an_answer_can_be_wrong_although_it_was_stored(api, server, picture):
    server.fail(endpoint="upload", status=500, after_storing=True)

    assert api.upload(picture()).status_code == 500
    assert api.upload(picture()).json()["duplicate"] is True


def test_an_answer_can_come_too_late_and_be_stored_all_the_same(api, server, picture):
    server.fail(endpoint="upload", latency_s=3600)

    with pytest.raises(requests.ReadTimeout):
        requests.post(
            api.url + "/dataset/ds/upload?api_key=k",
            files={"file": ("f", picture(), "image/png")},
            timeout=(30, 0.05),
        )
    while not server.held()["workspaces"]["ws"]["ds"]["images"]:
        pass

    assert api.upload(picture()).json() == {"duplicate": True, "id": "id-1"}


def test_latency_is_waited_for_and_ends_with_the_server(state, connect):
    started = time.monotonic()
    with running_server(state) as server:
        api = connect(server.url)
        server.set_latency(0.05, "root")
        api.get("/")
        waited = time.monotonic() - started
        server.set_latency(3600)
        late = threading.Thread(target=lambda: requests.get(server.url + "/ws", timeout=60))
        late.start()
        while not server.requests("workspace"):
            pass
    late.join(timeout=60)

    assert waited >= 0.05
    assert not late.is_alive()
    assert time.monotonic() - started < 60


def test_latency_is_listed_and_an_endpoints_own_wins(api, server, state):
    server.set_latency(5)
    server.set_latency(0, "root")

    assert {"latency": {"any": 5.0, "root": 0.0}} == api.get("/__latency").json()
    assert state.failures.latency_s("root") == 0
    assert state.failures.latency_s("upload") == 5


def test_rules_are_listed_with_their_use(api, server):
    server.fail(endpoint="batches", status=503, times=2)
    statuses(api, 1)

    (rule,) = api.get("/__failures").json()["failures"]
    assert ("batches", 503, 2, 1) == tuple(
        rule[name] for name in ("endpoint", "status", "times", "used")
    )


def test_several_rules_can_be_sent_at_once(api):
    rules = [{"endpoint": "batches", "status": 500}, {"endpoint": "batches", "drop": True}]
    api.call("POST", "/__failures", json=rules)

    assert [500] == statuses(api, 1)
    with pytest.raises(requests.ConnectionError):
        api.get("/ws/ds/batches")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "nothing would go wrong: give 'status', 'drop' or 'latency_s'"),
        ({"drop": True, "status": 500}, "'drop' sends no answer: leave out 'status', or 'drop'"),
        ({"body": {}}, "an answer needs its 'status'"),
        ({"status": 1}, "failures: 0.status: Input should be greater than or equal to 200"),
        ({"status": 500, "body": {}, "text": ""}, "an answer has a 'body' or a 'text', never"),
        ({"latency_s": 1, "after_storing": True}, "'after_storing' needs 'status' or 'drop'"),
        ({"status": 500, "headers": {"A": "b\r\nC: d"}}, "header 'A' is not one line of ASCII"),
        ({"status": 500, "headers": {"": "b"}}, "header '' is not one line of ASCII"),
        ({"status": 500, "endpoint": "uplaod"}, "failures: 0.endpoint"),
        ({"status": 500, "typo": 1}, "failures: 0.typo: Extra inputs are not permitted"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(server, rule, message):
    with pytest.raises(ValueError, match="POST /__failures: failures: ") as caught:
        server.fail(**rule)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("call", "document", "status", "message"),
    [
        ("GET /__nothing", None, 404, "no such control endpoint: there are /__failures, "),
        ("GET /__state/x", None, 404, "/__state, /__images/<id>"),
        ("GET /__images/gone", None, 404, "there is no image 'gone'"),
        ("POST /__state", None, 405, "POST is not one of GET here"),
        ("POST /__latency", {"seconds": -1}, 400, "latency: seconds: Input should be greater"),
        ("POST /__latency", [], 400, "latency: latency: Input should be a valid dictionary"),
        ("POST /__failures", None, 400, "the body is not JSON: "),
    ],
)
def test_a_control_request_that_makes_no_sense_is_refused(api, call, document, status, message):
    reply = api.call(*call.split(), json=document)

    assert status == reply.status_code
    assert message in reply.json()["error"]


def test_the_log_tells_what_was_asked_but_no_key(api, server, picture, key):
    api.upload(picture(1), query=[("tag", "t"), ("tag", "u")])
    api.annotate("id-1", '{"żółw": 1}')
    api.session.headers["Authorization"] = f"Bearer {key}"
    api.get("/nowhere/x/y/z", query=[("api_key", "short")])

    upload, annotate, unknown = server.requests()
    assert (1, "POST", "/dataset/ds/upload", "upload", 200, 1000.0) == tuple(
        upload[name] for name in ("n", "method", "path", "endpoint", "status", "at")
    )
    masked = ["api_key", "se***st"]
    assert [masked, ["batch", "b"], ["tag", "t"], ["tag", "u"]] == upload["query"]
    name, file = upload["parts"]
    assert ("name", None, "n.jpg", 5) == tuple(
        name[field] for field in ("name", "filename", "text", "length")
    )
    assert ("file", "imageToUpload", None, "image/jpeg", len(picture(1))) == tuple(
        file[field] for field in ("name", "filename", "text", "content_type", "length")
    )
    assert '{"żółw": 1}' == annotate["annotation"]
    assert "text/plain" == annotate["headers"]["content-type"]
    assert ("", 404, [masked, ["api_key", "***"]]) == (
        unknown["endpoint"],
        unknown["status"],
        unknown["query"],
    )
    assert key not in str(server.requests())


def test_the_log_is_cleared_and_keeps_counting(api, server):
    api.get("/")
    server.clear_requests()
    api.get("/")

    assert [2] == [entry["n"] for entry in server.requests()]


def test_control_requests_are_not_logged_and_never_fail(api, server):
    server.fail(status=500, times=None)
    server.held()

    assert [] == server.requests()


def test_connections_are_told_apart(api, server):
    api.get("/")
    api.get("/ws")
    requests.get(server.url + "/?api_key=k", timeout=30)

    first, second, third = (entry["client_port"] for entry in server.requests())
    assert first == second != third


def test_failures_can_be_given_with_the_state(connect):
    state = State()
    state.failures.add(Failure(endpoint="root", status=401, body={}))
    with running_server(state) as server:
        assert isinstance(server, Remote)
        assert connect(server.url).get("/").status_code == 401
