"""Which keys the server accepts, and how it refuses what it cannot read or find."""

import pytest

from al_framework_roboflow.server import Project, State, Workspace


def held(server, project="ds", workspace="ws"):
    return server.held()["workspaces"][workspace][project]


def test_any_key_is_accepted_by_default_and_reads_every_workspace(api):
    assert {"workspace": "ws"} == api.get("/", key="anything").json()
    assert api.get("/ws2/ds2", key="anything").status_code == 200


@pytest.mark.parametrize("path", ["/", "/ws", "/ws/ds", "/ws/ds/batches"])
def test_no_key_at_all_is_refused(api, path):
    reply = api.get(path, key="")

    assert (401, {"error": "no API key was sent: add api_key=… to the query"}) == (
        reply.status_code,
        reply.json(),
    )


def test_a_configured_key_stands_for_its_workspace_alone(api, state, picture):
    state.api_keys = {"key-1": "ws", "key-2": "ws2"}

    unknown = api.get("/", key="other")
    foreign = api.get("/ws/ds/batches", key="key-2")
    upload = api.upload(picture(), project="ds", key="key-2")

    assert {"workspace": "ws2"} == api.get("/", key="key-2").json()
    assert (401, {"error": "this API key is unknown or revoked"}) == (
        unknown.status_code,
        unknown.json(),
    )
    assert (401, {"error": "this API key has no access to workspace 'ws'"}) == (
        foreign.status_code,
        foreign.json(),
    )
    assert (404, {"error": "workspace 'ws2' has no project 'ds'"}) == (
        upload.status_code,
        upload.json(),
    )
    assert api.upload(picture(), project="ds2", key="key-2").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/nowhere", 404, "there is no workspace 'nowhere'"),
        ("GET", "/ws/other", 404, "workspace 'ws' has no project 'other'"),
        ("GET", "/ws/ds/x", 404, "no such endpoint: '/ws/ds/x'"),
        ("GET", "/ws/ds/batches/b/c", 404, "no such endpoint: '/ws/ds/batches/b/c'"),
        ("POST", "/dataset/x/upload", 404, "workspace 'ws' has no project 'x'"),
        ("GET", "/dataset/ds/upload", 405, "GET is not one of POST here"),
        ("DELETE", "/", 405, "DELETE is not one of GET, POST here"),
        ("PUT", "/ws/ds/jobs", 405, "PUT is not one of GET, POST here"),
    ],
)
def test_what_is_not_there_is_said(api, method, path, status, message):
    reply = api.call(method, path)

    assert (status, {"error": message}) == (reply.status_code, reply.json())


@pytest.mark.parametrize(
    ("name", "body", "content_type", "message"),
    [
        ("", "{}", "text/plain", "an annotation needs a name: add name=… to the query"),
        ("a.json", "{", "text/plain", "annotation 'a.json' is not JSON: "),
        ("a.json", "[NaN]", "text/plain", "NaN is no JSON number"),
        ("a.json", "[" * 100_000, "text/plain", "annotation 'a.json' is not JSON: "),
        ("a.txt", b"\xff", "text/plain", "the body is not UTF-8 at byte 0: send UTF-8"),
        ("a", "[", "application/json", "the body is not JSON: "),
        ("a", "[]", "application/json", "the body has no annotation: send"),
        (
            "a",
            '{"annotationFile": "x", "labelmap": 3}',
            "application/json; charset=utf-8",
            "labelmap: it is an object or null",
        ),
    ],
)
def test_an_annotation_that_cannot_be_read_is_refused(api, name, body, content_type, message):
    reply = api.call(
        "POST",
        "/dataset/ds/annotate/id-1",
        query=[("name", name)],
        data=body,
        headers={"Content-Type": content_type},
    )

    assert reply.status_code == 400
    assert message in reply.json()["error"]


def test_an_annotation_of_an_unknown_image_is_refused(api):
    reply = api.annotate("gone")

    assert (404, {"error": "project 'ds' has no image 'gone'"}) == (
        reply.status_code,
        reply.json(),
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"name": (None, "a")}, "the form has no part 'file': send the picture in it"),
        ({"file": ("a", b"no picture")}, "part 'file' is no picture in one of JPEG, PNG"),
        ({"file": ("a", b"")}, "part 'file' is no picture in one of JPEG, PNG"),
        ({"metadata": (None, "{")}, "part 'metadata' is not JSON"),
        ({"name": (None, b"\xff")}, "part 'name' is not UTF-8: send UTF-8"),
    ],
)
def test_an_upload_that_cannot_be_read_is_refused(api, server, picture, files, message):
    if "file" not in files and message.startswith("part"):
        files = files | {"file": ("a.png", picture(), "image/png")}

    reply = api.call("POST", "/dataset/ds/upload", files=files)

    assert reply.status_code == 400
    assert message in reply.json()["error"]
    assert held(server)["images"] == []


@pytest.mark.parametrize(
    ("path", "document", "status", "message"),
    [
        ("active_learning", {"enabled": True}, 400, "the body has no configuration: send"),
        ("active_learning", {"config": []}, 400, "the body has no configuration: send"),
        ("jobs", {}, 400, "the body names no batch: send"),
        ("jobs", {"batch": "b", "num_images": 0}, 400, "num_images 0: it is a whole number"),
        ("jobs", {"batch": "b", "num_images": True}, 400, "num_images True: it is a whole"),
        ("jobs", {"batch": "b"}, 404, "project 'ds' has no batch 'b'"),
    ],
)
def test_a_document_that_says_nothing_is_refused(api, path, document, status, message):
    reply = api.call("POST", f"/ws/ds/{path}", json=document)

    assert status == reply.status_code
    assert message in reply.json()["error"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Workspace("a/b"), r"workspace 'a/b': a name consists of letters, digits"),
        (lambda: Project("__x"), r"project '__x': .* does not begin with '__'"),
        (lambda: Workspace("dataset"), "workspace 'dataset' would hide the uploads: choose"),
        (lambda: State(workspaces=[]), "the server has no workspace: give it at least one"),
        (
            lambda: State(api_keys={"k": "other"}),
            r"an API key stands for workspace 'other', which is none of \['ws'\]",
        ),
    ],
)
def test_a_state_that_cannot_work_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_state_does_not_show_its_keys():
    assert "the-key" not in repr(State(api_keys={"the-key": "ws"}))
