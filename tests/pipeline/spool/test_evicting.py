"""A full spool refuses; only where the user asks for it does it give up what it holds."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from al_framework.api import Receipt, SpoolFullError
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import BatchKey, SpoolLimits

TEN = {"a": [LimitRule(period="daily", value=10)]}


def limits(when_full, *, max_items=2, **options):
    return SpoolLimits(min_free_bytes=0, max_items=max_items, when_full=when_full, **options)


def held(spool):
    with spool._database.read() as tx:
        rows = tx.execute("SELECT item_id FROM item ORDER BY number").fetchall()
    return [row[0].removeprefix("item-") for row in rows]


def size_on_disk(spool):
    return sum(path.stat().st_size for path in (spool.directory / "obj").glob("*/*"))


@pytest.fixture(params=["sqlite", "memory"])
def ledger(request):
    return (SqliteLedger if request.param == "sqlite" else MemoryLedger)(TEN, scope="s")


def test_the_oldest_goes_with_its_credit_its_place_and_its_file(
    make_spool, candidate, ledger, group_files
):
    steps = []
    spool = make_spool(ledger=ledger, limits=limits("drop_oldest"), failpoint=steps.append)
    for name in "123":
        steps.clear()
        spool.accept([candidate(name)])

    assert held(spool) == ["2", "3"]
    assert ledger.used("a", make_spool.clock.time())["daily"] == 2
    assert spool.batches.stored(BatchKey(name="batch"), "s1") == 0
    assert len(group_files()) == 2
    assert steps[-2:] == ["committed", "evicted"]
    counts = spool.counts()["s1"]
    assert (3, 1, 2) == (counts.accepted, counts.evicted, counts.pending)
    assert {"drop_oldest": 1} == counts.evictions
    delivery = spool.find("cam/1")[0].deliveries[0]
    assert delivery.state == "evicted"
    assert delivery.reason == "evicted: the spool was full (when_full: drop_oldest)"


def test_what_some_sink_may_hold_stays(make_spool, candidate):
    spool = make_spool(sinks=("s1", "s2"), limits=limits("drop_oldest", max_items=4))
    for name in "1234":
        spool.accept([candidate(name)])
    spool.deliveries.take("s1")  # 1 is in hand
    lease = spool.deliveries.take("s1")  # 2 is begun
    spool.deliveries.checkpoint(lease, {"remote_id": "r"})
    spool.deliveries.put_back(lease, reason="busy", delay_s=60)
    spool.deliveries.deliver(spool.deliveries.take("s1"), Receipt(status="created"))  # 3 is there
    spool.accept([candidate("5")])

    assert held(spool) == ["1", "2", "3", "5"]
    spool.deliveries.take("s1")
    with pytest.raises(SpoolFullError, match="it holds 4 of 4 datapoints and cannot take 1 more"):
        spool.accept([candidate("6")])


def test_the_least_useful_goes_first_and_of_equals_the_oldest(make_spool, candidate):
    spool = make_spool(limits=limits("drop_lowest_value", max_items=3))
    for name, utility in (("1", 0.5), ("2", 0.1), ("3", 0.1)):
        spool.accept([candidate(name, utility=utility)])

    spool.accept([candidate("4", utility=0.2)])
    assert held(spool) == ["1", "3", "4"]
    spool.accept([candidate("5", utility=0.2)])
    assert held(spool) == ["1", "4", "5"]
    assert {"drop_lowest_value": 2} == spool.counts()["s1"].evictions


def test_of_a_group_only_those_come_in_that_are_worth_more(make_spool, candidate, key):
    spool = make_spool(limits=limits("drop_lowest_value", max_items=2))
    spool.accept([candidate("1", utility=0.5), candidate("2", utility=0.6)])

    answers = spool.accept([candidate("3", utility=0.1), candidate("4", utility=0.9)])

    assert ["spool_full", "accepted"] == [answer.status for answer in answers]
    assert held(spool) == ["2", "4"]
    assert not spool.seen(key("cam/3"))


def test_what_is_worth_least_of_all_is_refused(make_spool, candidate):
    spool = make_spool(limits=limits("drop_lowest_value", max_items=1))
    spool.accept([candidate("1", utility=0.5)])

    with pytest.raises(SpoolFullError):
        spool.accept([candidate("2", utility=0.5)])

    assert held(spool) == ["1"]


@pytest.mark.parametrize("bounds", [{"max_items": 2}, {"max_items": 100, "max_bytes": 3000}])
def test_a_group_that_would_not_fit_into_an_empty_spool_costs_nobody(make_spool, candidate, bounds):
    spool = make_spool(limits=limits("drop_oldest", **bounds))
    spool.accept([candidate("1")])

    with pytest.raises(SpoolFullError):
        spool.accept([candidate(str(n)) for n in range(2, 8)])

    assert held(spool) == ["1"]


def test_a_failed_group_brings_those_back_that_had_to_make_room(
    make_spool, candidate, monkeypatch, ledger
):
    spool = make_spool(ledger=ledger, limits=limits("drop_oldest", max_items=1))
    spool.accept([candidate("1")])
    with monkeypatch.context() as patch:
        patch.setattr(spool._files, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            spool.accept([candidate("2")])

    assert held(spool) == ["1"]
    assert spool.counts()["s1"].evictions == {}
    assert ledger.used("a", make_spool.clock.time())["daily"] == 1
    assert spool.deliveries.load(spool.deliveries.take("s1")).item_id == "item-1"


def test_a_file_that_cannot_be_removed_after_the_commit_is_no_failure(
    make_spool, candidate, monkeypatch, caplog
):
    spool = make_spool(limits=limits("drop_oldest", max_items=1))
    spool.accept([candidate("1")])
    with monkeypatch.context() as patch:
        patch.setattr(spool._files, "remove", lambda *_: (_ for _ in ()).throw(OSError("busy")))
        answers = spool.accept([candidate("2")])

    assert ["accepted"] == [answer.status for answer in answers]
    assert "which nobody needs: busy" in caplog.text
    assert spool.gc().files == 1


def test_nothing_is_too_old_by_default(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])
    make_spool.clock.advance(10**9)

    assert spool.evict_due() == 0


def test_what_waits_too_long_is_removed_if_that_is_wanted(
    make_spool, candidate, ledger, caplog, group_files
):
    spool = make_spool(
        ledger=ledger, limits=SpoolLimits(min_free_bytes=0, max_age_s=100.0, max_items=1000)
    )
    spool.accept([candidate("1"), candidate("2")])
    make_spool.clock.advance(60)
    spool.accept([candidate("3")])
    early = spool.evict_due()
    make_spool.clock.advance(41)

    assert (0, 2, 0) == (early, spool.evict_due(), spool.evict_due())
    assert held(spool) == ["3"]
    assert {"max_age": 2} == spool.counts()["s1"].evictions
    assert ledger.used("a", 1_700_000_000.0)["daily"] == 1
    assert len(group_files()) == 1
    assert "removed 2 datapoints that waited for more than 100 s (max_age_s)" in caplog.text
    reason = spool.find("cam/1")[0].deliveries[0].reason
    assert reason == "evicted: it waited for more than 100 s (max_age_s)"


def test_one_datapoint_is_called_one(make_spool, candidate, caplog):
    spool = make_spool(limits=SpoolLimits(min_free_bytes=0, max_age_s=100.0))
    spool.accept([candidate("1")])
    make_spool.clock.advance(101)
    spool.evict_due()

    assert "removed 1 datapoint that waited" in caplog.text


@pytest.mark.parametrize("when", ["full", "old"])
def test_what_a_sink_was_ever_given_goes_and_stays_paid_for(make_spool, candidate, ledger, when):
    """Its answer may be what got lost, and the sink may hold the picture."""
    bounds = SpoolLimits(min_free_bytes=0, max_items=2, when_full="drop_oldest", max_age_s=100.0)
    spool = make_spool(ledger=ledger, limits=bounds)
    spool.accept([candidate("1", max_batch_images=5), candidate("2", max_batch_images=5)])
    lease = spool.deliveries.take("s1")
    spool.deliveries.put_back(lease, reason="read timed out", delay_s=1.0, counts=False)

    if when == "full":
        spool.accept([candidate("3", max_batch_images=5), candidate("4", max_batch_images=5)])
    else:
        make_spool.clock.advance(101)
        assert spool.evict_due() == 2

    assert held(spool) == (["3", "4"] if when == "full" else [])
    assert spool.counts()["s1"].evicted == 2
    left = len(held(spool)) + 1
    assert ledger.used("a", 1_700_000_000.0)["daily"] == left
    with spool._database.read() as tx:
        assert (left,) == tx.execute("SELECT places FROM batch").fetchone()


def test_a_sink_whose_answers_get_lost_never_gets_more_than_the_budget(
    make_spool, candidate, ledger
):
    spool = make_spool(ledger=ledger, limits=limits("drop_oldest"))
    at_the_sink = set()
    for n in range(30):
        spool.accept([candidate(str(n))])
        while (lease := spool.deliveries.take("s1")) is not None:
            at_the_sink.add(lease.item_id)
            spool.deliveries.put_back(lease, reason="timed out", delay_s=1.0, counts=False)
            spool.deliveries.let_go(lease)

    assert len(at_the_sink) == 10
    assert spool.stats().items == 2


def test_a_clock_that_is_ahead_at_one_start_makes_nothing_old(make_spool, candidate):
    bounds = SpoolLimits(min_free_bytes=0, max_age_s=100.0)
    first = make_spool(limits=bounds)
    first.accept([candidate("1")])
    first.evict_due()
    first.close()
    make_spool.clock.advance(3 * 86400.0)
    spool = make_spool(limits=bounds)
    early = spool.evict_due()
    make_spool.clock.advance(3600.0)

    assert (0, 1) == (early, spool.evict_due())


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    when_full=st.sampled_from(["reject_new", "drop_oldest", "drop_lowest_value"]),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("accept"), st.lists(st.integers(0, 9), min_size=1, max_size=4)),
            st.tuples(st.sampled_from(["deliver", "refuse", "lease"]), st.just([])),
        ),
        max_size=15,
    ),
)
def test_a_spool_never_grows_beyond_its_bounds(
    make_spool, candidate, tmp_path_factory, when_full, steps
):
    """And its books always are what lies on the disk."""
    bounds = SpoolLimits(min_free_bytes=0, max_items=6, max_bytes=7000, when_full=when_full)
    ledger = SqliteLedger({"a": [LimitRule(period="daily", value=1000)]}, scope="s")
    spool = make_spool(
        directory=tmp_path_factory.mktemp("bounds") / "spool", limits=bounds, ledger=ledger
    )
    number = accepted = 0
    for step, utilities in steps:
        if step == "accept":
            group = [candidate(str(number + n), utility=u / 10) for n, u in enumerate(utilities)]
            number += len(group)
            before = held(spool)
            try:
                answers = spool.accept(group)
            except SpoolFullError:
                assert held(spool) == before
            else:
                accepted += sum(answer.status == "accepted" for answer in answers)
            if when_full == "reject_new":
                assert held(spool)[: len(before)] == before
        elif (lease := spool.deliveries.take("s1")) is not None:
            if step == "deliver":
                spool.deliveries.deliver(lease, Receipt(status="created"))
            elif step == "refuse":
                spool.deliveries.give_up(lease, "no")
        stats = spool.stats()
        assert stats.items == len(held(spool)) <= bounds.max_items
        assert stats.bytes == size_on_disk(spool) <= bounds.max_bytes
        counts = spool.counts()["s1"]
        assert counts.accepted == accepted
        assert accepted == counts.delivered + counts.pending + counts.dead + counts.evicted
        # A credit is held by what was delivered, and by what may still be.
        assert ledger.used("a", 1_700_000_000.0)["daily"] == counts.delivered + counts.pending
    assert spool.verify().is_sound
    spool.close()
