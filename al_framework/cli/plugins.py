"""`al plugins`: show the plugins, what they provide, and what is wrong with them."""

import difflib
import json
from collections.abc import Iterable

import click
from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from al_framework.cli._component_page import example_entry, headline, option_rows
from al_framework.cli._host import discover_host, strict_plugins
from al_framework.host import PluginHost, PluginRecord, Registration

_STATE_STYLES = {"loaded": "green", "failed": "bold red", "disabled": "dim"}


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def plugins(ctx: click.Context, *, as_json: bool) -> None:
    """Show the plugins, what they provide, and what is wrong with them.

    The exit status is 1 if a plugin failed; with --strict-plugins, if there is any problem.
    """
    if ctx.invoked_subcommand is not None:
        return
    host = discover_host(None, ctx, show_problems=True)
    if as_json:
        click.echo(json.dumps(_as_json(host), indent=2))
    else:
        _show(host)
    failed = any(record.state == "failed" for record in host.records)
    if failed or (strict_plugins(ctx) and host.problems):
        ctx.exit(1)


@plugins.command()
@click.argument("type_name", metavar="TYPE")
@click.pass_context
def show(ctx: click.Context, type_name: str) -> None:
    """Show what TYPE is, its options, and what to write for it."""
    host = discover_host(None, ctx, show_problems=True)
    everything = host.registry.registrations()
    found = [entry for entry in everything if entry.type_name == type_name]
    if not found:
        raise click.ClickException(_nobody_provides(type_name, everything, host))
    console = _console()
    for number, registration in enumerate(found):
        if number:
            console.print()
        _show_type(console, registration)


def _console() -> Console:
    """Return a console that breaks lines for people only, so that others can search them."""
    console = Console(highlight=False, markup=False)
    console.soft_wrap = not console.is_terminal
    return console


def _show(host: PluginHost) -> None:
    console = _console()
    if host.records:
        console.print(_table(host.records))
    else:
        console.print("no plugins are installed")
    if host.problems:
        console.print()
        console.print("problems", style="bold red")
        for problem in host.problems:
            console.print(_indented(console, problem))


def _indented(console: Console, text: str) -> RenderableType:
    return Text(f"  {text}") if console.soft_wrap else Padding(Text(text), (0, 0, 0, 2))


def _table(records: Iterable[PluginRecord]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("plugin", "distribution", "version", "state", "components"):
        table.add_column(title, overflow="fold")
    for record in records:
        table.add_row(
            record.name,
            record.distribution or "",
            record.version or "",
            Text(record.state, style=_STATE_STYLES[record.state]),
            "\n".join(_component_lines(record)),
        )
    return table


def _component_lines(record: PluginRecord) -> list[str]:
    lines = [
        f"{kind.replace('_', ' ')}: {', '.join(types)}"
        for kind, types in _components(record).items()
    ]
    lines += [f"hears {hook}" for hook in record.notifications]
    if record.switched_off_by is not None:
        lines.append(f"by {record.switched_off_by}")
    return lines


def _components(record: PluginRecord) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for entry in record.components:
        grouped.setdefault(entry.kind, []).append(entry.type_name)
    return grouped


def _as_json(host: PluginHost) -> dict[str, object]:
    return {
        "plugins": [
            {
                "name": record.name,
                "distribution": record.distribution,
                "version": record.version,
                "module": record.module,
                "requires": record.requires,
                "state": record.state,
                "switched_off_by": record.switched_off_by,
                "components": _components(record),
                "notifications": list(record.notifications),
                "problem": record.problem,
            }
            for record in host.records
        ],
        "problems": list(host.problems),
    }


def _nobody_provides(type_name: str, everything: Iterable[Registration], host: PluginHost) -> str:
    types = sorted({entry.type_name for entry in everything})
    near = difflib.get_close_matches(type_name, types, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    lines = [
        f"no plugin provides the type {type_name!r}{hint}",
        f"there are: {', '.join(types) or 'none'}",
        *host.problems,
    ]
    return "\n".join(lines)


def _show_type(console: Console, registration: Registration) -> None:
    kind = registration.kind.replace("_", " ")
    console.print(Text.assemble(f"{kind} ", (registration.type_name, "bold")))
    console.print(f"from {registration.provider}")
    summary = headline(registration)
    if summary:
        console.print()
        console.print(summary)
    rows = option_rows(registration)
    console.print()
    for row in rows:
        default = row.default if row.required else f"default {row.default}"
        console.print(Text.assemble((row.name, "bold"), f"  {row.type}; {default}"))
        console.print(_indented(console, row.description))
    if not rows:
        console.print("it takes no options")
    console.print()
    console.print(Text(example_entry(registration, rows)), soft_wrap=True)
