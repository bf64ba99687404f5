"""A spool with a delivery that runs step by step on the test's own thread, unless it is started."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from al_framework.api import Datapoint
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits
from al_framework.testing.fakes import FakeClock
from al_framework.testing.samples import sample_datapoint

NOW = 1_700_000_000.0


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
