"""The recorded requests, sent again byte for byte, and the recorded replies."""

import contextlib
import http.client
import io
import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from al_framework_roboflow.server import (
    Annotation,
    Batch,
    Failure,
    Job,
    Project,
    RunningServer,
    State,
    StoredImage,
    Workspace,
    content_hash,
    running_server,
)
from al_framework_roboflow.server.documents import ALREADY_ANNOTATED
from al_framework_roboflow.server.endpoints import Route, route

WIRE = Path(__file__).resolve().parents[4].parent / "shared" / "wire"
EXCLUDED = {
    "reg_04_persist_false_gateway": "one call to a gateway's /proxy, which is not Roboflow's API",
}
BOUNDARY = "0123456789abcdef"
ANOTHER_KEY = {"a-key-nobody-sends": "ws"}
# Of these only the type is fixed: they are random, times, or grow with what was uploaded.
VOLATILE = {"created", "updated", "images", "unannotated", "annotation", "error"}


def scenarios() -> list[Path]:
    if not WIRE.is_dir():
        return []
    found = []
    for path in sorted(WIRE.glob("*.json")):
        document = json.loads(path.read_text())
        if document.get("exchanges") and document["scenario"] not in EXCLUDED:
            found.append(path)
    return found


needs_recordings = pytest.mark.skipif(
    not WIRE.is_dir(), reason="the recordings (../shared/wire) are not beside this checkout"
)


def shape(value: object) -> object:
    """Types instead of values; integers and doubles are one kind of number in JSON."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "number" if isinstance(value, int | float) else type(value).__name__


def stable(value: object) -> object:
    """Values, without those of which only the type is fixed."""
    if isinstance(value, dict):
        return {key: stable(inner) for key, inner in value.items() if key not in VOLATILE}
    return [stable(inner) for inner in value] if isinstance(value, list) else value


def only(keys: object, value: object) -> object:
    """The part of a document that a shorter recording has."""
    if isinstance(keys, dict) and isinstance(value, dict):
        return {key: only(inner, value[key]) for key, inner in keys.items() if key in value}
    return value


class Replay:
    """One scenario, one connection, one server that starts with what the recording tells of it."""

    def __init__(self, document: Mapping, server: RunningServer) -> None:
        self.document = document
        self.server = server
        self.state = server.state
        self.connection: http.client.HTTPConnection | None = None
        self.ids: dict[str, str] = {}  # our id by the stem of the local name
        self.last_id = ""
        self.uploads: Counter[tuple[str, str]] = Counter()
        self.told: dict[tuple[str, str], object] = {}
        self.kinds: Counter[str] = Counter()

    def project(self, found: Route) -> Project:
        for workspace in self.state.workspaces:
            if found.workspace in {"", workspace.name}:
                project = workspace.project(found.project)
                if project is not None:
                    return project
        raise AssertionError(found)

    def run(self) -> Counter[str]:
        for exchange in self.document["exchanges"]:
            found = route(tuple(part for part in exchange["path"].split("/") if part))
            assert found is not None, exchange["path"]
            picture = self.picture(exchange)
            natural = self.prepare(found, exchange, picture)
            if exchange["reply"].get("drop"):
                with pytest.raises(http.client.RemoteDisconnected):
                    self.send(found, exchange, picture)
                self.close()
                self.kinds["dropped"] += 1
                continue
            status, headers, body = self.send(found, exchange, picture)
            self.kinds["natural" if natural else "on demand"] += 1
            assert exchange["reply"]["status"] == status, body
            if natural:
                self.compare(found, exchange, json.loads(body))
            else:
                self.compare_exactly(exchange["reply"], headers, body)
            self.undo()
        assert all(used for _, used in self.state.failures.pending())
        return self.kinds

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def prepare(  # noqa: C901, PLR0911, PLR0912 - a table of what was recorded
        self, found: Route, exchange: Mapping, picture: bytes
    ) -> bool:
        """Make the server hold what the recorded answer tells; False: it fails on demand."""
        reply = exchange["reply"]
        status, body = reply.get("status"), reply.get("json")
        match found.endpoint, status, body:
            case "root" | "workspace", 200, _:
                return True
            case "project", 200, {"project": project}:
                self.project(found).type = project.get("type")
                return True
            case "active_learning", 200, _:
                self.project(found).configuration = body
                return True
            case "active_learning", 404, {"error": str()}:
                self.project(found).configuration = None
                return True
            case "batches", 200, {"batches": batches} if all("numJobs" in b for b in batches):
                if self.is_news(found, batches):
                    self.project(found).batches = [
                        Batch(id=b["id"], name=b["name"], images=b["images"], num_jobs=b["numJobs"])
                        for b in batches
                    ]
                return True
            case "jobs", 200, {"jobs": jobs}:
                self.project(found).jobs = [
                    Job(source_batch=job["sourceBatch"], num_images=job["numImages"])
                    for job in jobs
                ]
                return True
            case "upload", 200, {"success": True, "id": _} if "duplicate" not in body:
                return True
            case "upload", 200, {"duplicate": True, "id": image_id} if "success" not in body:
                image = StoredImage(id=image_id, name="earlier", sha256=content_hash(picture))
                self.project(found).put(image)
                return True
            case "active_learning" | "upload", 401, {"error": str()}:
                self.state.api_keys = ANOTHER_KEY
                return True
            case "upload", 413, {"error": str()}:
                self.state.max_body_bytes = 100
                return True
            case "annotate", 200, {"success": True} if "error" not in body:
                return True
            case "annotate", 409, _ if body == ALREADY_ANNOTATED:
                stem = self.local_name(exchange)
                image = self.project(found).image(self.ids[stem])
                image.annotations.append(Annotation(name="earlier", body=""))
                return True
        self.fail_on_demand(found, reply)
        return False

    def fail_on_demand(self, found: Route, reply: Mapping) -> None:
        fields = {"endpoint": found.endpoint, "project": found.project or None}
        if reply.get("drop"):
            self.state.failures.add(Failure(drop=True, **fields))
            return
        answer = {"text": reply["text"]} if "text" in reply else {"body": reply["json"]}
        headers = reply.get("headers", {})
        self.state.failures.add(
            Failure(status=reply["status"], headers=headers, **answer, **fields)
        )

    def is_news(self, found: Route, told: object) -> bool:
        key = (found.endpoint, f"{found.workspace}/{found.project}")
        news = self.told.get(key) != told
        self.told[key] = told
        if news:
            self.uploads.clear()
        return news

    def undo(self) -> None:
        self.state.api_keys = {}
        self.state.max_body_bytes = 1 << 26

    def picture(self, exchange: Mapping) -> bytes:
        """A picture of the recorded size, another for each request: the bytes were not kept."""
        recorded = next((p["jpeg"] for p in exchange.get("multipart", ()) if "jpeg" in p), None)
        if recorded is None:
            return b""
        pixels = np.random.default_rng(exchange["n"]).integers(
            0, 256, (recorded["height"], recorded["width"], 3), np.uint8
        )
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG")
        return out.getvalue()

    def local_name(self, exchange: Mapping) -> str:
        query = dict(exchange["query"])
        parts = {tuple(p["headers"]): p.get("text") for p in exchange.get("multipart", ())}
        name = query.get("name") or parts.get(('Content-Disposition: form-data; name="name"',))
        return Path(name or "").stem

    def send(
        self, found: Route, exchange: Mapping, picture: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        if self.connection is None:
            host = self.server.url.removeprefix("http://")
            self.connection = http.client.HTTPConnection(host, timeout=30)
        target = exchange["raw_target"]
        if found.endpoint == "annotate":
            # The recorder answered every upload with one id; the client sends back what it got.
            # It names the annotation after the picture, but for a class, which has no file.
            ours = found.image
            if not any(found.image in p.images for w in self.state.workspaces for p in w.projects):
                ours = self.ids.get(self.local_name(exchange), self.last_id)
            target = target.replace(f"/annotate/{found.image}?", f"/annotate/{ours}?")
        body = exchange.get("body_text", "").encode()
        if "multipart" in exchange:
            body = self.form(exchange, picture)
        self.connection.putrequest(
            exchange["method"], target, skip_host=True, skip_accept_encoding=True
        )
        for name in exchange["header_names"]:
            value = exchange["headers"].get(name, self.server.url.removeprefix("http://"))
            if name == "Content-Length":
                value = str(len(body))
            self.connection.putheader(name, value.replace("<boundary>", BOUNDARY))
        self.connection.endheaders(body or None)
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read()

    def form(self, exchange: Mapping, picture: bytes) -> bytes:
        lines = []
        for part in exchange["multipart"]:
            content = picture if "jpeg" in part else part["text"].encode()
            head = "\r\n".join(part["headers"]).encode()
            lines.append(b"--" + BOUNDARY.encode() + b"\r\n" + head + b"\r\n\r\n" + content)
        return b"\r\n".join([*lines, b"--" + BOUNDARY.encode() + b"--\r\n"])

    def compare_exactly(self, reply: Mapping, headers: Mapping[str, str], body: bytes) -> None:
        if "text" in reply:
            assert reply["text"] == body.decode()
        else:
            assert reply["json"] == json.loads(body)
        for name, value in reply.get("headers", {}).items():
            assert value == headers[name]

    def compare(self, found: Route, exchange: Mapping, ours: object) -> None:
        recorded = exchange["reply"]["json"]
        match found.endpoint, ours:
            case "upload", {"success": True, "id": image_id}:
                self.ids[self.local_name(exchange)] = self.last_id = image_id
                self.uploads[found.project, dict(exchange["query"])["batch"]] += 1
                recorded = {**recorded, "id": image_id}
            case "batches", {"batches": batches}:
                recorded = {"batches": self.with_uploads(found, recorded["batches"], batches)}
            case "workspace", {"workspace": {"projects": projects}}:
                # The recorder had no projects to list; ours are listed as B describes them.
                assert [p["name"] for p in projects] == ["ds"]
                recorded = {"workspace": {**recorded["workspace"], "name": "ws"}}
                recorded["workspace"]["projects"] = projects
            case "project", {"project": project}:
                # Two clients were recorded; the longer of the two replies is served to both.
                assert shape(FULL_PROJECT | {"project": project}) == shape(ours)
                if "workspace" in recorded:
                    recorded = recorded | {"workspace": FULL_PROJECT["workspace"]}
                    assert shape(recorded) == shape(ours)
                ours = only(recorded, ours)
        assert shape(recorded) == shape(ours)
        assert stable(recorded) == stable(ours)

    def with_uploads(self, found: Route, recorded: list, ours: list) -> list:
        """What the recording's batches are after our uploads, which the recorder ignored."""
        expected, seen = [], set()
        for batch in recorded:
            extra = 0 if batch["name"] in seen else self.uploads[found.project, batch["name"]]
            expected.append({**batch, "images": batch["images"] + extra})
            seen.add(batch["name"])
        counts = [batch["images"] for batch in ours]
        assert [batch["images"] for batch in expected] == counts[: len(expected)]
        made = [name for project, name in self.uploads if project == found.project]
        assert sorted(set(made) - seen) == sorted(b["name"] for b in ours[len(expected) :])
        return [*expected, *ours[len(expected) :]]


FULL_PROJECT = {"workspace": {"name": "ws", "url": "ws"}, "project": {}, "versions": []}


def state_for(document: Mapping) -> State:
    """The tenants and projects that a scenario's paths name."""
    names: dict[str, dict[str, None]] = {"ws": {}}
    for exchange in document["exchanges"]:
        found = route(tuple(part for part in exchange["path"].split("/") if part))
        if found is not None and found.workspace and found.project:
            names.setdefault(found.workspace, {})[found.project] = None
    for exchange in document["exchanges"]:
        found = route(tuple(part for part in exchange["path"].split("/") if part))
        known = {project for projects in names.values() for project in projects}
        if found is not None and found.project and found.project not in known:
            names["ws"][found.project] = None
    return State(
        workspaces=[
            Workspace(name, [Project(project) for project in projects])
            for name, projects in names.items()
        ]
    )


@cache
def replay(path: Path) -> Counter[str]:
    document = json.loads(path.read_text())
    with (
        running_server(state_for(document)) as server,
        contextlib.closing(Replay(document, server)) as scenario,
    ):
        return scenario.run()


@needs_recordings
@pytest.mark.parametrize("path", scenarios(), ids=lambda path: path.stem)
def test_recorded_requests_get_the_recorded_replies(path):
    kinds = replay(path)

    assert kinds.total() == len(json.loads(path.read_text())["exchanges"])


@needs_recordings
def test_every_recorded_scenario_is_covered_and_few_answers_are_made_to_fail():
    kinds = Counter[str]()
    for path in scenarios():
        kinds += replay(path)

    assert len(scenarios()) >= 189
    assert kinds.total() >= 923
    assert kinds["natural"] / kinds.total() > 0.94
