"""A credit and a place in the batch return exactly when no sink can have stored the datapoint."""

import pytest

from al_framework.api import Receipt
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger

DUPLICATE = Receipt(status="duplicate")
NOW = 1_700_000_000.0


def counts(spool, sink="s1"):
    numbers = spool.counts()[sink]
    assert numbers.accepted + numbers.recovered == (
        numbers.delivered + numbers.pending + numbers.dead + numbers.evicted
    )
    return numbers


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


@pytest.mark.parametrize("kind", [MemoryLedger, SqliteLedger])
def test_the_token_of_a_credit_that_is_spent_for_good_is_forgotten(make_spool, candidate, kind):
    settled = []

    class Noting(kind):
        def settle(self, token, tx):
            settled.append(token)
            super().settle(token, tx)

    spool = make_spool(ledger=Noting({"a": [LimitRule(period="daily", value=9)]}, scope="s"))
    spool.accept([candidate(name) for name in "123"])
    for status in ("created", "duplicate"):  # the second may hold nothing of ours
        spool.deliveries.deliver(spool.deliveries.take("s1"), Receipt(status=status))
    spool.deliveries.give_up(spool.deliveries.take("s1"), "no", is_refused=False)

    assert settled == ["item-1"]
    assert spool._ledger.used("a", NOW)["daily"] == 2  # of what was given up, nobody knows
