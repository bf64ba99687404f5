"""Dead letters that are tried again pay once, whoever else is at work.

Ledgers outside the spool's transaction are asked before the lock; what others do in between must
neither give a credit away nor take one twice.
"""

import importlib.util
import sqlite3
from pathlib import Path

import pytest

from al_framework.api import Receipt, SpoolError
from al_framework.pipeline.limits import redis_link
from al_framework.pipeline.limits.base import LedgerUnavailableError, LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import RetryReport

CREATED = Receipt(status="created")


def _redis_server_module():
    path = Path(__file__).parents[1] / "limits" / "redis_server.py"
    spec = importlib.util.spec_from_file_location("redis_server_for_letters", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    servers = _redis_server_module()
    if servers.BINARY is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    pytest.importorskip("redis", reason="pip install 'al-framework[redis]'")
    running = servers.RedisServer(tmp_path_factory.mktemp("r"))
    yield running
    running.kill()


@pytest.fixture(params=["memory", "redis"])
def make_ledger(request, make_spool, monkeypatch):
    """Return a function that makes ledgers of one budget outside the transaction.

    For each process one; a ledger in memory stands for a server, so there it is the same.
    """
    made = []
    if request.param == "redis":
        monkeypatch.setattr(redis_link, "TIMEOUT_S", 30.0)
        running = request.getfixturevalue("server")
        with running.client() as client:
            client.flushall()

    def make(value):
        rules = {"a": [LimitRule(period="daily", value=value)]}
        if request.param == "memory":
            made.append(made[0] if made else MemoryLedger(rules, scope="s"))
        else:
            from al_framework.pipeline.limits.redis import RedisLedger

            made.append(RedisLedger(rules, scope="s", url=running.url, clock=make_spool.clock))
        return made[-1]

    yield make
    for ledger in made:
        ledger.close()


def give_up(spool, sink="s1"):
    lease = spool.deliveries.take(sink)
    spool.deliveries.give_up(lease, "no")
    spool.deliveries.let_go(lease)


def deliver(spool, sink="s1"):
    lease = spool.deliveries.take(sink)
    spool.deliveries.deliver(lease, CREATED)
    spool.deliveries.let_go(lease)


def room(spool, candidate, *, tries=5):
    """Return how many more are accepted."""
    names = [f"more-{spool.counts()['s1'].accepted}-{n}" for n in range(tries)]
    answers = spool.accept([candidate(name) for name in names])
    return sum(answer.status == "accepted" for answer in answers)


def before_reserving(ledger, do):
    """Have something happen once, just before the ledger is asked."""
    real, calls = ledger.reserve, []

    def reserve(*args):
        if not calls:
            calls.append(1)
            do()
        return real(*args)

    ledger.reserve = reserve


def after_reserving(ledger, do):
    """Have something happen once, just after the ledger has answered."""
    real, calls = ledger.reserve, []

    def reserve(*args):
        answer = real(*args)
        if not calls:
            calls.append(1)
            do()
        return answer

    ledger.reserve = reserve


def fails_to_lock():
    raise sqlite3.OperationalError("disk I/O error")


def test_a_failed_retry_does_not_touch_what_other_sinks_hold(
    make_spool, candidate, make_ledger, monkeypatch
):
    spool = make_spool(sinks=("s1", "s2"), ledger=make_ledger(3))
    spool.accept([candidate("1"), candidate("2"), candidate("3")])
    for _ in range(2):
        deliver(spool)
    give_up(spool)
    for _ in range(3):
        give_up(spool, "s2")  # the credit of the third is free again
    with monkeypatch.context() as patch:
        patch.setattr(spool.dead._retrial._database, "locked", fails_to_lock)
        with pytest.raises(SpoolError, match="disk I/O error"):
            spool.dead.retry()

    assert room(spool, candidate) == 1


def test_a_ledger_that_falls_silent_half_way_keeps_what_other_sinks_hold(
    make_spool, candidate, make_ledger
):
    ledger = make_ledger(4)
    spool = make_spool(sinks=("s1", "s2"), ledger=ledger)
    spool.accept([candidate(name) for name in "1234"])
    for _ in range(2):
        deliver(spool)
    for _ in range(2):
        give_up(spool)
    for _ in range(4):
        give_up(spool, "s2")

    def silence():
        ledger.reserve = silent

    def silent(*_):
        raise LedgerUnavailableError("down")

    real = ledger.reserve
    after_reserving(ledger, silence)
    with pytest.raises(LedgerUnavailableError):
        spool.dead.retry()
    ledger.reserve = real

    assert len(spool.dead.list()) == 6
    assert room(spool, candidate) == 2


@pytest.mark.parametrize("when", [before_reserving, after_reserving])
@pytest.mark.parametrize("value", [1, 2])
def test_two_that_retry_one_letter_pay_once(make_spool, candidate, make_ledger, when, value):
    mine, theirs = make_ledger(value), make_ledger(value)
    one, two = make_spool(ledger=mine), make_spool(ledger=theirs)
    one.accept([candidate("1")])
    give_up(one)
    reports = []
    when(mine, lambda: reports.append(two.dead.retry()))

    reports.append(one.dead.retry())

    assert sum(report.retried for report in reports) == 1
    deliver(one)
    assert room(one, candidate) == value - 1


def test_a_retry_is_not_paid_for_with_a_credit_that_is_on_its_way_back(
    make_spool, candidate, make_ledger
):
    """Whoever ended the datapoint gives its credit back outside the lock: maybe much later."""
    mine, theirs = make_ledger(2), make_ledger(2)
    one, two = make_spool(ledger=mine), make_spool(ledger=theirs)
    one.accept([candidate("1")])
    real, late = mine.release, []
    mine.release = lambda token, tx: late.append(token)
    give_up(one)
    mine.release = real

    assert RetryReport(retried=1) == two.dead.retry()
    for token in late:
        mine.release(token, None)
    deliver(two)

    assert room(two, candidate) == 1


def test_a_letter_that_dies_again_gives_its_new_credit_back_once(
    make_spool, candidate, make_ledger
):
    ledger = make_ledger(2)
    spool = make_spool(ledger=ledger)
    spool.accept([candidate("1")])
    for _ in range(3):
        give_up(spool)
        assert RetryReport(retried=1) == spool.dead.retry()
    give_up(spool)

    assert room(spool, candidate) == 2


def test_a_letter_that_somebody_removes_meanwhile_costs_nothing(make_spool, candidate, make_ledger):
    ledger = make_ledger(1)
    spool = make_spool(ledger=ledger)
    spool.accept([candidate("1")])
    give_up(spool)
    after_reserving(ledger, spool.dead.drop)

    assert RetryReport() == spool.dead.retry()
    assert room(spool, candidate) == 1


def test_a_letter_whose_last_sink_refuses_meanwhile_stays_dead(
    make_spool, candidate, make_ledger, monkeypatch
):
    ledger = make_ledger(1)
    spool = make_spool(sinks=("s1", "s2"), ledger=ledger)
    spool.accept([candidate("1")])
    give_up(spool)
    real = spool.dead._retrial._prepay

    def prepay(*args):
        real(*args)
        give_up(spool, "s2")  # whereupon the credit goes back

    with monkeypatch.context() as patch:
        patch.setattr(spool.dead._retrial, "_prepay", prepay)
        assert RetryReport() == spool.dead.retry()

    assert len(spool.dead.list()) == 2
    assert room(spool, candidate) == 1
    assert RetryReport(limited=1) == spool.dead.retry()


def test_a_letter_that_waits_for_another_sink_meanwhile_is_paid_for_once(
    make_spool, candidate, make_ledger
):
    ledger = make_ledger(2)
    spool = make_spool(sinks=("s1", "s2"), ledger=ledger)
    other = make_spool(sinks=("s1", "s2"), ledger=make_ledger(2))
    spool.accept([candidate("1")])
    give_up(spool)
    give_up(spool, "s2")
    reports = []
    after_reserving(ledger, lambda: reports.append(other.dead.retry(sink="s2")))

    reports.append(spool.dead.retry(sink="s1"))

    assert [1, 1] == [report.retried for report in reports]
    assert room(spool, candidate) == 1


def test_an_interruption_after_the_commit_takes_no_credit_back(
    make_spool, candidate, make_ledger, monkeypatch
):
    ledger = make_ledger(1)
    spool = make_spool(ledger=ledger)
    spool.accept([candidate("1")])
    give_up(spool)
    real = spool.dead._retrial._database.transaction

    class Interrupted:
        def __enter__(self):
            self.inner = real()
            return self.inner.__enter__()

        def __exit__(self, *exc):
            self.inner.__exit__(*exc)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(spool.dead._retrial._database, "transaction", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            spool.dead.retry()

    assert spool.counts()["s1"].pending == 1
    assert room(spool, candidate) == 0


def test_within_the_transaction_who_has_to_pay_is_seen_under_the_lock(make_spool, candidate):
    rules = {"a": [LimitRule(period="daily", value=1)]}
    ledger = SqliteLedger(rules, scope="s")
    spool = make_spool(sinks=("s1", "s2"), ledger=ledger)
    spool.accept([candidate("1")])
    give_up(spool)
    real, calls = spool.dead._retrial._database.locked, []

    def locked():
        if not calls:
            calls.append(1)
            give_up(spool, "s2")
        return real()

    spool.dead._retrial._database.locked = locked

    assert RetryReport(retried=2) == spool.dead.retry()
    assert ledger.used("a", make_spool.clock.time())["daily"] == 1
    assert room(spool, candidate) == 0


def test_a_letter_whose_file_is_damaged_goes_to_its_sink_and_pays_nothing(
    make_spool, candidate, make_ledger, group_files
):
    spool = make_spool(ledger=make_ledger(1))
    spool.accept([candidate("1")])
    give_up(spool)
    group_files()[0].write_bytes(b"?" * 9)

    assert RetryReport(retried=1) == spool.dead.retry()
    assert room(spool, candidate) == 1
