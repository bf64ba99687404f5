"""`al spool`: look after what waits on disk to be delivered."""

import json
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from al_framework.api import SinkHealth
from al_framework.assembly import Assembly, assemble
from al_framework.assembly.health import spool_sinks
from al_framework.cli._draining import (
    STALLED_S,
    is_held_up,
    patience_s,
    wait_for_deliveries,
    watch_for_stall,
    why_waiting,
)
from al_framework.cli._progress import RunProgress
from al_framework.cli._signals import EXIT_INTERRUPTED, stop_on_signal
from al_framework.cli._spool_report import (
    Drained,
    show_collected_garbage,
    show_drained,
    show_status,
    show_verified,
)
from al_framework.cli._spools import (
    Place,
    config_option,
    find_place,
    load,
    opened,
    place_of,
    place_options,
)
from al_framework.cli._wording import plain_console
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.delivery import Delivery
from al_framework.pipeline.spool import Spool
from al_framework.pipeline.spool.stranded import is_delivered

_INTERRUPTED_DEADLINE_S = 5.0
_as_json = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")


@click.group()
def spool() -> None:
    """Look after what waits on disk to be delivered.

    The spool is that of the configuration, or the directory given with --spool. Every command may
    be used while programs work with the spool.

    \b
    Exit status: 0 done, 1 something is damaged or could not be delivered,
    2 the configuration has faults, 130 interrupted.
    """  # noqa: D301 - click has to see the character that keeps a paragraph from being filled


@spool.command()
@place_options
@_as_json
@click.pass_context
def status(ctx: click.Context, *, file: Path | None, directory: Path | None, as_json: bool) -> None:
    """Say what waits, for whom, and why."""
    place = find_place(ctx, file, directory)
    now = SystemClock().time()
    with opened(place) as found:
        health = found.health()
        sinks = spool_sinks(found, now=now)
        served = _served(found, place, sinks)
    if as_json:
        said = {
            "directory": str(place.directory),
            "delivered": served is not None,
            **asdict(health),
            "sinks": {
                name: asdict(one)
                | {"configured": place.knows(name), "delivered": name in (served or ())}
                for name, one in sinks.items()
            },
        }
        click.echo(json.dumps(said, indent=2))
    else:
        show_status(plain_console(), place, health, sinks, served=served)


@spool.command()
@config_option
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0.0),
    metavar="SECONDS",
    help="How long to wait at most; by default as long as there is headway.",
)
@_as_json
@click.pass_context
def drain(ctx: click.Context, *, file: Path | None, timeout_s: float | None, as_json: bool) -> None:
    """Deliver what waits, without collecting anything new.

    It ends when nothing waits any more, when the time is up, when there has been no headway for
    half a minute, or at once where every sink that is left waits for a person. Where another
    process delivers already, it waits for that one. The exit status is 1 if anything is left, or
    was given up meanwhile.
    """
    configuration, host = load(ctx, file)
    place = place_of(configuration, file)
    stop = threading.Event()
    with stop_on_signal(stop):
        assembly = assemble(configuration, host, background=False)
        try:
            before = _everything(assembly)
            _delivery(assembly).start()
            with RunProgress(Console(stderr=True), assembly, quiet=as_json) as progress:
                _wait(assembly, stop, timeout_s, progress)
            after = _everything(assembly)
        finally:
            deadline_s = _INTERRUPTED_DEADLINE_S if stop.is_set() else 0.0
            assembly.finish(deadline_s=deadline_s, interrupted=stop.is_set())
    result = {
        name: Drained(
            delivered=before[name].pending - one.pending - (one.dead - before[name].dead),
            dead=one.dead - before[name].dead,
            pending=one.pending,
            reason=one.reason,
        )
        for name, one in after.items()
    }
    if as_json:
        sinks = {name: asdict(one) for name, one in result.items()}
        click.echo(json.dumps({"directory": str(place.directory), "sinks": sinks}, indent=2))
    else:
        show_drained(plain_console(), place, result)
    if stop.is_set():
        sys.exit(EXIT_INTERRUPTED)
    if any(one.pending or one.dead for one in result.values()):
        ctx.exit(1)


@spool.command()
@place_options
@_as_json
@click.pass_context
def verify(ctx: click.Context, *, file: Path | None, directory: Path | None, as_json: bool) -> None:
    """Compare every picture with its checksum.

    What is damaged is named, and the exit status is 1. Nothing is changed: a damaged datapoint
    becomes a dead letter when its delivery is tried, and the others are not affected.
    """
    place = find_place(ctx, file, directory)
    with opened(place) as found:
        report = found.verify()
    if as_json:
        said = {"directory": str(place.directory), "sound": report.is_sound, **asdict(report)}
        click.echo(json.dumps(said, indent=2))
    else:
        show_verified(plain_console(), place, report)
    if not report.is_sound:
        ctx.exit(1)


@spool.command()
@place_options
@_as_json
@click.pass_context
def gc(ctx: click.Context, *, file: Path | None, directory: Path | None, as_json: bool) -> None:
    """Remove files that nobody needs.

    Those are files without a datapoint, empty directories, and damaged indexes that were set aside
    two weeks ago.
    """
    place = find_place(ctx, file, directory)
    with opened(place) as found:
        report = found.gc()
    if as_json:
        click.echo(json.dumps({"directory": str(place.directory), **asdict(report)}, indent=2))
    else:
        show_collected_garbage(plain_console(), report)


def _served(spool: Spool, place: Place, sinks: Iterable[str]) -> frozenset[str] | None:
    """Return the sinks that a running process delivers to; None where no process delivers."""
    if not is_delivered(place.directory):
        return None
    # An index that tells nothing of its leader is that of a leader with the same configuration.
    return spool.sink_table.served() or frozenset(filter(place.knows, sinks))


def _delivery(assembly: Assembly) -> Delivery:
    delivery = assembly.delivery
    assert delivery is not None  # noqa: S101 - this is no dry run
    return delivery


def _everything(assembly: Assembly) -> Mapping[str, SinkHealth]:
    """Return how the sinks are, those that are not configured any more included."""
    spool = assembly.spool
    assert spool is not None  # noqa: S101 - this is no dry run
    return {**spool_sinks(spool, now=assembly.clock.time()), **_delivery(assembly).health()}


def _wait(
    assembly: Assembly, stop: threading.Event, timeout_s: float | None, progress: RunProgress
) -> None:
    """Wait until nothing is left that this or another process could deliver."""
    delivery, clock = _delivery(assembly), assembly.clock

    def left() -> dict[str, SinkHealth]:
        return {name: one for name, one in delivery.health().items() if one.pending}

    started = clock.monotonic()
    stalled = watch_for_stall(
        clock,
        lambda: {name: one.pending for name, one in left().items()},
        patience_s(assembly.configuration, STALLED_S),
    )

    def is_hopeless() -> bool:
        waiting = left()
        progress.wait(why_waiting(waiting, delivery.counts()))
        is_late = timeout_s is not None and clock.monotonic() - started >= timeout_s
        held_up = is_held_up(waiting, now=clock.time(), patience_s=STALLED_S)
        return bool(waiting) and (is_late or held_up or stalled())

    total = sum(one.pending for one in left().values())

    def measure() -> tuple[int, int]:
        return total - sum(one.pending for one in left().values()), total

    progress.delivering(measure)
    wait_for_deliveries(
        lambda: not left(), is_hopeless=is_hopeless, refresh=progress.refresh, stop=stop
    )
