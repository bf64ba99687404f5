"""A small factory for hours: processes, a server that comes and goes, kills, a clock that is set.

In CI it takes seconds, and shows that the whole works; ``full`` takes three minutes at fifty
pictures a second; ``soak``, eight hours with four processes, is for a machine of its own, before a
release. Only there growth can be told from warming up, and lag from a busy machine.

The suite has three sizes, see `conftest.py`; what each file shows:

=====================  =============================================================================
kill, takeover         whatever dies, at any moment
failpoints             every step of the order of writes, and what comes after it
power_loss, strace     what a disk may forget is never what was reported as accepted
damaged_*              flipped, torn and missing files cost what they hold, and nothing else
disk_*                 a disk that is full, slow or broken
start_up, fork         ten thousand datapoints, pre-forked servers
hot_path, overload     the caller's thread waits for nothing; memory is bounded, sums are exact
sink_faults, outward/  servers that fail in every way; clocks that are set, the system's too
limits/                budgets, shared by processes, with and without Redis
machine/               all of it at random, against a model, and whether it notices mistakes
fuzz*, hostile         what comes in from outside: drawn, found by a fuzzer, written by hand
canary                 secrets that must not go out
soak                   all together, for hours
=====================  =============================================================================
"""

import json

import pytest

MB = 1_000_000
WAL_BYTES, INDEX_BYTES = 16 * MB, 32 * MB
PLAN = {
    "processes": {"ci": 2, "full": 2, "soak": 4},
    "rate_per_s": {"ci": 20, "full": 25, "soak": 5},  # of each
    "lasts_s": {"ci": 6, "full": 180, "soak": 8 * 3600},
    "kill_every_s": {"ci": 2.5, "full": 40, "soak": 300},
    "redis_every_s": {"ci": 4, "full": 50, "soak": 1800},
    "jump_every_s": {"ci": 1.5, "full": 35, "soak": 420},
    "pace": {"ci": 0.1, "full": 1.0, "soak": 1.0},  # of the server's phases
    "limit": {"ci": 10_000, "full": 2500, "soak": 1150},  # a minute; a little below what comes
    "sample_s": {"ci": 0.25, "full": 1, "soak": 20},
    "traces": {"ci": False, "full": False, "soak": True},
}
# Bytes an hour that the memory of a process may grow by; before hours have passed, warmth alone.
GROWTH = {"ci": None, "full": None, "soak": 1 * MB}
WARMTH = 32 * MB
LAG_S = {"ci": 600.0, "full": 600.0, "soak": 60.0}  # ten times the target where others work, too


@pytest.fixture
def report(run_child, tmp_path, seed, size):
    plan = {name: size.pick(**values) for name, values in PLAN.items()}
    output = run_child(
        "soak_crew", tmp_path, seed, json.dumps(plan), hang_s=2.0 * plan["lasts_s"] + 1200.0
    )
    report = json.loads(output)
    print("\n".join(f"{name}: {value}" for name, value in report.items()))  # noqa: T201 - the evidence, with pytest -rP
    return report


@pytest.mark.timeout(0)  # the children have hang limits of their own
def test_what_befalls_a_factory_costs_nothing_and_leaves_nothing_behind(report, size):
    plan = {name: values[size.name] for name, values in PLAN.items()}

    # It did happen.
    assert report["kills"] >= plan["lasts_s"] / plan["kill_every_s"] / 4
    assert report["jumps"] >= plan["lasts_s"] / plan["jump_every_s"] / 2
    assert report["redis restarts"] > 0 or report["ledger"] == "sqlite"
    assert report["accepted"] > 0
    assert set(report["requests"]) > {"up"}
    # Nothing was lost, stored twice or altered, and no budget exceeded.
    assert report["verdict"] == {}
    assert "hangs" not in report
    assert report["do not add up"] == []
    assert report["most in a minute"] <= plan["limit"]
    assert max(report["lag s"].values()) <= 10 * LAG_S[size.name]
    assert report["lag s"]["p99"] <= LAG_S[size.name]
    # Nobody ended but by our hand, and nobody made much noise.
    assert report["ended by themselves"] == []
    assert set(report["ends"].values()) == {0}
    assert report["uncaught"] == []
    assert report["tracebacks"] == []
    for name, (lines, seconds) in report["lines of log, in s"].items():
        assert lines <= 60 + seconds, name
    # Nothing stays, and nothing grows.
    # In `damaged` is what a kill has left between file and commit: nobody was told of it.
    left = set(report["in the spool"]) - {"damaged"}
    assert left == {"deliver.lock", "obj", "spool.db", "write.lock"}
    assert report["hours left"] == []
    assert report["lives left"] <= 1  # that of the judge
    assert report["sizes"]["spool.db-wal"] <= WAL_BYTES
    assert report["sizes"]["spool.db"] <= INDEX_BYTES
    assert report["rss"]["late"] - report["rss"]["early"] <= WARMTH
    for what in ("fds", "threads"):
        assert report[what]["late"] <= report[what]["early"] + 8, what  # a socket for each worker
    if (growth := GROWTH[size.name]) is not None:
        assert report["rss"]["per hour"] < growth
        assert report["traced"]["per hour"] < growth
