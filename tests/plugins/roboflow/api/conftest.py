"""A tiny HTTP server that answers as a test tells it and keeps every byte; clients of it."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from pydantic import SecretStr

from al_framework.api import Datapoint, datapoint_from_dict, datapoint_to_dict
from al_framework.testing import FakeClock, make_context, sample_datapoint, sample_frame
from al_framework_roboflow.client import RoboflowClient
from al_framework_roboflow.response import RoboflowResponse
from al_framework_roboflow.sink import RoboflowSink

KEY = "test-api-key"
SINK_KEY = "rf-0123456789-secret"


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def parts(self) -> list[tuple[list[str], bytes]]:
        """The parts of a multipart body: their headers as sent, and their content."""
        boundary = (self.header("content-type") or "").partition("boundary=")[2].encode()
        found = []
        for part in self.body.split(b"--" + boundary)[1:-1]:
            head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            found.append((head.decode().split("\r\n"), content.removesuffix(b"\r\n")))
        return found

    @property
    def call(self) -> str:
        """Which of the endpoints A to G this is."""
        if self.method == "POST":
            return "F" if self.path.endswith("/upload") else "G"
        last = self.path.rpartition("/")[2]
        if self.path == "/":
            return "A"
        return {"active_learning": "C", "batches": "D", "jobs": "E"}.get(last, "B")


@dataclass(kw_only=True)
class Answer:
    status: int = 200
    document: Any = None
    text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    hang: bool = False

    @property
    def body(self) -> bytes:
        return (json.dumps(self.document) if self.text is None else self.text).encode()


class Server:
    """Answers from a list, and when it is empty from a function."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[Answer] = []
        self.otherwise: Callable[[Request], Answer] = lambda _: Answer(status=500, document={})
        self.connections = 0
        self.released = threading.Event()
        self.lock = threading.Lock()
        self.url = ""

    @property
    def calls(self) -> str:
        return "".join(request.call for request in self.requests)

    def answer(self, request: Request) -> Answer:
        with self.lock:
            self.requests.append(request)
            return self.answers.pop(0) if self.answers else self.otherwise(request)

    def always(self, document: Any, *, status: int = 200) -> None:
        self.otherwise = lambda _: Answer(status=status, document=document)

    def say(self, document: Any = None, *, status: int = 200, **rest: Any) -> None:
        self.answers.append(Answer(status=status, document=document, **rest))


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            with server.lock:
                server.connections += 1
                self.number = server.connections

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # an endless answer is not read to its end
                super().handle()

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            request = Request(
                method=self.command,
                target=self.path,
                headers=self.headers.items(),
                body=self.rfile.read(length),
                connection=self.number,
            )
            answer = server.answer(request)
            if answer.hang:
                server.released.wait(60)
            if answer.drop or answer.hang:
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if "Content-Length" in answer.headers:
                self.close_connection = True
            else:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_POST = do_GET  # noqa: N815 - the base looks for this name

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            pass

    return Handler


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(server)) as http:
        http.daemon_threads = True
        http.block_on_close = False
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            http.shutdown()
            thread.join()


class Roboflow:
    """The least of a Roboflow: stores pictures by content and annotations by id."""

    def __init__(self) -> None:
        self.images: dict[str, str] = {}
        self.annotations: dict[str, bytes] = {}

    def __call__(self, request: Request) -> Answer:
        if request.call == "F":
            content = hashlib.sha256(request.parts[1][1]).hexdigest()
            known = content in self.images
            image_id = self.images.setdefault(content, f"rf-{len(self.images)}")
            return Answer(document={"duplicate" if known else "success": True, "id": image_id})
        image_id = request.path.rpartition("/")[2]
        if image_id in self.annotations:
            return Answer(status=409, document={"error": "already annotated"})
        self.annotations[image_id] = request.body
        return Answer(document={"success": True})


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[RoboflowClient]:
    made = RoboflowClient(api_key=SecretStr(KEY), api_url=server.url)
    yield made
    made.close()


@pytest.fixture
def roboflow(server: Server) -> Roboflow:
    made = Roboflow()
    server.otherwise = made
    return made


@pytest.fixture
def datapoint_of(tmp_path: Path) -> Callable[..., Datapoint]:
    """Return the datapoint that the adapter and the engine make of a document."""
    adapter = RoboflowResponse(RoboflowResponse.Options(), make_context(tmp_path))

    def make(
        document: Any,
        kind: str,
        *,
        source: tuple[int, int] = (160, 120),
        stored: tuple[int, int] | None = None,
        spooled: bool = False,
    ) -> Datapoint:
        frame = sample_frame(width=source[0], height=source[1])
        prediction = adapter.adapt(document, frame=frame, prediction_type=kind)
        datapoint = sample_datapoint(
            prediction=prediction, source_size=source, image_size=stored or source
        )
        if spooled:
            values = json.loads(json.dumps(datapoint_to_dict(datapoint)))
            datapoint = datapoint_from_dict(values, image=b"")
        return datapoint

    return make


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make(server: Server, tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., RoboflowSink]]:
    """The factory of sinks that store at the server; all are closed."""
    made: list[RoboflowSink] = []

    def build(**options: Any) -> RoboflowSink:
        values = {"api_key": SINK_KEY, "project": "ds", "api_url": server.url, **options}
        context = make_context(tmp_path, name="rf", clock=clock)
        made.append(RoboflowSink(RoboflowSink.Options(**values), context))
        return made[-1]

    yield build
    for sink in made:
        sink.close()


@pytest.fixture
def sink(make: Callable[..., RoboflowSink]) -> RoboflowSink:
    return make()
