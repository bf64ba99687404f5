"""A ledger that lives elsewhere is asked while nobody waits for the lock."""

import pytest

from al_framework.api import AlFrameworkError, SpoolFullError
from al_framework.pipeline.limits.base import LedgerUnavailableError, LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.spool import SpoolLimits

RULES = {"a": [LimitRule(period="daily", value=10)]}
NOW = 1_700_000_000.0


class Remote(MemoryLedger):
    """Notes whether the spool's lock was held when it was asked."""

    def __init__(self, rules=RULES):
        super().__init__(rules, scope="s")
        self.calls = []
        self.spool = None
        self.down = frozenset()

    def _note(self, call, token):
        held = self.spool is not None and self.spool._database._lock._mutex.locked()
        self.calls.append((call, token, held))

    def reserve(self, strategies, token, now, tx):
        self._note("reserve", token)
        assert tx is None
        if token in self.down:
            raise LedgerUnavailableError("redis at 'host': it does not answer")
        return super().reserve(strategies, token, now, tx)

    def release(self, token, tx):
        self._note("release", token)
        super().release(token, tx)


@pytest.fixture
def remote(make_spool):
    def make(**options):
        ledger = Remote(options.pop("rules", RULES))
        ledger.spool = make_spool(ledger=ledger, **options)
        return ledger

    return make


def test_it_is_asked_for_the_whole_group_before_the_lock(remote, candidate):
    ledger = remote()

    answers = ledger.spool.accept([candidate("1"), candidate("2")])

    assert ["accepted", "accepted"] == [answer.status for answer in answers]
    assert [("reserve", "item-1", False), ("reserve", "item-2", False)] == ledger.calls


def test_a_failed_group_gives_everything_back_after_the_lock(remote, candidate):
    ledger = remote(limits=SpoolLimits(min_free_bytes=0, max_items=1))

    with pytest.raises(SpoolFullError):
        ledger.spool.accept([candidate("1"), candidate("2")])

    assert [("release", "item-1", False), ("release", "item-2", False)] == ledger.calls[2:]
    assert ledger.used("a", NOW)["daily"] == 0


def test_a_full_batch_gives_its_credit_back_after_the_lock(remote, candidate):
    ledger = remote()

    answers = ledger.spool.accept(
        [candidate("1", max_batch_images=1), candidate("2", max_batch_images=1)]
    )

    assert ["accepted", "batch_full"] == [answer.status for answer in answers]
    assert [("release", "item-2", False)] == ledger.calls[2:]
    assert ledger.used("a", NOW)["daily"] == 1


def test_without_an_answer_nothing_is_taken_or_remembered(remote, candidate, key):
    ledger = remote()
    ledger.down = {"item-1"}

    answers = ledger.spool.accept([candidate("1"), candidate("2")])

    assert ["limiter_unavailable", "accepted"] == [answer.status for answer in answers]
    assert not ledger.spool.seen(key("cam/1"))
    assert ledger.spool.seen(key("cam/2"))


def test_no_credit_is_limited(remote, candidate):
    ledger = remote(rules={"a": [LimitRule(period="daily", value=0)]})

    assert ["limited"] == [a.status for a in ledger.spool.accept([candidate("1")])]


def test_an_error_half_way_gives_back_what_was_taken(remote, candidate, monkeypatch):
    ledger = remote()
    real = ledger.reserve

    def broken(strategies, token, now, tx):
        if token == "item-2":
            raise RuntimeError("a bug")
        return real(strategies, token, now, tx)

    monkeypatch.setattr(ledger, "reserve", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        ledger.spool.accept([candidate("1"), candidate("2")])

    assert ledger.used("a", NOW)["daily"] == 0


def test_an_interruption_after_the_commit_takes_no_credit_back(remote, candidate, monkeypatch):
    ledger = remote()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger.spool._intake._acceptor, "clear", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ledger.spool.accept([candidate("1")])

    assert ledger.spool.stats().items == 1
    assert ledger.used("a", NOW)["daily"] == 1


def test_a_credit_that_cannot_be_given_back_is_said_and_lost(
    remote, candidate, monkeypatch, caplog
):
    ledger = remote(limits=SpoolLimits(min_free_bytes=0, max_items=0))

    def down(*_):
        raise AlFrameworkError("redis at 'host': it does not answer")

    monkeypatch.setattr(ledger, "release", down)
    with pytest.raises(SpoolFullError):
        ledger.spool.accept([candidate("1")])

    assert "'item-1': its credit is not given back: redis at 'host'" in caplog.text
