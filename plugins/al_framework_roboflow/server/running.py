"""Run a server in a thread or in its own process, and talk to its control endpoints."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import requests

from al_framework_roboflow.server.serving import RoboflowServer
from al_framework_roboflow.server.state import State

_TIMEOUT_S = 30.0


class ServerNotStartedError(RuntimeError):
    """A server process that did not say where it listens."""


class Remote:
    """A running server, as seen by a test: its control endpoints as methods.

    Attributes:
        url: The address to give to clients.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def fail(self, **failure: object) -> None:
        """Add a failure on demand; the fields are those of ``Failure``."""
        self._call("POST", "/__failures", failure)

    def clear_failures(self) -> None:
        """Let everything succeed again."""
        self._call("DELETE", "/__failures")

    def set_latency(self, seconds: float, endpoint: str = "any") -> None:
        """Let answers wait."""
        self._call("POST", "/__latency", {"seconds": seconds, "endpoint": endpoint})

    def requests(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """Return what was asked so far, oldest first, of one endpoint or of all."""
        entries: list[dict[str, Any]] = self._call("GET", "/__requests")["requests"]
        return [entry for entry in entries if endpoint in {None, entry["endpoint"]}]

    def clear_requests(self) -> None:
        """Forget what was asked so far."""
        self._call("DELETE", "/__requests")

    def held(self) -> dict[str, Any]:
        """Return everything the server holds, pictures' bytes excepted."""
        return self._call("GET", "/__state")

    def image(self, image_id: str) -> bytes:
        """Return the bytes of a picture."""
        reply = requests.get(f"{self.url}/__images/{image_id}", timeout=_TIMEOUT_S)
        reply.raise_for_status()
        return reply.content

    def _call(self, method: str, path: str, document: object = None) -> dict[str, Any]:
        reply = requests.request(method, self.url + path, json=document, timeout=_TIMEOUT_S)
        answer: dict[str, Any] = reply.json()
        if not reply.ok:
            raise ValueError(f"{method} {path}: {answer['error']}")
        return answer


class RunningServer(Remote):
    """A server in a thread of this process.

    Attributes:
        state: What it answers from, to be read and changed under its lock.
    """

    def __init__(self, url: str, state: State) -> None:
        super().__init__(url)
        self.state = state


class SpawnedServer(Remote):
    """A server in its own process.

    Attributes:
        process: That process.
    """

    def __init__(self, url: str, process: "subprocess.Popen[str]") -> None:
        super().__init__(url)
        self.process = process


@contextmanager
def running_server(
    state: State | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> Iterator[RunningServer]:
    """Serve from a thread while the block runs.

    Raises:
        OSError: The address cannot be bound.
    """
    server = RoboflowServer(State() if state is None else state, host, port)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="roboflow-server"
    )
    thread.start()
    try:
        yield RunningServer(server.url, server.state)
    finally:
        server.stop()
        thread.join()


@contextmanager
def spawned_server(
    arguments: Sequence[str] = (),
    *,
    start_timeout_s: float = _TIMEOUT_S,
    end_timeout_s: float = _TIMEOUT_S,
) -> Iterator[SpawnedServer]:
    """Serve from a process of its own while the block runs.

    Args:
        arguments: Options of ``python -m al_framework_roboflow.server``.
        start_timeout_s: How long it may take to say its address.
        end_timeout_s: How long it may take to end before it is killed.

    Raises:
        ServerNotStartedError: It did not say so, or not in time.
    """
    command = [sys.executable, "-m", "al_framework_roboflow.server", "--port", "0", *arguments]
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield SpawnedServer(_first_line(process, start_timeout_s), process)
        finally:
            _end(process, end_timeout_s)


def _first_line(process: "subprocess.Popen[str]", timeout_s: float) -> str:
    stream = cast("IO[str]", process.stdout)  # it was started with a pipe
    timer = threading.Timer(timeout_s, process.kill)
    timer.start()
    try:
        line = stream.readline().strip()
    finally:
        timer.cancel()
        timer.join()
    if not line.startswith("http://"):
        raise ServerNotStartedError(
            f"the server said {line!r} instead of its address within {timeout_s:g} s: run "
            "'python -m al_framework_roboflow.server' to see why"
        )
    return line


def _end(process: "subprocess.Popen[str]", timeout_s: float) -> None:
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
