"""Dead letters: listed, read, tried again for a new credit, removed, and never too many."""

import logging
from collections.abc import Mapping

import pytest

from al_framework.api import Receipt, SpoolError
from al_framework.pipeline.limits.base import LedgerUnavailableError, LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import RetryReport, SpoolLimits

CREATED = Receipt(status="created")
NOW = 1_700_000_000.0
DAY = 86400.0


@pytest.fixture
def kill(make_spool):
    """Accept datapoints and have a sink refuse them, one after the other."""

    def refuse(spool, *candidates, sink="s1", reason="no good"):
        for candidate in candidates:
            spool.accept([candidate])
            spool.deliveries.give_up(spool.deliveries.take(sink), reason)
            make_spool.clock.advance(1.0)

    return refuse


def names(spool, **which):
    return [(letter.item_id, letter.sink) for letter in spool.dead.list(**which)]


def balance(spool, sink="s1"):
    """Return accepted, recovered, pending, dead and evicted, which always add up."""
    one = spool.counts()[sink]
    assert one.accepted + one.recovered == one.delivered + one.pending + one.dead + one.evicted
    return one.accepted, one.recovered, one.pending, one.dead, one.evicted


def test_a_list_tells_what_a_person_needs(make_spool, candidate, kill):
    spool = make_spool()
    kill(spool, candidate("1"), reason="HTTP 400: no such class")

    (letter,) = spool.dead.list()

    assert letter.item_id == "item-1"
    assert letter.frame_id == "cam/1"
    assert (letter.sink, letter.reason) == ("s1", "HTTP 400: no such class")
    assert (letter.attempts, letter.ended_at, letter.batch_name) == (1, NOW, "batch")
    assert letter.bytes > len(candidate("1").image)


def test_the_oldest_come_first_and_a_sink_can_be_chosen(make_spool, candidate, kill):
    spool = make_spool(sinks=("s1", "s2"))
    kill(spool, candidate("1"), candidate("2"))
    spool.deliveries.give_up(spool.deliveries.take("s2"), "other")

    assert [("item-1", "s1"), ("item-2", "s1"), ("item-1", "s2")] == names(spool)
    assert [("item-1", "s2")] == names(spool, sink="s2")
    assert [("item-1", "s1")] == names(spool, limit=1)
    assert [] == names(spool, sink="unknown")


def test_a_letter_whose_file_is_damaged_is_listed_all_the_same(
    make_spool, candidate, kill, group_files
):
    spool = make_spool()
    kill(spool, candidate("1"))
    group_files()[0].write_bytes(b"?" * 9)

    assert ["" for _ in spool.dead.list()] == [one.frame_id for one in spool.dead.list()]
    with pytest.raises(
        SpoolError, match=r"dead letter 'item-1' cannot be read: group file '.*', offset 0: "
    ):
        spool.dead.load("item-1")
    assert RetryReport(retried=1, limited=0) == spool.dead.retry()


def test_a_letter_of_an_old_form_cannot_be_read(make_spool, candidate, kill, monkeypatch):
    monkeypatch.setattr(
        "al_framework.pipeline.spool.accepting.encode_meta",
        lambda *_: b'{"datapoint": {}, "key": null, "sinks": []}',
    )
    spool = make_spool()
    kill(spool, candidate("1"))

    with pytest.raises(
        SpoolError, match=r"cannot be read: group file .*the values are no datapoint"
    ):
        spool.dead.load("item-1")


def test_a_letter_is_read_as_it_was_accepted(make_spool, candidate, kill):
    spool = make_spool()
    kill(spool, candidate("1"))
    spool.accept([candidate("2")])

    assert candidate("1").image == spool.dead.load("item-1").image
    for name in ("item-2", "nobody"):
        with pytest.raises(
            SpoolError, match=rf"^spool '.*': there is no dead letter '{name}'; see 'al dead list'$"
        ):
            spool.dead.load(name)


@pytest.mark.parametrize("kind", [MemoryLedger, SqliteLedger])
def test_trying_again_takes_a_credit_anew(make_spool, candidate, kill, kind):
    ledger = kind({"a": [LimitRule(period="daily", value=2)]}, scope="s")
    spool = make_spool(ledger=ledger)
    kill(spool, candidate("1"), candidate("2"), candidate("3"))
    before = ledger.used("a", NOW)["daily"]

    report = spool.dead.retry()

    assert (0, RetryReport(retried=2, limited=1)) == (before, report)
    assert ledger.used("a", NOW)["daily"] == 2
    assert [("item-3", "s1")] == names(spool)
    assert (3, 0, 2, 1, 0) == balance(spool)


@pytest.mark.parametrize("kind", [MemoryLedger, SqliteLedger])
def test_a_picture_that_some_sink_holds_or_may_get_is_still_paid_for(
    make_spool, candidate, kill, kind
):
    ledger = kind({"a": [LimitRule(period="daily", value=2)]}, scope="s")
    spool = make_spool(sinks=("s1", "s2"), ledger=ledger)
    kill(spool, candidate("1"), candidate("2"))
    spool.deliveries.deliver(spool.deliveries.take("s2"), CREATED)

    assert RetryReport(retried=2) == spool.dead.retry()
    assert ledger.used("a", NOW)["daily"] == 2


def test_a_place_in_the_batch_is_taken_anew_as_well(make_spool, candidate, kill):
    spool = make_spool()
    kill(spool, candidate("1", max_batch_images=1))
    spool.dead.retry()

    (answer,) = spool.accept([candidate("2", max_batch_images=1)])
    assert answer.status == "batch_full"


def test_what_is_tried_again_begins_anew(make_spool, candidate, kill):
    spool = make_spool()
    spool.accept([candidate("1")])
    for _ in range(2):
        lease = spool.deliveries.take("s1", active_s=5.0)
        spool.deliveries.put_back(lease, reason="x", delay_s=0.0, is_fault=True)
    spool.deliveries.give_up(spool.deliveries.take("s1", active_s=9.0), "x")
    spool.dead.retry(item_ids=["item-1", "unknown"])

    lease = spool.deliveries.take("s1", active_s=50.0)
    assert (0, 0, 50.0) == (lease.attempts, lease.faults, lease.active_at)
    assert lease.tries == 4
    spool.deliveries.deliver(lease, CREATED)
    assert spool.stats().items == 0


def test_one_of_two_sinks_can_be_tried_again(make_spool, candidate, kill):
    spool = make_spool(sinks=("s1", "s2"))
    kill(spool, candidate("1"))
    spool.deliveries.give_up(spool.deliveries.take("s2"), "x")

    assert RetryReport(retried=1) == spool.dead.retry(sink="s2")
    assert [("item-1", "s1")] == names(spool)
    assert (0, 1) == (balance(spool)[2], balance(spool, "s2")[2])


def test_letters_of_a_life_that_has_ended_are_recovered(make_spool, candidate, kill):
    one = make_spool()
    kill(one, candidate("1"), candidate("2"))
    one.close()
    two = make_spool()

    two.dead.retry(item_ids=["item-1"])
    two.dead.drop(item_ids=["item-2"])

    assert (0, 1, 1, 0, 0) == balance(two)
    assert two.stats().items == 1


def test_letters_of_another_process_stay_its_own(make_spool, candidate, kill):
    one, two = make_spool(), make_spool()
    kill(one, candidate("1"), candidate("2"))

    two.dead.retry(item_ids=["item-1"])
    two.dead.drop(item_ids=["item-2"])

    assert (2, 0, 1, 0, 1) == balance(one)
    assert (0, 0, 0, 0, 0) == balance(two)


@pytest.mark.parametrize("kind", [MemoryLedger, SqliteLedger])
def test_a_letter_is_removed_with_its_picture_and_pays_back_once(
    make_spool, candidate, kill, group_files, kind
):
    ledger = kind({"a": [LimitRule(period="daily", value=5)]}, scope="s")
    spool = make_spool(ledger=ledger)
    kill(spool, candidate("1", max_batch_images=2), candidate("2", max_batch_images=2))
    spool.accept([candidate("3", max_batch_images=2)])

    assert spool.dead.drop() == 2
    assert spool.dead.drop() == 0
    assert len(group_files()) == spool.stats().items == 1
    assert ledger.used("a", NOW)["daily"] == 1
    assert (3, 0, 1, 0, 2) == balance(spool)
    assert {"dead_letter": 2} == spool.counts()["s1"].evictions
    answers = spool.accept([candidate(n, max_batch_images=2) for n in "45"])
    assert ["accepted", "batch_full"] == [answer.status for answer in answers]


def test_removing_a_letter_leaves_the_picture_to_the_sinks_that_want_it(
    make_spool, candidate, kill, group_files
):
    spool = make_spool(sinks=("s1", "s2"))
    kill(spool, candidate("1"))

    assert spool.dead.drop(sink="s2") == 0
    assert spool.dead.drop() == 1
    (found,) = spool.find("cam/1")
    assert ["evicted", "pending"] == [delivery.state for delivery in found.deliveries]
    spool.deliveries.deliver(spool.deliveries.take("s2"), CREATED)
    assert [] == group_files()
    (found,) = spool.find("cam/1")
    assert ["evicted", "delivered"] == [delivery.state for delivery in found.deliveries]


def test_the_oldest_beyond_the_bytes_go_and_it_is_said(make_spool, candidate, kill, caplog):
    limits = SpoolLimits(min_free_bytes=0, dead_max_bytes=3000)
    spool = make_spool(limits=limits)
    kill(spool, *(candidate(str(n)) for n in range(9)))
    size = spool.dead.list()[0].bytes
    with caplog.at_level(logging.ERROR):
        removed = spool.dead.prune()

    assert removed == 9 - 3000 // size
    assert [f"item-{n}" for n in range(removed, 9)] == [name for name, _ in names(spool)]
    (said,) = caplog.messages
    assert said == (
        f"spool '{make_spool.directory}': removed {removed} dead letters, the oldest: no more than"
        " 3000 bytes and 14 days of them are kept; see dead_max_bytes and dead_max_age_s"
    )
    assert balance(spool)[4] == removed
    assert spool.dead.prune() == 0


def test_letters_that_are_too_old_go(make_spool, candidate, kill, caplog):
    spool = make_spool()
    kill(spool, candidate("1"))
    make_spool.clock.advance(14 * DAY - 2.5)
    kill(spool, candidate("2"))

    assert spool.dead.prune() == 0
    make_spool.clock.advance(1.0)
    assert spool.dead.prune() == 1
    assert [("item-2", "s1")] == names(spool)
    assert "removed 1 dead letter, the oldest" in caplog.text


def test_more_letters_than_a_transaction_takes(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate(str(n)) for n in range(150)])
    for _ in range(150):
        spool.deliveries.give_up(spool.deliveries.take("s1"), "x")

    assert RetryReport(retried=150) == spool.dead.retry()
    for _ in range(150):
        spool.deliveries.give_up(spool.deliveries.take("s1"), "x")
    assert spool.dead.drop() == 150


class Absent(MemoryLedger):
    """A ledger whose server comes and goes."""

    is_there = True

    def reserve(self, strategies, token, now, tx):
        self._check()
        return super().reserve(strategies, token, now, tx)

    def release(self, token, tx):
        self._check()
        super().release(token, tx)

    def _check(self):
        if not self.is_there:
            raise LedgerUnavailableError("limits: the server does not answer")


def test_without_the_ledger_letters_stay_where_they_are(make_spool, candidate, kill, caplog):
    rules: Mapping = {"a": [LimitRule(period="daily", value=9)]}
    ledger = Absent(rules, scope="s")
    spool = make_spool(ledger=ledger)
    spool.accept([candidate("1")])
    ledger.is_there = False
    kill(spool)
    spool.deliveries.give_up(spool.deliveries.take("s1"), "x")

    with pytest.raises(LedgerUnavailableError):
        spool.dead.retry()
    assert [("item-1", "s1")] == names(spool)
    assert (
        "datapoint 'item-1': its credit is not given back: limits: the server does not answer"
    ) in caplog.messages


@pytest.mark.parametrize("kind", [MemoryLedger, SqliteLedger])
def test_a_file_that_cannot_be_removed_is_said_and_nothing_else_is_lost(
    make_spool, candidate, kill, *, kind, monkeypatch, caplog
):
    ledger = kind({"a": [LimitRule(period="daily", value=9)]}, scope="s")
    spool = make_spool(ledger=ledger)
    kill(spool, candidate("1"), candidate("2"))
    real = spool._files.remove

    def busy_once(file, now):
        monkeypatch.setattr(spool._files, "remove", real)
        raise OSError("busy")

    monkeypatch.setattr(spool._files, "remove", busy_once)

    assert spool.dead.drop() == 2
    assert spool.stats().items == 0
    assert (2, 0, 0, 0, 2) == balance(spool)
    (said,) = [text for text in caplog.messages if "busy" in text]
    assert "cannot remove group file" in said
    assert said.endswith("which nobody needs: busy")
    assert spool.gc().files == 1


def test_a_clock_that_is_ahead_at_one_start_removes_no_letter(make_spool, candidate, kill):
    limits = SpoolLimits(min_free_bytes=0, dead_max_bytes=3000)
    spool = make_spool(limits=limits)
    kill(spool, *(candidate(str(n)) for n in range(9)))
    kept = 3000 // spool.dead.list()[0].bytes
    assert spool.dead.prune() == 9 - kept
    spool.close()

    make_spool.clock.set_time(NOW + 30 * DAY)
    ahead = make_spool(limits=limits)
    kill(ahead, candidate("new"))
    removed = ahead.dead.prune()
    ahead.close()
    make_spool.clock.set_time(NOW + 60)
    right = make_spool(limits=limits)

    assert removed == 1  # the bytes bind all the same
    assert right.dead.prune() == 0
    assert len(right.dead.list()) == kept


def test_a_clock_that_stays_ahead_is_believed_after_an_hour(make_spool, candidate, kill):
    spool = make_spool()
    kill(spool, candidate("1"))
    spool.dead.prune()

    make_spool.clock.advance(30 * DAY)
    first = spool.dead.prune()
    make_spool.clock.advance(3599)
    second = spool.dead.prune()
    make_spool.clock.advance(1)

    assert (0, 0, 1) == (first, second, spool.dead.prune())
