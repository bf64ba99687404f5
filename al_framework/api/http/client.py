"""One HTTP request: secrets go in, and nothing that holds them comes out.

requests' own exceptions hold the whole address. So they end here, and ours are raised where they
are not in flight any more: neither ``__cause__`` nor ``__context__`` leads back to them.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from pydantic import SecretStr

from al_framework.api.http.answers import MAX_REPLY_BYTES, HttpError, HttpReply, Wording
from al_framework.api.http.scrubbing import Scrubber, hide_parameters_in_logs

if TYPE_CHECKING:
    # requests is loaded with the first request: most commands never make one.
    from al_framework.api.http.wire import Line as _Line

_USER_INFO = re.compile(r"//[^/@]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a request may take.

    Attributes:
        connect_s: Seconds for each address of the host to be reached, TLS included.
        read_s: Seconds of silence.
        total_s: Seconds for the request as a whole, however often a byte arrives. A datapoint is
            lent to a sink for 60 s, so stay below. The system's look-up of the host's name has
            limits of its own and is not cut short.
    """

    connect_s: float = 5.0
    read_s: float = 30.0
    total_s: float = 45.0


class HttpClient:
    """Makes requests, each at once and once; safe from several threads, and in the child of a fork.

    Every thread has connections of its own and keeps them open. Proxies and certificate authorities
    of the environment hold; ``.netrc`` and cookies do not.

    Args:
        secret_headers: Headers of every request whose values are secret.
        secret_query: Parameters that go in front of the query of every request, and are secret.
        secrets: What else no message may show.
        ca_file: Certificate authorities to trust instead of the usual ones, as PEM.
        headers: Other headers of every request.
        timeouts: How long a request may take.
        wording: How messages speak of the server.
        now: Tells UTC epoch seconds, for a ``Retry-After`` that is a date.
    """

    def __init__(  # noqa: PLR0913 - every one has its default, keyword-only
        self,
        *,
        secret_headers: Mapping[str, SecretStr] | None = None,
        secret_query: Mapping[str, SecretStr] | None = None,
        secrets: Sequence[SecretStr] = (),
        ca_file: Path | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        wording: Wording | None = None,
        now: Callable[[], float] = time.time,  # what servers mean is real time
    ) -> None:
        in_headers, in_query = dict(secret_headers or {}), dict(secret_query or {})
        hide_parameters_in_logs(in_query)
        known = (*in_headers.values(), *in_query.values(), *secrets)
        self._scrub = Scrubber(known, parameters=in_query)
        self._secret_headers, self._secret_query = in_headers, in_query
        self._headers = dict(headers or {})
        self._ca_file = ca_file
        self._timeouts = timeouts or Timeouts()
        self._wording = wording or Wording()
        self._now = now
        self._local = threading.local()
        # Without a lock, which a fork could leave locked: adding one and listing all are atomic.
        self._lines: WeakValueDictionary[int, _Line] = WeakValueDictionary()

    def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes | tuple[bytes, ...] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
    ) -> HttpReply:
        """Make one request and return its answer.

        Args:
            method: The HTTP method.
            url: The address; what is secret in its query belongs into `secret_query`.
            body: The body; or a tuple of its parts in their order, which are not copied; or None.
            headers: Headers of this request; none of them secret.
            accept: Statuses outside 200 to 299 to return rather than to raise.

        Raises:
            HttpError: There was no answer, or one with another status. Nobody knows whether a
                request without an answer has arrived: make sending it again harmless.
        """
        # What came is looked at in another frame: some tracebacks print every variable of ours,
        # and a server may repeat secrets.
        outcome = self._outcome(method, url, body, headers or {}, accept)
        if isinstance(outcome, HttpError):
            raise outcome
        return outcome

    def close(self) -> None:
        """Close every connection; a request after this opens new ones."""
        for reference in self._lines.valuerefs():
            line = reference()
            if line is not None:
                line.close()

    def _outcome(
        self,
        method: str,
        url: str,
        body: bytes | tuple[bytes, ...] | None,
        headers: Mapping[str, str],
        accept: Collection[int],
    ) -> HttpReply | HttpError:
        asked = self._scrub(f"{method} {_shown(url)}")
        answer = self._line().ask(method, url, body=body, headers=headers)
        if isinstance(answer, Exception):
            return self._diagnosed(answer, url, asked)
        status, answered, content = answer
        reply = HttpReply(
            asked=asked,
            status=status,
            headers=answered,
            content=content,
            scrub=self._scrub,
            wording=self._wording,
            received_at=self._now(),
        )
        if status < 200:
            return reply.malformed("no answer that is final")
        if status >= 300 and status not in accept:
            return reply.refusal()
        if len(content) > MAX_REPLY_BYTES and status < 300:
            # Of any other answer the status tells enough, however long its page is.
            return self._wording.error(
                f"{asked}: the answer is longer than {MAX_REPLY_BYTES} bytes: check that "
                f"{self._wording.url_option} is the address of {self._wording.peer}",
                kind="malformed",
                status=status,
            )
        return reply

    def _line(self) -> "_Line":
        # A child of a fork must not speak on its parent's connections.
        held: tuple[int, _Line] | None = getattr(self._local, "held", None)
        if held is not None and held[0] == os.getpid():
            return held[1]
        from al_framework.api.http.wire import Credentials, Line

        line = Line(
            credentials=Credentials(headers=self._secret_headers, query=self._secret_query),
            headers=self._headers,
            ca_file=self._ca_file,
            timeouts=self._timeouts,
        )
        self._local.held = (os.getpid(), line)
        self._lines[id(line)] = line
        return line

    def _diagnosed(self, exc: Exception, url: str, asked: str) -> HttpError:
        from al_framework.api.http.diagnosis import diagnose

        kind, seen = diagnose(
            exc,
            url=url,
            timeouts=self._timeouts,
            url_option=self._wording.url_option,
            ca_file=self._ca_file,
        )
        return self._wording.error(f"{asked}: {self._scrub(seen)}", kind=kind)


def _shown(url: str) -> str:
    """Return an address as messages may show it: without user, password, query and fragment."""
    return _USER_INFO.sub("//", url.partition("#")[0].partition("?")[0], count=1)
