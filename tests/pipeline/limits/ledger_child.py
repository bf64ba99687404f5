"""A process that takes credits until none is left: run by path, never collected.

Usage: ledger_child.py DATABASE WORKER. Prints how many of 25 credits it was granted.
"""

import sqlite3
import sys

from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger

DAY = 1_699_920_000.0


def main(path: str, worker: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    ledger = SqliteLedger({"a": [LimitRule(period="daily", value=60)]}, scope="s")
    granted = 0
    for n in range(26):
        connection.execute("BEGIN IMMEDIATE")
        if n == 0:
            ledger.prepare(connection)
        else:
            granted += ledger.reserve(["a"], f"{worker}-{n}", DAY, connection) is not None
        connection.execute("COMMIT")
    ledger.close()
    connection.close()
    sys.stdout.write(f"{granted}\n")


main(*sys.argv[1:])
