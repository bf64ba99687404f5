"""The limits of Roboflow Active Learning, as recorded from the real thing.

Roboflow gives a credit back to the windows open at that moment, we give it back to the windows it
was taken from (`credit-returns-to-its-window`). A recorded return names a strategy and not a
datapoint; it is taken to mean the latest one, and then no recorded answer tells the two apart.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from al_framework.pipeline.limits.base import Ledger, LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger

VECTORS = Path(__file__).resolve().parents[3].parent / "shared" / "vectors" / "limits.jsonl"
pytestmark = pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not here")


def usable_cases() -> list[dict[str, Any]]:
    if not VECTORS.exists():
        return []
    cases = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]
    # Values of types that the schema forbids end in errors upstream, and never get this far here.
    return [case for case in cases if not any(isinstance(e, dict) for e in case["expected"])]


def moment(op: dict[str, Any]) -> float:
    return datetime.fromisoformat(op["t"]).replace(tzinfo=UTC).timestamp()


def scope(op: dict[str, Any]) -> str:
    return f"{op.get('ws', 'ws')}:{op.get('proj', 'proj')}"


class Accounts:
    """One ledger for each scope, asked as the recording asks."""

    def __init__(self, kind: str, path: Path) -> None:
        self.kind = kind
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.ledgers: dict[str, Ledger] = {}
        self.paid: dict[Any, list[str]] = {}
        self.count = 0

    def answer(self, op: dict[str, Any]) -> str | None:
        ledger = self.ledger(scope(op))
        if op["op"] == "return":
            tokens = self.paid.get((scope(op), op["strategy"]))
            if tokens:
                ledger.release(tokens.pop(), self.connection)
            return None
        rules = {
            name: [LimitRule(period=p, value=v) for p, v in limits]
            for name, limits in op["matching"]
        }
        ledger.update(rules, scope=scope(op))
        self.count += 1
        token = str(self.count)
        names = [name for name, _ in op["matching"]]
        reservation = ledger.reserve(names, token, moment(op), self.connection)
        if reservation is None:
            return None
        self.paid.setdefault((scope(op), reservation.strategy), []).append(token)
        return reservation.strategy

    def ledger(self, name: str) -> Ledger:
        if name not in self.ledgers:
            kind = MemoryLedger if self.kind == "memory" else SqliteLedger
            self.ledgers[name] = kind({}, scope=name)
            self.ledgers[name].prepare(self.connection)
        return self.ledgers[name]


@contextmanager
def accounts(kind: str) -> Iterator[Accounts]:
    opened = Accounts(kind, Path(":memory:"))
    try:
        yield opened
    finally:
        opened.connection.close()


def has_whole_limits(case: dict[str, Any]) -> bool:
    """Tell whether the limits are what a configuration allows: whole numbers, above all."""
    asked = [op for op in case["input"]["ops"] if op["op"] != "return"]
    limits = [limit for op in asked for _, limits in op["matching"] for limit in limits]
    return all(type(value) is int and abs(value) < 2**53 for _, value in limits)


class AccountsOnRedis(Accounts):
    """One ledger for each scope, on a server that shows the recording's time."""

    def __init__(self, timed) -> None:
        super().__init__("redis", Path(":memory:"))
        self.timed = timed
        timed.client.flushall()

    def answer(self, op: dict[str, Any]) -> str | None:
        self.timed.at(moment(op))
        return super().answer(op)

    def ledger(self, name: str) -> Ledger:
        if name not in self.ledgers:
            self.ledgers[name] = self.timed.ledger({}, scope=name)
        return self.ledgers[name]


CASES = usable_cases()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_the_ledgers_of_one_host_answer_as_recorded(kind):
    for case in CASES:
        with accounts(kind) as ours:
            answers = [ours.answer(op) for op in case["input"]["ops"]]

        assert case["expected"] == answers, case["id"]

    assert len(CASES) > 250


def test_the_redis_ledger_answers_as_recorded(timed_redis):
    cases = [case for case in CASES if has_whole_limits(case)]
    for case in cases:
        ours = AccountsOnRedis(timed_redis)
        answers = [ours.answer(op) for op in case["input"]["ops"]]
        ours.connection.close()
        for ledger in ours.ledgers.values():
            ledger.close()

        assert case["expected"] == answers, case["id"]

    assert len(cases) > 240
