"""What the ledger in a database adds: shared by processes, lost, rolled back and reported."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from al_framework.api import SpoolError
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger

MINUTE = 1_700_000_040.0  # the start of a UTC minute
HOUR = 1_699_999_200.0
DAY = 1_699_920_000.0


def rule(period: Any, value: int) -> LimitRule:
    return LimitRule(period=period, value=value)


@pytest.fixture
def owned(sqlite_books):
    """The ledger of an owner, which reports into a list."""

    def make(path: Path, owner: str, reports: list[str], **options: Any) -> Any:
        rules = {"a": options.pop("limits", [rule("daily", 9)]), "b": [rule("daily", 9)]}
        scope = options.pop("scope", "w/p")
        return sqlite_books(path, rules, scope, owner=owner, report=reports.append)

    return make


def test_two_configurations_that_spend_the_same_limits_are_reported_once(tmp_path, owned):
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
def test_a_name_of_ones_own_is_not_reported(tmp_path, owner, options, later_s, owned):
    reports: list[str] = []
    one = owned(tmp_path / "l.db", "line-1", reports)
    two = owned(tmp_path / "l.db", owner, reports, **options)
    one.reserve(["a"], "t1", DAY)
    two.reserve(["a"], "t2", DAY + later_s)
    one.ledger.close()
    two.ledger.close()

    assert [] == reports


def test_a_shared_name_needs_nobody_to_report_to(tmp_path, owned):
    one = owned(tmp_path / "l.db", "line-1", [])
    two = owned(tmp_path / "l.db", "line-2", [])
    two.ledger._report = None
    one.reserve(["a"], "t1", DAY)

    assert two.reserve(["a"], "t2", DAY) == "a"
    one.ledger.close()
    two.ledger.close()


def test_a_clock_that_was_days_ahead_grants_no_day_twice(tmp_path, sqlite_books):
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


def test_days_are_forgotten_once_two_later_ones_are_known(tmp_path, sqlite_books):
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


def test_processes_share_a_sqlite_ledger_exactly(tmp_path, sqlite_books):
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


def test_a_rolled_back_reservation_was_never_made(tmp_path, sqlite_books):
    books = sqlite_books(tmp_path / "ledger.db", {"a": [rule("daily", 1)]})
    with pytest.raises(KeyError), books.transaction() as tx:  # noqa: PT012 - the context is the cause
        books.ledger.reserve(["a"], "t", DAY, tx)
        raise KeyError
    books.ledger.refresh(DAY)

    assert books.ledger.peek(["a"], DAY) == "a"
    assert books.reserve(["a"], "t2", DAY) == "a"
    books.ledger.close()


def test_lost_windows_count_as_spent_until_they_end(tmp_path, sqlite_books):
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


def test_an_unreadable_database_is_a_spool_error(tmp_path, sqlite_books):
    books = sqlite_books(tmp_path / "ledger.db", {"a": [rule("daily", 1)]})
    (tmp_path / "ledger.db").unlink()

    with pytest.raises(
        SpoolError,
        match=r"^limits in '.*ledger\.db': cannot be read: unable to open database file$",
    ):
        books.ledger.used("a", DAY)


def test_an_abandoned_ledger_reads_nothing_until_it_is_prepared_again(tmp_path, sqlite_books):
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


def test_who_took_credits_long_ago_is_forgotten(tmp_path, sqlite_transaction):
    ledger = SqliteLedger({}, scope="s", owner="me")
    lock = threading.Lock()
    with sqlite_transaction(tmp_path / "spool.db", lock) as tx:
        ledger.prepare(tx)
        for number in range(5):
            ledger.reserve([f"s{number}"], str(number), DAY + number * 3600.0, tx)
    ledger.close()

    assert list(ledger._claimed) == [("s", "s4")]
