"""Look at the plugins: what became of each, and what it needs and does not get."""

import re
from collections.abc import Callable, Iterable, Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from al_framework.host.discovery import DISTRIBUTION, GROUP, is_about_us
from al_framework.host.findings import Finding, Level, misfit
from al_framework.host.plugins import PluginHost, PluginRecord
from al_framework.host.registry import plugin_label

# The second is the command line's, which looks there itself.
_READ_GROUPS = frozenset({GROUP, f"{GROUP}.commands"})


def plugin_findings(
    host: PluginHost, *, running: str, version_of: Callable[[str], str | None]
) -> Iterator[Finding]:
    """Yield what became of every plugin, and what is wrong with those of others.

    Args:
        host: The plugins.
        running: Version of al-framework that is running.
        version_of: Returns the version of an installed distribution, or None.
    """
    told: set[str] = set()
    for record in host.records:
        label = plugin_label(record.name, record.distribution, record.version)
        problems = record.problem.splitlines() if record.problem else []
        told.update(problems)
        for problem in problems:
            level: Level = "error" if record.state == "failed" else "warning"
            yield _finding(record, level, problem.removeprefix(f"{label}: "))
        if not problems:
            yield _sound_plugin(record)
        if record.state != "disabled" and _is_of_others(record):
            yield from _age(record, Version(running))
            yield from _unmet_requirements(record, version_of)
    for problem in host.problems:
        if problem not in told:
            subject, _, message = problem.partition(": ")
            yield Finding(level="warning", subject=subject, message=message)


def unread_groups(announced: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Yield the plugins that nobody finds, since their entry-point group is nearly ours.

    Args:
        announced: Groups of entry points, each with who announces something there.
    """
    for group, label in sorted(set(announced)):
        letters = re.sub(r"[^a-z]", "", group.lower())
        if letters.startswith(GROUP.replace("_", "")) and group not in _READ_GROUPS:
            message = (
                f"it is announced in the entry-point group {group!r}, where nobody looks:"
                f" its author should write {GROUP!r}"
            )
            yield Finding(level="warning", subject=label, message=message)


def _sound_plugin(record: PluginRecord) -> Finding:
    level: Level = "ok"
    count = len(record.components)
    if record.state == "disabled":
        message = f"switched off by {record.switched_off_by}"
    elif not record.components and not record.notifications:
        level = "warning"
        message = "it provides no component and hears no notification: ask its author"
    else:
        parts = ["1 component" if count == 1 else f"{count} components"] if count else []
        if record.notifications:
            parts.append(f"hears {', '.join(record.notifications)}")
        if record.requires is not None:
            parts.append(f"needs {record.requires}")
        message = "; ".join(parts)
    return _finding(record, level, message)


def _age(record: PluginRecord, running: Version) -> Iterator[Finding]:
    """Yield whether the plugin was written for another generation of the plugin API.

    A generation is a major version, within which the API only grows. A requirement that excludes
    the version that is running is not found here: such a plugin is not imported in the first place.
    """
    lowest = _lowest_wanted(record)
    if record.requires is None:
        message = (
            f"it does not say which versions of {DISTRIBUTION} it fits: its author should require"
            f" '{DISTRIBUTION}>={running.major}.{running.minor},<{running.major + 1}'"
        )
        yield _finding(record, "warning", message)
    elif lowest is not None and lowest.major < running.major:
        message = (
            f"it was written for {DISTRIBUTION} {lowest}, an older generation of the plugin API"
            f" than {running}: update it, or ask its author whether it fits"
        )
        yield _finding(record, "warning", message)


def _lowest_wanted(record: PluginRecord) -> Version | None:
    lines = filter(is_about_us, record.requirements)
    bounds = [
        Version(bound.version.removesuffix(".*"))
        for line in lines
        if (wanted := _parsed(line)) is not None
        for bound in wanted.specifier
        if bound.operator in {"==", "~=", ">", ">="}  # what `===` takes need not be a version
    ]
    return max(bounds, default=None)


def _unmet_requirements(
    record: PluginRecord, version_of: Callable[[str], str | None]
) -> Iterator[Finding]:
    for line in record.requirements:
        if is_about_us(line):
            continue  # the host has looked before it imported the plugin
        wanted = _parsed(line)
        if wanted is None:
            message = f"its requirement {line!r} cannot be read: correct its metadata"
            yield _finding(record, "warning", message)
        elif wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            fault = misfit(wanted, version_of(wanted.name))
            if fault is not None:
                yield _finding(record, "error", f"it needs {wanted.name}: {fault}")


def _parsed(line: str) -> Requirement | None:
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


def _is_of_others(record: PluginRecord) -> bool:
    if record.distribution is None:
        return False
    return canonicalize_name(record.distribution) != DISTRIBUTION


def _finding(record: PluginRecord, level: Level, message: str) -> Finding:
    if record.distribution is not None:
        message = f"{record.distribution} {record.version}: {message}"
    return Finding(level=level, subject=plugin_label(record.name, None, None), message=message)
