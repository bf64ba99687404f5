"""Spools, deliveries and a deduplicating remote, on a clock that runs as fast as a test likes."""

import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from al_framework.api import Datapoint, Receipt
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits
from al_framework.testing.samples import sample_datapoint

NOW = 1_700_000_000.0
GROUP = 16


class FastClock:
    """Time that runs faster than it should.

    Args:
        speed: Its seconds in one of ours.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began = time.monotonic()

    def time(self) -> float:
        """Return UTC epoch seconds of a day long ago."""
        return NOW + self.monotonic()

    def monotonic(self) -> float:
        """Return seconds since the clock was made."""
        return (time.monotonic() - self._began) * self._speed


class Remote:
    """What a sink delivers to: one picture for each name, however often it is sent.

    Attributes:
        bytes: Digest of each picture, by name.
        tries: How often each was sent.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.bytes: dict[str, str] = {}
        self.tries: Counter[str] = Counter()

    def store(self, datapoint: Datapoint) -> Receipt:
        digest = hashlib.sha256(datapoint.image).hexdigest()
        with self._lock:
            self.tries[datapoint.item_id] += 1
            if datapoint.item_id in self.bytes:
                assert self.bytes[datapoint.item_id] == digest
                return Receipt(status="duplicate")
            self.bytes[datapoint.item_id] = digest
        return Receipt(status="created")


class Yard:
    """One spool directory, and what works on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock: Any = FastClock(1.0)
        self.remote = Remote()
        self.sent: dict[str, str] = {}
        self._closing: list[Callable[[], None]] = []

    def spool(self, *sinks: str) -> Spool:
        rules = {"a": [LimitRule(period="daily", value=1_000_000)]}
        spool = Spool(
            self.directory,
            sinks=sinks,
            ledger=SqliteLedger(rules, scope="s"),
            clock=self.clock,
            limits=SpoolLimits(min_free_bytes=0),
        )
        spool.open()
        self._closing.append(spool.close)
        return spool

    def delivery(self, spool: Spool, sinks: Any, **options: Any) -> Delivery:
        options = {"poll_s": 0.01, "rng": random.Random(3), **options}
        delivery = Delivery(spool, sinks, clock=self.clock, **options)
        self._closing.append(lambda: delivery.close(5.0))
        return delivery

    def accept(self, spool: Spool, count: int) -> list[str]:
        """Accept so many datapoints, and return their names."""
        names = [f"item-{len(self.sent) + n + 1:05}" for n in range(count)]
        for start in range(0, count, GROUP):
            group = [self.candidate(name) for name in names[start : start + GROUP]]
            assert all(one.status == "accepted" for one in spool.accept(group))
        return names

    def candidate(self, name: str) -> Candidate:
        """Return what is offered under a name; it counts as sent from here."""
        image = b"\xff\xd8" + random.Random(name).randbytes(2000)
        datapoint = sample_datapoint(0, item_id=name, strategy="a", image=image)
        self.sent[name] = hashlib.sha256(image).hexdigest()
        return Candidate(
            item_id=name,
            image=image,
            matching=("a",),
            decided_at=self.clock.time(),
            batch_name="batch",
            compose=lambda _: datapoint,
        )

    def judge(self) -> None:
        """Every picture that was accepted arrived, once and as it was; the spool holds no other."""
        assert self.remote.bytes == self.sent

    def close(self) -> None:
        for close in reversed(self._closing):
            close()


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    yard = Yard(tmp_path / "spool")
    yield yard
    yard.close()


@pytest.fixture
def fast_clock() -> type[FastClock]:
    return FastClock


@pytest.fixture
def eventually() -> Callable[[Callable[[], object], float], bool]:
    """Poll for a fact that others bring about, within a limit that only a hang reaches."""

    def poll(fact: Callable[[], object], hang_s: float) -> bool:
        end = time.monotonic() + hang_s
        while time.monotonic() < end:
            if fact():
                return True
            threading.Event().wait(0.005)
        return False

    return poll
