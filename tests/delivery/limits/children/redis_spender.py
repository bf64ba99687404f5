"""Takes all the credits that it can get from a Redis server: run by path.

Usage: redis_spender.py URL FILE ATTEMPTS RULES, the rules as JSON: {"daily": 5}. A token whose
answer is lost is asked for again. Begins when something is written to it. FILE then holds, as JSON,
the tokens granted, the milliseconds that each answer took, and how often the server was away.
"""

import json
import sys
import time
from pathlib import Path

from al_framework.pipeline.limits.base import LedgerUnavailableError, LimitRule
from al_framework.pipeline.limits.redis import RedisLedger


class HurriedClock:
    """Time that passes twenty times as fast, so that nobody rests for long."""

    def time(self):
        return time.time()

    def monotonic(self):
        return time.monotonic() * 20


def main(url, file, attempts, rules):
    limits = [LimitRule(period=period, value=value) for period, value in json.loads(rules).items()]
    ledger = RedisLedger({"a": limits}, scope="s", url=url, clock=HurriedClock())
    granted, taken_ms, away = [], [], 0
    sys.stdin.readline()
    for number in range(int(attempts)):
        token = f"{Path(file).stem}-{number}"
        while True:
            began = time.perf_counter()
            try:
                reservation = ledger.reserve(["a"], token, 0, None)
            except LedgerUnavailableError:
                away += 1
                time.sleep(0.01)
                continue
            taken_ms.append((time.perf_counter() - began) * 1000)
            break
        if reservation is not None:
            granted.append(token)
    ledger.close()
    Path(file).write_text(json.dumps({"granted": granted, "ms": taken_ms, "away": away}))


main(*sys.argv[1:])
