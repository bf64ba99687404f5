"""Ledgers of every kind.

A Redis server serves all tests here, emptied before each; tests that ill-treat one have their own.
"""

import importlib.util
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from al_framework.pipeline.limits import redis_link
from al_framework.pipeline.limits.base import Ledger, LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.redis import RedisLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.testing import FakeClock


def _servers():
    path = Path(__file__).with_name("redis_server.py")
    spec = importlib.util.spec_from_file_location("redis_server_for_limits", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """On a busy machine even a server that is well may take its time."""
    monkeypatch.setattr(redis_link, "TIMEOUT_S", 30.0)


@pytest.fixture(scope="session")
def start_redis(tmp_path_factory):
    """Return a function that starts a server; all are killed at the end."""
    servers = _servers()
    if servers.BINARY is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    pytest.importorskip("redis", reason="pip install 'al-framework[redis]'")
    started = []

    def start(*options):
        # A socket's path must be short.
        directory = tmp_path_factory.mktemp("r")
        started.append(servers.RedisServer(directory, *options))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope="session")
def shared_redis(start_redis):
    return start_redis()


@pytest.fixture
def redis_server(shared_redis):
    with shared_redis.client() as client:
        client.flushall()
        client.script_flush()
        client.config_resetstat()
    return shared_redis


@pytest.fixture
def own_redis(start_redis):
    server = start_redis()
    yield server
    server.kill()


class TimedRedis:
    """A server whose clock a test sets, and ledgers on it that show the same time."""

    NOW = """(function()
        local t = tonumber(redis.call('GET', 'test:now'))
        return {math.floor(t), (t % 1) * 1000000}
    end)()"""

    def __init__(self, server):
        self.server = server
        self.client = server.client()
        self.clock = FakeClock()
        self.ledgers = []
        self.at(self.clock.time())

    def at(self, now):
        """Set both clocks."""
        self.client.set("test:now", repr(now))
        self.clock.set_time(now)

    def ledger(self, rules, *, scope="s", clock=None):
        ledger = RedisLedger(rules, scope=scope, url=self.server.url, clock=clock or self.clock)
        sources = ledger._link._sources
        ledger._link._sources = {
            name: text.replace("redis.call('TIME')", self.NOW) for name, text in sources.items()
        }
        self.ledgers.append(ledger)
        return ledger

    def close(self):
        for ledger in self.ledgers:
            ledger.close()
        self.client.close()


@pytest.fixture
def timed_redis(redis_server):
    timed = TimedRedis(redis_server)
    yield timed
    timed.close()


RULES = {"a": [LimitRule(period="daily", value=5)]}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def impatient(monkeypatch):
    """Let nobody wait for long for a server that was stopped."""
    monkeypatch.setattr(redis_link, "TIMEOUT_S", 2.0)  # still enough on a busy machine


@pytest.fixture
def ledger_on(clock):
    """The factory of ledgers on the server at a URL."""
    made = []

    def make(url, rules=RULES):
        made.append(RedisLedger(rules, scope="s", url=url, clock=clock))
        return made[-1]

    yield make
    for ledger in made:
        ledger.close()


class Books:
    """A ledger with the transaction it needs."""

    def __init__(self, ledger: Ledger, transaction: Callable[[], Any]) -> None:
        self.ledger = ledger
        self.transaction = transaction

    def reserve(self, strategies: Sequence[str], token: str, now: float) -> str | None:
        with self.transaction() as tx:
            reservation = self.ledger.reserve(strategies, token, now, tx)
        return None if reservation is None else reservation.strategy

    def release(self, token: str) -> None:
        with self.transaction() as tx:
            self.ledger.release(token, tx)


@contextmanager
def open_transaction(path: Path, lock: Any) -> Iterator[sqlite3.Connection]:
    with lock:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()


@contextmanager
def no_transaction() -> Iterator[None]:
    yield None


def open_books(
    path: Path, rules: Mapping[str, Sequence[LimitRule]], scope: str = "s", **options: Any
) -> Books:
    ledger = SqliteLedger(rules, scope=scope, **options)
    lock = threading.Lock()
    books = Books(ledger, lambda: open_transaction(path, lock))
    with books.transaction() as tx:
        tx.execute("PRAGMA user_version")
        ledger.prepare(tx)
    return books


@pytest.fixture(scope="session")
def sqlite_transaction() -> Callable[..., AbstractContextManager[sqlite3.Connection]]:
    """A transaction on the database at a path, under a lock."""
    return open_transaction


@pytest.fixture(scope="session")
def sqlite_books() -> Callable[..., Books]:
    """The factory of ledgers in a database, given its path, rules and scope."""
    return open_books


@pytest.fixture(params=["memory", "sqlite"])
def make_books(request, tmp_path):
    """The factory of ledgers of either kind."""
    made: list[Books] = []

    def make(rules: Mapping[str, Sequence[LimitRule]], scope: str = "s") -> Books:
        if request.param == "memory":
            books = Books(MemoryLedger(rules, scope=scope), no_transaction)
        else:
            books = open_books(tmp_path / "ledger.db", rules, scope)
        made.append(books)
        return books

    yield make
    for books in made:
        books.ledger.close()
