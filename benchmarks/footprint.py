"""What does it cost to have it at all: time to import, memory, disk?

The answer decides whether it may sit in a process that serves a model, and in its container image.
Every import is a process of its own. The floor is what we are built on: its import, its size.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import benchmarks
from benchmarks.amounts import Amount, Unit
from benchmarks.comparing import Case, Comparison, Cost, Side, Target, compare
from benchmarks.peers import QUIET, VARIABLE

IMPORT = "import al_framework"
COLLECTOR = "from al_framework import Collector"
BUILT_ON = "import numpy, PIL.Image, pluggy, pydantic, requests, ruamel.yaml"
PEER = "from inference.core.active_learning.middlewares import ActiveLearningMiddleware"
# What we ask of an import, in seconds of the processor; resident memory and disk in MB.
CPU_S, MEMORY_MB, DISK_MB = 0.4, 90, 150
_RESIDENT = """
resident = next(line for line in open("/proc/self/status") if line.startswith("VmRSS:"))
print(int(resident.split()[1]) * 1024)
"""
_MODULES = "import sys; print(len(sys.modules))"
_PACKAGES = "import sysconfig; print(sysconfig.get_path('platlib'))"


def run(*, quick: bool) -> list[Comparison | Amount]:
    """Measure imports, then what stays in memory, then what lies on the disk."""
    peer = os.environ.get(VARIABLE)
    with tempfile.TemporaryDirectory() as compiled:
        return [
            *_imports(peer, compiled, quick=quick),
            *_after(IMPORT, peer, compiled),
            *_after(COLLECTOR, peer, compiled),
            _on_disk(peer),
        ]


def _imports(peer: str | None, compiled: str, *, quick: bool) -> list[Comparison]:
    cases = [
        Case(
            group="time to import, a process each; the floor is what we are built on",
            name=statement,
            ours=_importing(sys.executable, statement, compiled),
            peer=None if peer is None else _importing(peer, PEER, compiled),
            # The package alone imports next to nothing, so only a collector has such a floor.
            floor=_importing(sys.executable, BUILT_ON, compiled)
            if statement == COLLECTOR
            else None,
            targets=[Target(CPU_S * 1e6, of="µs")],
        )
        for statement in (IMPORT, COLLECTOR)
    ]
    return compare(cases, quick=quick, rounds=7, block_s=0.0)


def _importing(python: str, statement: str, compiled: str) -> Side:
    """Return the side that starts an interpreter, imports and ends."""

    def calls(number: int) -> Cost:
        before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        for _ in range(number):
            _output(python, statement, compiled)
        after, over = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return Cost(cpu_s=cpu_s, wall_s=over - wall)

    return calls


def _after(statement: str, peer: str | None, compiled: str) -> list[Amount]:
    """Tell what an import leaves in memory."""

    def amount(
        case: str, unit: Unit, program: str, scale: float, at_most: float | None = None
    ) -> Amount:
        def told(python: str, imported: str) -> float:
            return int(_output(python, f"{imported}\n{program}", compiled).split()[-1]) / scale

        return Amount(
            group=f"in memory after {statement!r}",
            case=case,
            unit=unit,
            ours=told(sys.executable, statement),
            peer=None if peer is None else told(peer, PEER),
            floor=told(sys.executable, BUILT_ON) if statement == COLLECTOR else None,
            at_most=at_most,
        )

    return [
        amount("resident memory", "MB", _RESIDENT, 1e6, at_most=MEMORY_MB),
        amount("modules", "modules", _MODULES, 1),
    ]


def _on_disk(peer: str | None) -> Amount:
    """Install what a user installs, and tell its size; the floor is the same without us."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        project = Path(benchmarks.__file__).parents[1]
        _uv("build", "--wheel", "--out-dir", str(root), str(project))
        (wheel,) = root.glob("*.whl")
        python = root / "installed" / "bin" / "python"
        _uv("venv", "--python", sys.executable, str(root / "installed"))
        # Compiled as pip does it; copied, since uv would link to what it keeps elsewhere.
        _uv(
            *("pip", "install", "--compile-bytecode", "--link-mode", "copy"),
            *("--python", str(python), str(wheel)),
        )
        packages = Path(_output(str(python), _PACKAGES).strip())
        whole = _size_mb(packages)
        own = sum(_size_mb(one) for one in packages.glob("al_framework*"))
    return Amount(
        group="installed, with everything it needs and no extra",
        case="size on disk",
        unit="MB",
        ours=whole,
        peer=None if peer is None else _size_mb(Path(_output(peer, _PACKAGES).strip())),
        floor=whole - own,
        at_most=DISK_MB,
    )


def _size_mb(directory: Path) -> float:
    return sum(file.lstat().st_size for file in directory.rglob("*") if file.is_file()) / 1e6


def _uv(*arguments: str) -> None:
    subprocess.run(["uv", "--quiet", *arguments], check=True)  # noqa: S603, S607 - ours, by its name


def _output(python: str, program: str, compiled: str = "") -> str:
    """Run a program in an interpreter and return what it prints.

    Args:
        python: The interpreter.
        program: The program.
        compiled: Where compiled modules are kept, whatever the environment says of them: neither
            side is to compile at each import.
    """
    kept = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled} if compiled else {}
    done = subprocess.run(  # noqa: S603 - this interpreter, or the one that the user names
        [python, "-c", program],
        env={**os.environ, **QUIET, **kept},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{python} -c {program!r} failed:\n{done.stderr}")
    return done.stdout
