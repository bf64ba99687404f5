"""One HTTP exchange with Roboflow's API: the key goes in, and nothing that holds it comes out.

requests' own exceptions hold the whole address. So they end here, and ours are raised where they
are not in flight any more: neither ``__cause__`` nor ``__context__`` leads back to them.
"""

import os
import socket
import ssl
import threading
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote, urlencode, urlsplit
from weakref import WeakValueDictionary

import requests
import urllib3
from pydantic import SecretStr
from requests.auth import AuthBase

from al_framework import __version__
from al_framework_roboflow.answers import Kind, Reply, RoboflowApiError, refusal, retry_after_s
from al_framework_roboflow.scrubbing import hide_keys_in_logs

_CONNECT_TIMEOUT_S = 5.0
_UNUSABLE = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    urllib3.exceptions.LocationParseError,
)
# requests lets some of urllib3's own through, and what an address cannot be encoded from.
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, ValueError)
_MAX_REPLY_BYTES = 1024 * 1024


class Transport:
    """Sends requests with the key as the first query parameter; safe from several threads.

    Every thread has a session of its own, which keeps its connection open.

    Args:
        api_key: The key.
        api_url: Address of the API: scheme, host, and possibly a path in front.
        timeout_s: Seconds to wait for each part of an answer.
        verify_tls: Whether the server's certificate has to be trusted.
    """

    def __init__(
        self, *, api_key: SecretStr, api_url: str, timeout_s: float, verify_tls: bool
    ) -> None:
        hide_keys_in_logs()
        self._api_key = api_key
        self._api_url = api_url.rstrip("/")
        self._timeout_s = timeout_s
        self._verify_tls = verify_tls
        self._auth = _KeyFirst(api_key)
        self._local = threading.local()
        # Without a lock, which a fork could leave locked: adding one and listing all are atomic.
        self._sessions: WeakValueDictionary[int, requests.Session] = WeakValueDictionary()

    def send(
        self,
        method: str,
        *path: str,
        query: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        content_type: str | None = None,
        accept: Collection[int] = (),
    ) -> Reply:
        """Make one request and return its answer.

        Args:
            method: The HTTP method.
            path: The parts of the path, as they are before quoting.
            query: What follows the key.
            body: The body, or None.
            content_type: What the body is.
            accept: Statuses outside 200 to 299 to return rather than to raise.

        Raises:
            RoboflowApiError: There was no answer, or one with another status.
        """
        address = "/".join((self._api_url, *(_segment(part) for part in path)))
        if not path:
            address += "/"
        asked = f"{method} {address}"
        # Half a character, as in an inference id that came as JSON, must not cost the picture.
        url = f"{address}?{urlencode(query, errors='replace')}" if query else address
        headers = {} if content_type is None else {"Content-Type": content_type}
        outcome = self._exchange(asked, method, url, body, headers)
        if isinstance(outcome, RoboflowApiError):
            raise outcome
        if outcome.status >= 300 and outcome.status not in accept:
            raise refusal(outcome)
        return outcome

    def close(self) -> None:
        """Close every connection; a request after this opens new ones."""
        for reference in self._sessions.valuerefs():
            session = reference()
            if session is not None:
                session.close()

    def _exchange(
        self,
        asked: str,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Reply | RoboflowApiError:
        try:
            with self._session().request(
                method,
                url,
                data=body,
                headers=headers,
                auth=self._auth,
                timeout=(min(_CONNECT_TIMEOUT_S, self._timeout_s), self._timeout_s),
                verify=self._verify_tls,
                allow_redirects=False,
                stream=True,
            ) as response:
                content = b""
                for chunk in response.iter_content(64 * 1024):
                    content += chunk
                    if len(content) > _MAX_REPLY_BYTES:
                        break
        except _FAILURES as exc:
            return self._failure(exc, asked)
        if len(content) > _MAX_REPLY_BYTES and response.status_code < 300:
            # Of any other answer the status tells enough, however long its page is.
            return RoboflowApiError(
                f"{asked}: the answer is longer than {_MAX_REPLY_BYTES} bytes: check that api_url "
                "is the address of Roboflow's API",
                kind="malformed",
                status=response.status_code,
            )
        return Reply(
            asked=asked,
            status=response.status_code,
            content=content,
            retry_after_s=retry_after_s(response.headers),
            api_key=self._api_key,
        )

    def _session(self) -> requests.Session:
        # A child of a fork must not speak on its parent's connections.
        held: tuple[int, requests.Session] | None = getattr(self._local, "held", None)
        if held is not None and held[0] == os.getpid():
            return held[1]
        session = requests.Session()
        session.headers["User-Agent"] = f"al-framework/{__version__}"
        session.headers["Accept-Encoding"] = "gzip, deflate"  # whatever else is installed
        self._local.held = (os.getpid(), session)
        self._sessions[id(session)] = session
        return session

    def _failure(self, exc: Exception, asked: str) -> RoboflowApiError:
        kind, seen = self._diagnosis(exc, _chain(exc))
        return RoboflowApiError(f"{asked}: {seen}", kind=kind)

    def _diagnosis(self, exc: Exception, chain: Sequence[BaseException]) -> tuple[Kind, str]:
        for cause in chain:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return "configuration", (
                    f"the server's certificate is not trusted ({cause.verify_message}): correct "
                    "api_url, or install the certificate of the authority"
                )
            if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
                host = urlsplit(self._api_url).hostname
                return "configuration", f"there is no host {host!r}: correct api_url"
            if isinstance(cause, requests.Timeout | urllib3.exceptions.ReadTimeoutError):
                return "timeout", (
                    f"no answer within {self._timeout_s:g} s: check the network, or raise timeout_s"
                )
        if isinstance(exc, _UNUSABLE):
            return "configuration", f"the address cannot be used ({_name(exc)}): correct api_url"
        known = (cause for cause in chain if isinstance(cause, OSError) and cause.errno is not None)
        system = next(known, None)
        detail = _name(exc) if system is None else system.strerror
        return "unreachable", f"the connection failed ({detail}): check the network and api_url"


def _name(exc: BaseException) -> str:
    return type(exc).__name__


class _KeyFirst(AuthBase):
    """Puts the key in front of the query.

    Being an auth object, it keeps ``.netrc`` from adding another secret, and the key out of every
    variable of our own frames, which some tracebacks print.
    """

    def __init__(self, api_key: SecretStr) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        address, _, query = (request.url or "").partition("?")
        key = urlencode({"api_key": self._api_key.get_secret_value()})
        request.url = f"{address}?{key}&{query}" if query else f"{address}?{key}"
        return request


def _segment(text: str) -> str:
    """Quote one part of a path; a part must not move the path elsewhere."""
    if text in {"", ".", ".."} or not text.isprintable():
        raise RoboflowApiError(
            f"{text!r} is no name of a workspace, a project or an image: correct it",
            kind="configuration",
        )
    return quote(text, safe="")


def _chain(exc: BaseException) -> list[BaseException]:
    """Return the exception with all that it was made of."""
    found: list[BaseException] = []
    waiting: list[object] = [exc]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            waiting += [*cause.args, getattr(cause, "reason", None)]
            waiting += [cause.__cause__, cause.__context__]
    return found
