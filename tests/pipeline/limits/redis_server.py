"""A real Redis server of one's own on a free port of this machine; loaded by path, never collected.

It persists as the documentation asks for: with an append-only file.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

BINARY = shutil.which("redis-server")
HANG_S = 60.0


class RedisServer:
    """Starts, kills, stops for a while and reconfigures one server.

    Attributes:
        port: Its port, the same after a restart.
        url: Its address.
        socket_path: Its Unix socket.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.socket_path = directory / "redis.sock"
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self, *options: str) -> None:
        """Start it, with what the append-only file holds, and wait until it answers."""
        assert BINARY is not None
        command = [
            BINARY, "--port", str(self.port), "--bind", "127.0.0.1",
            "--unixsocket", str(self.socket_path), "--dir", str(self._directory),
            "--appendonly", "yes", "--save", "", "--loglevel", "warning",
            *self._options, *options,
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + HANG_S
        while not self._answers():
            assert self._process.poll() is None, "redis-server ended at once"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill it with SIGKILL and wait for its end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)  # a stopped one would wait for it
            self._process.kill()
            self._process.wait(HANG_S)
            self._process = None

    def stop(self) -> None:
        """Keep it from answering, without closing anything."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """End `stop`."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def client(self, **options):
        """Return a client of one's own, which the caller closes."""
        import redis

        return redis.Redis(port=self.port, decode_responses=True, **options)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64)[:1] in (b"+", b"-") and self._is_loaded(connection)
        except OSError:
            return False

    @staticmethod
    def _is_loaded(connection: socket.socket) -> bool:
        connection.sendall(b"PING\r\n")
        return b"LOADING" not in connection.recv(64)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
