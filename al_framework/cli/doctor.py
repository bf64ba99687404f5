"""`al doctor`: see whether al-framework and its plugins can work here."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from al_framework.api import ConfigurationError
from al_framework.cli._host import discover_host, strict_plugins
from al_framework.cli._spool_findings import spool_findings
from al_framework.cli._spools import DEFAULT_FILE
from al_framework.config.loading import load_configuration, plugin_switches, read_document
from al_framework.host.doctor import Finding, diagnose
from al_framework.pipeline.clock import SystemClock

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


@click.command()
@click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"A configuration, whose spool is looked at too.  [default: {DEFAULT_FILE}, if there]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def doctor(ctx: click.Context, *, file: Path | None, as_json: bool) -> None:
    """See whether al-framework and its plugins can work here.

    Of a configuration, its faults are shown, and what is the matter with its spool: limits that
    count as spent, damaged files, dead letters, datapoints that nobody waits for any more, and a
    disk that is nearly full. Nothing is changed.

    The exit status is 1 if there is an error; with --strict-plugins, if there is a warning.
    """
    if file is None and DEFAULT_FILE.is_file():
        file = DEFAULT_FILE
    if file is None:
        findings = diagnose(discover_host(None, ctx, show_problems=True))
    else:
        findings = _diagnosed_with(file, ctx)
    if as_json:
        click.echo(json.dumps({"findings": [asdict(found) for found in findings]}, indent=2))
    else:
        _show(findings)
    bad = {"warning", "error"} if strict_plugins(ctx) else {"error"}
    if any(found.level in bad for found in findings):
        ctx.exit(1)


def _diagnosed_with(file: Path, ctx: click.Context) -> list[Finding]:
    switches, host = None, None
    try:
        document = read_document(file)
        switches = plugin_switches(document)
        host = discover_host(switches, ctx, show_problems=True)
        configuration = load_configuration(document, host)
    except ConfigurationError as exc:
        host = host or discover_host(switches, ctx, show_problems=True)
        fault = Finding(level="error", subject="configuration", message=str(exc))
        return [*diagnose(host), fault]
    now = SystemClock().time()
    return [
        *diagnose(host),
        Finding(level="ok", subject="configuration", message=str(file)),
        *spool_findings(configuration, option=f"-c {file}", now=now),
    ]


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
