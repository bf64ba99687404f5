"""Budgets that several hosts share: what the ledger promises while its server is well."""

import os
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from al_framework.api import MissingExtraError
from al_framework.pipeline.clock import SteadyClock
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.redis import RedisLedger
from al_framework.pipeline.limits.redis_scripts import book
from al_framework.testing import FakeClock

MINUTE = 1_700_000_040.0  # the start of a UTC minute
DAY = 1_699_920_000.0


def rule(period, value):
    return LimitRule(period=period, value=value)


@pytest.fixture
def ledger_on(redis_server):
    made = []

    def make(rules, *, scope="s", clock=None, url=redis_server.url):
        made.append(RedisLedger(rules, scope=scope, url=url, clock=clock or SteadyClock()))
        return made[-1]

    yield make
    for ledger in made:
        ledger.close()


def payer(reservation):
    return None if reservation is None else reservation.strategy


def test_a_credit_is_one_round_trip_whatever_the_limits(redis_server, ledger_on):
    rules = {name: [rule("minutely", 1), rule("hourly", 900), rule("daily", 900)] for name in "abc"}
    rules["c"] = [rule("daily", 900)]
    ledger = ledger_on(rules)
    ledger.reserve(["a"], "first", 0, None)  # connects, and brings the script
    with redis_server.client() as client:
        client.config_resetstat()
        paid = [payer(ledger.reserve(["a", "b", "c"], f"t{n}", 0, None)) for n in range(200)]
        stats = client.info("commandstats")
        traffic = client.info("stats")["total_commands_processed"]

    assert paid.count("c") >= 190  # a and b have one credit a minute
    assert stats["cmdstat_evalsha"]["calls"] == 200
    assert not {"cmdstat_eval", "cmdstat_script|load", "cmdstat_get"} & set(stats)
    inner = sum(entry["calls"] for name, entry in stats.items() if name != "cmdstat_evalsha")
    assert traffic - inner - 200 <= 2  # our own two questions


TOKENS = st.integers(0, 30)
SECONDS = st.sampled_from([0.001, 0.999, 1, 58.999, 59.999, 60, 3599.999, 3600, 43200])
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), TOKENS),
        st.tuples(st.just("release"), TOKENS),
        st.tuples(st.just("pass"), SECONDS),
        st.tuples(st.just("go back"), SECONDS),
    ),
    max_size=40,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operations=OPERATIONS)
def test_it_grants_what_the_ledger_in_memory_grants(timed_redis, operations):
    rules = {
        "a": [rule("minutely", 1), rule("hourly", 2), rule("hourly", 3)],
        "b": [rule("daily", 3)],
        "c": [rule("minutely", 2)],
    }
    timed_redis.client.flushall()
    ledger, model, now = timed_redis.ledger(rules), MemoryLedger(rules, scope="s"), DAY
    timed_redis.at(now)
    for kind, value in operations:
        token = f"t{value}"
        if kind == "reserve":
            asked = [["a", "b", "c"], ["b", "a"], ["c"]][value % 3]
            expected = model.reserve(asked, token, now, None)
            assert payer(expected) == payer(ledger.reserve(asked, token, 0, None))
        elif kind == "release":
            ledger.release(token, None)
            model.release(token, None)
        else:
            now = min(DAY + 86400, max(DAY - 86400, now + (value if kind == "pass" else -value)))
            timed_redis.at(now)
        timed_redis.clock.advance(1)  # time to look
        timed_redis.at(now)
        ledger.refresh(now)
        for name in rules:
            assert model.used(name, now) == ledger.used(name, now)
            assert model.peek([name], now) == ledger.peek([name], now)
    ledger.close()


def test_windows_end_with_the_minute_hour_and_day_of_the_server(timed_redis):
    ledger = timed_redis.ledger({"a": [rule("minutely", 1)]})
    paid = []
    for n, at in enumerate([MINUTE, MINUTE + 59.999, MINUTE + 60, MINUTE + 119.999]):
        timed_redis.at(at)
        paid.append(payer(ledger.reserve(["a"], f"t{n}", 0, None)))

    assert ["a", None, "a", None] == paid


def test_the_clocks_of_the_hosts_do_not_matter(timed_redis):
    fast, slow = FakeClock(MINUTE + 90), FakeClock(MINUTE - 90)
    rules = {"a": [rule("minutely", 4)]}
    ledgers = [timed_redis.ledger(rules, clock=clock) for clock in (fast, slow)]
    timed_redis.at(MINUTE + 30)

    paid = [payer(ledgers[n % 2].reserve(["a"], f"t{n}", 0, None)) for n in range(8)]
    for clock in (fast, slow):
        clock.advance(1)
    for ledger, clock in zip(ledgers, (fast, slow), strict=True):
        ledger.refresh(clock.time())

    assert ["a"] * 4 + [None] * 4 == paid
    assert ledgers[0].peek(["a"], fast.time()) is None
    assert ledgers[1].peek(["a"], slow.time()) is None
    assert ledgers[0].peek(["a"], fast.time() + 31) == "a"  # by then the server's minute is over


def test_the_same_token_is_counted_once(timed_redis):
    ledger = timed_redis.ledger({"a": [rule("daily", 5)]})
    timed_redis.at(MINUTE)
    first = ledger.reserve(["a"], "t", 0, None)
    timed_redis.at(MINUTE + 100)
    again = ledger.reserve(["a"], "t", 0, None)

    assert (first.strategy, first.reserved_at) == (again.strategy, again.reserved_at)
    assert first.reserved_at == MINUTE
    assert timed_redis.client.zcard(book("s", "a")) == 1


def test_a_credit_goes_back_to_its_own_scope_and_windows(timed_redis):
    ledger = timed_redis.ledger({"a": [rule("daily", 1)]}, scope="one")
    timed_redis.at(MINUTE)
    ledger.reserve(["a"], "old", 0, None)
    ledger.update({"a": [rule("daily", 1)]}, scope="two")
    timed_redis.at(MINUTE + 86400)
    ledger.reserve(["a"], "new", 0, None)

    ledger.release("old", None)
    ledger.release("unknown", None)

    assert timed_redis.client.zcard(book("one", "a")) == 0
    assert timed_redis.client.zcard(book("two", "a")) == 1
    assert ledger.reserve(["a"], "more", 0, None) is None


def test_names_cannot_be_mixed_up(timed_redis):
    names = [("a", "b:c"), ("a:b", "c"), ("", "a:b:c"), ("ü/%3A", "{x}")]
    ledgers = [timed_redis.ledger({name: [rule("daily", 1)]}, scope=s) for s, name in names]

    paid = [
        payer(ledger.reserve([name], "same", 0, None))
        for ledger, (_, name) in zip(ledgers, names, strict=True)
    ]

    assert [name for _, name in names] == paid


def test_long_ended_credits_are_removed(timed_redis):
    ledger = timed_redis.ledger({})
    for n, at in enumerate([DAY, DAY + 100, DAY + 2 * 86400 + 50]):
        timed_redis.at(at)
        ledger.reserve(["a"], f"t{n}", 0, None)

    assert ["t1", "t2"] == timed_redis.client.zrange(book("s", "a"), 0, -1)
    assert 0 < timed_redis.client.pttl(book("s", "a")) <= 2 * 86400 * 1000


def test_peek_asks_nobody_and_waits_for_no_lock(own_redis, ledger_on):
    ledger = ledger_on({"a": [rule("daily", 1)], "b": ()}, url=own_redis.url)
    ledger.reserve(["a"], "t", 0, None)
    now = SteadyClock().time()
    own_redis.kill()

    with ledger._lock:
        peeked = [ledger.peek(["a"], now), ledger.peek(["a", "b"], now), ledger.used("a", now)]

    assert [None, "b", {"minutely": 1, "hourly": 1, "daily": 1}] == peeked


def test_a_refresh_tells_what_others_took_once_a_second(timed_redis):
    rules = {"a": [rule("daily", 1)], "free": ()}
    ours, theirs = timed_redis.ledger(rules), timed_redis.ledger(rules)
    now = timed_redis.clock.time()
    ours.refresh(now)
    theirs.reserve(["a"], "t", 0, None)

    timed_redis.clock.advance(0.9)
    ours.refresh(now)
    early = ours.peek(["a"], now)
    timed_redis.clock.advance(0.2)
    ours.refresh(now)

    assert early == "a"
    assert ours.peek(["a"], now) is None


def test_a_refresh_without_limits_asks_nothing(redis_server, ledger_on):
    ledger = ledger_on({"free": ()})

    ledger.refresh(0)

    with redis_server.client() as client:
        assert "cmdstat_evalsha" not in client.info("commandstats")


def test_threads_share_a_ledger_exactly(redis_server, ledger_on):
    ledger = ledger_on({"a": [rule("daily", 100)]})
    granted = []

    def work(worker):
        tokens = [f"{worker}-{n}" for n in range(25)]
        granted.extend(t for t in tokens if ledger.reserve(["a"], t, 0, None) is not None)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with redis_server.client() as client:
        days = {
            int(at // 86_400_000) for _, at in client.zrange(book("s", "a"), 0, -1, withscores=True)
        }

    assert len(granted) == 100 * len(days)  # two if a day ended meanwhile


def test_after_a_fork_both_go_on_with_connections_of_their_own(redis_server, ledger_on):
    ledger = ledger_on({"a": [rule("daily", 9)]})
    ledger.reserve(["a"], "before", 0, None)
    child = os.fork()
    if child == 0:  # nothing of the test's may run in here
        status = 1
        try:
            ledger.abandon()
            status = 0 if ledger.reserve(["a"], "child", 0, None) is not None else 2
            ledger.close()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    ours = ledger.reserve(["a"], "parent", 0, None)

    assert os.waitstatus_to_exitcode(status) == 0
    assert payer(ours) == "a"
    with redis_server.client() as client:
        tokens = set(client.zrange(book("s", "a"), 0, -1))
    assert {"before", "child", "parent"} == tokens


def test_it_can_be_reached_by_a_unix_socket(redis_server, ledger_on):
    ledger = ledger_on({"a": [rule("daily", 1)]}, url=f"unix://{redis_server.socket_path}?db=2")

    assert payer(ledger.reserve(["a"], "t", 0, None)) == "a"


def test_the_steps_of_a_spool_mean_nothing_to_it(ledger_on):
    ledger = ledger_on({"a": [rule("daily", 1)]})

    ledger.prepare(None)
    ledger.forget(DAY, None)

    assert payer(ledger.reserve(["a"], "t", 0, None)) == "a"
    assert not ledger.transactional


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "redis", None)

    with pytest.raises(
        MissingExtraError,
        match=r"^the package 'redis' is not installed: run pip install 'al-framework\[redis\]'$",
    ):
        RedisLedger({}, scope="s", url="redis://host", clock=FakeClock())
