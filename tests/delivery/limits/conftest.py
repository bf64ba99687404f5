"""A Redis server of one's own that forgets nothing, and processes that spend what they can."""

import functools
import importlib.util
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

HERE = Path(__file__).parent
SERVERS = HERE.parents[1] / "pipeline" / "limits" / "redis_server.py"


@pytest.fixture
def durable_redis(tmp_path_factory, canary):
    """Start a server that has every credit on disk before it answers, and asks for a password."""
    spec = importlib.util.spec_from_file_location("redis_server_for_delivery", SERVERS)
    servers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(servers)
    if servers.BINARY is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    pytest.importorskip("redis", reason="pip install 'al-framework[redis]'")
    options = ("--appendfsync", "always", "--requirepass", canary.key)
    server = servers.RedisServer(tmp_path_factory.mktemp("r"), *options)
    server.url = server.url.replace("//", f"//:{quote(canary.key, safe='')}@")
    server.client = functools.partial(server.client, password=canary.key)
    yield server
    server.kill()


@pytest.fixture
def spend():
    """Return a function that starts a program of `children/`; what still runs is killed."""
    running = []

    def start(name, *arguments):
        command = [sys.executable, str(HERE / "children" / f"{name}.py"), *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
