"""`al dead`: look after the datapoints that were given up."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.text import Text

from al_framework.api import Datapoint, SpoolError
from al_framework.assembly import assemble
from al_framework.cli._dead_report import (
    PutBack,
    show_datapoint,
    show_letter,
    show_put_back,
    show_totals,
)
from al_framework.cli._letters import LetterDirectory, describe
from al_framework.cli._spools import (
    config_option,
    find_place,
    load,
    opened,
    place_of,
    place_options,
)
from al_framework.cli._wording import counted, plain_console, visible
from al_framework.host.hints import suggestion
from al_framework.pipeline.spool import Spool
from al_framework.pipeline.spool.dead import DeadLetter

_SHOWN = 20

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


@click.group()
def dead() -> None:
    """Look after the datapoints that were given up.

    A dead letter keeps its picture until it is tried again, dropped, or older than the
    configuration allows (spool.dead_max_age_s, spool.dead_max_bytes).

    \b
    Exit status: 0 done, 1 something could not be read, written or put back,
    2 the configuration has faults or the command is not clear.
    """  # noqa: D301 - click has to see the character that keeps a paragraph from being filled


def _as_json(command: CommandT) -> CommandT:
    return click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")(command)


def _chosen(command: CommandT) -> CommandT:
    """Let a command say which letters it is about."""
    items = click.argument("items", nargs=-1, metavar="[ITEM]...")
    sink = click.option("--sink", metavar="NAME", help="Only those of one sink.")
    everything = click.option("--all", "everything", is_flag=True, help="All there are.")
    return items(sink(everything(command)))


@dead.command("list")
@place_options
@click.option("--sink", metavar="NAME", help="Only those of one sink.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=_SHOWN,
    show_default=True,
    metavar="NUMBER",
    help="How many to show, the latest first; 0 for all. With --json all are shown.",
)
@_as_json
@click.pass_context
def list_letters(  # noqa: PLR0913 - one parameter for each option, passed by click by name
    ctx: click.Context,
    *,
    file: Path | None,
    directory: Path | None,
    sink: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List dead letters with the reason for each."""
    place = find_place(ctx, file, directory)
    with opened(place) as spool:
        letters = _letters(spool, sink)
    if as_json:
        click.echo(json.dumps([asdict(letter) for letter in letters], indent=2))
        return
    console = plain_console()
    latest = sorted(letters, key=lambda letter: letter.ended_at, reverse=True)[: limit or None]
    for letter in latest:
        show_letter(console, letter)
        console.print()
    show_totals(console, letters, place, shown=len(latest))


@dead.command()
@click.argument("item")
@place_options
@_as_json
@click.pass_context
def show(
    ctx: click.Context, *, item: str, file: Path | None, directory: Path | None, as_json: bool
) -> None:
    """Show all that is known of one dead letter.

    ITEM is its name, as `al dead list` shows it, or the beginning or end of it.
    """
    place = find_place(ctx, file, directory)
    with opened(place) as spool:
        letters = _select(spool.dead.list(), [item])
        datapoint, trouble = _read(spool, letters[0].item_id)
    if as_json:
        said = describe(letters, datapoint) | ({"trouble": trouble} if trouble else {})
        click.echo(json.dumps(said, indent=2))
    else:
        console = plain_console()
        for letter in letters:
            show_letter(console, letter)
        if datapoint is not None:
            show_datapoint(console, datapoint)
        if trouble:
            console.print(Text(f"  {visible(trouble)}", style="red"))
    if trouble:
        ctx.exit(1)


@dead.command()
@_chosen
@config_option
@_as_json
@click.pass_context
def retry(  # noqa: PLR0913 - one parameter for each option, passed by click by name
    ctx: click.Context,
    *,
    items: tuple[str, ...],
    sink: str | None,
    everything: bool,
    file: Path | None,
    as_json: bool,
) -> None:
    """Put dead letters back among what is to be delivered.

    Give names (or the beginning or end of each), --sink, or --all; names or --all together with
    --sink mean that sink alone. A datapoint whose credit was given back needs a new one: where the
    limit of its strategy is spent, it stays what it is, as do those of a sink that is not
    configured any more, and the exit status is 1.

    The process that delivers goes on with them; where there is none, `al spool drain` does.
    """
    _require_choice(items, sink, everything=everything)
    configuration, host = load(ctx, file)
    place = place_of(configuration, file)
    assembly = assemble(configuration, host, background=False)  # nothing is delivered here
    try:
        if assembly.engine.plan is None:
            raise click.ClickException(
                f"{place.option}: its limits come from a server and no document of it is kept, so"
                " nobody knows whether there is room for more; run it once, then try again"
            )
        spool = assembly.spool
        assert spool is not None  # noqa: S101 - this is no dry run
        letters = _select(_letters(spool, sink), items)
        report = _put_back(spool, letters)
    finally:
        assembly.finish(deadline_s=0.0)
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2))
    else:
        show_put_back(plain_console(), report)
    if report.limited or report.strangers:
        ctx.exit(1)


@dead.command()
@click.argument("target", type=click.Path(path_type=Path))
@_chosen
@place_options
@_as_json
@click.pass_context
def export(  # noqa: PLR0913 - one parameter for each option, passed by click by name
    ctx: click.Context,
    *,
    target: Path,
    items: tuple[str, ...],
    sink: str | None,
    everything: bool,
    file: Path | None,
    directory: Path | None,
    as_json: bool,
) -> None:
    """Write dead letters to a directory.

    TARGET gets a picture, ITEM.jpg, and what is known of it, ITEM.json, for each. All there are,
    unless names or --sink are given; they stay in the spool. The exit status is 1 if one of them
    cannot be read.
    """
    del everything
    place = find_place(ctx, file, directory)
    written: list[str] = []
    troubles: list[str] = []
    with opened(place) as spool:
        letters = _select(_letters(spool, sink), items)
        directory_of_letters = LetterDirectory(target)
        try:
            for item_id, group in _by_item(letters):
                datapoint, trouble = _read(spool, item_id)
                if datapoint is None:
                    troubles.append(trouble)
                    continue
                directory_of_letters.write(group, datapoint)
                written.append(item_id)
        finally:
            directory_of_letters.close()
    if as_json:
        said = {"directory": str(target), "written": written, "troubles": troubles}
        click.echo(json.dumps(said, indent=2))
    else:
        console = plain_console()
        console.print(Text(f"{counted(len(written), 'dead letter')} written to '{target}'"))
        for trouble in troubles:
            console.print(Text(f"  {visible(trouble)}", style="red"))
    if troubles:
        ctx.exit(1)


@dead.command()
@_chosen
@place_options
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@_as_json
@click.pass_context
def drop(  # noqa: PLR0913 - one parameter for each option, passed by click by name
    ctx: click.Context,
    *,
    items: tuple[str, ...],
    sink: str | None,
    everything: bool,
    file: Path | None,
    directory: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove dead letters with their pictures, for good.

    Give names (or the beginning or end of each), --sink, or --all; names or --all together with
    --sink mean that sink alone. It asks first, unless --yes is given.
    """
    _require_choice(items, sink, everything=everything)
    place = find_place(ctx, file, directory)
    with opened(place) as spool:
        letters = _select(_letters(spool, sink), items)
        if letters and not yes:
            what = counted(len(letters), "dead letter")
            click.confirm(f"remove {what} with all pictures, for good?", abort=True, err=True)
        named = [letter.item_id for letter in letters]
        dropped = spool.dead.drop(item_ids=named, sink=sink) if named else 0
    if as_json:
        click.echo(json.dumps({"dropped": dropped}))
    else:
        plain_console().print(f"{counted(dropped, 'dead letter')} removed")


def _require_choice(items: Sequence[str], sink: str | None, *, everything: bool) -> None:
    if everything and items:
        raise click.UsageError("give names or --all, not both")
    if not everything and not items and sink is None:
        raise click.UsageError("say which: name dead letters, or give --sink NAME or --all")


def _letters(spool: Spool, sink: str | None) -> Sequence[DeadLetter]:
    """Return the letters of one sink, or all.

    Raises:
        click.UsageError: There is no such sink.
    """
    if sink is not None:
        known = {*spool.sinks, *spool.sinks_on_disk(), *spool.sink_table.names()}
        if sink not in known:
            hint = suggestion(sink, sorted(known), known="known sinks")
            raise click.UsageError(f"there is no sink {sink!r} in '{spool.directory}': {hint}")
    return spool.dead.list(sink=sink)


def _select(letters: Sequence[DeadLetter], items: Sequence[str]) -> list[DeadLetter]:
    """Return the letters that are meant; all of them where none is named.

    Raises:
        click.ClickException: A name fits none, or several.
    """
    if not items:
        return list(letters)
    names = {letter.item_id for letter in letters}
    wanted = {_resolve(item, names) for item in items}
    return [letter for letter in letters if letter.item_id in wanted]


def _resolve(item: str, names: Iterable[str]) -> str:
    fitting = sorted(name for name in names if name.startswith(item) or name.endswith(item))
    if item in fitting:
        return item
    if not fitting:
        raise click.ClickException(
            f"there is no dead letter {item!r}: al dead list shows those that there are"
        )
    if len(fitting) > 1:
        raise click.ClickException(
            f"{item!r} may be any of {len(fitting)} dead letters, such as {fitting[0]!r}: give more"
            " of the name"
        )
    return fitting[0]


def _put_back(spool: Spool, letters: Sequence[DeadLetter]) -> PutBack:
    """Put back what a configured sink can be given; nobody would ever take care of the rest."""
    retried = limited = 0
    for name in spool.sinks:
        named = [letter.item_id for letter in letters if letter.sink == name]
        if named:
            report = spool.dead.retry(item_ids=named, sink=name)
            retried += report.retried
            limited += report.limited
    strangers = sorted({letter.sink for letter in letters} - set(spool.sinks))
    return PutBack(retried=retried, limited=limited, strangers=tuple(strangers))


def _by_item(letters: Iterable[DeadLetter]) -> Iterator[tuple[str, list[DeadLetter]]]:
    ordered = sorted(letters, key=lambda letter: (letter.item_id, letter.sink))
    for item_id, group in itertools.groupby(ordered, key=lambda letter: letter.item_id):
        yield item_id, list(group)


def _read(spool: Spool, item_id: str) -> tuple[Datapoint | None, str]:
    """Return a datapoint, or why it cannot be read."""
    try:
        return spool.dead.load(item_id), ""
    except SpoolError as exc:
        return None, str(exc)
