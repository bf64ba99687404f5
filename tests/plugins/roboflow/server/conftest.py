import io
import itertools
import socket
from collections.abc import Callable, Iterator

import pytest
import requests
from PIL import Image

from al_framework_roboflow.server import (
    Project,
    RunningServer,
    State,
    Workspace,
    running_server,
)

KEY = "secret-key-of-a-test"


def make_picture(number: int = 0, picture_format: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 6), (number % 256, number // 256, 7)).save(out, picture_format)
    return out.getvalue()


class Api:
    """The requests of a client, with the key."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url = url
        self.session = session

    def call(self, method: str, path: str, *, key: str = KEY, query=(), **arguments):
        pairs = [("api_key", key), *query] if key else [*query]
        return self.session.request(method, self.url + path, params=pairs, timeout=30, **arguments)

    def get(self, path: str, **arguments):
        return self.call("GET", path, **arguments)

    def upload(self, picture: bytes, *, project: str = "ds", batch: str = "b", query=(), **more):
        return self.call(
            "POST",
            f"/dataset/{project}/upload",
            query=[("batch", batch), *query],
            files={"name": (None, "n.jpg"), "file": ("imageToUpload", picture, "image/jpeg")},
            **more,
        )

    def annotate(self, image_id: str, body: str = "{}", *, name: str = "n.json", query=(), **more):
        return self.call(
            "POST",
            f"/dataset/ds/annotate/{image_id}",
            query=[("name", name), *query],
            data=body.encode(),
            headers={"Content-Type": "text/plain"},
            **more,
        )


@pytest.fixture
def picture() -> Callable[..., bytes]:
    return make_picture


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
def state() -> State:
    numbers = itertools.count(1)
    return State(
        workspaces=[Workspace("ws", [Project("ds")]), Workspace("ws2", [Project("ds2")])],
        now=lambda: 1000.0,
        new_id=lambda: f"id-{next(numbers)}",
    )


@pytest.fixture
def server(state: State) -> Iterator[RunningServer]:
    with running_server(state) as running:
        yield running


@pytest.fixture
def connect() -> Iterator[Callable[[str], Api]]:
    with requests.Session() as session:
        yield lambda url: Api(url, session)


@pytest.fixture
def api(server: RunningServer, connect) -> Api:
    return connect(server.url)


@pytest.fixture
def raw(server: RunningServer) -> Callable[[bytes], bytes]:
    """Send bytes and return everything that comes back until the server closes."""

    def send(data: bytes) -> bytes:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        return answer

    return send
