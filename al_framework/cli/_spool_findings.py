"""What `al doctor` sees in the spool of a configuration."""

import shutil
from collections.abc import Iterator, Mapping

from al_framework.api import SpoolError
from al_framework.cli._wording import counted, kept_aside, size, spent_limits, visible
from al_framework.config.models import Configuration
from al_framework.host.doctor import Finding
from al_framework.pipeline.spool import Backlog
from al_framework.pipeline.spool.inspecting import Inspection, inspect_spool


def spool_findings(configuration: Configuration, *, option: str, now: float) -> Iterator[Finding]:
    """Look at a spool, without changing anything in it, and at its disk.

    Args:
        configuration: Whose spool.
        option: What leads another command to it.
        now: UTC epoch seconds.
    """
    try:
        yield from _findings(configuration, option, now)
    except (SpoolError, OSError) as exc:
        yield Finding(level="error", subject="spool", message=visible(str(exc)))


def _findings(configuration: Configuration, option: str, now: float) -> Iterator[Finding]:
    directory = configuration.spool_dir
    if not any((directory / name).exists() for name in ("spool.db", "obj")):
        message = f"nothing was collected yet into '{directory}'"
        yield Finding(level="ok", subject="spool", message=message)
        return
    yield _disk(configuration)
    seen = inspect_spool(directory, now=now)
    yield _waiting(configuration, seen)
    yield from _trouble(configuration, seen)
    yield from _sinks(configuration, seen.backlogs, option)


def _waiting(configuration: Configuration, seen: Inspection) -> Finding:
    health = seen.health
    waiting = counted(health.items - health.dead_items, "datapoint")
    wait = "waits" if health.items - health.dead_items == 1 else "wait"
    message = f"{waiting} {wait} in '{configuration.spool_dir}'"
    if health.unclean_restarts:
        times = counted(health.unclean_restarts, "time")
        message += f"; {times} a process ended without closing it, which loses nothing accepted"
    return Finding(level="ok", subject="spool", message=message)


def _trouble(configuration: Configuration, seen: Inspection) -> Iterator[Finding]:
    health = seen.health
    # Elsewhere the credits outlive the index.
    if health.limits_spent_until is not None and configuration.limits.ledger == "sqlite":
        message = spent_limits(health.limits_spent_until)
        yield Finding(level="warning", subject="limits", message=message)
    if health.set_aside:
        message = f"{kept_aside(health.set_aside)}: see '{configuration.spool_dir}'"
        yield Finding(level="warning", subject="spool", message=message)


def _sinks(
    configuration: Configuration, backlogs: Mapping[str, Backlog], option: str
) -> Iterator[Finding]:
    configured = {entry.name for entry in configuration.sinks}
    for name, held in sorted(backlogs.items()):
        subject = f"sink '{visible(name)}'"
        if held.dead:
            lie = "lies" if held.dead == 1 else "lie"
            message = f"{counted(held.dead, 'dead letter')} {lie} here: al dead list {option}"
            yield Finding(level="warning", subject=subject, message=message)
        if held.pending and name not in configured:
            wait = "waits" if held.pending == 1 else "wait"
            message = (
                f"{counted(held.pending, 'datapoint')} {wait} for it, and it is not configured any"
                " more: configure it again to have them delivered"
            )
            yield Finding(level="warning", subject=subject, message=message)


def _disk(configuration: Configuration) -> Finding:
    disk = shutil.disk_usage(configuration.spool_dir)
    wanted, free = min(configuration.spool.min_free_bytes, disk.total // 20), disk.free
    if free >= wanted:
        return Finding(level="ok", subject="disk", message=f"{size(free)} are free")
    message = (
        f"{size(free)} are free where the spool lies, and {size(wanted)} are to be left: frames are"
        " refused until there is room; make some, or lower spool.min_free_bytes"
    )
    return Finding(level="warning", subject="disk", message=message)
