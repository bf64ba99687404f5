"""Eight processes spend one budget: all of it, and never more, whoever dies meanwhile."""

import json
import random
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing

import pytest

from al_framework.pipeline.limits.base import PERIOD_SECONDS
from al_framework.pipeline.limits.redis_scripts import book

HANG_S = 240
PROCESSES = 8


def finish(processes):
    for process in processes:
        process.communicate(timeout=HANG_S)

    assert [0] * len(processes) == [process.returncode for process in processes]


def test_processes_that_are_killed_spend_a_sqlite_budget_exactly(tmp_path, spend, size, seed):
    rng = random.Random(seed)
    kills, limit, attempts = size.pick(
        ci=(8, 300, 300), full=(31, 1000, 800), soak=(300, 8000, 4000)
    )
    acks, index = tmp_path / "acks", tmp_path / "spool" / "spool.db"
    processes = [spend("spool_spender", tmp_path, n, attempts, limit) for n in range(PROCESSES)]
    for number in range(kills):
        # At a moment of real work: when some more datapoints have been accepted.
        goal = _count(acks) + rng.randint(1, limit // (2 * kills))
        _until(lambda goal=goal: _count(acks) >= min(goal, limit))
        victim = rng.randrange(PROCESSES)
        processes[victim].kill()
        processes[victim].wait(HANG_S)
        processes[victim] = spend("spool_spender", tmp_path, f"k{number}", attempts, limit)
    finish(processes)

    with closing(sqlite3.connect(index)) as tx:
        items = {row[0] for row in tx.execute("SELECT item_id FROM item")}
        tokens = {row[0] for row in tx.execute("SELECT token FROM limit_credit")}
        used = tx.execute("SELECT used FROM limit_window WHERE period = 'daily'").fetchall()
    acknowledged = set(acks.read_text().split())
    assert limit == len(items)
    assert items == tokens
    assert [(limit,)] == used
    assert acknowledged <= items


def _count(acks):
    return acks.read_bytes().count(b"\n") if acks.exists() else 0


def _until(condition):
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def spenders(spend, server, directory, *, attempts, rules):
    """Start processes that begin together."""
    processes = [
        spend(
            "redis_spender",
            server.url,
            directory / f"p{number}.json",
            attempts // PROCESSES,
            json.dumps(rules),
        )
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    return processes


def judge(server, processes, directory, rules):
    """Compare what the processes were told with what the server holds."""
    finish(processes)
    found = [json.loads(path.read_text()) for path in directory.glob("p*.json")]
    granted = sorted(token for each in found for token in each["granted"])
    with server.client() as client:
        held = dict(client.zrange(book("s", "a"), 0, -1, withscores=True))
    assert sorted(held) == granted  # nothing given away that is not held, and nothing wasted
    for period, limit in rules.items():
        windows = Counter(int(at // 1000 // PERIOD_SECONDS[period]) for at in held.values())
        assert max(windows.values()) <= limit, period
    taken = sorted(ms for each in found for ms in each["ms"])
    sys.stdout.write(
        f"{len(taken)} answers: p50 {taken[len(taken) // 2]:.2f} ms, p99"
        f" {taken[len(taken) * 99 // 100]:.2f} ms, max {taken[-1]:.2f} ms\n"
    )
    return held, found


@pytest.mark.parametrize(
    ("attempts", "rules"),
    [
        (20_000, {"minutely": 7, "hourly": 300, "daily": 1000}),
        (1600, {"hourly": 9000, "daily": 1000}),
    ],
    ids=["three windows", "one full window"],
)
def test_processes_spend_a_redis_budget_exactly_in_one_round_trip_a_credit(
    durable_redis, spend, tmp_path, attempts, rules
):
    processes = spenders(spend, durable_redis, tmp_path, attempts=attempts, rules=rules)
    held, found = judge(durable_redis, processes, tmp_path, rules)
    with durable_redis.client() as client:
        scripts = client.info("commandstats")["cmdstat_evalsha"]
        last = client.time()[0]

    # The budget of every minute that the whole of it was asked in, of every day otherwise.
    period, limit = next((p, n) for p, n in rules.items() if n < 9000)
    length = PERIOD_SECONDS[period]
    windows = Counter(int(at // 1000 // length) for at in held.values())
    full = [window for window in windows if window != last // length]
    assert [limit] * len(full) == [windows[window] for window in full]
    assert limit * (len(windows) - 1) < len(held) <= limit * len(windows)
    assert len(windows) > 1 or len(held) == limit
    assert attempts == sum(len(each["ms"]) for each in found)
    assert attempts == scripts["calls"] - scripts["failed_calls"]
    assert scripts["failed_calls"] <= PROCESSES  # who comes first has to bring the script
    assert sum(each["away"] for each in found) == 0


def test_a_redis_server_that_is_killed_three_times_never_grants_more(
    durable_redis, spend, tmp_path, size, seed
):
    rng = random.Random(seed)
    limit = size.pick(ci=600, full=2000, soak=20_000)
    rules = {"daily": limit}
    processes = spenders(spend, durable_redis, tmp_path, attempts=limit * 2, rules=rules)
    for number in range(size.pick(ci=3, full=3, soak=60)):
        share = limit * (number + 1) // size.pick(ci=5, full=5, soak=62)
        with durable_redis.client() as client:
            goal = share + rng.randint(0, limit // 100)
            _until(lambda goal=goal, client=client: client.zcard(book("s", "a")) >= goal)
        durable_redis.kill()
        time.sleep(rng.uniform(0, 0.1))  # the processes find nobody at different moments
        durable_redis.start()
    held, found = judge(durable_redis, processes, tmp_path, rules)

    days = Counter(int(at // 86_400_000) for at in held.values())
    assert len(days) > 1 or len(held) == limit
    assert sum(each["away"] for each in found) > 0
