import dataclasses

import pytest

from al_framework.api import Receipt
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.spool import FoundDelivery, SeenFrame, accepting, seen

NOW = 1_700_000_000.0


def looked_at(key, outcome="not_selected", **detail):
    return SeenFrame(key=key, outcome=outcome, detail=detail, decided_at=5.0)


def test_only_this_version_of_a_frame_is_seen(make_spool, key):
    spool = make_spool()
    spool.accept([looked_at(key("cam/1"))])

    assert spool.seen(key("cam/1"))
    assert not spool.seen(key("cam/1", size=11))
    assert not spool.seen(key("cam/1", mtime_ns=2))
    assert not spool.seen(key("cam/1", source="other"))
    assert not spool.seen(key("cam/2"))


def test_a_changed_frame_replaces_the_row(make_spool, candidate, key):
    spool = make_spool()
    spool.accept([looked_at(key("cam/1"), error="bad")])

    spool.accept([candidate("1", key=key("cam/1", size=99))])

    assert not spool.seen(key("cam/1"))
    assert spool.seen(key("cam/1", size=99))
    assert ["accepted"] == [found.outcome for found in spool.find("cam/1")]


def test_the_last_entry_of_a_group_stands(make_spool, key):
    spool = make_spool()

    spool.accept([looked_at(key("cam/1")), looked_at(key("cam/1"), "invalid_image", error="bad")])

    found = spool.find("cam/1")[0]
    assert ("invalid_image", {"error": "bad"}, 5.0) == (
        found.outcome,
        found.detail,
        found.decided_at,
    )


def test_a_frame_that_was_dealt_with_meanwhile_is_taken_once(make_spool, candidate, key):
    one, two = make_spool(), make_spool()
    frame = key("cam/1")
    later = dataclasses.replace(candidate("2", key=frame), unless_seen=frame)
    crop = dataclasses.replace(candidate("3"), unless_seen=frame)
    changed = key("cam/1", size=99)

    first = one.accept([candidate("1", key=frame)])
    again = two.accept([later, crop, candidate("4")])
    two.accept([dataclasses.replace(looked_at(frame), unless_seen=frame)])
    found = two.find("cam/1")[0]
    newer = two.accept([dataclasses.replace(candidate("5", key=changed), unless_seen=changed)])

    assert ["accepted"] == [answer.status for answer in first]
    assert ["seen_meanwhile", "seen_meanwhile", "accepted"] == [a.status for a in again]
    assert ("accepted", "item-1") == (found.outcome, found.item_id)
    assert ["accepted"] == [answer.status for answer in newer]
    assert 3 == two.stats().items


def test_a_credit_taken_elsewhere_for_such_a_frame_goes_back(make_spool, candidate, key):
    rules = {"a": [LimitRule(period="daily", value=1)]}
    ledger = MemoryLedger(rules, scope="s")
    spool = make_spool(ledger=ledger)
    frame = key("cam/1")
    spool.accept([looked_at(frame)])

    [answer] = spool.accept([dataclasses.replace(candidate("1", key=frame), unless_seen=frame)])

    assert answer.status == "seen_meanwhile"
    assert ledger.used("a", candidate("1").decided_at)["daily"] == 0


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("cam/a/1.jpg", ["cam/a/1.jpg"]),
        ("1.jpg", ["cam/a/1.jpg", "cam/b/1.jpg", "cam/c/21.jpg"]),
        ("b/1.jpg", ["cam/b/1.jpg"]),
        ("%", []),
        ("", []),
        ("nothing", []),
    ],
)
def test_a_frame_is_found_by_name_or_by_the_end_of_it(make_spool, key, asked, names):
    spool = make_spool()
    spool.accept([looked_at(key(f"cam/{n}.jpg")) for n in ("a/1", "b/1", "c/21", "c/3")])

    assert names == [found.frame_id for found in spool.find(asked)]


def test_of_frames_that_came_from_no_source_the_last_are_remembered(
    make_spool, candidate, key, monkeypatch
):
    monkeypatch.setattr(seen, "KEEP_PASSING", 4)
    monkeypatch.setattr(accepting, "_FORGET_EVERY", 6)
    spool = make_spool()
    spool.accept([candidate("old", key=key("cam/old"), decided_at=1.0)])
    left = []
    for number in range(14):
        name = f"passing/{number}"
        spool.accept([candidate(name, key=key(name, source=""), decided_at=NOW + number)])
        left.append(sum(bool(spool.find(f"passing/{n}")) for n in range(number + 1)))

    assert left == [1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 4, 5, 6]
    assert spool.find("passing/13")
    assert spool.find("cam/old")  # it could come again


def test_as_many_as_were_decided_at_one_moment_are_remembered(
    make_spool, candidate, key, monkeypatch
):
    monkeypatch.setattr(seen, "KEEP_PASSING", 2)
    monkeypatch.setattr(accepting, "_FORGET_EVERY", 1)
    spool = make_spool()
    for number in range(5):
        spool.accept([candidate(f"p{number}", key=key(f"p{number}", source=""))])

    assert all(spool.find(f"p{number}") for number in range(5))


def test_the_number_of_answers_is_limited(make_spool, key):
    spool = make_spool()
    spool.accept([looked_at(key(f"cam/{n}.jpg")) for n in range(30)])

    assert len(spool.find(".jpg")) == 20
    assert len(spool.find(".jpg", limit=3)) == 3


def test_deliveries_are_told_while_they_run_and_after_they_end(make_spool, candidate):
    spool = make_spool(sinks=("s1", "s2"))
    spool.accept([candidate("1")])
    spool.deliveries.put_back(spool.deliveries.take("s2"), reason="later", delay_s=0)

    pending = spool.find("cam/1")[0].deliveries
    for sink, receipt in {
        "s1": Receipt(status="created", remote_id="r1", url="http://x/1"),
        "s2": Receipt(status="duplicate"),
    }.items():
        spool.deliveries.deliver(spool.deliveries.take(sink), receipt)

    assert (
        FoundDelivery(sink="s1", state="pending"),
        FoundDelivery(sink="s2", state="pending", reason="later", attempts=1),
    ) == pending
    found = spool.find("cam/1")[0]
    assert found.item_id == "item-1"
    assert spool.stats().items == 0
    assert (
        FoundDelivery(
            sink="s1", state="delivered", status="created", remote_id="r1", url="http://x/1"
        ),
        FoundDelivery(sink="s2", state="delivered", status="duplicate", attempts=1),
    ) == found.deliveries


def test_a_dead_delivery_is_told_with_its_reason(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])
    spool.deliveries.give_up(spool.deliveries.take("s1"), "too large")

    assert (FoundDelivery(sink="s1", state="dead", reason="too large", attempts=1),) == spool.find(
        "cam/1"
    )[0].deliveries


@pytest.mark.parametrize("damage", ["{", "[1]", '{"colour": 1}', b"\xff", None])
def test_a_result_that_the_disk_has_damaged_stops_nobody(make_spool, candidate, damage):
    spool = make_spool()
    spool.accept([candidate("1")])
    with spool._database.locked(), spool._database.transaction() as tx:
        tx.execute("UPDATE delivery SET result = coalesce(?, result)", (damage,))

    spool.deliveries.deliver(spool.deliveries.take("s1"), Receipt(status="created"))

    assert [found.state for found in spool.find("cam/1")[0].deliveries] == ["delivered"]
