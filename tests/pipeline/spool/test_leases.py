import errno
import itertools
from pathlib import Path

import pytest

from al_framework.api import LeaseLostError, Receipt, SpoolError
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import CorruptItemError

CREATED = Receipt(status="created", remote_id="r")
DUPLICATE = Receipt(status="duplicate")
NOW = 1_700_000_000.0


@pytest.fixture
def spool(make_spool, candidate):
    spool = make_spool(sinks=("s1", "s2"))
    spool.accept([candidate("1"), candidate("2")])
    return spool


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


@pytest.mark.parametrize("kind", [MemoryLedger, SqliteLedger])
@pytest.mark.parametrize(
    ("ends", "returned"),
    [
        (("created", "created"), False),
        (("created", "duplicate"), False),
        (("duplicate", "created"), False),
        (("created", "dead"), False),
        (("duplicate", "duplicate"), True),
        (("duplicate", "dead"), True),
        (("dead", "dead"), True),
        (("duplicate", None), False),
    ],
)
def test_credit_and_batch_place_return_when_no_sink_has_stored_it(
    make_spool, candidate, kind, ends, returned
):
    ledger = kind({"a": [LimitRule(period="daily", value=1)]}, scope="s")
    spool = make_spool(sinks=("s1", "s2"), ledger=ledger)
    spool.accept([candidate("1", max_batch_images=1)])
    for sink, end in zip(("s1", "s2"), ends, strict=True):
        if end == "dead":
            spool.deliveries.give_up(spool.deliveries.take(sink), "x")
        elif end is not None:
            spool.deliveries.deliver(spool.deliveries.take(sink), Receipt(status=end))

    answers = spool.accept(
        [
            candidate("2", max_batch_images=1),
            candidate("3", matching=("free",), max_batch_images=1),
        ]
    )

    assert (["accepted", "batch_full"] if returned else ["limited", "batch_full"]) == [
        answer.status for answer in answers
    ]
    assert ledger.used("a", NOW)["daily"] == 1


def test_tries_count_attempts_that_were_cut_short(spool):
    first = spool.deliveries.take("s1")
    spool.deliveries.let_go(first)
    spool.deliveries.reclaim(("s1",))

    assert (1, 0) == (first.tries, first.attempts)
    second = spool.deliveries.take("s1")
    assert (2, 0) == (second.tries, second.attempts)
    assert first.item_id == second.item_id


def test_a_duplicate_at_a_later_try_may_be_ours_and_keeps_credit_and_place(make_spool, candidate):
    ledger = SqliteLedger({"a": [LimitRule(period="daily", value=1)]}, scope="s")
    spool = make_spool(ledger=ledger)
    spool.accept([candidate("1", max_batch_images=1)])
    lease = spool.deliveries.take("s1")
    spool.deliveries.put_back(lease, reason="no answer", delay_s=0.0)

    spool.deliveries.deliver(spool.deliveries.take("s1"), DUPLICATE)

    answers = spool.accept([candidate("2", max_batch_images=1, matching=("free",))])
    assert ["batch_full"] == [answer.status for answer in answers]
    assert ledger.used("a", NOW)["daily"] == 1


def cut_short(spool, lease):
    spool.deliveries.release_own()


def unanswered(spool, lease):
    spool.deliveries.put_back(lease, reason="no answer in time", delay_s=0.0)


def refused(spool, lease):
    spool.deliveries.put_back(lease, reason="busy", delay_s=0.0, is_refused=True)


def died_and_was_retried(spool, lease):
    spool.deliveries.give_up(lease, "no")
    spool.dead.retry()


@pytest.mark.parametrize(
    ("tries", "is_refused", "used"),
    [
        ([], True, 0),
        ([], False, 1),  # the only one may have stored it
        ([refused, refused], True, 0),
        ([refused, refused], False, 1),
        ([unanswered], True, 1),
        ([unanswered, refused], True, 1),
        ([cut_short], True, 1),
        ([died_and_was_retried], True, 0),
        ([unanswered, died_and_was_retried], True, 1),
    ],
)
def test_a_datapoint_given_up_keeps_its_credit_if_any_try_may_have_stored_it(
    make_spool, candidate, tries, is_refused, used
):
    ledger = SqliteLedger({"a": [LimitRule(period="daily", value=5)]}, scope="s")
    spool = make_spool(ledger=ledger)
    spool.accept([candidate("1", max_batch_images=1)])
    for end in tries:
        end(spool, spool.deliveries.take("s1"))

    spool.deliveries.give_up(spool.deliveries.take("s1"), "no", is_refused=is_refused)

    assert used == ledger.used("a", NOW)["daily"]
    answers = spool.accept([candidate("2", max_batch_images=1, matching=("free",))])
    assert ["batch_full" if used else "accepted"] == [answer.status for answer in answers]


def test_a_datapoint_given_up_half_stored_keeps_credit_and_place(make_spool, candidate):
    ledger = SqliteLedger({"a": [LimitRule(period="daily", value=1)]}, scope="s")
    spool = make_spool(ledger=ledger)
    spool.accept([candidate("1", max_batch_images=1)])
    lease = spool.deliveries.take("s1")
    spool.deliveries.checkpoint(lease, {"image_id": "r1"})

    spool.deliveries.give_up(lease, "its annotation is refused")

    answers = spool.accept([candidate("2", max_batch_images=1, matching=("free",))])
    assert ["batch_full"] == [answer.status for answer in answers]
    assert ledger.used("a", NOW)["daily"] == 1


def test_a_credit_returns_to_its_minute_when_another_has_begun(make_spool, candidate):
    ledger = SqliteLedger({"a": [LimitRule(period="minutely", value=1)]}, scope="s")
    spool = make_spool(ledger=ledger)
    spool.accept([candidate("1", decided_at=NOW), candidate("2", decided_at=NOW + 60)])
    lease = spool.deliveries.take("s1")

    make_spool.clock.advance(60)
    spool.deliveries.deliver(lease, DUPLICATE)

    assert (0, 1) == tuple(ledger.used("a", at)["minutely"] for at in (NOW, NOW + 60))


def test_another_configuration_gives_a_credit_back_to_its_owner(make_spool, candidate):
    rules = {"a": [LimitRule(period="daily", value=1)]}
    one = make_spool(ledger=SqliteLedger(rules, scope="one"))
    one.accept([candidate("1")])
    two = make_spool(ledger=SqliteLedger(rules, scope="two"))

    two.deliveries.deliver(two.deliveries.take("s1"), DUPLICATE)

    assert ["accepted"] == [answer.status for answer in one.accept([candidate("2")])]


def test_duplicates_are_counted_among_the_delivered(spool):
    spool.deliveries.deliver(spool.deliveries.take("s1"), DUPLICATE)

    assert (1, 1, 1) == (
        counts(spool).delivered,
        counts(spool).duplicates,
        counts(spool).pending,
    )


def test_a_damaged_datapoint_is_reported_and_its_neighbour_is_not(spool, group_files):
    path = group_files()[0]
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    first, second = (spool.deliveries.take("s1") for _ in range(2))

    with pytest.raises(CorruptItemError, match=r"offset 0: the bytes do not match their checksum$"):
        spool.deliveries.load(first)
    assert spool.deliveries.load(second).item_id == "item-2"


def test_metadata_of_another_kind_are_corrupt(make_spool, candidate, group_files, monkeypatch):
    monkeypatch.setattr(
        "al_framework.pipeline.spool.accepting.encode_meta",
        lambda *_: b'{"datapoint": {}, "key": null, "sinks": []}',
    )
    spool = make_spool()
    spool.accept([candidate("1")])

    with pytest.raises(CorruptItemError, match="offset 0: the values are no datapoint: KeyError"):
        spool.deliveries.load(spool.deliveries.take("s1"))


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


def damage(spool, sql):
    with spool._database.locked(), spool._database.transaction() as tx:
        tx.execute(sql)


@pytest.mark.parametrize(
    "damaged",
    [
        "image_bytes = 1 << 60",
        "image_bytes = 'x'",
        "meta_bytes = -1",
        "offset = 1 << 62",
        "offset = 1.5",
        "file = 'a' || char(0) || 'b'",
        "file = x'ff'",
    ],
)
def test_a_place_that_cannot_be_is_corrupt_and_not_even_read(spool, damaged):
    damage(spool, f"UPDATE item SET {damaged} WHERE item_id = 'item-1'")  # noqa: S608 - constants
    leases = {lease.number: lease for lease in (spool.deliveries.take("s1") for _ in range(2))}

    with pytest.raises(CorruptItemError, match=r"^group file "):
        spool.deliveries.load(leases[1])
    assert spool.deliveries.load(leases[2]).item_id == "item-2"


@pytest.mark.parametrize("checkpoint", ["z}", "[]", '{"a": 1}', "", "[" * 100_000])
def test_a_damaged_checkpoint_is_none(spool, checkpoint):
    with spool._database.locked(), spool._database.transaction() as tx:
        tx.execute("UPDATE delivery SET checkpoint = ?", (checkpoint,))

    assert spool.deliveries.take("s1").checkpoint == {}


def test_damaged_numbers_are_zero(spool):
    damage(
        spool,
        "UPDATE delivery SET attempts = 'x', tries = x'ff', faults = 'x', active_at = 9e999",
    )

    lease = spool.deliveries.take("s1")
    assert (0, 0, 0.0) == (lease.attempts, lease.faults, lease.active_at)


@pytest.mark.parametrize("owner", ["'x'", "'12x:1:1/1/0'", "x'ff'", "7", "'1:99999999999:b/1/0'"])
def test_a_lease_whose_owner_is_damaged_is_freed(spool, owner):
    spool.deliveries.take("s1")
    damage(spool, f"UPDATE delivery SET lease_until = 'x', owner = {owner} WHERE owner > ''")  # noqa: S608 - constants
    spool.deliveries.reclaim(("s1",))

    assert spool.deliveries.take("s1").item_id == "item-1"


def test_a_lease_with_a_damaged_end_is_over(make_spool, spool):
    other = make_spool(sinks=("s1", "s2"))
    other.deliveries.take("s1")
    damage(spool, "UPDATE delivery SET lease_until = 'x' WHERE owner IS NOT NULL")
    spool.deliveries.reclaim(("s1",))

    assert spool.deliveries.take("s1").item_id == "item-1"


def test_releasing_ones_own_leases_counts_no_crash_and_leaves_those_of_others(make_spool, spool):
    other = make_spool(sinks=("s1", "s2"))
    mine, theirs = spool.deliveries.take("s1"), other.deliveries.take("s1")
    spool.deliveries.release_own()

    again = spool.deliveries.take("s1")
    assert (mine.number, 0) == (again.number, again.crashes)
    assert spool.deliveries.take("s1") is None
    other.deliveries.deliver(theirs, CREATED)


def test_a_file_that_cannot_be_opened_at_the_moment_is_not_corrupt(spool, monkeypatch):
    def exhausted(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    lease = spool.deliveries.take("s1")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", exhausted)
        with pytest.raises(SpoolError, match=r"^spool '.*': group file '.*': Too many open files$"):
            spool.deliveries.load(lease)

    assert spool.deliveries.load(lease).item_id == "item-1"


def test_a_lack_of_memory_is_no_fault_of_the_datapoint(spool, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("al_framework.pipeline.spool.leases.decode_meta", exhausted)
    lease = spool.deliveries.take("s1")

    with pytest.raises(MemoryError):
        spool.deliveries.load(lease)
