"""One request and one reply, free of sockets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from al_framework_roboflow.server.multipart import MultipartError, Part, parse_multipart

API_KEY = "api_key"


class ApiError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: The HTTP status.
        body: The reply's JSON document; by default the recorded form ``{"error": text}``.
    """

    def __init__(self, status: int, message: str, body: object = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": message} if body is None else body


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is sent back.

    Attributes:
        status: The HTTP status.
        body: The bytes of the body.
        content_type: Their type.
        headers: Further headers.
        drop: Whether the connection is closed without an answer instead.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False


def json_reply(document: object, status: int = 200) -> Reply:
    """Return a reply that carries a JSON document."""
    return Reply(status=status, body=json.dumps(document).encode())


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as it arrived.

    Attributes:
        method: The HTTP method.
        target: The request target, key and all: never to be logged.
        headers: The headers, names in lower case.
        body: The whole body.
        client_port: Tells connections apart.
    """

    method: str
    target: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    client_port: int = 0

    @cached_property
    def _split(self) -> SplitResult:
        try:
            return urlsplit(self.target)
        except ValueError:
            # Its text would hold the target, and with it the key.
            raise ApiError(400, "the request target is no URL") from None

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """The parts of the path between the slashes, decoded."""
        return tuple(unquote(part) for part in self._split.path.split("/") if part)

    @cached_property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The query's pairs in order, decoded."""
        return tuple(parse_qsl(self._split.query, keep_blank_values=True))

    def first(self, name: str, default: str = "") -> str:
        """Return the first value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a query parameter in order."""
        return tuple(value for key, value in self.query if key == name)

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def parts(self) -> Sequence[Part]:
        """The parts of a multipart body.

        Raises:
            MultipartError: The body is not well-formed multipart/form-data.
        """
        return parse_multipart(self.headers.get("content-type", ""), self.body)

    def part(self, name: str) -> Part | None:
        """Return the first part of that name.

        Raises:
            ApiError: The body is not well-formed multipart/form-data.
        """
        try:
            return next((part for part in self.parts if part.name == name), None)
        except MultipartError as exc:
            raise ApiError(400, str(exc)) from exc

    def text(self) -> str:
        """Return the body as text.

        Raises:
            ApiError: It is not UTF-8.
        """
        try:
            return self.body.decode()
        except UnicodeDecodeError as exc:
            raise ApiError(400, f"the body is not UTF-8 at byte {exc.start}: send UTF-8") from exc

    def json(self) -> object:
        """Return the body read as JSON.

        Raises:
            ApiError: It is not JSON.
        """
        return parse_json(self.text(), "the body")


def parse_json(text: str, what: str) -> object:
    """Read JSON that a client sent.

    Raises:
        ApiError: It is not JSON; the message begins with ``what``.
    """
    try:
        document: object = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise ApiError(400, f"{what} is not JSON: {exc}") from exc
    return document


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")
