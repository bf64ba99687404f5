"""Which delivery is leased, and what is known of it by then: crashes, failures, age."""

import pytest

from al_framework.api import Receipt
from al_framework.pipeline.limits.memory import MemoryLedger

CREATED = Receipt(status="created", remote_id="r")
DUPLICATE = Receipt(status="duplicate")
NOW = 1_700_000_000.0


@pytest.fixture
def spool(make_spool, candidate):
    spool = make_spool(sinks=("s1", "s2"))
    spool.accept([candidate("1"), candidate("2")])
    return spool


def test_the_death_of_a_process_is_noted_until_an_attempt_ends_otherwise(spool, monkeypatch):
    monkeypatch.setattr("al_framework.pipeline.spool.leases.is_alive", lambda _: False)
    crashes = []
    for number in range(3):
        lease = spool.deliveries.take("s1")
        crashes.append(lease.crashes)
        monkeypatch.setattr(
            "al_framework.pipeline.spool.leases.process_name", lambda n=number: f"1:{n}:elsewhere"
        )
        spool.deliveries._held.clear()
        spool.deliveries.reclaim(("s1",))
    suspects = spool.deliveries.suspects(("s1", "s2")), spool.deliveries.suspects(("s2",))
    first = spool.deliveries.take("s1", is_suspect=True)
    none = spool.deliveries.take("s1", is_suspect=True)
    spool.deliveries.put_back(first, reason="x", delay_s=0.0)

    assert [0, 1, 2] == crashes
    assert ({"s1"}, set()) == tuple(set(found) for found in suspects)
    assert (lease.item_id, 3, None) == (first.item_id, first.crashes, none)
    assert not spool.deliveries.suspects(("s1", "s2"))


def test_suspects_are_found_by_their_own_index(spool):
    with spool._database.read() as tx:
        plan = tx.execute(
            """EXPLAIN QUERY PLAN SELECT DISTINCT sink FROM delivery
            WHERE state = 0 AND crashes > 0 AND owner IS NULL AND due <= 0"""
        ).fetchall()

    assert "delivery_suspect" in str(plan)


def test_a_failure_that_does_not_count_puts_a_datapoint_behind_the_others(make_spool, spool):
    make_spool.clock.advance(1.0)
    spool.deliveries.put_back(spool.deliveries.take("s1"), reason="x", delay_s=0.0, counts=False)

    order = [spool.deliveries.take("s1") for _ in range(2)]
    assert [("item-2", 0), ("item-1", 0)] == [(one.item_id, one.attempts) for one in order]
    assert spool.counts()["s1"].retried == 1


def test_the_time_of_trying_begins_with_the_first_attempt(spool):
    seen = []
    for active_s in (10.0, 20.0, 30.0):
        lease = spool.deliveries.take("s1", item_id="item-2", active_s=active_s)
        seen.append(lease.active_at)
        spool.deliveries.put_back(lease, reason="x", delay_s=0.0, counts=active_s > 10.0)

    assert [10.0, 20.0, 20.0] == seen
    assert lease.accepted_at == NOW


AHEAD_S = (90.0, 3000.0, 86400.0)  # all within an hour's longest delay, or beyond it


@pytest.fixture
def from_ahead(make_spool, candidate):
    """A datapoint for two sinks, accepted by a process whose clock is ahead of ours."""
    spool = make_spool(sinks=("s1", "s2"))

    def accept(name, ahead_s):
        make_spool.clock.set_time(NOW + ahead_s)
        spool.accept([candidate(name)])
        make_spool.clock.set_time(NOW)
        return spool.deliveries

    return accept


@pytest.mark.parametrize("ahead_s", AHEAD_S)
def test_what_was_never_tried_is_due_whatever_clock_its_writer_had(from_ahead, ahead_s):
    deliveries = from_ahead("1", ahead_s)

    assert deliveries.is_due("s1")
    assert {"s1": NOW, "s2": NOW} == deliveries.waiting("item-1")
    assert deliveries.take("s1").item_id == "item-1"
    assert deliveries.take("s2", item_id="item-1").item_id == "item-1"
    assert not deliveries.is_due("s1")


def test_what_is_due_by_its_date_goes_first(spool, from_ahead):
    deliveries = from_ahead("3", 90.0)

    assert ["item-1", "item-2", "item-3"] == [deliveries.take("s1").item_id for _ in range(3)]


@pytest.mark.parametrize("ahead_s", AHEAD_S)
def test_a_try_that_was_cut_short_leaves_no_date_that_is_ahead(from_ahead, ahead_s):
    deliveries = from_ahead("1", ahead_s)
    deliveries.take("s1")
    deliveries.release_own()

    assert deliveries.next_due("s1") == NOW
    assert deliveries.take("s1").tries == 2


def test_what_was_put_off_waits_for_its_date(make_spool, spool):
    for _ in range(2):
        spool.deliveries.put_back(spool.deliveries.take("s1"), reason="x", delay_s=90.0)
    before = spool.deliveries.next_due("s1"), spool.deliveries.take("s1")
    named = spool.deliveries.take("s1", item_id="item-1")
    make_spool.clock.advance(90.0)

    assert (NOW + 90.0, None) == before
    assert named is None
    assert spool.deliveries.take("s1").item_id == "item-1"


def test_what_was_never_tried_is_found_by_its_own_index(spool):
    with spool._database.read() as tx:
        plan = tx.execute(
            """EXPLAIN QUERY PLAN SELECT number FROM delivery
            WHERE sink = 's1' AND state = 0 AND owner IS NULL AND tries = 0
            ORDER BY due, number LIMIT 1"""
        ).fetchall()

    assert "delivery_fresh" in str(plan)


def test_one_datapoint_can_be_leased_by_name(spool):
    assert spool.deliveries.take("s1", item_id="item-2").item_id == "item-2"
    assert spool.deliveries.take("s1", item_id="item-2") is None
    assert spool.deliveries.take("s1", item_id="unknown") is None


def test_what_a_datapoint_waits_for_is_known_to_its_end(spool):
    first = spool.deliveries.take("s1", item_id="item-1")
    seen = [spool.deliveries.waiting("item-1")]
    spool.deliveries.deliver(first, CREATED)
    seen.append(spool.deliveries.waiting("item-1"))
    spool.deliveries.give_up(spool.deliveries.take("s2", item_id="item-1"), "x")
    seen.append(spool.deliveries.waiting("item-1"))
    for sink in ("s1", "s2"):
        spool.deliveries.deliver(spool.deliveries.take(sink, item_id="item-2"), CREATED)

    assert [{"s1": None, "s2": NOW}, {"s2": NOW}, {}] == seen
    assert spool.deliveries.waiting("item-2") is None


def test_a_credit_of_another_server_is_given_back_when_the_lock_is_free(make_spool, candidate):
    class Remote(MemoryLedger):
        def release(self, token, tx):
            free.append(spool._database._lock.hold_threads(0))
            if free[-1]:
                spool._database._lock.let_threads_go()
            super().release(token, tx)

    free = []
    spool = make_spool(ledger=Remote({}, scope="s"))
    spool.accept([candidate("1")])
    spool.deliveries.deliver(spool.deliveries.take("s1"), DUPLICATE)

    assert [True] == free
