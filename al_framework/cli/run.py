"""`al run`: drive the sources of a configuration and say what became of every frame."""

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from al_framework.api import AlFrameworkError, RunSummary
from al_framework.assembly import Assembly, assemble
from al_framework.cli._configuration import await_configuration, describe_configuration
from al_framework.cli._host import discover_host
from al_framework.cli._progress import RunProgress
from al_framework.cli._summary import print_summary
from al_framework.config.loading import load_configuration, plugin_switches, read_document

EXIT_FAILED = 1
EXIT_STRATEGY_DISABLED = 3
EXIT_INTERRUPTED = 130

# A sink that makes no headway for this long will not finish soon; what waits is safe on disk.
STALLED_S = 30.0
INTERRUPTED_DEADLINE_S = 5.0
_POLL_S = 0.1


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show the funnel and write nothing.")
@click.option("--again", is_flag=True, help="Offer frames that an earlier run dealt with, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.option(
    "--wait-for-configuration",
    "wait_s",
    type=click.FloatRange(min=0.0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a configuration that comes from a server.",
)
@click.pass_context
def run(  # noqa: PLR0913, PLR0917 - one parameter for each option, passed by click by name
    ctx: click.Context,
    file: Path,
    dry_run: bool,
    again: bool,
    as_json: bool,
    quiet: bool,
    wait_s: float,
) -> None:
    """Collect from the sources of FILE until they end.

    Ctrl-C stops after the frame at hand and delivers what it can in five seconds; the rest is safe
    on disk, and the next run goes on from there.

    Where the configuration comes from a server, its first answer is waited for; if there is none in
    time, what the server said in an earlier run holds.

    \b
    Exit status: 0 all done, 1 something failed or is still to be delivered,
    2 the configuration has faults, 3 a strategy was switched off,
    130 interrupted.
    """  # noqa: D301 - click has to see the character that keeps a paragraph from being filled
    document = read_document(file)
    host = discover_host(plugin_switches(document), ctx)
    configuration = load_configuration(document, host)
    if not configuration.sources:
        raise click.UsageError(
            f"{file} names no source: add 'sources:', or use it from a program with "
            "al_framework.Collector"
        )
    document_in_file = configuration.active_learning
    if document_in_file is not None and not document_in_file.enabled:
        raise click.UsageError(f"{file}: active_learning.enabled is false: there is nothing to do")
    console = Console(stderr=as_json)
    assembly = assemble(configuration, host, with_sources=True, dry_run=dry_run)
    try:
        summary, failures = _drive(
            assembly, again=again or dry_run, console=console, quiet=quiet, wait_s=wait_s
        )
    except KeyboardInterrupt:  # the second Ctrl-C: what was accepted is safe in the spool
        sys.exit(EXIT_INTERRUPTED)
    if as_json:
        said = {"failures": failures, "configuration": describe_configuration(assembly)}
        click.echo(json.dumps(asdict(summary) | said, indent=2))
    else:
        print_summary(console, assembly, summary, failures, dry_run=dry_run)
    sys.exit(_exit_status(summary, failures))


def _drive(
    assembly: Assembly, *, again: bool, console: Console, quiet: bool, wait_s: float
) -> tuple[RunSummary, list[str]]:
    failures: list[str] = []
    stop = threading.Event()
    progress = RunProgress(console, assembly, quiet=quiet)
    with progress, _stop_on_signal(stop):
        missing = await_configuration(assembly, wait_s, stop=stop, console=console, quiet=quiet)
        if missing is not None:
            failures.append(missing)
        else:
            failures += _collect(assembly, again=again, stop=stop, progress=progress)
        _drain(assembly, stop, progress)
        deadline_s = INTERRUPTED_DEADLINE_S if stop.is_set() else 0.0
        summary = assembly.finish(deadline_s=deadline_s, interrupted=stop.is_set())
    return summary, failures + _left(summary)


def _collect(
    assembly: Assembly, *, again: bool, stop: threading.Event, progress: RunProgress
) -> list[str]:
    """Take every frame of every source through the stages; return what could not be read."""
    runner = assembly.runner(again=again, wait_for_room=_room_waiter(assembly, stop))
    try:
        broken = runner.run(assembly.sources, stop=stop, progress=progress.advance)
    except AlFrameworkError as exc:
        return [str(exc)]
    return [f"source {name!r}: {reason}" for name, reason in broken.items()]


def _drain(assembly: Assembly, stop: threading.Event, progress: RunProgress) -> None:
    """Wait until everything is delivered, nothing moves any more, or a person has had enough."""
    delivery = assembly.delivery
    if delivery is None:
        return
    progress.delivering()
    stalled = _stalled(assembly)
    while not delivery.drain(_POLL_S):
        progress.refresh()
        # Draining returns at once where a sink is paused or asks to wait: do not spin on it.
        if stop.wait(_POLL_S) or stalled():
            return


def _left(summary: RunSummary) -> list[str]:
    """Say what is still to be delivered, and why."""
    return [
        f"sink {name!r}: {counts.pending} still to be delivered{_because(counts.trouble)}; they "
        "are safe in the spool, run again to go on"
        for name, counts in summary.counts.sinks.items()
        if counts.pending
    ]


def _because(trouble: str) -> str:
    return f" ({trouble})" if trouble else ""


def _stalled(assembly: Assembly) -> Callable[[], bool]:
    """Return a function that tells when no delivery has ended for `STALLED_S`."""
    clock = assembly.clock
    last = (-1, clock.monotonic())

    def stalled() -> bool:
        nonlocal last
        sinks = assembly.counts().sinks.values()
        ended = sum(counts.delivered + counts.dead for counts in sinks)
        if ended != last[0]:
            last = (ended, clock.monotonic())
        return clock.monotonic() - last[1] > STALLED_S

    return stalled


def _room_waiter(assembly: Assembly, stop: threading.Event) -> Callable[[], bool]:
    """Return a function that waits for deliveries to make room, and gives up when they stall."""
    stalled = _stalled(assembly)

    def wait_for_room() -> bool:
        return not stop.wait(_POLL_S) and not stalled()

    return wait_for_room


@contextmanager
def _stop_on_signal(stop: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM) stop the run gently and the second one at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _exit_status(summary: RunSummary, failures: list[str]) -> int:
    if summary.interrupted:
        return EXIT_INTERRUPTED
    if any(counts.disabled for counts in summary.counts.strategies.values()):
        return EXIT_STRATEGY_DISABLED
    dead = any(counts.dead for counts in summary.counts.sinks.values())
    return EXIT_FAILED if failures or dead else 0
