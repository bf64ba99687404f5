"""Processes are killed at every step; whatever they said before holds afterwards."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger

CHILD = Path(__file__).with_name("spool_child.py")


def start(directory: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(directory), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]", code: int = 0) -> list[str]:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    return output.splitlines()


@pytest.fixture
def ledger():
    return SqliteLedger({"a": [LimitRule(period="daily", value=30)]}, scope="s")


def items_of(spool):
    with spool._database.read() as tx:
        return [row[0] for row in tx.execute("SELECT item_id FROM item ORDER BY number")]


def check(spool, ledger, key, accepted):
    """Nothing accepted is lost, nothing is half there, and credits are exactly the items."""
    items = items_of(spool)
    assert accepted == items[: len(accepted)]
    assert len(items) <= len(accepted) + 1  # committed, and killed before it could say so
    for item_id in items:
        assert spool.seen(key(f"cam/{item_id.removeprefix('item-')}", size=1))
    with spool._database.read() as tx:
        assert tx.execute("SELECT count(*) FROM seen").fetchone() == (len(items),)
        assert tx.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert ledger.used("a", spool._clock.time())["daily"] == len(items)
    loaded = []
    while (lease := spool.deliveries.take("s1")) is not None:
        loaded.append(spool.deliveries.load(lease).item_id)
    assert items == loaded


@pytest.mark.parametrize("hits", ["1", "3"])
@pytest.mark.parametrize(
    "step", ["locked", "reserved", "written", "synced", "inserted", "committed"]
)
def test_a_kill_while_accepting_loses_nothing_and_repeats_nothing(  # noqa: PLR0917 - a row of the table and fixtures
    make_spool, ledger, key, group_files, step, hits
):
    accepted = finish(start(make_spool.directory, "die-filling", step, hits, "x", "5"), code=137)

    spool = make_spool(ledger=ledger)

    assert len(accepted) == int(hits) - 1
    check(spool, ledger, key, accepted)
    spool.gc()
    assert len(group_files()) == len(items_of(spool))  # unfinished files are swept
    # A run again: what is there is skipped by its key, and the rest is taken.
    rest = [n for n in range(5) if not spool.seen(key(f"cam/x-{n}", size=1))]
    spool.close()
    assert 5 - len(rest) in (len(accepted), len(accepted) + 1)


@pytest.mark.parametrize("hits", ["1", "3"])
@pytest.mark.parametrize("step", ["leased", "checkpointed", "ended"])
def test_a_kill_while_delivering_leaves_the_rest_deliverable(make_spool, ledger, step, hits):
    accepted = finish(start(make_spool.directory, "fill", "x", "5"))
    done = finish(start(make_spool.directory, "die-delivering", step, hits), code=137)
    spool = make_spool(ledger=ledger)
    spool.deliveries.reclaim(("s1",))

    left, checkpoints = [], []
    while (lease := spool.deliveries.take("s1")) is not None:
        left.append(spool.deliveries.load(lease).item_id)
        checkpoints.append(dict(lease.checkpoint))

    ended = [*done, f"item-x-{len(done)}"] if step == "ended" else done
    assert [item for item in accepted if item not in ended] == left
    assert (checkpoints[0] == {"half": "done"}) is (step == "checkpointed")
    assert spool.counts()["s1"].recovered == spool.counts()["s1"].pending == len(left)


def test_an_orphan_of_a_kill_before_the_unlink_is_swept(make_spool, group_files):
    finish(start(make_spool.directory, "fill", "x", "1"))
    finish(start(make_spool.directory, "die-delivering", "ended", "1"), code=137)
    before = len(group_files())
    make_spool().gc()

    assert before == 1
    assert group_files() == []


def test_two_processes_share_one_spool_and_its_limits(make_spool, ledger, key):
    processes = [start(make_spool.directory, "fill", name, "20") for name in ("x", "y")]
    accepted = [line for process in processes for line in finish(process)]
    spool = make_spool(ledger=ledger)

    assert len(accepted) == len(set(accepted)) == 30
    assert sorted(accepted) == sorted(items_of(spool))
    assert all(spool.seen(key(f"cam/{n}-{i}", size=1)) for n in "xy" for i in range(20))
    assert ledger.used("a", make_spool.clock.time())["daily"] == 30


def test_a_forked_child_shares_the_spool_and_not_its_connections(make_spool, ledger, key):
    output = finish(start(make_spool.directory, "fork"))

    assert [
        "item-parent",
        "item-child",
        "child answers for 1",
        "item-parent-again",
        "parent answers for 2",
    ] == output
    check(make_spool(ledger=ledger), ledger, key, [line for line in output if "item" in line])


def test_the_child_of_a_fork_begins_a_life_of_its_own(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])
    inherited = [spool._database._writer, spool._database._reader, spool._ledger._reader]
    for forked in (spool._database._lock, spool._database, spool):
        forked.after_fork()
    before = spool.counts()["s1"].accepted
    spool.accept([candidate("2")])

    assert (0, 1) == (before, spool.counts()["s1"].accepted)
    assert spool.stats().items == 2
    for connection in inherited:
        if connection is not None:
            connection.close()


def test_a_fork_waits_for_the_transaction_at_hand(make_spool):
    spool = make_spool()
    database, forked = spool._database, threading.Event()

    def fork():
        database.before_fork()
        forked.set()
        database.after_fork_in_parent()

    with database.locked(), database.transaction():
        thread = threading.Thread(target=fork)
        thread.start()
        waited = not forked.wait(0.05)
    thread.join(10)

    assert waited
    assert forked.is_set()
    with database.locked(), database.read() as tx:  # and everything is let go again
        assert tx.execute("SELECT 1").fetchone() == (1,)
