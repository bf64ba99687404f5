"""Who acts on the spool: processes that can end at any point, and what they offer."""

import random
from collections.abc import Sequence
from types import MappingProxyType

from al_framework.api import Datapoint, Decision, StrategyVerdict, Verdict
from al_framework.pipeline.spool import Candidate, Spool


class Crash(BaseException):
    """The process is gone."""


class Process:
    """One process that uses the spool."""

    def __init__(self, name: str, spool: Spool) -> None:
        self.name = name
        self.spool = spool
        self.crash_at: str | None = None

    def failpoint(self, name: str) -> None:
        if name == self.crash_at:
            raise Crash(name)


def make_candidate(number: int, matching: Sequence[str], at: float) -> Candidate:
    name = f"i{number}"
    image = b"\xff\xd8" + random.Random(number).randbytes(40 + number % 60)
    verdicts = tuple(StrategyVerdict(s, Verdict(match=True), 0.5) for s in matching)
    decision = Decision(
        frame_id=name,
        decided_at=at,
        seed=1,
        verdicts=verdicts,
        matching=tuple(matching),
        outcome="selected",
        configuration_hash="c",
    )

    def compose(strategy: str) -> Datapoint:
        return Datapoint(
            item_id=name,
            frame_id=name,
            content_key="0" * 64,
            image=image,
            image_size=(4, 3),
            prediction=None,
            source_size=(4, 3),
            batch_name="batch",
            tags=(),
            strategy=strategy,
            utility=number % 5,
            probability=1.0,
            reason="",
            model_id=None,
            inference_id=None,
            captured_at=None,
            decided_at=at,
            attributes=MappingProxyType({}),
            source="",
            parent=None,
            decision=decision,
        )

    return Candidate(
        item_id=name,
        image=image,
        matching=tuple(matching),
        decided_at=at,
        batch_name="batch",
        compose=compose,
    )
