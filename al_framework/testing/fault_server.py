"""A server on loopback that fails in every way in which servers fail, and remembers what it got.

On raw sockets, since a proper HTTP server cannot break off, fall silent or send a byte at a time::

    with FaultServer() as server:
        server.say(Answer(how="reset_unanswered"), Answer(status=503), Answer(body={"id": "7"}))
        ...  # speak to server.url
        assert [request.path for request in server.requests] == [...]
"""

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeAlias

How: TypeAlias = Literal[
    "whole",
    "reset_at_once",
    "reset_unanswered",
    "reset_midway",
    "cut_midway",
    "hang_at_once",
    "hang_unanswered",
    "drip_headers",
    "drip_body",
    "endless",
]
_ENDLESS_BYTES = 100 * 1024 * 1024
_MAX_HEAD = 64 * 1024
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server does with one request.

    Attributes:
        status: The HTTP status.
        body: What it sends: bytes, text, or an object to be sent as JSON.
        headers: Besides ``Content-Length``, and ``Content-Type`` for JSON.
        how: ``whole``; ``reset_at_once`` and ``hang_at_once`` (the body of the request is not
            read), ``reset_unanswered`` and ``hang_unanswered`` (the request was processed),
            ``reset_midway`` and ``cut_midway`` (half of the answer, then a reset or a plain end),
            ``drip_headers`` and ``drip_body`` (a byte every `drip_s`), ``endless`` (100 MiB).
        drip_s: Seconds between two bytes.
        delay_s: Seconds before the answer begins.
    """

    status: int = 200
    body: bytes | str | Mapping[str, Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    how: How = "whole"
    drip_s: float = 0.05
    delay_s: float = 0.0

    @property
    def content(self) -> bytes:
        """The body as bytes."""
        if isinstance(self.body, Mapping):
            return json.dumps(self.body).encode()
        return self.body.encode() if isinstance(self.body, str) else self.body

    @property
    def head(self) -> bytes:
        """The status line and the headers as bytes."""
        length = _ENDLESS_BYTES if self.how == "endless" else len(self.content)
        headers = {"Content-Length": str(length)}
        if isinstance(self.body, Mapping):
            headers["Content-Type"] = "application/json"
        headers |= self.headers
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join((*lines, "", "")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the server was asked.

    Attributes:
        method: The HTTP method.
        target: Path and query as they were sent.
        headers: By name in lower case.
        body: The body; empty where it was not read.
        connection: Which connection it came on, from 1.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]


class FaultServer:
    """Answers from a list, and when that is empty from `otherwise`.

    Attributes:
        requests: What it was asked, in order.
        connections: How many connections were opened.
        sent_bytes: How much of its answers the other ends have taken.
        otherwise: Answers what the list does not; by default with 500.

    Args:
        host: ``127.0.0.1`` or ``::1``.
        port: The port of an earlier one that comes back; by default any that is free.
        tls: Speak TLS with this context; None for plain HTTP.
        name: The host to write into `url`, where it differs.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        name: str | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.sent_bytes = 0
        self.otherwise: Callable[[Request], Answer] = lambda _: Answer(status=500)
        self._answers: deque[Answer] = deque()
        self._tls = tls
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self.port: int = self._listener.getsockname()[1]
        shown = name or (f"[{host}]" if ":" in host else host)
        self.url = f"{'https' if tls else 'http'}://{shown}:{self.port}"

    def say(self, *answers: Answer) -> None:
        """Answer the next requests with these."""
        with self._lock:
            self._answers.extend(answers)

    def forget(self) -> None:
        """Drop what was asked and what has not been said yet."""
        with self._lock:
            self.requests.clear()
            self._answers.clear()
            self.sent_bytes = 0

    def __enter__(self) -> Self:
        """Start to listen."""
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection and end every thread."""
        self._closing.set()
        with self._lock:
            sockets = (self._listener, *self._sockets)
        for sock in sockets:
            with contextlib.suppress(OSError):  # it is gone already
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(timeout=10)

    def _begin(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._sockets.add(plain)
            self._begin(self._serve, plain, self.connections)

    def _serve(self, plain: socket.socket, number: int) -> None:
        sock = plain
        with contextlib.suppress(OSError):  # the other end goes away as it likes
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                plain.settimeout(10)
                sock = self._tls.wrap_socket(plain, server_side=True)
                sock.settimeout(None)
                with self._lock:
                    self._sockets.add(sock)
            while not self._closing.is_set() and self._exchange(sock, number):
                pass
        with self._lock:
            self._sockets -= {plain, sock}
        sock.close()

    def _exchange(self, sock: socket.socket, number: int) -> bool:
        """Take one request and answer it; tell whether the connection goes on."""
        head, body = b"", b""
        while b"\r\n\r\n" not in head:
            received = sock.recv(_CHUNK)
            if not received or len(head) > _MAX_HEAD:
                return False
            head += received
        head, _, body = head.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        unread = Request(method=method, target=target, headers=headers, body=b"", connection=number)
        with self._lock:
            answer = self._answers.popleft() if self._answers else None
        if answer is None or not answer.how.endswith("at_once"):
            while len(body) < int(headers.get("content-length", "0")):
                received = sock.recv(_CHUNK)
                if not received:
                    return False
                body += received
            unread = Request(
                method=method, target=target, headers=headers, body=body, connection=number
            )
        with self._lock:
            self.requests.append(unread)
        return self._answer(sock, self.otherwise(unread) if answer is None else answer)

    def _answer(self, sock: socket.socket, answer: Answer) -> bool:
        if answer.delay_s:
            self._closing.wait(answer.delay_s)
        how, content = answer.how, answer.content
        if how.startswith("hang"):
            self._closing.wait()
        elif how in {"reset_at_once", "reset_unanswered"}:
            _reset(sock)
        elif how in {"reset_midway", "cut_midway"}:
            self._send(sock, answer.head + content[: len(content) // 2])
            if how == "reset_midway":
                _reset(sock)
        elif how == "drip_headers":
            self._drip(sock, answer.head + content, answer.drip_s)
        elif how == "drip_body":
            self._send(sock, answer.head)
            self._drip(sock, content, answer.drip_s)
        elif how == "endless":
            self._send(sock, answer.head)
            for _ in range(_ENDLESS_BYTES // _CHUNK):
                self._send(sock, b"x" * _CHUNK)
        else:
            self._send(sock, answer.head + content)
            return answer.headers.get("Connection") != "close"
        return False

    def _drip(self, sock: socket.socket, data: bytes, pause_s: float) -> None:
        for place in range(len(data)):
            self._send(sock, data[place : place + 1])
            if self._closing.wait(pause_s):
                return

    def _send(self, sock: socket.socket, data: bytes) -> None:
        sock.sendall(data)
        with self._lock:
            self.sent_bytes += len(data)


def _reset(sock: socket.socket) -> None:
    """End a connection so that the other end sees a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
