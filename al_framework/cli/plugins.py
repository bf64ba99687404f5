"""`al plugins`: show the plugins, what they provide, and what is wrong with them."""

import json
from collections.abc import Collection, Iterable
from pathlib import Path

import click
from rich import box
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from al_framework.cli._component_page import character, example_entry, headline, option_rows
from al_framework.cli._host import discover_host, read_switches, strict_plugins, switches_option
from al_framework.cli._origins import class_file, class_line, class_name, plugin_file
from al_framework.host import PluginHost, PluginRecord, Registration
from al_framework.host.discovery import missing_requirements
from al_framework.host.hints import nearest

_UNBOUNDED = 10_000  # characters
_STATE_STYLES = {"loaded": "green", "failed": "bold red", "disabled": "dim"}


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@switches_option
@click.pass_context
def plugins(ctx: click.Context, *, as_json: bool, file: Path | None) -> None:
    """Show the plugins, what they provide, and what is wrong with them.

    AL_DISABLE_PLUGINS=a,b switches plugins off; so does a configuration with "plugins: {only: […],
    disable: […]}".

    The exit status is 1 if a plugin failed or one is missing that the configuration requires; with
    --strict-plugins, if there is any problem.
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = {**(ctx.obj or {}), "file": file}
        return
    host, missing = _discover(ctx, file)
    problems = [*host.problems, *missing]
    if as_json:
        click.echo(json.dumps(_as_json(host, problems), indent=2))
    else:
        _show(host, problems)
    failed = missing or any(record.state == "failed" for record in host.records)
    if failed or (strict_plugins(ctx) and problems):
        ctx.exit(1)


@plugins.command()
@click.argument("type_name", metavar="TYPE")
@click.pass_context
def show(ctx: click.Context, type_name: str) -> None:
    """Show what TYPE is, its options, and what to write for it."""
    host, _ = _discover(ctx, ctx.obj["file"])
    everything = host.registry.registrations()
    found = [entry for entry in everything if entry.type_name == type_name]
    if not found:
        raise click.ClickException(_nobody_provides(type_name, everything, host))
    console = _console()
    for number, registration in enumerate(found):
        if number:
            console.print()
        _show_type(console, registration)


def _discover(ctx: click.Context, file: Path | None) -> tuple[PluginHost, list[str]]:
    """Return the plugins as a configuration has them, and what it requires and does not get."""
    switches = read_switches(file)
    # Shown beside what is there, not raised in its place.
    host = discover_host(switches.model_copy(update={"require": ()}), ctx, show_problems=True)
    return host, missing_requirements(switches.require)


def _console() -> Console:
    """Return a console that breaks lines for people only, so that others can search them."""
    console = Console(highlight=False, markup=False)
    console.soft_wrap = not console.is_terminal
    return console


def _show(host: PluginHost, problems: Collection[str]) -> None:
    console = _console()
    if host.records:
        table = _table(host.records)
        if not console.is_terminal:  # whoever searches finds every name whole
            unbounded = console.options.update(width=_UNBOUNDED)
            narrowest = Measurement.get(console, unbounded, table).minimum
            console.width = max(console.width, narrowest)
        console.print(table)
    else:
        console.print("no plugins are installed")
    if problems:
        console.print()
        console.print("problems", style="bold red")
        for problem in problems:
            console.print(_indented(console, problem))


def _indented(console: Console, text: str) -> RenderableType:
    return Text(f"  {text}") if console.soft_wrap else Padding(Text(text), (0, 0, 0, 2))


def _table(records: Iterable[PluginRecord]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    # Name and version stand in one column, so that 80 characters have room for whole names.
    for title in ("plugin", "distribution", "state", "components"):
        table.add_column(title, overflow="fold")
    for record in records:
        table.add_row(
            record.name,
            " ".join(filter(None, (record.distribution, record.version))),
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
    return [*lines, f"in {record.module}"]


def _components(record: PluginRecord) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for entry in record.components:
        grouped.setdefault(entry.kind, []).append(entry.type_name)
    return grouped


def _as_json(host: PluginHost, problems: Collection[str]) -> dict[str, object]:
    return {
        "plugins": [
            {
                "name": record.name,
                "distribution": record.distribution,
                "version": record.version,
                "module": record.module,
                "file": plugin_file(record),
                "requires": record.requires,
                "state": record.state,
                "switched_off_by": record.switched_off_by,
                "components": _components(record),
                "classes": [
                    {
                        "kind": entry.kind,
                        "type": entry.type_name,
                        "class": class_name(entry),
                        "file": class_file(entry),
                    }
                    for entry in record.components
                ],
                "notifications": list(record.notifications),
                "problem": record.problem,
            }
            for record in host.records
        ],
        "problems": list(problems),
    }


def _nobody_provides(type_name: str, everything: Iterable[Registration], host: PluginHost) -> str:
    types = sorted({entry.type_name for entry in everything})
    near = nearest(type_name, types)
    hint = f" (did you mean {near!r}?)" if near else ""
    own = [e.type_name for r in host.records if r.name == type_name for e in r.components]
    if own:
        hint = f": it is the name of a plugin, which provides {', '.join(own)}"
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
    console.print(f"defined in {_origin(registration)}")
    about = [line for line in (headline(registration), character(registration)) if line]
    if about:
        console.print()
        console.print("\n".join(about))
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


def _origin(registration: Registration) -> str:
    file, line = class_file(registration), class_line(registration)
    if file is None:
        return class_name(registration)
    place = file if line is None else f"{file}:{line}"
    return f"{class_name(registration)} ({place})"
