"""A spool with a delivery that runs step by step on the test's own thread, unless it is started."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from al_framework.api import Checkpoint, Datapoint, Receipt, Target
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits
from al_framework.testing.fakes import FakeClock
from al_framework.testing.samples import sample_datapoint

NOW = 1_700_000_000.0
PATIENCE_S = 20.0  # far beyond what anything here takes; only a hang reaches it


class Scripted:
    """A sink that answers as it is told, one answer per call; the last one holds for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Any:
        self.calls.append((datapoint.item_id, dict(checkpoint.state)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(checkpoint)
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Remote:
    """A sink whose batch others fill as well."""

    def __init__(self, images: Any) -> None:
        self.images = images
        self.requests: list[tuple[str, Target]] = []
        self.delivered = 0

    def deliver(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
        self.images += 1
        self.delivered += 1
        return Receipt(status="created")

    def size(self, batch_name: str, target: Target) -> Any:
        self.requests.append((batch_name, target))
        if isinstance(self.images, BaseException):
            raise self.images
        return self.images


class Gate:
    """A sink that holds every datapoint until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.inside = 0
        self.most = 0
        self.lock = threading.Lock()

    def __call__(self, datapoint: Datapoint, checkpoint: Checkpoint) -> Receipt:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.open.wait(PATIENCE_S)
        with self.lock:
            self.inside -= 1
        checkpoint.save(done="yes")
        return Receipt(status="created")


class Bench:
    """Makes spools and deliveries on one clock, fills them, and closes everything."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = FakeClock(NOW)
        self.ledger = SqliteLedger({"a": [LimitRule(period="daily", value=1000)]}, scope="s")
        self.deliveries: list[Delivery] = []
        self.spools: list[Spool] = []
        self.count = 0

    def spool(self, *sinks: str) -> Spool:
        spool = Spool(
            self.directory,
            sinks=sinks,
            ledger=self.ledger if not self.spools else SqliteLedger({}, scope="s"),
            clock=self.clock,
            limits=SpoolLimits(min_free_bytes=0),
        )
        spool.open()
        self.spools.append(spool)
        return spool

    def delivery(
        self, sinks: Mapping[str, Callable[..., Any]], *, spool: Spool | None = None, **options: Any
    ) -> Delivery:
        spool = spool or (self.spools[0] if self.spools else self.spool(*sinks))
        delivery = Delivery(
            spool,
            sinks,
            clock=self.clock,
            rng=random.Random(5),
            **{"poll_s": 0.01, **options},
        )
        self.deliveries.append(delivery)
        return delivery

    def accept(self, count: int = 1, *, spool: Spool | None = None, **options: Any) -> list[str]:
        """Accept so many datapoints in one group, and return their names."""
        group = [self.candidate(**options) for _ in range(count)]
        answers = (spool or self.spools[0]).accept(group)
        return [answer.item_id for answer in answers if answer.status == "accepted"]

    def candidate(self, **options: Any) -> Candidate:
        self.count += 1
        datapoint = sample_datapoint(0, item_id=f"item-{self.count}", strategy="a")

        def compose(strategy: str) -> Datapoint:
            return datapoint

        return Candidate(
            item_id=datapoint.item_id,
            image=datapoint.image,
            matching=("a",),
            decided_at=self.clock.time(),
            batch_name="batch",
            compose=compose,
            **options,
        )

    def rows(self, sink: str) -> list[tuple[str, int, float, int]]:
        """Return item id, state, seconds until due and attempts of each delivery to a sink."""
        with self.spools[0]._database.read() as tx:
            return tx.execute(
                "SELECT item_id, state, due - ?, attempts FROM delivery JOIN item USING (number)"
                " WHERE sink = ? ORDER BY number",
                (self.clock.time(), sink),
            ).fetchall()

    def reason(self, sink: str) -> str:
        with self.spools[0]._database.read() as tx:
            return tx.execute(
                "SELECT json_extract(result, '$.reason') FROM delivery WHERE sink = ?", (sink,)
            ).fetchone()[0]

    def scripted(self, *answers: Any) -> Scripted:
        """Return a sink that gives these answers."""
        return Scripted(*answers)

    def remote(self, images: Any) -> Remote:
        """Return a sink whose batch has these images already, or whose size is an error."""
        return Remote(images)

    def gate(self) -> Gate:
        """Return a sink that is shut."""
        return Gate()

    def eventually(self, fact: Callable[[], object]) -> bool:
        """Poll for a fact that another thread brings about."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if fact():
                return True
            threading.Event().wait(0.002)
        return False

    def close(self) -> None:
        for delivery in self.deliveries:
            delivery.close(5.0)
        for spool in self.spools:
            spool.close()


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path / "spool")
    yield bench
    bench.close()


@pytest.fixture
def settle(bench):
    """Wait until no look is on its way."""

    def wait(delivery):
        for look in list(delivery._looks._running.values()):
            assert look.done.wait(30)

    return wait
