"""Sixty-four threads of one process spend one budget exactly."""

import threading

from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger

DAY = 1_699_920_000.0
THREADS, ATTEMPTS, LIMIT = 64, 50, 1000


def test_threads_spend_a_budget_in_memory_exactly():
    ledger = MemoryLedger({"a": [LimitRule(period="daily", value=LIMIT)]}, scope="s")
    together = threading.Barrier(THREADS)
    granted = []

    def spend(worker):
        together.wait()
        tokens = [f"{worker}-{number}" for number in range(ATTEMPTS)]
        granted.extend(t for t in tokens if ledger.reserve(["a"], t, DAY, None) is not None)

    threads = [threading.Thread(target=spend, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(granted)) == len(granted) == LIMIT
    assert ledger.used("a", DAY)["daily"] == LIMIT
