"""What a ledger answers without asking anybody, and how that comes up to date."""

import sqlite3
from contextlib import contextmanager

import pytest

from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger

DAY = 1_699_920_000.0  # the start of a UTC day


def daily(value):
    return (LimitRule(period="daily", value=value),)


class World:
    """A database and the ledgers of several processes."""

    def __init__(self, path):
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.ledgers = []

    def ledger(self, rules, **options):
        ledger = SqliteLedger(rules, scope="s", **options)
        with self.transaction() as tx:
            ledger.prepare(tx)
        self.ledgers.append(ledger)
        return ledger

    @contextmanager
    def transaction(self):
        self.connection.execute("BEGIN IMMEDIATE")
        yield self.connection
        self.connection.execute("COMMIT")

    def reserve(self, ledger, token, now=DAY):
        with self.transaction() as tx:
            return ledger.reserve(["a"], token, now, tx)

    def release(self, ledger, token):
        with self.transaction() as tx:
            ledger.release(token, tx)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "ledger.db")
    yield world
    for ledger in world.ledgers:
        ledger.close()
    world.connection.close()


def test_peek_asks_nobody_and_a_refresh_looks_once_a_second(world):
    rules = {"a": daily(2), "free": ()}
    ours, theirs = world.ledger(rules), world.ledger(rules)
    statements = []
    ours.refresh(DAY)
    ours._reader.set_trace_callback(statements.append)

    for token in ("t1", "t2"):
        world.reserve(theirs, token)
    peeked = [ours.peek(["free", "a"], DAY), ours.peek(["a"], DAY)]
    ours.refresh(DAY + 0.9)
    early = (ours.peek(["a"], DAY), len(statements))
    ours.refresh(DAY + 1)
    late = (ours.peek(["a"], DAY), len(statements))

    assert ["free", "a"] == peeked
    assert ("a", 0) == early
    assert (None, 3) == late  # one for each window of the one strategy that has limits


def test_a_refresh_looks_although_the_clock_was_set_back(world):
    ours, theirs = world.ledger({"a": daily(1)}), world.ledger({"a": daily(1)})
    ours.refresh(DAY + 100)
    world.reserve(theirs, "t")

    ours.refresh(DAY + 50)

    assert ours.peek(["a"], DAY) is None


def test_a_refresh_does_not_look_for_strategies_that_were_replaced(world):
    ours = world.ledger({"old": daily(1)})
    ours.update({"a": daily(1)}, scope="s")

    ours.refresh(DAY)

    assert {window[1] for window in ours._remembered._counts} == {"a"}


def test_peek_waits_for_no_lock(world):
    ours = world.ledger({"a": daily(1)})

    with ours._lock:
        assert ours.peek(["a"], DAY) == "a"


def test_peek_in_memory_waits_for_no_lock():
    ledger = MemoryLedger({"a": daily(1)}, scope="s")

    with ledger._lock:
        ledger.refresh(DAY)

        assert ledger.peek(["a"], DAY) == "a"


def test_a_refused_credit_teaches_what_others_have_taken(world):
    ours, theirs = world.ledger({"a": daily(1)}), world.ledger({"a": daily(1)})
    world.reserve(theirs, "t")
    before = ours.peek(["a"], DAY)

    assert before == "a"
    assert world.reserve(ours, "u") is None
    assert ours.peek(["a"], DAY) is None


def test_a_credit_given_back_shows_at_once_to_who_gives_it_back(world):
    ours = world.ledger({"a": daily(1)})
    world.reserve(ours, "t")
    full = ours.peek(["a"], DAY)

    world.release(ours, "t")

    assert full is None
    assert ours.peek(["a"], DAY) == "a"


def test_lost_windows_show_without_a_look(world):
    ours = world.ledger({"a": daily(5)})

    with world.transaction() as tx:
        ours.forget(DAY, tx)

    assert ours.peek(["a"], DAY + 9) is None
    assert ours.peek(["a"], DAY + 86400) == "a"


def test_what_is_remembered_stays_when_the_database_cannot_be_read(world, caplog):
    caplog.set_level("DEBUG")
    ours = world.ledger({"a": daily(1)})
    world.reserve(ours, "t")
    world.path.unlink()

    ours.refresh(DAY)

    (message,) = [record.getMessage() for record in caplog.records]
    assert ours.peek(["a"], DAY) is None
    assert message.startswith("what was taken of the limits is not known anew: limits in '")


def test_what_is_remembered_of_long_ago_is_forgotten(world):
    ours = world.ledger({"a": daily(9)})
    world.reserve(ours, "t1", DAY)
    world.reserve(ours, "t2", DAY + 5 * 86400)

    assert min(window[3] for window in ours._remembered._counts) == DAY + 5 * 86400


def test_the_latest_credit_outlives_its_process_for_the_clock(world):
    told = []
    world.ledger({}, not_before=told.append)
    for token, at in [("t1", DAY + 9), ("t2", DAY + 5)]:
        world.reserve(world.ledgers[0], token, at)
    world.ledger({})

    world.ledger({}, not_before=told.append)

    assert [DAY + 9] == told


def test_credits_taken_before_there_was_a_limit_count_at_once(world):
    ours = world.ledger({"a": ()})
    world.reserve(ours, "t")

    ours.update({"a": daily(1)}, scope="s")

    assert ours.peek(["a"], DAY) is None
