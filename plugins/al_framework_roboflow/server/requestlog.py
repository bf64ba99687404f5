"""What was asked of the server: for tests that count and compare, without keys."""

import hashlib
import threading
from collections import deque
from dataclasses import asdict, dataclass, field

from al_framework_roboflow.server.exchange import API_KEY, Request
from al_framework_roboflow.server.multipart import MultipartError, Part

_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
_LONGEST_TEXT = 4096


@dataclass(slots=True, kw_only=True)
class LoggedPart:
    """One part of an upload; text is kept where the part is no file."""

    name: str
    filename: str | None
    content_type: str
    length: int
    sha256: str
    text: str | None = None


@dataclass(slots=True, kw_only=True)
class LoggedRequest:
    """One request.

    Attributes:
        n: Its number since the server started, from 1.
        at: When it had arrived, in seconds since 1970.
        endpoint: Which endpoint it is for; empty for none.
        query: The pairs in order, the key masked.
        headers: The headers, names in lower case, secrets masked.
        annotation: The body of an annotation, as text.
        status: The status answered, None as long as there is none.
        dropped: Whether the connection was closed without an answer.
        client_port: The same for requests of one connection.
    """

    n: int
    at: float
    method: str
    path: str
    endpoint: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body_length: int
    client_port: int
    parts: list[LoggedPart] = field(default_factory=list)
    annotation: str | None = None
    status: int | None = None
    dropped: bool = False


class RequestLog:
    """The latest requests, oldest first. Safe to use from several threads."""

    def __init__(self, capacity: int = 10_000) -> None:
        self._lock = threading.Lock()
        self._entries: deque[LoggedRequest] = deque(maxlen=capacity)
        self._count = 0

    def add(self, request: Request, *, endpoint: str, at: float) -> LoggedRequest:
        """Append a request and return its entry, whose outcome is still open."""
        annotation = request.body.decode(errors="replace") if endpoint == "annotate" else None
        entry = LoggedRequest(
            n=0,
            at=at,
            method=request.method,
            path="/" + "/".join(request.segments),
            endpoint=endpoint,
            query=[(key, _masked(value, key == API_KEY)) for key, value in request.query],
            headers={k: _masked(v, k in _SECRET_HEADERS) for k, v in request.headers.items()},
            body_length=len(request.body),
            client_port=request.client_port,
            parts=_parts(request),
            annotation=annotation,
        )
        with self._lock:
            self._count += 1
            entry.n = self._count
            self._entries.append(entry)
        return entry

    def finish(self, entry: LoggedRequest, *, status: int | None) -> None:
        """Note how a request ended; without a status it was dropped."""
        with self._lock:
            entry.status = status
            entry.dropped = status is None

    def clear(self) -> None:
        """Forget the requests; the numbers go on."""
        with self._lock:
            self._entries.clear()

    def documents(self) -> list[dict[str, object]]:
        """Return the entries as JSON documents, oldest first."""
        with self._lock:
            return [asdict(entry) for entry in self._entries]


def mask(secret: str) -> str:
    """Return a secret that can still be told from another: its ends, or nothing of a short one."""
    return f"{secret[:2]}***{secret[-2:]}" if len(secret) >= 8 else "***"


def _masked(value: str, secret: bool) -> str:
    return mask(value) if secret else value


def _parts(request: Request) -> list[LoggedPart]:
    if request.media_type != "multipart/form-data":
        return []
    try:
        return [_part(part) for part in request.parts]
    except MultipartError:
        return []  # the endpoint answers with the reason


def _part(part: Part) -> LoggedPart:
    text: str | None = None
    if part.filename is None and len(part.data) <= _LONGEST_TEXT:
        text = part.data.decode(errors="replace")
    return LoggedPart(
        name=part.name,
        filename=part.filename,
        content_type=part.content_type,
        length=len(part.data),
        sha256=hashlib.sha256(part.data).hexdigest(),
        text=text,
    )
