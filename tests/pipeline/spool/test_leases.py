"""A delivery is leased to one worker at a time, which tells the spool how it ended."""

import itertools

import pytest

from al_framework.api import LeaseLostError, Receipt

CREATED = Receipt(status="created", remote_id="r")
NOW = 1_700_000_000.0


def counts(spool, sink="s1"):
    numbers = spool.counts()[sink]
    assert numbers.accepted + numbers.recovered == (
        numbers.delivered + numbers.pending + numbers.dead + numbers.evicted
    )
    return numbers


def test_the_oldest_due_delivery_is_taken_first_and_once(spool):
    taken = [spool.deliveries.take("s1") for _ in range(3)]

    assert ["item-1", "item-2", None] == [lease and lease.item_id for lease in taken]
    assert taken[0].checkpoint == {}
    assert taken[0].owner != taken[1].owner


def test_a_datapoint_comes_back_as_it_went_in(spool, candidate):
    lease = spool.deliveries.take("s1")

    datapoint = spool.deliveries.load(lease)

    assert datapoint.image == candidate("1").image
    assert (datapoint.item_id, datapoint.tags) == ("item-1", ("t",))
    assert datapoint.decision == candidate("1").compose("a").decision


def test_a_delivery_that_was_put_back_is_due_later(make_spool, spool):
    spool.deliveries.put_back(spool.deliveries.take("s1"), reason="busy", delay_s=5.0)
    spool.deliveries.deliver(spool.deliveries.take("s1"), CREATED)

    assert spool.deliveries.take("s1") is None
    assert spool.deliveries.next_due("s1") == NOW + 5
    make_spool.clock.advance(5)
    lease = spool.deliveries.take("s1")
    assert ("item-1", 1, 0) == (lease.item_id, lease.attempts, lease.faults)
    assert (counts(spool).retried, counts(spool).pending) == (1, 1)


def test_a_fault_is_counted_apart_and_an_uncounted_attempt_not_at_all(spool):
    spool.deliveries.put_back(spool.deliveries.take("s1"), reason="x", delay_s=0, is_fault=True)
    spool.deliveries.put_back(spool.deliveries.take("s1"), reason="paused")

    leases = {lease.item_id: lease for lease in (spool.deliveries.take("s1") for _ in range(2))}

    assert (1, 1) == (leases["item-1"].attempts, leases["item-1"].faults)
    assert counts(spool).retried == 1


def test_a_checkpoint_is_kept_for_the_next_attempt(spool):
    lease = spool.deliveries.take("s1")
    spool.deliveries.checkpoint(lease, {"remote_id": "r7"})
    spool.deliveries.put_back(lease, reason="x", delay_s=0)

    assert {"remote_id": "r7"} == spool.deliveries.take("s1").checkpoint


def test_a_file_goes_with_its_last_datapoint(spool, group_files):
    for sink, _ in itertools.product(("s1", "s2"), range(2)):
        assert len(group_files()) == 1
        spool.deliveries.deliver(spool.deliveries.take(sink), CREATED)

    assert group_files() == []
    assert (spool.stats().items, spool.stats().bytes, spool.stats().oldest) == (0, 0, None)
    assert counts(spool).delivered == counts(spool, "s2").delivered == 2


def test_rows_go_before_the_file(make_spool, candidate, group_files):
    seen = []
    spool = make_spool(
        failpoint=lambda name: (
            name == "ended" and seen.append((spool.stats().items, len(group_files())))
        )
    )
    spool.accept([candidate("1")])
    spool.deliveries.deliver(spool.deliveries.take("s1"), CREATED)

    assert [(0, 1)] == seen


def test_the_directory_of_a_past_hour_goes_with_its_last_file(make_spool, spool):
    make_spool.clock.advance(3600)
    for sink, _ in itertools.product(("s1", "s2"), range(2)):
        spool.deliveries.deliver(spool.deliveries.take(sink), CREATED)

    assert list((make_spool.directory / "obj").iterdir()) == []


def test_a_dead_datapoint_is_kept(spool, group_files):
    for sink in ("s1", "s2"):
        spool.deliveries.give_up(spool.deliveries.take(sink), "no good")
        spool.deliveries.deliver(spool.deliveries.take(sink), CREATED)

    assert spool.stats().items == 1
    assert len(group_files()) == 1
    assert spool.deliveries.take("s1") is None
    assert spool.deliveries.next_due("s1") is None
    assert (counts(spool).dead, counts(spool).delivered) == (1, 1)


def test_a_datapoint_cannot_be_taken_from_its_worker(make_spool, spool):
    make_spool.clock.advance(1000)  # a slow sink is no reason to deliver twice

    first = spool.deliveries.take("s1")
    spool.deliveries.reclaim(("s1",))
    make_spool.clock.advance(1000)
    spool.deliveries.reclaim(("s1",))

    assert spool.deliveries.take("s1").item_id != first.item_id
    spool.deliveries.deliver(first, CREATED)


def test_a_lease_that_was_let_go_is_free_again(spool):
    lease = spool.deliveries.take("s1")
    spool.deliveries.let_go(lease)
    spool.deliveries.reclaim(("s1",))

    assert spool.deliveries.take("s1").item_id == lease.item_id


@pytest.mark.parametrize(
    "write",
    [
        lambda d, lease: d.deliver(lease, CREATED),
        lambda d, lease: d.give_up(lease, "x"),
        lambda d, lease: d.put_back(lease, reason="x", delay_s=1.0),
        lambda d, lease: d.checkpoint(lease, {"a": "b"}),
    ],
)
def test_a_worker_without_its_lease_changes_nothing(spool, write):
    old = spool.deliveries.take("s1")
    spool.deliveries.reclaim(("s1", "s2"), own=True)
    new = spool.deliveries.take("s1")

    with pytest.raises(
        LeaseLostError,
        match=r"^datapoint 'item-1': another worker has taken over its delivery to the sink 's1';"
        " stop working on it$",
    ):
        write(spool.deliveries, old)

    assert new.item_id == old.item_id
    assert (counts(spool).pending, counts(spool).retried) == (2, 0)
    spool.deliveries.deliver(new, CREATED)


@pytest.mark.parametrize("state", ["alive", "late", "dead", "rebooted"])
def test_a_lease_of_another_process_ends_with_it_or_in_time(make_spool, spool, monkeypatch, state):
    lease = spool.deliveries.take("s1")
    monkeypatch.setattr(
        "al_framework.pipeline.spool.leases.process_name", lambda: "1:1:somewhere-else"
    )
    monkeypatch.setattr(
        "al_framework.pipeline.spool.leases.is_alive", lambda _: state in ("alive", "late")
    )
    spool.deliveries._held.clear()
    make_spool.clock.advance(60 if state == "late" else 59)

    spool.deliveries.reclaim(("s1",))

    again = spool.deliveries.take("s1").item_id == lease.item_id
    assert again is (state != "alive")


def test_a_date_beyond_any_delay_means_that_the_clock_was_set_back(make_spool, spool):
    for _ in range(2):
        spool.deliveries.put_back(spool.deliveries.take("s1"), reason="x", delay_s=3600)
    make_spool.clock.set_time(NOW - 86400)
    before = spool.deliveries.take("s1")

    spool.deliveries.reclaim(("s1",))

    assert before is None
    assert spool.deliveries.take("s1").item_id == "item-1"


def test_a_race_for_the_last_delivery_has_one_winner(make_spool, candidate, monkeypatch):
    one = make_spool()
    one.accept([candidate("1")])
    two = make_spool()
    assert one.deliveries.take("s1") is not None

    monkeypatch.setattr(two.deliveries, "is_due", lambda _: True)  # as a moment ago

    assert two.deliveries.take("s1") is None
    assert two.deliveries._held == set()


def test_each_process_counts_its_own(make_spool, candidate):
    one, two = make_spool(), make_spool()
    one.accept([candidate("1")])
    two.accept([candidate("2"), candidate("3")])
    for _ in range(2):
        two.deliveries.deliver(two.deliveries.take("s1"), CREATED)

    assert (1, 1, 0) == (counts(one).accepted, counts(one).delivered, counts(one).pending)
    assert (2, 1, 1) == (counts(two).accepted, counts(two).delivered, counts(two).pending)
    assert counts(two).recovered == 0


def test_what_a_closed_process_leaves_is_taken_over_by_the_leader(make_spool, candidate):
    one, two = make_spool(), make_spool()
    one.accept([candidate("1"), candidate("2")])
    lease = one.deliveries.take("s1")
    one.close()

    two.deliveries.reclaim(("s1",))

    assert (2, 2) == (counts(two).recovered, counts(two).pending)
    assert lease.item_id == "item-1"


def test_ends_of_a_life_that_is_over_are_counted_nowhere(make_spool, candidate):
    one, two = make_spool(), make_spool()
    one.accept([candidate("1")])
    one.close()

    two.deliveries.deliver(two.deliveries.take("s1"), CREATED)

    assert (0, 0) == (counts(two).recovered, counts(two).delivered)
    assert two.stats().items == 0


def test_releasing_ones_own_leases_counts_no_crash_and_leaves_those_of_others(make_spool, spool):
    other = make_spool(sinks=("s1", "s2"))
    mine, theirs = spool.deliveries.take("s1"), other.deliveries.take("s1")
    spool.deliveries.release_own()

    again = spool.deliveries.take("s1")
    assert (mine.number, 0) == (again.number, again.crashes)
    assert spool.deliveries.take("s1") is None
    other.deliveries.deliver(theirs, CREATED)
