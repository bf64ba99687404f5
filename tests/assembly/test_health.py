from types import SimpleNamespace

import pytest

from al_framework import Collector
from al_framework.api import CreditUse
from al_framework.assembly.health import health
from al_framework.pipeline.limits.base import LedgerUnavailableError, LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.testing import FakeClock, sample_jpeg

DOCUMENT = {
    "enabled": True,
    "persist_predictions": True,
    "sampling_strategies": [
        {
            "name": "some",
            "type": "random",
            "traffic_percentage": 1,
            "limits": [{"type": "hourly", "value": 5}, {"type": "daily", "value": 9}],
        },
        {"name": "free", "type": "random", "traffic_percentage": 1, "limits": []},
    ],
    "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
}


@pytest.fixture
def idle():
    """An assembly with nothing but limits, as in a dry run."""
    ledger = MemoryLedger({"some": [LimitRule(period="daily", value=2)]}, scope="line")
    return SimpleNamespace(
        spool=None, delivery=None, clock=FakeClock(), engine=SimpleNamespace(ledger=ledger)
    )


def test_a_collector_tells_of_spool_sinks_and_credits(tmp_path):
    configuration = {
        "name": "line",
        "active_learning": DOCUMENT,
        "sinks": [{"type": "directory", "path": str(tmp_path / "collected")}],
        "spool": {"path": str(tmp_path / "spool")},
    }
    with Collector.from_config(configuration) as collector:
        collector.submit(sample_jpeg(), wait_accepted_s=60)
        told = collector.health()

    assert (told.queued_items, told.queued_bytes) == (0, 0)
    assert told.spool is not None
    assert told.spool.dead_items == 0
    assert told.sinks["directory"].state == "delivering"
    assert told.credits == (
        CreditUse(strategy="some", period="hourly", used=1, limit=5),
        CreditUse(strategy="some", period="daily", used=1, limit=9),
    )


def test_what_waits_in_memory_is_told(idle):
    told = health(idle, SimpleNamespace(queued_items=2, queued_bytes=300))

    assert (told.queued_items, told.queued_bytes) == (2, 300)
    assert (told.spool, dict(told.sinks)) == (None, {})


def test_limits_of_strategies_that_have_been_replaced_are_not_told(idle):
    idle.engine.ledger.update({"other": [LimitRule(period="hourly", value=1)]}, scope="line")

    assert health(idle).credits == (CreditUse(strategy="other", period="hourly", used=0, limit=1),)


def test_limits_that_nobody_can_tell_are_left_out(idle, monkeypatch):
    def away(*_):
        raise LedgerUnavailableError("redis does not answer")

    monkeypatch.setattr(idle.engine.ledger, "used", away)

    assert health(idle).credits == ()
