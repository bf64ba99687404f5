"""Clients of a Redis server that are killed in the middle of a group: credits may go, not come."""

import random
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing

from al_framework.pipeline.limits.redis_scripts import book

HANG_S = 240
PROCESSES = 4
GROUP = 16
DAY_MS = 86_400_000


def until(fact):
    deadline = time.monotonic() + HANG_S
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_client_that_is_killed_loses_a_groups_credits_at_most_and_gains_none(
    durable_redis, tmp_path, spend, size, seed
):
    rng = random.Random(seed)
    kills, limit = size.pick(ci=(10, 800), full=(50, 4000), soak=(500, 40_000))
    acks, index = tmp_path / "acks", tmp_path / "spool" / "spool.db"

    def start(name):
        return spend("redis_spool_spender", tmp_path, name, durable_redis.url, limit)

    processes = [start(f"p{number}") for number in range(PROCESSES)]
    with durable_redis.client() as client:
        key = book("s", "a")
        for number in range(kills):
            # At any moment of real work, which has to be left for the last one too.
            goal = limit * (number + 1) // (2 * kills) + rng.randint(0, GROUP)
            until(lambda goal=goal: client.zcard(key) >= goal)
            time.sleep(rng.uniform(0, 0.02))
            victim = rng.randrange(PROCESSES)
            assert processes[victim].poll() is None
            processes[victim].kill()
            processes[victim].wait(HANG_S)
            processes[victim] = start(f"k{number}")
        for process in processes:
            process.communicate(timeout=HANG_S)
        assert [0] * PROCESSES == [process.returncode for process in processes]
        held = dict(client.zrange(key, 0, -1, withscores=True))

    with closing(sqlite3.connect(index)) as tx:
        items = {row[0] for row in tx.execute("SELECT item_id FROM item")}
    lost = set(held) - items
    sys.stdout.write(f"{len(lost)} of {limit} credits lost by {kills} kills\n")
    by_killed = Counter(token.rpartition("-")[0] for token in lost)
    days = Counter(int(at) // DAY_MS for at in held.values())
    assert max(days.values()) <= limit
    assert items <= set(held)
    assert set(acks.read_text().split()) <= items
    assert len(lost) <= GROUP * kills
    assert max(by_killed.values(), default=0) <= GROUP
    assert len(days) > 1 or len(held) == limit  # all that could be spent was
