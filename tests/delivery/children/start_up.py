"""Fill a spool, or open one and count what that takes.

Usage: start_up.py fill DIRECTORY ITEMS killed|closed, or start_up.py open DIRECTORY.
"""

import json
import os
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from al_framework.api import Datapoint, FrameKey
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits
from al_framework.testing.samples import sample_datapoint

GROUP = 16
EVERY = 10  # steps of SQLite's machine between two counts


def make_spool(directory: str) -> Spool:
    return Spool(
        Path(directory),
        sinks=("s1", "s2"),
        ledger=SqliteLedger({}, scope="s"),
        clock=SystemClock(),
        limits=SpoolLimits(min_free_bytes=0),
    )


def make_candidate(number: int) -> Candidate:
    name = f"{number:06d}"
    image = b"\xff\xd8" + name.encode() * 20

    def compose(strategy: str) -> Datapoint:
        return sample_datapoint(
            item_id=f"item-{name}", frame_id=f"cam/{name}", image=image, strategy=strategy
        )

    return Candidate(
        item_id=f"item-{name}",
        image=image,
        matching=("a",),
        decided_at=time.time(),
        batch_name="batch",
        compose=compose,
        key=FrameKey(source="cam", frame_id=f"cam/{name}", size=1, mtime_ns=1),
    )


def fill(directory: str, items: str, end: str) -> None:
    """Accept so many, and end as told."""
    spool = make_spool(directory)
    spool.open()
    numbers = range(int(items))
    for start in range(0, len(numbers), GROUP):
        spool.accept([make_candidate(n) for n in numbers[start : start + GROUP]])
    spool.deliveries.checkpoint_index()
    if end == "killed":
        os._exit(0)
    spool.close()


def count_opening(directory: str) -> dict[str, Any]:
    """Open the spool, take the first datapoint, and tell what it took."""
    counts: Counter[str] = Counter()
    statement = ""
    connections: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def note_statement(sql: str) -> None:
        nonlocal statement
        statement = sql
        counts["checks"] += "quick_check" in sql

    def note_steps() -> int:
        # Looking through the index takes longer the larger it is, up to a size: see the spool's
        # own tests. What is left must not grow at all.
        if "quick_check" not in statement:
            counts["steps"] += EVERY
        return 0

    def counted(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.set_trace_callback(note_statement)
        connection.set_progress_handler(note_steps, EVERY)
        connections.append(connection)
        return connection

    def audit(event: str, _: tuple[Any, ...]) -> None:
        counts["opened"] += event == "open"
        counts["listed"] += event in {"os.listdir", "os.scandir"}

    sqlite3.connect = counted
    spool = make_spool(directory)
    process = psutil.Process()
    before, started = process.memory_info().rss, time.monotonic()
    sys.addaudithook(audit)
    spool.open()
    lease = spool.deliveries.take("s1")
    assert lease is not None
    taken = {
        "first_lease_s": time.monotonic() - started,
        "memory": process.memory_info().rss - before,
        "rows": spool._database._writer.total_changes,
        **{name: counts[name] for name in ("checks", "steps", "opened", "listed")},
        "recovered": spool.counts()["s1"].recovered,
    }
    spool.deliveries.load(lease)
    spool.close()
    return taken


def main(program: str, *arguments: str) -> None:
    """Run one program."""
    if program == "fill":
        fill(*arguments)
    else:
        sys.stdout.write(json.dumps(count_opening(*arguments)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
