"""Both ledgers keep the same promises."""

import threading
from typing import Any

import pytest

from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger

MINUTE = 1_700_000_040.0  # the start of a UTC minute
HOUR = 1_699_999_200.0
DAY = 1_699_920_000.0


def rule(period: Any, value: int) -> LimitRule:
    return LimitRule(period=period, value=value)


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


def test_what_is_settled_stays_taken(make_books):
    books = make_books({"a": [rule("daily", 2)]})
    for token in ("t1", "t2"):
        books.reserve(["a"], token, MINUTE)
    for token in ("t1", "unknown"):
        with books.transaction() as tx:
            books.ledger.settle(token, tx)
    books.release("t1")

    assert books.ledger.used("a", MINUTE)["daily"] == 2
    assert books.reserve(["a"], "t3", MINUTE) is None
    books.release("t2")
    assert books.ledger.used("a", MINUTE)["daily"] == 1


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


def test_old_windows_and_credits_are_pruned(make_books):
    books = make_books({"a": [rule("daily", 9)]})
    books.reserve(["a"], "old", DAY)
    books.reserve(["a"], "late", DAY + 4 * 86400)

    books.release("old")  # its windows are gone: nothing to give back, and no error

    assert books.ledger.used("a", DAY)["daily"] == 0
    assert books.ledger.used("a", DAY + 4 * 86400)["daily"] == 1


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


def test_the_steps_of_a_spool_mean_nothing_in_memory(tmp_path, sqlite_transaction):
    ledger = MemoryLedger({"a": [rule("daily", 1)]}, scope="s")

    with sqlite_transaction(tmp_path / "other.db", threading.Lock()) as tx:
        ledger.prepare(tx)
        ledger.forget(DAY, tx)
    ledger.abandon()
    ledger.close()

    assert ledger.peek(["a"], DAY) == "a"


def test_limits_of_long_ago_are_forgotten():
    ledger = MemoryLedger({"first": [rule("daily", 1)]}, scope="s")
    for number in range(1002):
        ledger.update({f"s{number}": [rule("daily", 1)]}, scope="s")

    assert list(ledger.terms.rules) == [f"s{number}" for number in range(1, 1002)]


def test_a_ledger_whose_credits_outlive_the_index_counts_none_as_spent():
    assert MemoryLedger({}, scope="s").spent_until(DAY) is None
