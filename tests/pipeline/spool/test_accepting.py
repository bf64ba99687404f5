"""What the spool answers to a group of candidates, and who hears of it."""

import sqlite3
import threading

import pytest

from al_framework.api import FrameKey, SpoolError
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Acceptance, SeenFrame

ONE_A_DAY = {"a": [LimitRule(period="daily", value=1)]}


def not_selected(key: FrameKey, **detail) -> SeenFrame:
    return SeenFrame(key=key, outcome="not_selected", detail=detail, decided_at=5.0)


def test_a_group_is_answered_in_order_and_lies_in_one_file(make_spool, candidate, group_files):
    spool = make_spool()

    answers = spool.accept([candidate("1"), candidate("2"), candidate("3")])

    assert [
        Acceptance(item_id=f"item-{n}", status="accepted", strategy="a") for n in (1, 2, 3)
    ] == answers
    assert len(group_files()) == 1
    assert spool.stats().items == 3
    assert spool.stats().oldest == make_spool.clock.time()


def test_the_file_of_one_datapoint_starts_with_its_picture(make_spool, candidate, group_files):
    make_spool().accept([candidate("1", image=b"\xff\xd8picture")])

    assert group_files()[0].read_bytes().startswith(b"\xff\xd8picture{")
    assert group_files()[0].parent.name == "2023111422"


def test_nothing_to_accept_touches_nothing(make_spool, group_files):
    spool = make_spool()

    assert spool.accept([]) == []
    assert group_files() == []


def test_the_paying_strategy_is_composed_into_the_datapoint(make_spool, candidate):
    spool = make_spool(rules=ONE_A_DAY)

    answers = spool.accept([candidate(n, matching=("a", "b")) for n in "12"])
    taken = [spool.deliveries.load(spool.deliveries.take("s1")) for _ in range(2)]

    assert ["a", "b"] == [answer.strategy for answer in answers]
    assert ["a", "b"] == [datapoint.strategy for datapoint in taken]


def test_what_no_limit_pays_for_is_limited_and_remembered(make_spool, candidate, key):
    spool = make_spool(rules=ONE_A_DAY)

    answers = spool.accept([candidate("1"), candidate("2")])

    assert ["accepted", "limited"] == [answer.status for answer in answers]
    assert spool.seen(key("cam/2"))
    found = spool.find("cam/2")[0]
    assert found.outcome == found.detail["outcome"] == "limited"
    assert found.item_id is None
    assert found.deliveries == ()


def test_a_group_without_datapoints_writes_no_file(make_spool, candidate, key, group_files):
    spool = make_spool(rules={"a": [LimitRule(period="daily", value=0)]})

    answers = spool.accept([not_selected(key("cam/0")), candidate("1")])

    assert ["limited"] == [answer.status for answer in answers]
    assert group_files() == []
    assert spool.seen(key("cam/0"))
    assert spool.seen(key("cam/1"))


def test_a_full_batch_refuses_and_gives_the_credit_back(make_spool, candidate):
    ledger = SqliteLedger({"a": [LimitRule(period="daily", value=2)]}, scope="s")
    spool = make_spool(ledger=ledger)

    answers = spool.accept(
        [
            candidate("1", max_batch_images=1),
            candidate("2", max_batch_images=1),
            candidate("3", max_batch_images=1, batch_name="another"),
        ]
    )

    assert ["accepted", "batch_full", "accepted"] == [answer.status for answer in answers]
    assert ledger.used("a", 1_700_000_000.0)["daily"] == 2
    assert spool.find("cam/2")[0].outcome == "batch_full"


def test_a_batch_of_no_images_refuses_everything(make_spool, candidate):
    answers = make_spool().accept([candidate("1", max_batch_images=0)])

    assert ["batch_full"] == [answer.status for answer in answers]


def test_a_candidate_without_a_key_is_not_remembered(make_spool, candidate):
    spool = make_spool()

    spool.accept([candidate("1", key=None)])

    assert spool.find("cam/1") == ()


def test_a_candidate_may_go_to_some_sinks_only(make_spool, candidate):
    spool = make_spool(sinks=("s1", "s2"))

    spool.accept([candidate("1", sinks=("s2",))])

    assert (spool.counts()["s1"].accepted, spool.counts()["s2"].accepted) == (0, 1)


def test_metadata_that_json_cannot_express_name_their_datapoint(make_spool, candidate):
    with pytest.raises(
        SpoolError,
        match=r"^datapoint 'item-1' of frame 'cam/1': its metadata cannot be written as JSON: .*"
        "not JSON serializable",
    ):
        make_spool().accept([candidate("1", attributes={"site": object()})])


def test_an_item_name_can_be_used_once(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])

    with pytest.raises(SpoolError, match=r"UNIQUE constraint failed: item.item_id"):
        spool.accept([candidate("1")])


def test_listeners_hear_of_accepted_datapoints_only(make_spool, candidate, key):
    heard = []
    spool = make_spool()
    spool.on_accept(lambda: heard.append(spool.stats().items))

    spool.accept([not_selected(key("cam/0"))])
    spool.accept([candidate("1")])

    assert heard == [1]


def test_threads_may_accept_at_the_same_time(make_spool, candidate):
    spool = make_spool(rules={"a": [LimitRule(period="daily", value=30)]})
    together = threading.Barrier(4)
    answers = []

    def work(worker: int) -> None:
        together.wait()
        for n in range(10):
            answers.extend(spool.accept([candidate(f"{worker}-{n}")]))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(answer.status == "accepted" for answer in answers) == 30
    assert spool.counts()["s1"].accepted == spool.stats().items == 30


def test_a_name_in_use_is_passed_over(make_spool, candidate, group_files):
    one, two = make_spool(), make_spool()

    one.accept([candidate("1")])
    two.accept([candidate("2")])

    assert len(group_files()) == 2


def test_a_spool_without_sinks_takes_nothing_in(make_spool, candidate):
    make_spool().accept([candidate("1")])

    with pytest.raises(
        SpoolError,
        match=r"^spool '.*': it was opened without sinks, to be looked at; open it with the sinks"
        " that are to have what it takes in$",
    ):
        make_spool(sinks=()).accept([candidate("2")])


def test_a_rollback_that_fails_does_not_hide_the_error(make_spool, candidate):
    spool = make_spool()
    writer = spool._database._writer

    class Broken:
        in_transaction = True

        def execute(self, sql, *parameters):
            if sql == "ROLLBACK":
                raise sqlite3.OperationalError("cannot roll back")
            if sql == "COMMIT":
                raise sqlite3.OperationalError("the first error")
            return writer.execute(sql, *parameters)

    spool._database._writer = Broken()
    with pytest.raises(SpoolError, match="the first error"):
        spool.accept([candidate("1")])
    writer.execute("ROLLBACK")
    spool._database._writer = writer
