"""Sizes, seeds and child processes of the suite that an operator runs to see whether data is lost.

``AL_TEST_SIZE`` is ``ci`` (minutes, the default), ``full`` or ``soak`` (hours); ``AL_SEED`` repeats
a run. Programs that are killed live in ``children/``, and are started by path.
"""

import importlib.util
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar

import hypothesis
import pytest
from hypothesis.strategies import SearchStrategy

BUSY_S = 10.0  # of the processor for one value; the target is a second
HEALTH_CHECKS: Any = tuple(hypothesis.HealthCheck)  # a metaclass hides what it yields
CHILDREN = Path(__file__).with_name("children")
ESCAPES = Path(__file__).with_name("escapes.py")
MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
_SEED = pytest.StashKey[int]()
_ValueT = TypeVar("_ValueT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much the suite does.

    Attributes:
        name: What it is called.
    """

    name: Literal["ci", "full", "soak"]

    def pick(self, *, ci: _ValueT, full: _ValueT, soak: _ValueT) -> _ValueT:
        """Return what belongs to this size."""
        return {"ci": ci, "full": full, "soak": soak}[self.name]


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed of the whole run, once, and let one key be searched for at its end."""
    config.stash[_SEED] = int(os.environ.get("AL_SEED") or random.SystemRandom().getrandbits(32))
    os.environ["AL_SEED"] = str(config.stash[_SEED])  # for the workers of pytest-xdist
    if not config.pluginmanager.has_plugin("escapes"):
        config.pluginmanager.register(_load_escapes(), "escapes")


def pytest_report_header(config: pytest.Config) -> str:
    """Say what repeats this run."""
    return f"delivery: AL_TEST_SIZE={_size().name} AL_SEED={config.stash[_SEED]}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests that do more the time for it; their children have hang limits of their own."""
    seconds = _size().pick(ci=None, full=3600, soak=0)
    for item in items:
        is_ours = item.path.is_relative_to(CHILDREN.parent)
        if is_ours and seconds is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(seconds))


def _load_escapes() -> ModuleType:
    # By path: what lies beside the tests is no package, and nothing has to be on the path.
    spec = importlib.util.spec_from_file_location("escapes", ESCAPES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _size() -> Size:
    name = os.environ.get("AL_TEST_SIZE", "ci")
    if name not in ("ci", "full", "soak"):
        raise pytest.UsageError(f"AL_TEST_SIZE: {name!r} is unknown; take ci, full or soak")
    return Size(name=name)


@pytest.fixture(scope="session")
def size() -> Size:
    """Return how much to do."""
    return _size()


@pytest.fixture(scope="session")
def run_seed(pytestconfig: pytest.Config) -> int:
    """Return the seed of this run, for fixtures that outlive a test."""
    return pytestconfig.stash[_SEED]


@pytest.fixture(scope="module")
def quick_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a directory in memory where there is one, for spools that are opened by the hundred.

    A disk that others write to makes minutes of seconds. Whether it was synced is asked elsewhere.
    """
    place = MEMORY if MEMORY.is_dir() else tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory(dir=place) as directory:
        yield Path(directory)


@pytest.fixture
def seed(run_seed: int) -> int:
    """Return the seed of this run; it stands in the output of every test that fails."""
    sys.stdout.write(f"repeat with AL_SEED={run_seed}\n")
    return run_seed


@pytest.fixture
def fuzz(seed: int) -> Iterator[Callable[..., None]]:
    """Return a function that tries a check on many drawn values, the same ones for a seed.

    What is logged of them is kept out of the report.
    """

    def run(
        values: SearchStrategy[_ValueT], check: Callable[[_ValueT], object], *, examples: int
    ) -> None:
        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=HEALTH_CHECKS,
        )
        @hypothesis.given(values)
        def attempt(value: _ValueT) -> None:
            started = time.process_time()
            check(value)
            assert time.process_time() - started < BUSY_S

        attempt()

    logging.disable(logging.CRITICAL)
    yield run
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="session")
def child_environ() -> dict[str, str]:
    """Return the environment of children; they find each other whatever `PYTHONSAFEPATH` says."""
    paths = (str(CHILDREN), os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


class Children:
    """Programs of `children/`, run by path; what still runs at the end is killed.

    Args:
        environ: Their environment.
    """

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ
        self._running: list[subprocess.Popen[str]] = []

    def start(
        self, name: str, *arguments: object, prefix: tuple[str, ...] = ()
    ) -> subprocess.Popen[str]:
        """Start a program."""
        command = [*prefix, sys.executable, str(CHILDREN / f"{name}.py"), *map(str, arguments)]
        process = subprocess.Popen(
            command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # its forks go with it
        )
        self._running.append(process)
        return process

    def run(self, name: str, *arguments: object, code: int = 0, hang_s: float = 120.0) -> str:
        """Run a program to its end, and return what it printed."""
        process = self.start(name, *arguments)
        output, errors = process.communicate(timeout=hang_s)
        assert process.returncode == code, f"{name} ended with {process.returncode}:\n{errors}"
        return output

    def close(self) -> None:
        """Kill what still runs, forks included."""
        for process in self._running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture(scope="module")
def children(child_environ: dict[str, str]) -> Iterator[Children]:
    """Run programs that belong to the tests of a module."""
    children = Children(child_environ)
    yield children
    children.close()


@pytest.fixture
def start_child(child_environ: dict[str, str]) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start programs that belong to one test."""
    children = Children(child_environ)
    yield children.start
    children.close()


@pytest.fixture
def run_child(child_environ: dict[str, str]) -> Iterator[Callable[..., str]]:
    """Run programs of one test to their end."""
    children = Children(child_environ)
    yield children.run
    children.close()
