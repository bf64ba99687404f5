"""What goes over the wire: requests and urllib3, made to keep a deadline and to hold no secrets.

urllib3 bounds each wait alone, so a server that sends one byte at a time holds a thread for as long
as it likes. Here every read and every write is given what is left of the whole. Imported with the
first request only: requests takes its time to load.
"""

import functools
import http.client
import io
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

import requests
import urllib3
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection

from al_framework import __version__
from al_framework.api.http.answers import MAX_REPLY_BYTES

if TYPE_CHECKING:
    from al_framework.api.http.client import Timeouts

_CHUNK = 64 * 1024
_COMPRESSED = frozenset({"gzip", "x-gzip", "deflate"})
# requests lets some of urllib3's own through, what an address cannot be encoded from, and the
# missing file of a certificate authority.
FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, ValueError, OSError)


class DeadlineError(TimeoutError):
    """The request as a whole took too long."""


class Deadline:
    """Until when the request of one thread has to be over.

    Real time rather than the injected clock: it bounds waits of the operating system, which know no
    other.
    """

    def __init__(self) -> None:
        self._until = float("inf")
        self._read_s = float("inf")

    def begin(self, timeouts: "Timeouts") -> None:
        """Start counting."""
        self._until = time.monotonic() + timeouts.total_s
        self._read_s = timeouts.read_s

    def left_s(self) -> float:
        """Return the seconds that are left.

        Raises:
            DeadlineError: None are.
        """
        left = self._until - time.monotonic()
        if left <= 0:
            raise DeadlineError("the request took too long")
        return left

    def wait(self, sock: Any) -> None:
        """Bound the next read of a socket."""
        sock.settimeout(min(self._read_s, self.left_s()))

    def check(self) -> None:
        """Say so if a wait ended since nothing is left, rather than for silence."""
        self.left_s()


class Credentials(AuthBase):
    """Adds secret headers, and secret parameters in front of the query.

    Being an auth object, it keeps the secrets out of every variable of our own frames, which some
    tracebacks print.
    """

    def __init__(self, *, headers: Mapping[str, SecretStr], query: Mapping[str, SecretStr]) -> None:
        self._headers = headers
        self._query = query

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add them to a request that is about to be sent."""
        for name, value in self._headers.items():
            request.headers[name] = value.get_secret_value()
        if self._query:
            address, _, query = (request.url or "").partition("?")
            own = urlencode({name: value.get_secret_value() for name, value in self._query.items()})
            request.url = f"{address}?{own}&{query}" if query else f"{address}?{own}"
        return request


class Line:
    """The connections of one thread.

    Without a session of requests, whose cookies, ``.netrc`` and redirects nobody wants here, and
    which looks through the whole environment at every request: here the proxy of a server, and
    the certificate authorities of the environment, are looked up with the first request to it.

    Args:
        credentials: Adds the secrets to each request.
        headers: Headers of every request.
        ca_file: Certificate authorities to trust instead of the usual ones.
        timeouts: How long a request may take.
    """

    def __init__(
        self,
        *,
        credentials: Credentials,
        headers: Mapping[str, str],
        ca_file: Path | None,
        timeouts: "Timeouts",
    ) -> None:
        self._credentials = credentials
        self._verify = str(ca_file) if ca_file is not None else _authorities()
        self._timeouts = timeouts
        self._deadline = Deadline()
        self._headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        self._headers["User-Agent"] = f"al-framework/{__version__}"
        self._headers["Accept-Encoding"] = "gzip, deflate"  # whatever else is installed
        self._headers["Accept"] = "*/*"
        self._headers["Connection"] = "keep-alive"
        self._headers.update(headers)
        self._adapter = _Adapter(self._deadline)
        self._proxies: dict[str, dict[str, str]] = {}

    def ask(
        self,
        method: str,
        url: str,
        *,
        body: bytes | tuple[bytes, ...] | None,
        headers: Mapping[str, str],
    ) -> tuple[int, Mapping[str, str], bytes] | Exception:
        """Return status, headers and body of the answer, or the exception that came instead.

        The body is cut off behind `MAX_REPLY_BYTES`. The exception is returned so that the
        caller's own is not chained to it, which holds the address.
        """
        self._deadline.begin(self._timeouts)
        try:
            with self._sent(method, url, body, headers) as response:
                content = _received(response)
        except FAILURES as exc:
            try:
                self._deadline.check()
            except DeadlineError as late:
                return late
            return exc
        answered = {name.lower(): value for name, value in response.headers.items()}
        return response.status_code, answered, content

    def close(self) -> None:
        """Close the connections; a request after this opens new ones."""
        self._adapter.close()

    def _sent(
        self,
        method: str,
        url: str,
        body: bytes | tuple[bytes, ...] | None,
        headers: Mapping[str, str],
    ) -> requests.Response:
        if not url.lower().startswith(("http://", "https://")):
            raise requests.exceptions.InvalidSchema("neither http nor https")
        request = requests.PreparedRequest()
        every = self._headers.copy()
        every.update(headers)
        data = _in_parts(body) if isinstance(body, tuple) else body
        request.prepare(method, url, headers=every, data=data, auth=self._credentials)
        timeouts = self._timeouts
        return self._adapter.send(
            request,
            stream=True,
            timeout=(min(timeouts.connect_s, timeouts.read_s), timeouts.read_s),
            verify=self._verify,
            proxies=self._proxies_for(url),
        )

    def _proxies_for(self, url: str) -> dict[str, str]:
        """Return the proxies of the environment that are meant for an address."""
        server = "/".join(url.split("/", 3)[:3])
        found = self._proxies.get(server)
        if found is None:
            found = self._proxies[server] = requests.utils.get_environ_proxies(server)
        return found


def _in_parts(parts: tuple[bytes, ...]) -> "_Parts | bytes":
    return _Parts(parts) if any(parts) else b""  # requests takes nothing for no known length


class _Parts:
    """A body whose length is known, sent part by part."""

    def __init__(self, parts: tuple[bytes, ...]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)


class _Adapter(HTTPAdapter):
    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._hurry(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # which connects in a way of its own
            self._hurry(manager)
        return manager

    def _hurry(self, manager: Any) -> None:
        manager.pool_classes_by_scheme = {
            "http": functools.partial(
                _pool, urllib3.HTTPConnectionPool, _HurriedConnection, self._deadline
            ),
            "https": functools.partial(
                _pool, urllib3.HTTPSConnectionPool, _HurriedTlsConnection, self._deadline
            ),
        }


def _pool(pool_class: Any, connection_class: Any, deadline: Deadline, *args: Any, **kw: Any) -> Any:
    pool = pool_class(*args, **kw)
    pool.ConnectionCls = connection_class
    pool.conn_kw["deadline"] = deadline
    return pool


class _Hurried:
    """Part of a connection whose reads and writes keep a deadline."""

    sock: Any
    connect: Any
    response_class: Any

    def __init__(self, *args: Any, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline = deadline
        self.response_class = functools.partial(_HurriedResponse, deadline=deadline)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        sock: Any = self.sock
        # urllib3 would leave it the seconds of a connect, too few for a large picture.
        sock.settimeout(self._deadline.left_s())
        super().send(data)  # type: ignore[misc]  # of the connection that this is a part of


class _HurriedConnection(_Hurried, HTTPConnection):
    pass


class _HurriedTlsConnection(_Hurried, HTTPSConnection):
    pass


class _HurriedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        plain = self.fp.detach()
        self.fp = io.BufferedReader(_HurriedReader(plain, sock, deadline))


class _HurriedReader(io.RawIOBase):
    def __init__(self, plain: Any, sock: Any, deadline: Deadline) -> None:
        self._plain = plain
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._deadline.wait(self._sock)
        return cast("int | None", self._plain.readinto(buffer))

    def close(self) -> None:
        self._plain.close()
        super().close()


def _authorities() -> str | bool:
    """Return the certificate authorities that the environment names, as requests understands it."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


def _received(response: requests.Response) -> bytes:
    """Return the body, cut off behind the most that an answer may hold."""
    content = b""
    # Unpacked here, within the same bound: a small answer can be packed from a huge one.
    for chunk in response.raw.stream(_CHUNK, decode_content=False):
        content += chunk
        if len(content) > MAX_REPLY_BYTES:
            break
    if response.headers.get("Content-Encoding", "").strip().lower() in _COMPRESSED:
        return _unpacked(content)
    return content


def _unpacked(content: bytes) -> bytes:
    for window in (47, -15):  # gzip or zlib by their headers, and the raw stream that some send
        try:
            return zlib.decompressobj(window).decompress(content, MAX_REPLY_BYTES + 1)
        except zlib.error:
            continue
    return content
