"""`al run`: drive the sources of a configuration and say what became of every frame."""

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console

from al_framework.api import (
    AlFrameworkError,
    Counts,
    Health,
    RunSummary,
    SinkHealth,
)
from al_framework.assembly import Assembly, assemble
from al_framework.assembly.health import health, without_names
from al_framework.cli._configuration import await_configuration, describe_configuration
from al_framework.cli._draining import (
    POLL_S,
    STALLED_S,
    is_held_up,
    patience_s,
    until,
    wait_for_deliveries,
    watch_for_stall,
    why_waiting,
)
from al_framework.cli._host import discover_host
from al_framework.cli._leftovers import leftovers
from al_framework.cli._progress import RunProgress
from al_framework.cli._signals import EXIT_INTERRUPTED, stop_on_signal
from al_framework.cli._summary import print_summary
from al_framework.cli._wording import counted
from al_framework.config.loading import load_configuration, plugin_switches, read_document

EXIT_FAILED = 1
EXIT_STRATEGY_DISABLED = 3
_UNREADABLE = ("invalid_image", "invalid_prediction")

INTERRUPTED_DEADLINE_S = 5.0


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default="al.yaml")
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
@click.option(
    "--metrics-port",
    type=click.IntRange(min=1, max=65535),
    metavar="PORT",
    help="Answer Prometheus on this port of 127.0.0.1 while it runs (extra 'metrics').",
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
    metrics_port: int | None,
) -> None:
    """Collect from the sources of FILE (al.yaml) until they end.

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
        with _answering_prometheus(assembly, metrics_port):
            ended = _drive(
                assembly,
                again=again or dry_run,
                console=console,
                quiet=quiet,
                wait_s=wait_s,
                option=f"-c {file}",
            )
    except KeyboardInterrupt:  # the second Ctrl-C: what was accepted is safe in the spool
        sys.exit(EXIT_INTERRUPTED)
    summary = ended.summary
    if as_json:
        said = {
            "failures": ended.failures,
            "notices": ended.notices,
            "configuration": describe_configuration(assembly),
        }
        click.echo(json.dumps(asdict(summary) | said, indent=2))
    else:
        print_summary(
            console, assembly, summary, ended.failures, notices=ended.notices, dry_run=dry_run
        )
    sys.exit(_exit_status(summary, ended.failures))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """How a run ended, for the person who has started it."""

    summary: RunSummary
    failures: list[str]
    notices: list[str]


class _Run:
    """What Prometheus asks."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly

    def stats(self) -> Counts:
        return self._assembly.counts()

    def health(self) -> Health:
        return health(self._assembly)


@contextmanager
def _answering_prometheus(assembly: Assembly, port: int | None) -> Iterator[None]:
    if port is None:
        yield
        return
    from al_framework.metrics import serve_metrics

    try:
        stop = serve_metrics(_Run(assembly), port)
    except AlFrameworkError:
        assembly.finish(deadline_s=0.0)
        raise
    try:
        yield
    finally:
        stop()


def _drive(  # noqa: PLR0913 - options of the command, keyword-only
    assembly: Assembly, *, again: bool, console: Console, quiet: bool, wait_s: float, option: str
) -> _Ended:
    failures: list[str] = []
    stop = threading.Event()
    progress = RunProgress(console, assembly, quiet=quiet)
    with progress, stop_on_signal(stop):
        missing = await_configuration(assembly, wait_s, stop=stop, console=console, quiet=quiet)
        if missing is not None:
            failures.append(missing)
        else:
            failures += _collect(assembly, again=again, stop=stop, progress=progress)
        _drain(assembly, stop, progress)
        sinks = _sinks(assembly)
        notices = leftovers(assembly, option=option)
        deadline_s = INTERRUPTED_DEADLINE_S if stop.is_set() else 0.0
        summary = assembly.finish(deadline_s=deadline_s, interrupted=stop.is_set())
    failures += [*_all_unread(summary), *_never_answered(summary), *_left(summary, sinks)]
    return _Ended(summary=summary, failures=failures, notices=notices)


def _collect(
    assembly: Assembly, *, again: bool, stop: threading.Event, progress: RunProgress
) -> list[str]:
    """Take every frame of every source through the stages; return what could not be read."""
    wait_for_room = _room_waiter(assembly, stop, progress)
    runner = assembly.runner(again=again, wait_for_room=wait_for_room)
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

    def is_hopeless() -> bool:
        counts = assembly.counts().sinks
        waiting = {name for name, one in counts.items() if one.pending}
        # Reading how the sinks are costs more than counting: not before one has failed.
        if waiting and any(counts[name].trouble for name in waiting):
            sinks = {name: one for name, one in delivery.health().items() if name in waiting}
            progress.wait(why_waiting(sinks, counts))
            if is_held_up(sinks, now=assembly.clock.time(), patience_s=STALLED_S):
                return True
        else:
            progress.wait("")
        return stalled()

    wait_for_deliveries(
        lambda: delivery.drain(POLL_S),
        is_hopeless=is_hopeless,
        refresh=progress.refresh,
        stop=stop,
    )


def _sinks(assembly: Assembly) -> Mapping[str, SinkHealth]:
    try:
        return {} if assembly.delivery is None else assembly.delivery.health()
    except AlFrameworkError:  # the run itself says what is wrong with its spool
        return {}


def _left(summary: RunSummary, sinks: Mapping[str, SinkHealth]) -> list[str]:
    """Say what is still to be delivered, why, and what to do."""
    lines = []
    for name, counts in summary.counts.sinks.items():
        if not counts.pending:
            continue
        sink = sinks.get(name, SinkHealth())
        is_paused = sink.state == "paused"
        trouble = without_names(counts.trouble)
        paused = f", paused{until(sink)}" if is_paused else ""
        because = f" ({trouble})" if trouble else ""
        are = "it is" if counts.pending == 1 else "they are"
        then = "repair that, then run again" if is_paused else "run again to go on"
        lines.append(
            f"sink {name!r}: {counts.pending} still to be delivered{paused}{because}; {are} safe"
            f" in the spool, {then}"
        )
    return lines


def _stalled(assembly: Assembly) -> Callable[[], bool]:
    """Return a function that tells when no delivery has ended for too long."""

    def ended() -> int:
        sinks = assembly.counts().sinks.values()
        return sum(counts.delivered + counts.dead for counts in sinks)

    patience = patience_s(assembly.configuration, STALLED_S)
    return watch_for_stall(assembly.clock, ended, patience)


def _room_waiter(
    assembly: Assembly, stop: threading.Event, progress: RunProgress
) -> Callable[[], bool]:
    """Return a function that waits for room in the spool or for the limits' server.

    It gives up when nothing has moved for too long: nothing was delivered, nothing taken.
    """

    def moved() -> object:
        counts = assembly.counts()
        ended = sum(one.delivered + one.dead for one in counts.sinks.values())
        return ended, counts.accepted, counts.limited

    patience = patience_s(assembly.configuration, STALLED_S)
    stalled = watch_for_stall(assembly.clock, moved, patience)

    def wait_for_room() -> bool:
        full = "the spool is full: waiting for deliveries to make room"
        progress.wait(assembly.engine.ledger.trouble or full)
        return not stop.wait(POLL_S) and not stalled()

    return wait_for_room


def _all_unread(summary: RunSummary) -> Iterator[str]:
    """Say so if not one frame could be looked at: one bad frame is nothing, all of them are."""
    counts = summary.counts
    unread = {r: n for r, n in counts.dropped.items() if r in ("failed", *_UNREADABLE)}
    if counts.offered and sum(unread.values()) == counts.offered:
        reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(unread.items()))
        frames = counted(counts.offered, "frame")
        yield f"none of {frames} could be looked at ({reasons}): see below"


def _never_answered(summary: RunSummary) -> Iterator[str]:
    """Say so of a strategy that failed whenever it was asked, too seldom to be switched off."""
    for name, one in summary.counts.strategies.items():
        if one.evaluated and one.failed == one.evaluated and not one.disabled:
            frames = counted(one.evaluated, "frame")
            yield f"strategy {name!r} failed on all of {frames} that it was asked about: see below"


def _exit_status(summary: RunSummary, failures: list[str]) -> int:
    if summary.interrupted:
        return EXIT_INTERRUPTED
    if any(counts.disabled for counts in summary.counts.strategies.values()):
        return EXIT_STRATEGY_DISABLED
    dead = any(counts.dead for counts in summary.counts.sinks.values())
    return EXIT_FAILED if failures or dead else 0
