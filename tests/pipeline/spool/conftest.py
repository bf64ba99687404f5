"""A spool on a clock that stands still, and datapoints to put into it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from al_framework.api import Datapoint, Decision, FrameKey, StrategyVerdict, Target, Verdict
from al_framework.pipeline.limits.base import Ledger, LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits
from al_framework.testing.fakes import FakeClock

NO_LIMITS = SpoolLimits(min_free_bytes=0)


def make_key(name: str, *, size: int = 10, mtime_ns: int = 1, source: str = "cam") -> FrameKey:
    return FrameKey(source=source, frame_id=name, size=size, mtime_ns=mtime_ns)


def make_candidate(
    name: str,
    *,
    image: bytes | None = None,
    matching: tuple[str, ...] = ("a",),
    decided_at: float = 1_700_000_000.0,
    batch_name: str = "batch",
    attributes: Any = None,
    target: Target = Target(),  # noqa: B008 - frozen
    utility: float = 1.0,
    **options: Any,
) -> Candidate:
    """Return a candidate whose frame is `cam/<name>` and whose item is `item-<name>`."""
    picture = image if image is not None else b"\xff\xd8" + name.encode() * 50
    decision = Decision(
        frame_id=f"cam/{name}",
        decided_at=decided_at,
        seed=7,
        verdicts=tuple(
            StrategyVerdict(s, Verdict(match=True, reason="why"), 0.25) for s in matching
        ),
        matching=matching,
        outcome="selected",
        configuration_hash="c0ffee",
    )

    def compose(strategy: str) -> Datapoint:
        return Datapoint(
            item_id=f"item-{name}",
            frame_id=f"cam/{name}",
            content_key="0" * 64,
            image=picture,
            image_size=(4, 3),
            prediction=None,
            source_size=(8, 6),
            batch_name=batch_name,
            tags=("t",),
            strategy=strategy,
            utility=utility,
            probability=1.0,
            reason="why",
            model_id=None,
            inference_id=None,
            captured_at=None,
            decided_at=decided_at,
            attributes=attributes if attributes is not None else {"site": "x"},
            source="cam",
            parent=None,
            target=target,
            decision=decision,
        )

    options.setdefault("key", make_key(f"cam/{name}"))
    return Candidate(
        item_id=f"item-{name}",
        image=picture,
        matching=matching,
        decided_at=decided_at,
        batch_name=batch_name,
        compose=compose,
        target=target,
        **options,
    )


class SpoolMaker:
    """Opens spools in one directory and closes what a test leaves open."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = FakeClock()
        self.opened: list[Spool] = []

    def __call__(
        self,
        *,
        sinks: Sequence[str] = ("s1",),
        rules: dict[str, Sequence[LimitRule]] | None = None,
        ledger: Ledger | None = None,
        limits: SpoolLimits = NO_LIMITS,
        directory: Path | None = None,
        **options: Any,
    ) -> Spool:
        spool = Spool(
            directory or self.directory,
            sinks=sinks,
            ledger=ledger or SqliteLedger(rules or {}, scope="scope"),
            clock=self.clock,
            limits=limits,
            **options,
        )
        spool.open()
        self.opened.append(spool)
        return spool


@pytest.fixture
def make_spool(tmp_path):
    maker = SpoolMaker(tmp_path / "spool")
    yield maker
    for spool in maker.opened:
        spool.close()


@pytest.fixture
def candidate() -> Callable[..., Candidate]:
    return make_candidate


@pytest.fixture
def key() -> Callable[..., FrameKey]:
    return make_key


@pytest.fixture
def group_files(make_spool) -> Callable[[], list[Path]]:
    return lambda: sorted((make_spool.directory / "obj").glob("*/*"))


@pytest.fixture
def spool(make_spool, candidate) -> Spool:
    """A spool of two sinks that holds two datapoints."""
    spool = make_spool(sinks=("s1", "s2"))
    spool.accept([candidate("1"), candidate("2")])
    return spool
