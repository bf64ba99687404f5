"""Look for what would keep al-framework from working here, before a run finds out."""

import importlib.metadata
import importlib.util
import platform
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from al_framework import __version__
from al_framework.host.discovery import DISTRIBUTION
from al_framework.host.findings import Finding, Level, misfit
from al_framework.host.plugin_findings import plugin_findings, unread_groups
from al_framework.host.plugins import PluginHost
from al_framework.host.registry import plugin_label

__all__ = ["Finding", "Surroundings", "diagnose", "installed_version"]

# Leases are taken with UPDATE … RETURNING, which came with this version.
MINIMUM_SQLITE = (3, 35, 0)

_EXTRA = re.compile(r"""\bextra\s*==\s*["']([^"']+)["']""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What al-framework runs on.

    Attributes:
        python: Version of Python.
        requires_python: Versions of Python that al-framework runs on; None if it is not installed.
        installed: Version of al-framework by its installed metadata, None if it is not installed.
        requirements: Its requirement lines, extras included.
        sqlite: Version of the SQLite library.
        has_fcntl: Whether files can be locked as the spool does it.
        version_of: Version of an installed distribution, or None.
        running: Version of al-framework that is running.
        announced: Every entry point's group with a label of who announces it.
    """

    python: str
    requires_python: str | None
    installed: str | None
    requirements: tuple[str, ...]
    sqlite: tuple[int, int, int]
    has_fcntl: bool
    version_of: Callable[[str], str | None]
    running: str = __version__
    announced: tuple[tuple[str, str], ...] = ()

    @classmethod
    def look(cls) -> Self:
        """Return the surroundings of this process."""
        installed = installed_version(DISTRIBUTION)
        lines: list[str] = []
        requires_python = None
        if installed is not None:
            ours = importlib.metadata.distribution(DISTRIBUTION)
            lines = ours.requires or []
            requires_python = next(iter(ours.metadata.get_all("Requires-Python") or ()), None)
        return cls(
            python=platform.python_version(),
            requires_python=requires_python,
            installed=installed,
            requirements=tuple(lines),
            sqlite=sqlite3.sqlite_version_info,
            has_fcntl=importlib.util.find_spec("fcntl") is not None,
            version_of=installed_version,
            announced=tuple(
                (entry.group, plugin_label(entry.name, distribution.name, None))
                for distribution in importlib.metadata.distributions()
                for entry in distribution.entry_points
            ),
        )


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def diagnose(host: PluginHost, surroundings: Surroundings | None = None) -> list[Finding]:
    """Return everything that was looked at, in the order in which a person would.

    Args:
        host: The plugins.
        surroundings: What it runs on; None to look.
    """
    around = Surroundings.look() if surroundings is None else surroundings
    return [
        _python(around),
        _framework(around),
        *_dependencies(around),
        _sqlite(around),
        _locking(around),
        *_extras(around),
        *plugin_findings(host, running=around.running, version_of=around.version_of),
        *unread_groups(around.announced),
    ]


def _python(around: Surroundings) -> Finding:
    wanted = around.requires_python
    if wanted is not None and not SpecifierSet(wanted).contains(around.python, prereleases=True):
        message = f"{around.python} is running, but {wanted} is needed: use another interpreter"
        return Finding(level="error", subject="python", message=message)
    return Finding(level="ok", subject="python", message=around.python)


def _framework(around: Surroundings) -> Finding:
    if around.installed is None:
        level: Level = "warning"
        message = (
            f"{around.running} runs without being installed, so its own plugins are not found:"
            " run pip install ."
        )
    elif around.installed != around.running:
        level = "warning"
        message = (
            f"{around.running} is running, but {around.installed} is installed:"
            " install it again, or leave the directory of the other copy"
        )
    else:
        level, message = "ok", around.running
    return Finding(level=level, subject=DISTRIBUTION, message=message)


def _dependencies(around: Surroundings) -> Iterator[Finding]:
    for line in around.requirements:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        present = around.version_of(wanted.name)
        message = misfit(wanted, present)
        if message is None:
            yield Finding(level="ok", subject=wanted.name, message=f"{present}")
        else:
            yield Finding(level="error", subject=wanted.name, message=message)


def _extras(around: Surroundings) -> Iterator[Finding]:
    for line in around.requirements:
        found = _EXTRA.search(line)
        if found is None:
            continue
        extra, wanted = found[1], Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        subject = f"extra '{extra}'"
        install = f"run pip install '{DISTRIBUTION}[{extra}]'"
        present = around.version_of(wanted.name)
        if present is None:
            message = f"{wanted.name} is not installed; to have it, {install}"
            yield Finding(level="ok", subject=subject, message=message)
        elif not wanted.specifier.contains(present, prereleases=True):
            message = f"{wanted.name} {present} is installed, {wanted.specifier} is needed: "
            yield Finding(level="warning", subject=subject, message=message + install)
        else:
            yield Finding(level="ok", subject=subject, message=f"{wanted.name} {present}")


def _sqlite(around: Surroundings) -> Finding:
    present = ".".join(map(str, around.sqlite))
    if around.sqlite < MINIMUM_SQLITE:
        wanted = ".".join(map(str, MINIMUM_SQLITE))
        message = f"{present} is in use, the spool needs {wanted}: use a newer build of Python"
        return Finding(level="error", subject="sqlite", message=message)
    return Finding(level="ok", subject="sqlite", message=present)


def _locking(around: Surroundings) -> Finding:
    if around.has_fcntl:
        return Finding(level="ok", subject="file locks", message="fcntl")
    message = "this platform has no fcntl, which the spool locks with: use Linux, macOS or WSL"
    return Finding(level="error", subject="file locks", message=message)
