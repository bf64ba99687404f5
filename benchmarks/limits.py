"""What a credit costs: our ledgers, the package `limits`, and Roboflow's way: lock, GET, SET.

All have a limit for each of three windows. Alone: one process asks, and no limit is reached. Eight
processes: they share a limit that is lower than what they ask for.
SQLite commits every credit durably (synchronous=FULL), on the disk of the temporary directory;
Redis keeps an append-only file, synced every second.
"""

import itertools
import multiprocessing
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from al_framework.pipeline.clock import SteadyClock
from al_framework.pipeline.limits.base import Ledger, LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.redis import RedisLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool.locking import FileLock
from benchmarks.latencies import Bound, Latency, measure_latencies, percentile

Ask: TypeAlias = Callable[[str], bool]  # takes a token, tells whether it was granted

PLENTY = 10**9
_PROCESSES = 8
_REFERENCE = "lock, GET, SET"
_PATIENCE = Bound("p99", 20_000.0)


def run(*, quick: bool) -> list[Latency]:
    """Measure; without a Redis server only what needs none."""
    with tempfile.TemporaryDirectory() as directory, redis_server(Path(directory)) as url:
        kinds = _KINDS if url else _KINDS_OF_ONE_HOST
        return [
            *_alone(Path(directory), url, kinds, calls=200 if quick else 2000),
            *_together(Path(directory), url, kinds, attempts=320 if quick else 1600),
        ]


def _alone(directory: Path, url: str, kinds: Sequence[str], *, calls: int) -> list[Latency]:
    numbers = itertools.count()
    cases: dict[str, Callable[[], object]] = {"in memory": _asking("memory", "", "", numbers)}
    for kind in kinds:
        cases[kind] = _asking(kind, str(directory / "alone.db"), url, numbers)
    ledger = _sqlite(str(directory / "alone.db"), PLENTY)
    ledger.refresh(time.time())
    cases["a look before (peek)"] = lambda: ledger.peek(["a"], time.time())
    return measure_latencies(
        "one process, a credit of three windows",
        cases,
        reference=kinds[-1],
        calls=calls,
        between=lambda: None,
    )


def _asking(kind: str, path: str, url: str, numbers: Iterator[int]) -> Callable[[], object]:
    ask = make_ask(kind, path, url, PLENTY)
    return lambda: ask(f"t{next(numbers)}")


def _together(directory: Path, url: str, kinds: Sequence[str], *, attempts: int) -> list[Latency]:
    limit = attempts * 5 // 8
    rows: list[tuple[str, int, list[float]]] = []
    context = multiprocessing.get_context("spawn")
    for kind in kinds:
        path = str(directory / f"{len(rows)}.db")
        make_ask(kind, path, url, limit)  # creates the tables before there is a crowd
        with context.Pool(_PROCESSES) as pool:
            pool.map(_warm, range(_PROCESSES * 4))
            work = [(kind, path, url, limit, attempts // _PROCESSES, n) for n in range(_PROCESSES)]
            found = pool.starmap(_spend, work, chunksize=1)
        granted = sum(count for count, _ in found)
        rows.append((kind, granted, [s for _, taken in found for s in taken]))
    base = percentile(rows[-1][2], 0.99)
    return [
        Latency(
            group=f"{_PROCESSES} processes ask {attempts} times for {limit} credits",
            case=kind,
            p50_us=percentile(taken, 0.5) * 1e6,
            p99_us=(p99 := percentile(taken, 0.99)) * 1e6,
            max_us=max(taken) * 1e6,
            calls=len(taken),
            ratio=base / p99,
            bounds=[_PATIENCE] if kind == "redis" else [],
            outputs={"granted": f"{granted:,}"},
        )
        for kind, granted, taken in rows
    ]


def _warm(number: int) -> None:
    time.sleep(0.05 + number * 0)  # so that every process of the pool has started


def _spend(  # noqa: PLR0913, PLR0917 - called through a pool
    kind: str, path: str, url: str, limit: int, attempts: int, worker: int
) -> tuple[int, list[float]]:
    ask = make_ask(kind, path, url, limit)
    granted, taken = 0, []
    for number in range(attempts):
        start = time.perf_counter()
        granted += ask(f"{worker}-{number}")
        taken.append(time.perf_counter() - start)
    return granted, taken


def _rules(limit: int) -> dict[str, list[LimitRule]]:
    rules = [LimitRule(period="minutely", value=PLENTY), LimitRule(period="hourly", value=PLENTY)]
    return {"a": [*rules, LimitRule(period="daily", value=limit)]}


def make_ask(kind: str, path: str, url: str, limit: int) -> Ask:
    """Return what asks a ledger for one credit.

    Args:
        kind: Which ledger.
        path: Where it keeps its database, if it does.
        url: Its server, if it has one.
        limit: Credits in a day.
    """
    return _MAKERS[kind](path, url, limit)


def _memory(path: str, url: str, limit: int) -> Ask:
    del path, url
    return _plain(MemoryLedger(_rules(limit), scope="s"))


def _on_redis(path: str, url: str, limit: int) -> Ask:
    del path
    # A scope for each limit: the measurements must not spend each other's credits.
    return _plain(RedisLedger(_rules(limit), scope=f"l{limit}", url=url, clock=SteadyClock()))


def _plain(ledger: Ledger) -> Ask:
    return lambda token: ledger.reserve(["a"], token, time.time(), None) is not None


def _sqlite(path: str, limit: int) -> SqliteLedger:
    ledger = SqliteLedger(_rules(limit), scope="s")
    with FileLock(Path(f"{path}.lock")):
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("BEGIN IMMEDIATE")
        ledger.prepare(connection)
        connection.execute("COMMIT")
        connection.close()
    return ledger


def _in_sqlite(path: str, url: str, limit: int) -> Ask:
    del url
    ledger, lock = _sqlite(path, limit), FileLock(Path(f"{path}.lock"))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")

    def ask(token: str) -> bool:
        with lock:
            connection.execute("BEGIN IMMEDIATE")
            granted = ledger.reserve(["a"], token, time.time(), connection) is not None
            connection.execute("COMMIT")
        return granted

    weakref.finalize(ask, connection.close)
    return ask


def _by_package(path: str, url: str, limit: int) -> Ask:
    import limits

    del path
    limiter = limits.strategies.FixedWindowRateLimiter(limits.storage.storage_from_string(url))
    items = [
        limits.RateLimitItemPerMinute(PLENTY, namespace=f"p{limit}"),
        limits.RateLimitItemPerHour(PLENTY, namespace=f"p{limit}"),
        limits.RateLimitItemPerDay(limit, namespace=f"p{limit}"),
    ]

    def ask(token: str) -> bool:
        del token
        return all(limiter.hit(item, "a") for item in items)

    return ask


def _by_lock(path: str, url: str, limit: int) -> Ask:
    import redis

    del path
    client: Any = redis.Redis.from_url(url)
    bounds = {f"u{limit}:minute": PLENTY, f"u{limit}:hour": PLENTY, f"u{limit}:day": limit}

    def ask(token: str) -> bool:
        del token
        with client.lock(f"u{limit}:lock", timeout=5.0):
            used = {key: int(client.get(key) or 0) for key in bounds}
            if any(used[key] >= bound for key, bound in bounds.items()):
                return False
            for key, count in used.items():
                client.set(key, count + 1)
            return True

    return ask


_MAKERS: dict[str, Callable[[str, str, int], Ask]] = {
    "memory": _memory,
    "sqlite": _in_sqlite,
    "redis": _on_redis,
    "the package limits": _by_package,
    _REFERENCE: _by_lock,
}
_KINDS = ("sqlite", "redis", "the package limits", _REFERENCE)
_KINDS_OF_ONE_HOST = ("sqlite",)


@contextmanager
def redis_server(directory: Path) -> Iterator[str]:
    """Start a server and tell its address; an empty one if there is no server to start."""
    binary = shutil.which("redis-server")
    if binary is None:
        yield ""
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)]
    options += ["--appendonly", "yes", "--save", "", "--loglevel", "warning"]
    process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)  # noqa: S603 - our own options
    try:
        for _ in range(1000):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.01)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()
