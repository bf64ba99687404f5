"""HTTP/1.1 with keep-alive around the endpoints: one thread for each connection."""

import contextlib
import logging
import socket
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TypeAlias

from al_framework_roboflow.server.control import control, is_control
from al_framework_roboflow.server.endpoints import Route, answer, route
from al_framework_roboflow.server.exchange import ApiError, Reply, Request, json_reply
from al_framework_roboflow.server.failures import Failure
from al_framework_roboflow.server.state import State

_LOGGER = logging.getLogger(__name__)
_IDLE_S = 60.0
_CHUNK = 1 << 16
_DRAIN = 1 << 28  # read and forgotten of a request that is too large, so that its answer arrives

_Address: TypeAlias = tuple[bytes | bytearray, int] | tuple[str, int] | str


class RoboflowServer(ThreadingHTTPServer):
    """The server. ``stop`` ends every connection and waits for its threads.

    Attributes:
        state: What it answers from.
        stopping: Set when it stops, so that nobody waits out a latency.
    """

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, state: State, host: str = "127.0.0.1", port: int = 0) -> None:
        self.state = state
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """The address to give to clients, without a slash at the end."""
        return f"http://{self.server_address[0]!s}:{self.server_port}"

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which may ask the network."""
        TCPServer.server_bind(self)
        self.server_name = str(self.server_address[0])
        self.server_port = int(self.server_address[1])

    def process_request(
        self, request: "socket.socket | tuple[bytes, socket.socket]", client_address: _Address
    ) -> None:
        """Remember the connection while a thread serves it."""
        if isinstance(request, socket.socket):
            with self._connections_lock:
                self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: "socket.socket | tuple[bytes, socket.socket]") -> None:
        """Forget the connection and close it."""
        if isinstance(request, socket.socket):
            with self._connections_lock:
                self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(
        self,
        request: "socket.socket | tuple[bytes, socket.socket]",  # noqa: ARG002 - the base class's
        client_address: _Address,  # noqa: ARG002 - likewise
    ) -> None:
        """Say nothing of clients that went away; log the rest."""
        if not isinstance(sys.exc_info()[1], OSError):
            _LOGGER.exception("a connection ended with an error")  # noqa: LOG004 - called in one

    def stop(self) -> None:
        """End ``serve_forever``, close all connections and wait for their threads."""
        self.stopping.set()
        self.shutdown()
        with self._connections_lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: RoboflowServer  # pyright: ignore[reportIncompatibleVariableOverride] - set by it alone
    protocol_version = "HTTP/1.1"
    server_version = "al-framework-roboflow"
    sys_version = ""
    timeout = _IDLE_S
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer leave together

    def do_GET(self) -> None:
        """Answer any method alike; what a path allows is decided with the path."""
        try:
            body = self._read_body()
        except ApiError as exc:
            self._send(json_reply(exc.body, exc.status), close=True)
            return
        if body is None:
            self.close_connection = True
            return
        request = Request(
            method=self.command,
            target=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            client_port=int(self.client_address[1]),
        )
        reply = _caught(self._answer, request)
        if reply.drop:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._send(reply)

    do_POST = do_DELETE = do_PUT = do_PATCH = do_GET  # noqa: N815 - the base class looks for these

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is not HTTP, in the shape of the other errors."""
        self.request_version = self.protocol_version  # a request line that is none sets 0.9
        # The base class adds what it saw in brackets, which may hold a key.
        text = (message or explain or HTTPStatus(code).phrase).partition(" (")[0]
        self._send(json_reply({"error": text}, code), close=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Write nothing: request lines carry the key, and `/__requests` tells more."""

    def _answer(self, request: Request) -> Reply:
        state = self.server.state
        if is_control(request):
            return _caught(control, state, request)
        found = route(request.segments)
        endpoint = found.endpoint if found else ""
        entry = state.requests.add(request, endpoint=endpoint, at=state.now())
        failure = state.failures.take(endpoint, found.project) if found else None
        reply = _reply(state, request, found, failure)
        latency_s = state.failures.latency_s(endpoint) + (failure.latency_s if failure else 0.0)
        if latency_s:
            self.server.stopping.wait(latency_s)
        state.requests.finish(entry, status=None if reply.drop else reply.status)
        return reply

    def _read_body(self) -> bytes | None:
        """Read the whole body; None when the client went away before its end."""
        if self.headers.get("Transfer-Encoding"):
            raise ApiError(411, "a body is sent with Content-Length, not in chunks")
        lengths = set(self.headers.get_all("Content-Length", ["0"]))
        length = lengths.pop().strip()
        if lengths or not (length.isascii() and length.isdecimal()):
            raise ApiError(400, f"Content-Length {length!r}: it is one whole number")
        size, limit = int(length), self.server.state.max_body_bytes
        if size > limit:
            self._forget(min(size, _DRAIN))
            raise ApiError(413, f"the body has {size} bytes: at most {limit} are read")
        body = self.rfile.read(size)
        return body if len(body) == size else None

    def _forget(self, size: int) -> None:
        while size > 0:
            chunk = self.rfile.read(min(size, _CHUNK))
            if not chunk:
                return
            size -= len(chunk)

    def _send(self, reply: Reply, *, close: bool = False) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        if getattr(self, "command", None) != "HEAD":
            self.wfile.write(reply.body)


def _reply(state: State, request: Request, found: Route | None, failure: Failure | None) -> Reply:
    if failure is None or not failure.replaces_reply:
        return _caught(answer, state, request, found)
    if failure.after_storing:
        _caught(answer, state, request, found)
    return failure.reply()


def _caught(respond: Callable[..., Reply], *args: object) -> Reply:
    try:
        return respond(*args)
    except ApiError as exc:
        return json_reply(exc.body, exc.status)
    except Exception:  # the border: a client gets an answer whatever went wrong here
        _LOGGER.exception("a request could not be answered")
        return json_reply({"error": "the server failed: its log tells more"}, 500)
