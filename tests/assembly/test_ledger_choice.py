"""Who keeps the limits of an assembly, and by which clock."""

import sqlite3
from contextlib import closing

import pytest

import al_framework_local
import al_framework_roboflow
from al_framework.assembly import assemble
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.clock import SteadyClock
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.redis import RedisLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger

START = 1_700_000_040.0


@pytest.fixture
def build(tmp_path):
    assemblies = []

    def make(limits, **keywords):
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
            "sinks": [{"type": "directory", "path": str(tmp_path / "out")}],
            "spool": {"path": str(tmp_path / "spool"), "min_free_bytes": 0},
            "limits": limits,
        }
        host = PluginHost.without_discovery(
            {"local": al_framework_local, "roboflow": al_framework_roboflow}
        )
        configuration = load_configuration(read_document(document), host, environ={"P": "pw"})
        assemblies.append(assemble(configuration, host, background=False, **keywords))
        return assemblies[-1]

    yield make
    for assembly in assemblies:
        assembly.stack.close()


@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        ({}, SqliteLedger),
        ({"ledger": "sqlite"}, SqliteLedger),
        ({"ledger": "memory"}, MemoryLedger),
        ({"ledger": "redis", "redis_url": "redis://:${P}@127.0.0.1:1/0"}, RedisLedger),
    ],
)
def test_the_configuration_chooses_who_keeps_the_limits(build, limits, kind):
    pytest.importorskip("redis")

    assert type(build(limits).engine.ledger) is kind


def test_a_dry_run_asks_nobody(build):
    limits = {"ledger": "redis", "redis_url": "redis://127.0.0.1:1/0"}

    assert type(build(limits, dry_run=True).engine.ledger) is MemoryLedger


def test_decisions_go_by_a_clock_that_nobody_can_turn_back(build):
    assert type(build({}).clock) is SteadyClock


def test_a_clock_that_was_turned_back_between_two_runs_opens_no_window_again(build, tmp_path):
    def clock(wall):
        return SteadyClock(wall=lambda: wall, ticks=lambda: 5.0)

    first = build({}, clock=clock(START + 3600))
    ledger = first.engine.ledger
    with closing(sqlite3.connect(tmp_path / "spool" / "spool.db", isolation_level=None)) as tx:
        tx.execute("BEGIN IMMEDIATE")
        ledger.reserve(["all"], "t", first.clock.time(), tx)
        tx.execute("COMMIT")
    first.stack.close()

    second = build({}, clock=clock(START))

    assert START + 3600 == second.clock.time()
