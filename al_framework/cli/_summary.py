"""What a person reads when `al run` has ended: numbers that add up, and where to look."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from al_framework.api import Counts, RunSummary, Sink
from al_framework.api._faults import named_text_of, plugin_errors
from al_framework.assembly import Assembly
from al_framework.cli._configuration import describe_configuration
from al_framework.cli._wording import counted


def print_summary(  # noqa: PLR0913 - what a run has come to, keyword-only where it may be missing
    console: Console,
    assembly: Assembly,
    summary: RunSummary,
    failures: Sequence[str],
    *,
    notices: Sequence[str] = (),
    dry_run: bool,
) -> None:
    """Print the funnel, the strategies, the sinks, and everything that needs a person.

    Args:
        console: Where.
        assembly: The run.
        summary: How it ended.
        failures: What went wrong.
        notices: What earlier runs have left.
        dry_run: Whether nothing was written.
    """
    counts = summary.counts
    ended = "interrupted after" if summary.interrupted else "finished in"
    seconds = summary.finished_at - summary.run.started_at
    kind = "dry run, nothing written" if dry_run else f"run {summary.run.run_id}"
    console.print(Text(f"{summary.run.name} ({kind}) {ended} {seconds:.1f} s", style="bold"))
    configuration, plan = describe_configuration(assembly), assembly.engine.plan
    if configuration is not None:
        console.print(Text(configuration), soft_wrap=True)
    if plan is not None and plan.off:
        console.print(Text(f"collection is off: {plan.off}", style="yellow"), soft_wrap=True)
    console.print(_funnel(counts, dry_run=dry_run))
    if counts.skipped and not counts.offered:
        console.print("nothing new to look at; al run --again offers every frame once more")
    console.print()
    console.print(_strategies(counts))
    if counts.sinks:
        console.print()
        console.print(_sinks(counts))
        for name in counts.sinks:
            location = _location(assembly.sinks[name])
            if location is not None:  # never broken, so that it can be copied
                console.print(Text(f"{name}: {location}", style="dim"), soft_wrap=True)
    remarks = (*summary.problems, *_unasked(counts), *_evictions(counts), *notices)
    for heading, lines, style in (("failed", failures, "red"), ("look at", remarks, "yellow")):
        if lines:
            console.print()
            console.print(Text(heading, style=f"bold {style}"))
            for line in lines:  # never broken, so that paths can be copied and searched for
                console.print(Text(f"  - {line}"), soft_wrap=True)


def _location(sink: Sink) -> str | None:
    try:
        return sink.location
    except plugin_errors() as exc:  # a plugin boundary: where it is can be left out
        return f"its location cannot be told: {named_text_of(exc)}: repair its plugin"


def _funnel(counts: Counts, *, dry_run: bool) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(justify="left", style="bold")
    table.add_column(justify="right")
    table.add_column(justify="left", style="dim", overflow="fold")
    dropped = sum(counts.dropped.values())
    parts = [
        f"{counts.not_selected} not selected",
        f"{counts.limited} limited",
        f"{counts.accepted} accepted",
    ]
    parts += [f"{dropped} dropped"] if dropped else []
    parts += [f"{counts.queued} queued"] if counts.queued else []
    table.add_row("seen", str(counts.offered), f"= {' + '.join(parts)}")
    if counts.skipped:
        table.add_row("skipped", str(counts.skipped), "an earlier run has dealt with them")
    table.add_row("matched", str(counts.matched), "taken by at least one strategy")
    table.add_row("limited", str(counts.limited), "every taker's limit was spent")
    table.add_row("accepted", str(counts.accepted), "would be delivered" if dry_run else "")
    for reason, number in sorted(counts.dropped.items()):
        table.add_row("dropped", str(number), reason.replace("_", " "))
    return table


def _strategies(counts: Counts) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.add_column("strategy")
    for heading in ("asked", "wanted", "drawn", "paid", "not eligible", "failed"):
        table.add_column(heading, justify="right")
    for name, one in counts.strategies.items():
        label = f"{name} (switched off)" if one.disabled else name
        numbers = (one.evaluated, one.matched, one.selected, one.paid, one.not_eligible, one.failed)
        table.add_row(label, *map(str, numbers))
    return table


def _sinks(counts: Counts) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.add_column("sink")
    headings = ["delivered", "duplicates", "pending", "dead"]
    if any(one.evicted for one in counts.sinks.values()):
        headings.append("evicted")
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, one in counts.sinks.items():
        table.add_row(name, *(str(getattr(one, heading)) for heading in headings))
    return table


def _unasked(counts: Counts) -> Iterator[str]:
    for name, one in counts.strategies.items():
        if one.not_eligible and not one.evaluated:
            yield (
                f"strategy {name!r} was asked about none of {counted(one.not_eligible, 'frame')}:"
                " it does not read predictions of their type; al plugins show TYPE lists those"
                " that it reads"
            )


def _evictions(counts: Counts) -> Iterator[str]:
    for name, one in counts.sinks.items():
        if one.evicted:
            yield (
                f"sink {name!r}: {counted(one.evicted, 'accepted datapoint')} evicted before"
                " delivery, as spool.when_full, spool.max_age_s and the caps of dead letters say"
            )
