"""Where figures come from: which code, when, what machine, which versions."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import TypeAlias

from PIL import features

from benchmarks import peers

ROOT = Path(__file__).parents[1]
# What is measured; not the results, which are written while others are being measured.
_MEASURED = ("al_framework", "plugins", "pyproject.toml", "benchmarks/*.py")
_UNKNOWN, _MISSING = "unknown", "not installed"
Facts: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the figures of one question come from.

    Attributes:
        commit: The last one that changed what is measured, in short; ``unknown`` without git.
        uncommitted: Whether what is measured had changes that are in no commit.
        date: When it began, in UTC: ``2026-11-23 14:05``.
        quick: Whether it was measured roughly.
        machine: What it was measured on; no name of a host.
        versions: With which versions of what.
        load: How busy the machine was before, over 1, 5 and 15 minutes.
    """

    commit: str
    uncommitted: bool
    date: str
    quick: bool
    machine: Facts
    versions: Facts
    load: str


def origin(*, quick: bool) -> Origin:
    """Return what is true now."""
    return Origin(
        commit=_git("log", "-1", "--format=%h", "--", *_MEASURED) or _UNKNOWN,
        uncommitted=bool(_git("status", "--porcelain", "--", *_MEASURED)),
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        quick=quick,
        machine=_machine(),
        versions=_versions(),
        load=", ".join(f"{load:.2f}" for load in os.getloadavg()),
    )


def _git(*arguments: str) -> str:
    """Return what git says; nothing outside of a checkout."""
    binary = shutil.which("git")
    if binary is None:
        return ""
    done = subprocess.run(  # noqa: S603 - our own arguments
        [binary, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _machine() -> Facts:
    return {
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _versions() -> Facts:
    opencv = next(iter(packages_distributions().get("cv2", ())), "")
    return {
        "python": platform.python_version(),
        "al-framework": _version("al-framework"),
        "numpy": _version("numpy"),
        "pillow": _version("pillow"),
        "libjpeg-turbo": features.version("libjpeg_turbo") or _MISSING,
        "scikit-image": _version("scikit-image"),
        "opencv": f"{_version(opencv)} ({opencv})" if opencv else _MISSING,
        "limits": _version("limits"),
        "redis (client)": _version("redis"),
        "redis-server": _redis_server(),
        "peer": peers.version(),
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return _MISSING


def _redis_server() -> str:
    binary = shutil.which("redis-server")
    if binary is None:
        return _MISSING
    # Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=...
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - found in the path
    return next((one[2:] for one in said.stdout.split() if one.startswith("v=")), _UNKNOWN)


def _cpu_model() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or _UNKNOWN
