"""A Redis server for all tests here, emptied before each, and one for tests that ill-treat it."""

import importlib.util
from pathlib import Path

import pytest

from al_framework.pipeline.limits import redis_link
from al_framework.pipeline.limits.redis import RedisLedger
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
