"""The real sinks as the host builds them, and a service that knows what it holds."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.parser import BytesParser
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pytest

import al_framework_roboflow
import al_framework_webhook
from al_framework.api import Datapoint
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.spool import Candidate
from al_framework.testing import Answer, FakeClock, FaultServer, sample_datapoint
from al_framework.testing.fault_server import Request
from al_framework_webhook.messages import message

WEBHOOK_SECRET = "whsec_" + "c2VjcmV0" * 4


class Service:
    """What both sinks speak to; it recognises a picture by the name that it was sent under.

    Attributes:
        faults: By kind of request, what is answered to the next ones; and whether these are
            processed all the same. None for no fault.
        asked: Kind and name of every request, in order.
        held: Digest of what it holds, by name.
        annotated: Names of the pictures that have got an annotation.
    """

    def __init__(self) -> None:
        self.faults: dict[str, list[tuple[Answer | None, bool]]] = {
            "message": [],
            "upload": [],
            "annotate": [],
        }
        self.asked: list[tuple[str, str]] = []
        self.held: dict[str, str] = {}
        self.annotated: list[str] = []

    def __call__(self, request: Request) -> Answer:
        """Answer a request, after those that have been planned."""
        kind, name = _read(request)
        self.asked.append((kind, name))
        fault, is_processed = self.faults[kind].pop(0) if self.faults[kind] else (None, True)
        answer = self._process(kind, name, request) if is_processed or fault is None else fault
        return fault or answer

    def count(self, kind: str, name: str) -> int:
        """Return how many requests of a kind there were for a datapoint."""
        return self.asked.count((kind, name))

    def _process(self, kind: str, name: str, request: Request) -> Answer:
        if kind == "annotate":
            if name in self.annotated:
                return Answer(status=409)
            if request.path.rpartition("/")[2] != f"img-{name}" or name not in self.held:
                return Answer(status=404)
            self.annotated.append(name)
            return Answer(body={"success": True})
        content = request.body if kind == "message" else _form(request)["file"]
        digest = sha256(content).hexdigest()
        is_known = name in self.held
        assert self.held.setdefault(name, digest) == digest
        if kind == "message":
            return Answer(status=409 if is_known else 202)
        return Answer(body={"success": True, "id": f"img-{name}", "duplicate": is_known})


def _read(request: Request) -> tuple[str, str]:
    """Return what a request is for, and for which datapoint."""
    if "webhook-id" in request.headers:
        return "message", request.headers["webhook-id"]
    if "/annotate/" in request.path:
        (name,) = parse_qs(urlsplit(request.target).query)["name"]
        return "annotate", name.rpartition(".")[0]
    return "upload", _form(request)["name"].decode().removesuffix(".jpg")


def _form(request: Request) -> dict[str, bytes]:
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts: Any = BytesParser().parsebytes(head + request.body).get_payload()
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in parts
    }


class Line:
    """One sink with its spool and its delivery, step by step on a clock that the test moves.

    Args:
        kind: The sink.
        directory: Where its spool goes.
        url: The server.
        key: Roboflow's key.
        patience_s: Its time limit for silence; twice that in all.
        seed: Draws the delays.
    """

    def __init__(
        self, kind: str, directory: Path, url: str, *, key: str, patience_s: float, seed: int
    ) -> None:
        options: dict[str, object] = {
            "webhook": {"url": url, "allow_insecure": True, "secret": "${WH_SECRET}"},
            "roboflow": {"api_key": "${RF_KEY}", "project": "ds", "api_url": url},
        }[kind]
        times = {"timeout_s": patience_s, "deadline_s": 2 * patience_s}
        document = {
            "name": "line",
            "active_learning": {
                "enabled": True,
                "persist_predictions": True,
                "sampling_strategies": [
                    {"name": "all", "type": "random", "traffic_percentage": 1.0}
                ],
                "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
            },
            "sinks": [{"type": kind, **options, **times}],
            "spool": {"path": str(directory / "spool"), "min_free_bytes": 0},
        }
        plugins = {"webhook": al_framework_webhook, "roboflow": al_framework_roboflow}
        host = PluginHost.without_discovery(plugins)
        secrets = {"RF_KEY": key, "WH_SECRET": WEBHOOK_SECRET}
        configuration = load_configuration(read_document(document), host, environ=secrets)
        self.kind, self.clock = kind, FakeClock()
        self._assembly = assemble(
            configuration,
            host,
            clock=self.clock,
            rng=random.Random(seed),
            environ={},
            background=False,
        )
        assert self._assembly.spool is not None
        assert self._assembly.delivery is not None
        self.spool, self.delivery = self._assembly.spool, self._assembly.delivery
        self.sent: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._assembly.finish(deadline_s=0.0)

    def accept(self, count: int) -> None:
        """Accept so many datapoints; they are called item-1, item-2 and so on."""
        first = len(self.sent) + 1
        group = [self._candidate(number) for number in range(first, first + count)]
        assert ["accepted"] * count == [one.status for one in self.spool.accept(group)]

    def work(self) -> None:
        """Do all that is due."""
        while self.delivery.step():
            pass

    def _candidate(self, number: int) -> Candidate:
        image = b"\xff\xd8" + random.Random(number).randbytes(3000)
        datapoint = sample_datapoint(
            0,
            item_id=f"item-{number}",
            image=image,
            content_key=sha256(image).hexdigest(),
            strategy="all",
        )
        content = image if self.kind == "roboflow" else message(datapoint)
        self.sent[datapoint.item_id] = sha256(content).hexdigest()

        def compose(strategy: str) -> Datapoint:
            return datapoint

        return Candidate(
            item_id=datapoint.item_id,
            image=image,
            matching=("all",),
            decided_at=self.clock.time(),
            batch_name=datapoint.batch_name,
            compose=compose,
        )


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def line(
    tmp_path: Path, service: Service, seed: int, canary: Any
) -> Iterator[Callable[..., tuple[FaultServer, Line]]]:
    """Return a function that opens a line to the service."""
    with ExitStack() as stack:

        def start(
            kind: str, *, patience_s: float = 20.0, tls: Any = None
        ) -> tuple[FaultServer, Line]:
            server = stack.enter_context(FaultServer(tls=tls))
            server.otherwise = service
            line = Line(
                kind, tmp_path, server.url, key=canary.key, patience_s=patience_s, seed=seed
            )
            return server, stack.enter_context(line)

        yield start
