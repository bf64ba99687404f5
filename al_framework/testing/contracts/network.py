"""What holds for a sink that speaks to a server: each fault costs an attempt and nothing else.

Run against a `FaultServer`, so that no service is needed. The answers of the real one are named by
the subclass, one for each request of a delivery; every fault is then tried at every request.
"""

import contextlib
import socket
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import SkipTest

from al_framework.api import (
    Checkpoint,
    PermanentSinkError,
    Receipt,
    Sink,
    SinkError,
    SinkPausedError,
    TransientSinkError,
)
from al_framework.testing._checks import chain_of, check
from al_framework.testing._threads import run_in_time
from al_framework.testing._watching import watch_log
from al_framework.testing.certificates import CertificateKind, make_certificates
from al_framework.testing.contracts.component import ComponentContract
from al_framework.testing.fakes import FakeCheckpoint
from al_framework.testing.fault_server import Answer, FaultServer, How
from al_framework.testing.samples import sample_datapoint

if TYPE_CHECKING:
    import pytest

_PATIENCE_S = 0.25
_HANG_S = 30.0
_PAUSING = frozenset({301, 302, 303, 307, 308, 401, 402, 403, 404, 407, 423})
_NOT_FOUND = 404
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 508, 520, 522, 524, 599})
_FINAL = frozenset({400, 405, 406, 411, 413, 415, 422, 451, 501, 505})
_SILENT: Sequence[How] = ("hang_at_once", "hang_unanswered", "drip_headers", "drip_body")
_BROKEN: Sequence[How] = ("reset_at_once", "reset_unanswered", "reset_midway", "cut_midway")
_DATE = {"Date": "Sun, 22 Nov 2026 10:00:00 GMT"}
# What the header says, and what may become of it: a day is too long, and the core bounds it anyway.
_RETRY_AFTER: Sequence[tuple[Mapping[str, str], float | None]] = (
    ({"Retry-After": "7"}, 7.0),
    ({"Retry-After": "Sun, 22 Nov 2026 10:01:30 GMT", **_DATE}, 90.0),
    ({"Retry-After": "Sun, 22 Nov 2026 09:00:00 GMT", **_DATE}, 0.0),
    ({"Retry-After": "soon"}, None),
    ({}, None),
)
_MAX_TAKEN_BYTES = 16 * 1024 * 1024  # with what the system's own buffers hold


class NetworkSinkContract(ComponentContract[Sink[Any]]):
    """What holds for a sink that speaks HTTP: each fault costs an attempt, and nothing else.

    Name what the service answers to a delivery, and how the sink is told where it is::

        class TestMySink(NetworkSinkContract):
            component = MySink
            answers = (Answer(status=201, body={"id": "42"}),)
            secret = "canary-0123456789"

            def connected(self, url, *, patience_s):
                return {"url": url, "key": self.secret, "timeout_s": patience_s}

    Besides what holds for every component: a delivery makes its requests once; every status has its
    verdict, a conflict is a duplicate, and ``Retry-After`` is passed on; broken, silent and endless
    answers end in time, and the next attempt goes on; a page is no answer; no redirect is followed
    and no bad certificate trusted; IPv6 is spoken; an unknown host pauses, a silent name server and
    a server that is down do not. The key shows up nowhere. What the sink stores is for
    `SinkContract` to say.

    Attributes:
        answers: What the service answers to each request of one delivery, in order.
        secret: The key, as `connected` gives it to the sink; no message and no log may show it.
        pausing: Statuses, besides the usual ones, that the sink takes for a fault of key or
            configuration.
        passing: Statuses, by number of the request from 0, that it tries again although others
            would not.
        looking_up: Requests, by number from 0, that only ask what is there: a 404 is an answer to
            them, and there is nothing that a 409 could mean.
    """

    _kind = "sink"
    answers: ClassVar[Sequence[Answer]]
    secret: ClassVar[str]
    pausing: ClassVar[Collection[int]] = ()
    passing: ClassVar[Mapping[int, Collection[int]]] = {}
    looking_up: ClassVar[Collection[int]] = ()

    @abstractmethod
    def connected(self, url: str, *, patience_s: float) -> Mapping[str, object]:
        """Return options that make the sink speak to an address.

        Args:
            url: The address.
            patience_s: Seconds of silence after which to give up; twice that in all.
        """

    def prepare(self, directory: Path) -> Mapping[str, object]:
        """Return options for an address where nobody listens."""
        del directory
        return self.connected("http://127.0.0.1:9", patience_s=_PATIENCE_S)

    def test_a_delivery_makes_its_requests_once(self, tmp_path: Path) -> None:
        """Whether the contract knows the sink."""
        with self._served(tmp_path) as (server, sink):
            server.say(*self.answers)
            receipt = self._attempt(sink)
            check(isinstance(receipt, Receipt), f"the delivery fails: {receipt!r}")
            self._check_asked(server, len(self.answers), "a delivery")

    def test_every_status_has_its_verdict(self, tmp_path: Path) -> None:
        """Whether a revoked key loses nothing, and a bad picture stops nothing."""
        with self._served(tmp_path) as (server, sink):
            for step, status in self._everywhere(sorted(_PAUSING | _PASSING | _FINAL)):
                if status == _NOT_FOUND and step in self.looking_up:
                    continue
                server.forget()
                answer = Answer(status=status, body=f"no {self.secret}")
                server.say(*self.answers[:step], answer)
                outcome = self._attempt(sink)
                what = f"status {status} at request {step}"
                self._check_outcome(outcome, self._verdict(step, status), what)
                self._check_asked(server, step + 1, what)

    def test_what_is_there_already_is_delivered(self, tmp_path: Path) -> None:
        """Whether a conflict is taken for what it is: an earlier attempt of ours."""
        with self._served(tmp_path) as (server, sink):
            for step in range(len(self.answers)):
                if step in self.looking_up:
                    continue
                server.forget()
                server.say(*self.answers[:step], Answer(status=409), *self.answers[step + 1 :])
                outcome = self._attempt(sink)
                check(isinstance(outcome, Receipt), f"409 at request {step} gives {outcome!r}")

    def test_retry_after_is_passed_on(self, tmp_path: Path) -> None:
        """Whether a server that is overrun can say for how long."""
        with self._served(tmp_path) as (server, sink):
            for (headers, expected), status in [
                (row, status) for row in _RETRY_AFTER for status in (408, 429, 500, 503)
            ]:
                server.say(Answer(status=status, headers=headers))
                outcome = self._attempt(sink)
                what = f"status {status} with {headers}"
                self._check_outcome(outcome, TransientSinkError, what)
                asked = getattr(outcome, "retry_after_s", None)
                check(asked == expected, f"{what} gives {asked} s: it has to be {expected}")
            server.say(Answer(status=503, headers={"Retry-After": "9" * 400}))
            self._check_outcome(self._attempt(sink), TransientSinkError, "an endless wait")

    def test_a_broken_connection_costs_one_attempt(self, tmp_path: Path) -> None:
        """Whether the next attempt goes on where a broken one ended."""
        with self._served(tmp_path) as (server, sink):
            for step, how in self._everywhere(_BROKEN):
                self._check_recovery(server, sink, step, Answer(how=how, body='{"id": "x"}'))

    def test_silence_ends_in_time(self, tmp_path: Path) -> None:
        """Whether a server can hold a delivery thread: by silence, or with a byte at a time."""
        with self._served(tmp_path) as (server, sink):
            for step, how in self._everywhere(_SILENT):
                # Each wait alone is short enough: only the sum of them is not.
                answer = Answer(how=how, body="x" * 10_000, drip_s=_PATIENCE_S / 5)
                self._check_recovery(server, sink, step, answer)

    def test_an_endless_answer_is_not_taken(self, tmp_path: Path) -> None:
        """Whether a server can fill our memory."""
        with self._served(tmp_path, patience_s=_HANG_S) as (server, sink):
            for step, status in self._everywhere((200, 302, 503)):
                server.forget()
                server.say(*self.answers[:step], Answer(status=status, how="endless"))
                outcome = self._attempt(sink)
                check(isinstance(outcome, SinkError), f"100 MiB with {status} give {outcome!r}")
                taken = server.sent_bytes
                check(taken < _MAX_TAKEN_BYTES, f"{taken} bytes of an answer are taken")

    def test_a_page_is_no_answer(self, tmp_path: Path) -> None:
        """Whether what a proxy answers in place of the service counts as delivered."""
        page = Answer(body="<html>sign in</html>", headers={"Content-Type": "text/html"})
        with self._served(tmp_path) as (server, sink):
            for step in range(len(self.answers)):
                checkpoint, server_says = FakeCheckpoint(), [*self.answers[:step], page, page, page]
                server.forget()
                server.say(*server_says)
                for expected in (TransientSinkError, TransientSinkError, PermanentSinkError):
                    outcome = self._attempt(sink, checkpoint)
                    self._check_outcome(outcome, expected, f"a page at request {step}")

    def test_no_redirect_is_followed(self, tmp_path: Path) -> None:
        """Whether the key goes to whomever a server names."""
        with FaultServer() as other, self._served(tmp_path) as (server, sink):
            for step, status in self._everywhere((301, 302, 303, 307, 308)):
                server.forget()
                to = {"Location": f"{other.url}/?{self.secret}"}
                server.say(*self.answers[:step], Answer(status=status, headers=to))
                self._check_outcome(self._attempt(sink), SinkPausedError, f"redirect {status}")
            check(other.connections == 0, "a redirect is followed")

    def test_only_a_good_certificate_is_trusted(
        self, tmp_path: Path, monkeypatch: "pytest.MonkeyPatch"
    ) -> None:
        """Whether anybody can put himself between us and the server. Needs trustme."""
        authority, contexts = make_certificates(tmp_path)
        for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(name, str(authority))
        for kind, context in contexts.items():
            self._check_certificate(tmp_path, kind, FaultServer(tls=context))

    def test_ipv6_is_spoken(self, tmp_path: Path) -> None:
        """Whether a server that has no other address is reached."""
        try:
            server = FaultServer(host="::1")
        except OSError as exc:
            raise SkipTest(f"this machine has no address ::1: {exc}") from exc
        with server:
            sink = self._sink(tmp_path, server.url)
            server.say(*self.answers)
            outcome = self._attempt(sink)
            sink.close()
        check(isinstance(outcome, Receipt), f"a server on ::1 gives {outcome!r}")

    def test_an_unknown_host_pauses_and_a_silent_name_server_does_not(
        self, tmp_path: Path, monkeypatch: "pytest.MonkeyPatch"
    ) -> None:
        """Whether a slip in the address is told from a network that is down."""
        sink = self._sink(tmp_path, "http://no-such-host.test")
        for code, expected in (
            (socket.EAI_NONAME, SinkPausedError),
            (socket.EAI_AGAIN, TransientSinkError),
        ):

            def look_up(*_: object, code: int = code, **__: object) -> None:
                raise socket.gaierror(code, "no such luck")

            monkeypatch.setattr(socket, "getaddrinfo", look_up)
            self._check_outcome(self._attempt(sink), expected, f"name server error {code}")
        sink.close()

    def test_a_server_that_is_down_is_tried_again(self, tmp_path: Path) -> None:
        """Whether a restart of the server loses anything."""
        sink = self.build(tmp_path)
        sink.start()
        self._check_outcome(self._attempt(sink), TransientSinkError, "a refused connection")
        sink.close()

    def _verdict(self, step: int, status: int) -> type[SinkError]:
        if status in self.passing.get(step, ()):
            return TransientSinkError
        if status in _PAUSING or status in self.pausing:
            return SinkPausedError
        return TransientSinkError if status in _PASSING else PermanentSinkError

    def _everywhere(self, faults: Sequence[Any]) -> list[tuple[int, Any]]:
        return [(step, fault) for step in range(len(self.answers)) for fault in faults]

    def _sink(self, directory: Path, url: str, patience_s: float = _PATIENCE_S) -> Sink[Any]:
        sink = self.build(directory, self.connected(url, patience_s=patience_s))
        sink.start()
        return sink

    @contextlib.contextmanager
    def _served(
        self, directory: Path, *, patience_s: float = _PATIENCE_S
    ) -> Iterator[tuple[FaultServer, Sink[Any]]]:
        with FaultServer() as server, self._quiet():
            sink = self._sink(directory, server.url, patience_s)
            try:
                yield server, sink
            finally:
                sink.close()

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[None]:
        """Look for the key in everything that is logged meanwhile."""
        with watch_log() as shown:
            yield
        check(not any(self.secret in text for text in shown), "a log shows the key")

    def _attempt(self, sink: Sink[Any], checkpoint: Checkpoint | None = None) -> object:
        """Return the receipt of an attempt or what it raised, unless it goes on for ever."""
        datapoint, kept = sample_datapoint(), checkpoint or FakeCheckpoint()

        def deliver() -> Receipt:
            return sink.deliver(datapoint, kept)

        try:
            return run_in_time(deliver, limit_s=_HANG_S, what="an attempt")
        except SinkError as exc:
            texts = "".join(map(str, chain_of(exc)))
            check(self.secret not in texts, f"a {type(exc).__name__} shows the key")
            return exc

    def _check_recovery(
        self, server: FaultServer, sink: Sink[Any], step: int, fault: Answer
    ) -> None:
        what = f"{fault.how} at request {step}"
        checkpoint = FakeCheckpoint()
        server.forget()
        server.say(*self.answers[:step], fault, *self.answers[step:])
        self._check_outcome(self._attempt(sink, checkpoint), TransientSinkError, what)
        self._check_asked(server, step + 1, what)
        again = self._attempt(sink, checkpoint)
        check(isinstance(again, Receipt), f"the attempt after {what} gives {again!r}")

    def _check_certificate(
        self, directory: Path, kind: CertificateKind, server: FaultServer
    ) -> None:
        with server:
            sink = self._sink(directory, server.url, patience_s=5.0)
            server.say(*self.answers)
            outcome = self._attempt(sink)
            sink.close()
            if kind == "good":
                check(isinstance(outcome, Receipt), f"a good certificate gives {outcome!r}")
                return
            self._check_outcome(outcome, SinkPausedError, f"certificate: {kind}")
            self._check_asked(server, 0, f"certificate: {kind}")

    @staticmethod
    def _check_outcome(outcome: object, expected: type[SinkError], what: str) -> None:
        name = expected.__name__
        check(isinstance(outcome, expected), f"{what} gives {outcome!r}: it has to be a {name}")

    @staticmethod
    def _check_asked(server: FaultServer, expected: int, what: str) -> None:
        count = len(server.requests)
        check(
            count == expected,
            f"{what} makes {count} requests instead of {expected}: a sink tries once",
        )
