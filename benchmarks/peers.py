"""The peer's side of a comparison: a process of its interpreter that works when it is told to."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import benchmarks
from benchmarks.comparing import Cost, Side

VARIABLE = "AL_BENCH_PEER_PYTHON"
PACKAGE = "inference-cpu"
QUIET = {"DISABLE_VERSION_CHECK": "True", "TELEMETRY_OPT_OUT": "True", "METRICS_ENABLED": "False"}
_VERSIONS = f"""
import platform
from importlib.metadata import version
print("{PACKAGE}", version("{PACKAGE}"), "with numpy", version("numpy"), end=" ")
print("on Python", platform.python_version())
"""


class PeerError(Exception):
    """The peer could not do what it was told to."""


class Peer:
    """The peer, where it is there: without an interpreter every answer is None.

    Args:
        process: The process; None where there is none.
    """

    def __init__(self, process: "subprocess.Popen[str] | None") -> None:
        self._process = process
        self._prepared: dict[str, int] = {}

    @property
    def there(self) -> bool:
        """Whether there is a peer."""
        return self._process is not None

    def side(self, module: str, /, **settings: object) -> Side | None:
        """Return the side that does a module's work.

        Args:
            module: A module of `benchmarks.peer`.
            settings: What its ``prepare`` is called with; values that JSON knows.
        """
        if self._process is None:
            return None
        number = self._prepare(module, settings)

        def calls(count: int) -> Cost:
            return Cost(**self._ask(order="run", number=number, calls=count))

        return calls

    def outcome(self, module: str, /, **settings: object) -> Any:
        """Return what that work leads to, as its module tells it; None without a peer."""
        if self._process is None:
            return None
        number = self._prepare(module, settings)
        return self._ask(order="outcome", number=number)["outcome"]

    def _prepare(self, module: str, settings: Mapping[str, object]) -> int:
        key = json.dumps([module, settings], sort_keys=True)
        if key not in self._prepared:
            number = len(self._prepared)
            self._ask(order="prepare", number=number, module=module, settings=settings)
            self._prepared[key] = number
        return self._prepared[key]

    def _ask(self, **order: object) -> dict[str, Any]:
        process = self._process
        if process is None:
            raise PeerError(f"there is no peer: let {VARIABLE} name its interpreter")
        line = ""
        with suppress(BrokenPipeError):
            _pipe(process.stdin).write(json.dumps(order) + "\n")
            _pipe(process.stdin).flush()
            line = _pipe(process.stdout).readline()
        if not line:
            raise PeerError(f"the peer has gone, with the exit status {process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise PeerError(f"the peer failed:\n{answer['failed']}")
        return answer


@contextmanager
def interpreter(*, environment: Mapping[str, str] | None = None) -> Iterator[Peer]:
    """Yield the peer; one that is not there if no interpreter is named.

    Args:
        environment: What its process is told besides, such as addresses of servers.
    """
    python = _python()
    if python is None:
        yield Peer(None)
        return
    root = str(Path(benchmarks.__file__).parents[1])
    process = subprocess.Popen(  # noqa: S603 - what the user names
        [python, "-m", "benchmarks.peer"],
        env={**os.environ, **QUIET, "PYTHONPATH": root, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield Peer(process)
    finally:
        process.kill()
        process.communicate()


def version() -> str:
    """Return what the peer is, for the head of a report."""
    python = _python()
    if python is None:
        return f"not run ({VARIABLE} names no interpreter)"
    asked = subprocess.run(  # noqa: S603 - what the user names
        [python, "-c", _VERSIONS], stdout=subprocess.PIPE, text=True, check=False
    )
    if asked.returncode:
        sys.exit(f"{VARIABLE} is {python!r}, which has no {PACKAGE}: install it there")
    return asked.stdout.strip()


def _python() -> str | None:
    """Return the interpreter that is named; None if none is."""
    python = os.environ.get(VARIABLE)
    if python and shutil.which(python) is None:
        sys.exit(f"{VARIABLE} is {python!r}, which is no program: name the peer's interpreter")
    return python or None


def _pipe(pipe: "IO[str] | None") -> "IO[str]":
    if pipe is None:
        raise PeerError("the peer's process has no pipes")
    return pipe
