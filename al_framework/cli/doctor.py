"""`al doctor`: see whether al-framework and its plugins can work here."""

import json
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from al_framework.cli._host import discover_host, strict_plugins
from al_framework.host.doctor import Finding, diagnose

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool) -> None:
    """See whether al-framework and its plugins can work here.

    The exit status is 1 if there is an error; with --strict-plugins, if there is a warning.
    """
    findings = diagnose(discover_host(None, ctx, show_problems=True))
    if as_json:
        click.echo(json.dumps({"findings": [asdict(found) for found in findings]}, indent=2))
    else:
        _show(findings)
    bad = {"warning", "error"} if strict_plugins(ctx) else {"error"}
    if any(found.level in bad for found in findings):
        ctx.exit(1)


def _show(findings: list[Finding]) -> None:
    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(max_width=30)
    table.add_column(overflow="fold")
    for found in findings:
        table.add_row(
            Text(found.level, style=_STYLES[found.level]), Text(found.subject), Text(found.message)
        )
    console.print(table)
    errors = sum(found.level == "error" for found in findings)
    warnings = sum(found.level == "warning" for found in findings)
    console.print()
    if errors or warnings:
        console.print(f"{_count(errors, 'error')}, {_count(warnings, 'warning')}")
    else:
        console.print("everything is in order")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
