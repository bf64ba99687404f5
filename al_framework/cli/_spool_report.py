"""What a person reads of a spool."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from al_framework.api import SinkHealth, SpoolHealth
from al_framework.assembly.health import without_names
from al_framework.cli._spools import Place
from al_framework.cli._wording import (
    counted,
    duration,
    kept_aside,
    moment,
    size,
    spent_limits,
    visible,
)
from al_framework.pipeline.delivery.leading import UNSERVED
from al_framework.pipeline.spool.records import GcReport, VerifyReport

_STATES: Mapping[str, tuple[str, str]] = {
    "delivering": ("delivering", "green"),
    "waiting": ("waiting", "yellow"),
    "open": ("down", "yellow"),
    "half_open": ("being tried", "yellow"),
    "paused": ("paused", "bold red"),
}
# Where no process delivers, nothing is under way.
_IDLE: Mapping[str, tuple[str, str]] = {
    **_STATES,
    "delivering": ("idle", ""),
    "half_open": ("to be tried", "yellow"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What `al spool drain` has done for one sink.

    Attributes:
        delivered: Datapoints that have reached it.
        dead: Datapoints that were given up.
        pending: Datapoints that still wait.
        reason: Why they do, as far as is known.
    """

    delivered: int
    dead: int
    pending: int
    reason: str


def show_status(
    console: Console,
    place: Place,
    health: SpoolHealth,
    sinks: Mapping[str, SinkHealth],
    *,
    served: Collection[str] | None,
) -> None:
    """Print what waits, for whom, and why.

    Args:
        console: Where to.
        place: Which spool.
        health: How it is.
        sinks: How its sinks are.
        served: Those that a running process delivers to; None where no process delivers.
    """
    console.print(Text(f"spool {place.directory}", style="bold"), soft_wrap=True)
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(overflow="fold")
    for label, text in _facts(place, health, delivered=served is not None):
        grid.add_row(f"  {label}", text)
    console.print(grid)
    if not sinks:
        return
    console.print()
    table = _sink_table("state", "waiting", "dead", "next try")
    for name, one in sinks.items():
        is_served = served is not None and name in served
        words, style = (_STATES if is_served else _IDLE)[one.state]
        if not is_served and not place.knows(name):
            words, style = "not configured", "bold yellow"
        until = "" if one.until is None else moment(one.until)
        table.add_row(name, Text(words, style=style), f"{one.pending:,}", f"{one.dead:,}", until)
    console.print(table)
    for name, one in sinks.items():
        if one.reason:
            reason = without_names(one.reason)
            console.print(Text(visible(f"{name}: {reason}"), style="yellow"))
    _show_undelivered(console, place, sinks, served)


def show_drained(console: Console, place: Place, sinks: Mapping[str, Drained]) -> None:
    """Print what was delivered and what was not."""
    table = _sink_table("delivered", "given up", "still waiting")
    for name, one in sinks.items():
        table.add_row(name, f"{one.delivered:,}", f"{one.dead:,}", f"{one.pending:,}")
    console.print(table)
    for name, one in sinks.items():
        if one.pending and not place.knows(name):
            console.print(Text(f"{name}: it is not configured any more", style="yellow"))
        elif one.pending and one.reason:
            reason = without_names(one.reason)
            console.print(Text(visible(f"{name}: {reason}"), style="yellow"))
    if any(one.dead for one in sinks.values()):
        console.print(Text(f"see what was given up: al dead list {place.option}", style="dim"))


def show_verified(console: Console, place: Place, report: VerifyReport) -> None:
    """Print what is damaged, each by name."""
    for fault in report.index_faults:
        console.print(Text(visible(f"index: {fault}"), style="red"))
    for damage in report.damaged:
        console.print(Text(visible(f"{damage.item_id}: {damage.reason}"), style="red"))
    read = f"{counted(report.items, 'datapoint')} read, {size(report.bytes)}"
    if report.is_sound:
        console.print(f"{read}: all as they were accepted")
    else:
        parts = [f"{counted(len(report.damaged), 'datapoint')} damaged"] if report.damaged else []
        if report.index_faults:
            parts.append(f"{counted(len(report.index_faults), 'fault')} in the index")
        console.print(Text(f"{read}: {', '.join(parts)}", style="bold red"))
    if report.index_faults:
        text = (
            "to have the index built anew from the group files, end what works with the spool and"
            f" rename {place.directory / 'spool.db'}, with its -wal and -shm"
        )
        console.print(Text(visible(text), style="yellow"), soft_wrap=True)
    if report.stray_files:
        files = counted(len(report.stray_files), "file")
        belong = "belongs" if len(report.stray_files) == 1 else "belong"
        console.print(f"{files} {belong} to no datapoint: al spool gc {place.option}")
    if report.kept_files:
        items, files = counted(report.kept_items, "datapoint"), counted(report.kept_files, "file")
        text = (
            f"{items} in {files} of {place.directory / 'damaged'}: the index does not know them;"
            " to deliver them, move the files to obj/kept of a new directory and drain that"
        )
        console.print(Text(visible(text), style="yellow"), soft_wrap=True)


def show_collected_garbage(console: Console, report: GcReport) -> None:
    """Print what was removed."""
    parts = [
        counted(number, noun, plural)
        for number, noun, plural in (
            (report.files, "file without a datapoint", "files without a datapoint"),
            (report.hours, "empty directory", "empty directories"),
            (report.set_aside, "old damaged file", "old damaged files"),
        )
        if number
    ]
    freed = f" ({size(report.bytes)})" if report.bytes else ""
    if parts or not report.kept:
        console.print(
            f"removed {', '.join(parts)}{freed}" if parts else "there was nothing to remove"
        )
    if report.kept:
        files = counted(report.kept, "file")
        console.print(f"moved {files} with unknown datapoints to 'damaged': see al spool verify")


def _show_undelivered(
    console: Console,
    place: Place,
    sinks: Mapping[str, SinkHealth],
    served: Collection[str] | None,
) -> None:
    """Print for whom datapoints wait that no running process delivers, and what to do."""
    waiting = [name for name, one in sinks.items() if one.pending and name not in (served or ())]
    known = [name for name in waiting if place.knows(name)]
    if len(known) < len(waiting):
        console.print(
            "what waits for a sink that is not configured stays until it is configured again"
        )
    if served is not None:
        for name in known:
            console.print(Text(visible(f"{name}: {UNSERVED}"), style="yellow"))
    elif known:
        option = place.option if place.configuration is not None else "-c FILE"
        console.print(
            f"nobody delivers what waits: start the program again, or al spool drain {option}"
        )


def _facts(place: Place, health: SpoolHealth, *, delivered: bool) -> list[tuple[str, str | Text]]:
    waiting = counted(health.items - health.dead_items, "datapoint")
    oldest = "" if health.oldest_s is None else f", the oldest for {duration(health.oldest_s)}"
    dead = counted(health.dead_items, "datapoint")
    more = f", {size(health.dead_bytes)}: al dead list {place.option}" if health.dead_items else ""
    on_disk = size(health.bytes)
    if place.configuration is not None:
        model = place.configuration.spool
        share = 100 * max(health.bytes / model.max_bytes, health.items / model.max_items)
        on_disk += f", {share:.0f} % of {size(model.max_bytes)} or {model.max_items:,} datapoints"
    facts: list[tuple[str, str | Text]] = [
        ("waiting", f"{waiting}{oldest}"),
        ("dead", f"{dead}{more}"),
        ("on disk", on_disk),
    ]
    if health.full_disk:
        facts.append(("full", Text("the disk has no room: make some", style="bold red")))
    facts.append(("delivered", "by a running process" if delivered else "by nobody at the moment"))
    if health.limits_spent_until is not None:
        facts.append(("limits", Text(spent_limits(health.limits_spent_until), style="yellow")))
    if health.set_aside:
        facts.append(("set aside", Text(kept_aside(health.set_aside), style="yellow")))
    if health.unclean_restarts:
        times = counted(health.unclean_restarts, "time")
        facts.append(("crashes", f"{times} a process ended without closing it"))
    return facts


def _sink_table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.add_column("sink", overflow="fold")
    for heading in headings:
        table.add_column(
            heading, justify="left" if heading in {"state", "next try"} else "right", no_wrap=True
        )
    return table
