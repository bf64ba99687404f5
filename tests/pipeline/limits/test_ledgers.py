"""Both ledgers keep the same promises."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from al_framework.api import SpoolError
from al_framework.pipeline.limits.base import Ledger, LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger

MINUTE = 1_700_000_040.0  # the start of a UTC minute
HOUR = 1_699_999_200.0
DAY = 1_699_920_000.0


def rule(period: Any, value: int) -> LimitRule:
    return LimitRule(period=period, value=value)


class Books:
    """A ledger with the transaction it needs."""

    def __init__(self, ledger: Ledger, transaction: Callable[[], Any]) -> None:
        self.ledger = ledger
        self.transaction = transaction

    def reserve(self, strategies: Sequence[str], token: str, now: float) -> str | None:
        with self.transaction() as tx:
            reservation = self.ledger.reserve(strategies, token, now, tx)
        return None if reservation is None else reservation.strategy

    def release(self, token: str) -> None:
        with self.transaction() as tx:
            self.ledger.release(token, tx)


@contextmanager
def sqlite_transaction(path: Path, lock: Any) -> Iterator[sqlite3.Connection]:
    with lock:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()


@contextmanager
def no_transaction() -> Iterator[None]:
    yield None


def sqlite_books(path: Path, rules: Mapping[str, Sequence[LimitRule]], scope: str = "s") -> Books:
    ledger = SqliteLedger(rules, scope=scope)
    lock = threading.Lock()
    books = Books(ledger, lambda: sqlite_transaction(path, lock))
    with books.transaction() as tx:
        tx.execute("PRAGMA user_version")
        ledger.prepare(tx)
    return books


@pytest.fixture(params=["memory", "sqlite"])
def make_books(request, tmp_path):
    made: list[Books] = []

    def make(rules: Mapping[str, Sequence[LimitRule]], scope: str = "s") -> Books:
        if request.param == "memory":
            books = Books(MemoryLedger(rules, scope=scope), no_transaction)
        else:
            books = sqlite_books(tmp_path / "ledger.db", rules, scope)
        made.append(books)
        return books

    yield make
    for books in made:
        books.ledger.close()


def test_a_strategy_without_limits_always_has_room(make_books):
    books = make_books({"free": ()})

    paid = [books.reserve(["free"], f"t{n}", MINUTE) for n in range(5)]

    assert ["free"] * 5 == paid
    assert books.ledger.peek(["free"], MINUTE) == "free"


def test_an_unknown_strategy_has_no_limits(make_books):
    assert make_books({}).reserve(["new"], "t", MINUTE) == "new"


@pytest.mark.parametrize(
    ("period", "start", "length"),
    [("minutely", MINUTE, 60), ("hourly", HOUR, 3600), ("daily", DAY, 86400)],
)
def test_a_window_is_a_calendar_window(make_books, period, start, length):
    books = make_books({"a": [rule(period, 2)]})

    paid = [
        books.reserve(["a"], f"t{n}", now)
        for n, now in enumerate(
            [start, start + length - 0.001, start + length - 0.001, start + length, start - 0.001]
        )
    ]

    assert ["a", "a", None, "a", "a"] == paid


def test_the_first_strategy_with_room_pays(make_books):
    books = make_books({"a": [rule("minutely", 1)], "b": [rule("hourly", 1)]})

    paid = [books.reserve(["a", "b"], f"t{n}", MINUTE) for n in range(3)]

    assert ["a", "b", None] == paid


def test_peek_says_who_would_pay_and_takes_nothing(make_books):
    books = make_books({"a": [rule("minutely", 1)], "b": [rule("minutely", 1)]})

    peeked = [books.ledger.peek(["a", "b"], MINUTE) for _ in range(3)]
    books.reserve(["a", "b"], "t1", MINUTE)
    second = books.ledger.peek(["a", "b"], MINUTE)
    books.reserve(["a", "b"], "t2", MINUTE)

    assert ["a"] * 3 == peeked
    assert second == "b"
    assert books.ledger.peek(["a", "b"], MINUTE) is None
    assert books.ledger.peek(["a", "b"], MINUTE + 60) == "a"


def test_a_credit_counts_in_all_three_windows(make_books):
    books = make_books({"a": [rule("daily", 5)]})
    books.reserve(["a"], "t", MINUTE)

    assert {"minutely": 1, "hourly": 1, "daily": 1} == books.ledger.used("a", MINUTE)
    assert {"minutely": 0, "hourly": 1, "daily": 1} == books.ledger.used("a", MINUTE + 60)


def test_every_limit_of_a_strategy_holds(make_books):
    books = make_books({"a": [rule("minutely", 2), rule("hourly", 3)]})

    paid = [books.reserve(["a"], f"t{n}", MINUTE + 60 * (n // 3)) for n in range(6)]

    assert ["a", "a", None, "a", None, None] == paid


def test_the_same_token_gets_the_same_reservation(make_books):
    books = make_books({"a": [rule("minutely", 1)], "b": [rule("minutely", 1)]})

    first = books.reserve(["a", "b"], "t", MINUTE)
    again = books.reserve(["b", "a"], "t", MINUTE + 60)

    assert first == again == "a"
    assert books.ledger.used("a", MINUTE)["minutely"] == 1
    assert books.ledger.used("b", MINUTE)["minutely"] == 0


def test_a_release_goes_to_the_windows_it_was_taken_from(make_books):
    books = make_books({"a": [rule("minutely", 1)]})
    books.reserve(["a"], "old", MINUTE)
    books.reserve(["a"], "new", MINUTE + 60)

    books.release("old")

    assert {"minutely": 1, "hourly": 1, "daily": 1} == books.ledger.used("a", MINUTE + 60)
    assert books.ledger.used("a", MINUTE)["minutely"] == 0
    assert books.reserve(["a"], "third", MINUTE + 60) is None


def test_a_released_credit_can_be_taken_again(make_books):
    books = make_books({"a": [rule("minutely", 1)]})
    books.reserve(["a"], "t1", MINUTE)
    books.release("t1")
    books.release("t1")

    assert books.reserve(["a"], "t2", MINUTE) == "a"
    assert books.reserve(["a"], "t3", MINUTE) is None


def test_releasing_an_unknown_token_does_nothing(make_books):
    books = make_books({"a": [rule("minutely", 1)]})

    books.release("never seen")

    assert {"minutely": 0, "hourly": 0, "daily": 0} == books.ledger.used("a", MINUTE)


def test_scopes_do_not_share_credits(make_books):
    one = make_books({"a": [rule("daily", 1)]}, "one")
    two = make_books({"a": [rule("daily", 1)]}, "two")

    assert ["a", "a"] == [one.reserve(["a"], "t", DAY), two.reserve(["a"], "t", DAY)]


def test_other_limits_hold_from_now_on(make_books):
    books = make_books({"a": [rule("daily", 1)], "b": [rule("daily", 1)]})
    books.reserve(["a", "b"], "t1", DAY)

    books.ledger.update({"a": [rule("daily", 2)], "c": [rule("daily", 1)]}, scope="s")
    paid = [books.reserve(["a", "b", "c"], f"u{n}", DAY) for n in range(4)]

    assert ["a", "b", "c", None] == paid  # b is not named any more and keeps its limit
    assert {"minutely": 2, "hourly": 2, "daily": 2} == books.ledger.used("a", DAY)


def test_another_scope_counts_anew_and_gives_back_to_the_old_one(make_books):
    books = make_books({"a": [rule("daily", 1)]})
    books.reserve(["a"], "old", DAY)

    books.ledger.update({"a": [rule("daily", 1)]}, scope="elsewhere")
    there = [books.reserve(["a"], token, DAY) for token in ("new", "newer")]
    books.release("old")
    still = books.ledger.peek(["a"], DAY)
    books.ledger.update({}, scope="s")

    assert ["a", None] == there
    assert still is None
    assert books.ledger.peek(["a"], DAY) == "a"


def owned(path: Path, owner: str, reports: list[str], **options: Any) -> Books:
    limits = options.pop("limits", [rule("daily", 9)])
    ledger = SqliteLedger(
        {"a": limits, "b": [rule("daily", 9)]},
        scope=options.pop("scope", "w/p"),
        owner=owner,
        report=reports.append,
    )
    books = Books(ledger, lambda: sqlite_transaction(path, threading.Lock()))
    with books.transaction() as tx:
        ledger.prepare(tx)
    return books


def test_two_configurations_that_spend_the_same_limits_are_reported_once(tmp_path):
    reports: list[str] = []
    one = owned(tmp_path / "l.db", "line-1", reports)
    two = owned(tmp_path / "l.db", "line-2", reports)
    one.reserve(["a"], "t1", DAY)
    two.reserve(["b"], "t2", DAY)
    none_yet = list(reports)
    two.reserve(["a"], "t3", DAY)
    two.reserve(["a"], "t4", DAY)
    two.reserve(["a"], "t5", DAY + 7200)
    one.ledger.close()
    two.ledger.close()

    assert [] == none_yet
    (report,) = reports
    assert report == (
        "strategy 'a': the configurations 'line-2' and 'line-1' both collect under this name for "
        "'w/p', so they spend the same limits; give one of the strategies another name to keep "
        "them apart"
    )


@pytest.mark.parametrize(
    ("owner", "options", "later_s"),
    [
        ("line-1", {}, 0),
        ("", {}, 0),
        ("line-2", {"limits": ()}, 0),
        ("line-2", {"scope": "w/other"}, 0),
        ("line-2", {}, 3 * 86400),
    ],
    ids=["itself", "nameless", "without limits", "another scope", "long gone"],
)
def test_a_name_of_ones_own_is_not_reported(tmp_path, owner, options, later_s):
    reports: list[str] = []
    one = owned(tmp_path / "l.db", "line-1", reports)
    two = owned(tmp_path / "l.db", owner, reports, **options)
    one.reserve(["a"], "t1", DAY)
    two.reserve(["a"], "t2", DAY + later_s)
    one.ledger.close()
    two.ledger.close()

    assert [] == reports


def test_a_shared_name_needs_nobody_to_report_to(tmp_path):
    one = owned(tmp_path / "l.db", "line-1", [])
    two = owned(tmp_path / "l.db", "line-2", [])
    two.ledger._report = None
    one.reserve(["a"], "t1", DAY)

    assert two.reserve(["a"], "t2", DAY) == "a"
    one.ledger.close()
    two.ledger.close()


def test_old_windows_and_credits_are_pruned(make_books):
    books = make_books({"a": [rule("daily", 9)]})
    books.reserve(["a"], "old", DAY)
    books.reserve(["a"], "late", DAY + 4 * 86400)

    books.release("old")  # its windows are gone: nothing to give back, and no error

    assert books.ledger.used("a", DAY)["daily"] == 0
    assert books.ledger.used("a", DAY + 4 * 86400)["daily"] == 1


def test_a_clock_that_was_days_ahead_grants_no_day_twice(tmp_path):
    """Not even if it was so at one start after the other, and for hours."""
    rules = {"a": [rule("daily", 2)]}

    def run(*moments):
        books = sqlite_books(tmp_path / "ledger.db", rules)
        taken = [books.reserve(["a"], f"t{n}-{at}", at) for n, at in enumerate(moments)]
        books.ledger.close()
        return sum(payer is not None for payer in taken)

    today = run(DAY, DAY, DAY)
    ahead = DAY + 3 * 86400
    assert run(ahead) == 1
    assert run(ahead + 60, ahead + 7260, ahead + 14460) == 1

    assert (2, 0) == (today, run(DAY + 60, DAY + 120, DAY + 7200))


def test_days_are_forgotten_once_two_later_ones_are_known(tmp_path):
    path = tmp_path / "ledger.db"
    books = sqlite_books(path, {"a": [rule("daily", 9)]})
    for day in range(8):
        books.reserve(["a"], f"t{day}", DAY + day * 86400)

    with sqlite3.connect(path) as tx:
        days = tx.execute("SELECT start FROM limit_window WHERE period = 'daily' ORDER BY start")
        # In `reserve` the day of its own credit is not written down yet.
        assert [DAY + day * 86400 for day in (4, 5, 6, 7)] == [start for (start,) in days]
        (credits_kept,) = tx.execute("SELECT count(*) FROM limit_credit").fetchone()
    tx.close()
    books.ledger.close()
    assert credits_kept == 4


def test_eight_threads_never_exceed_a_limit(make_books):
    books = make_books({"a": [rule("daily", 100)]})
    granted: list[str] = []
    together = threading.Barrier(8)

    def work(worker: int) -> None:
        together.wait()
        tokens = [f"{worker}-{n}" for n in range(25)]
        granted.extend(t for t in tokens if books.reserve(["a"], t, DAY) is not None)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(granted) == 100
    assert books.ledger.used("a", DAY)["daily"] == 100


def test_the_steps_of_a_spool_mean_nothing_in_memory(tmp_path):
    ledger = MemoryLedger({"a": [rule("daily", 1)]}, scope="s")

    with sqlite_transaction(tmp_path / "other.db", threading.Lock()) as tx:
        ledger.prepare(tx)
        ledger.forget(DAY, tx)
    ledger.abandon()
    ledger.close()

    assert ledger.peek(["a"], DAY) == "a"


def test_processes_share_a_sqlite_ledger_exactly(tmp_path):
    path = tmp_path / "ledger.db"
    books = sqlite_books(path, {"a": [rule("daily", 60)]})
    child = str(Path(__file__).with_name("ledger_child.py"))
    processes = [
        subprocess.Popen([sys.executable, child, str(path), str(n)], stdout=subprocess.PIPE)
        for n in range(4)
    ]
    granted = [int(process.communicate(timeout=60)[0]) for process in processes]

    assert [0] * 4 == [process.returncode for process in processes]
    assert sum(granted) == 60
    assert books.ledger.used("a", DAY)["daily"] == 60
    books.ledger.close()


def test_a_rolled_back_reservation_was_never_made(tmp_path):
    books = sqlite_books(tmp_path / "ledger.db", {"a": [rule("daily", 1)]})
    with pytest.raises(KeyError), books.transaction() as tx:  # noqa: PT012 - the context is the cause
        books.ledger.reserve(["a"], "t", DAY, tx)
        raise KeyError
    books.ledger.refresh(DAY)

    assert books.ledger.peek(["a"], DAY) == "a"
    assert books.reserve(["a"], "t2", DAY) == "a"
    books.ledger.close()


def test_lost_windows_count_as_spent_until_they_end(tmp_path):
    rules = {"a": [rule("minutely", 3)], "b": [rule("hourly", 3)], "free": ()}
    books = sqlite_books(tmp_path / "ledger.db", rules)
    with books.transaction() as tx:
        books.ledger.forget(MINUTE, tx)
    later = sqlite_books(tmp_path / "ledger.db", rules)  # another process, opening afterwards

    for each in (books, later):
        assert each.ledger.peek(["a", "b"], MINUTE + 59) is None
        assert each.reserve(["a", "b"], "t", MINUTE + 59) is None
        assert each.ledger.peek(["a", "b"], MINUTE + 60) == "a"
        assert each.ledger.peek(["b"], MINUTE + 60) is None
        assert each.ledger.peek(["b"], HOUR + 3600) == "b"
        assert each.ledger.peek(["b", "free"], MINUTE) == "free"
        assert {"minutely": 3, "hourly": 0, "daily": 0} == each.ledger.used("a", MINUTE)
        day_ends = (MINUTE // 86400 + 1) * 86400
        assert each.ledger.spent_until(MINUTE) == each.ledger.spent_until(day_ends - 1) == day_ends
        assert each.ledger.spent_until(day_ends) is None
        each.ledger.close()


def test_the_sqlite_ledger_seems_empty_before_it_is_prepared():
    ledger = SqliteLedger({"a": [rule("daily", 0)]}, scope="s")

    assert ledger.peek(["a"], DAY) is None  # a limit of nothing at all
    assert {"minutely": 0, "hourly": 0, "daily": 0} == ledger.used("a", DAY)


@pytest.mark.parametrize(
    "act",
    [
        lambda ledger: ledger.reserve(["a"], "t", DAY, None),
        lambda ledger: ledger.release("t", None),
    ],
)
def test_the_sqlite_ledger_says_that_it_needs_a_transaction(act):
    ledger = SqliteLedger({}, scope="s")

    with pytest.raises(
        ValueError, match=r"^the sqlite ledger works inside the spool's transaction: pass it as tx$"
    ):
        act(ledger)


def test_an_unreadable_database_is_a_spool_error(tmp_path):
    books = sqlite_books(tmp_path / "ledger.db", {"a": [rule("daily", 1)]})
    (tmp_path / "ledger.db").unlink()

    with pytest.raises(
        SpoolError,
        match=r"^limits in '.*ledger\.db': cannot be read: unable to open database file$",
    ):
        books.ledger.used("a", DAY)


def test_an_abandoned_ledger_reads_nothing_until_it_is_prepared_again(tmp_path):
    books = sqlite_books(tmp_path / "ledger.db", {"a": [rule("daily", 1)]})
    books.reserve(["a"], "t", DAY)
    before = books.ledger.peek(["a"], DAY)
    books.ledger.used("a", DAY)
    reader = books.ledger._reader

    books.ledger.abandon()
    abandoned = books.ledger.peek(["a"], DAY)
    with books.transaction() as tx:
        books.ledger.prepare(tx)
    books.ledger.refresh(DAY)

    assert before is None
    assert abandoned == "a"
    assert books.ledger.peek(["a"], DAY) is None
    reader.close()
    books.ledger.close()
    books.ledger.close()


def test_limits_of_long_ago_are_forgotten():
    ledger = MemoryLedger({"first": [rule("daily", 1)]}, scope="s")
    for number in range(1002):
        ledger.update({f"s{number}": [rule("daily", 1)]}, scope="s")

    assert list(ledger.terms.rules) == [f"s{number}" for number in range(1, 1002)]


def test_who_took_credits_long_ago_is_forgotten(tmp_path):
    ledger = SqliteLedger({}, scope="s", owner="me")
    lock = threading.Lock()
    with sqlite_transaction(tmp_path / "spool.db", lock) as tx:
        ledger.prepare(tx)
        for number in range(5):
            ledger.reserve([f"s{number}"], str(number), DAY + number * 3600.0, tx)
    ledger.close()

    assert list(ledger._claimed) == [("s", "s4")]


def test_a_ledger_whose_credits_outlive_the_index_counts_none_as_spent():
    assert MemoryLedger({}, scope="s").spent_until(DAY) is None
