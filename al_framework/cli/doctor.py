"""`al doctor`: see whether al-framework and its plugins can work here."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from al_framework.api import ConfigurationError
from al_framework.cli import hidden_commands
from al_framework.cli._host import DEFAULT_FILE, discover_host, strict_plugins
from al_framework.cli._schema_findings import schema_findings
from al_framework.cli._spool_findings import spool_findings
from al_framework.config.loading import load_configuration, plugin_switches, read_document
from al_framework.host import PluginHost
from al_framework.host.discovery import missing_requirements
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

    Looked at are Python, the packages that al-framework and the plugins need, every plugin and
    what it was written for, names that clash, and the schema that an editor completes with.

    Of a configuration, its faults are shown, and what is the matter with its spool: limits that
    count as spent, damaged files, dead letters, datapoints that nobody waits for any more, and a
    disk that is nearly full. Nothing is changed.

    The exit status is 1 if there is an error; with --strict-plugins, if there is a warning.
    """
    if file is None and DEFAULT_FILE.is_file():
        file = DEFAULT_FILE
    if file is None:
        host = discover_host(None, ctx, show_problems=True)
        findings = [*_installation(host), *schema_findings(None, host)]
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
    try:
        document = read_document(file)
    except ConfigurationError as exc:
        return [*_installation(discover_host(None, ctx, show_problems=True)), _fault(exc)]
    switches = plugin_switches(document)
    # What it requires and does not get is one finding among the others.
    host = discover_host(switches.model_copy(update={"require": ()}), ctx, show_problems=True)
    findings = [*_installation(host), *_missing(switches.require)]
    try:
        configuration = load_configuration(document, host)
    except ConfigurationError as exc:
        return [*findings, _fault(exc), *schema_findings(file, host)]
    now = SystemClock().time()
    return [
        *findings,
        Finding(level="ok", subject="configuration", message=str(file)),
        *schema_findings(file, host),
        *spool_findings(configuration, option=f"-c {file}", now=now),
    ]


def _installation(host: PluginHost) -> Iterator[Finding]:
    yield from diagnose(host)
    for fault in hidden_commands():
        yield Finding(level="warning", subject="commands", message=fault)


def _missing(require: Iterable[str]) -> Iterator[Finding]:
    for fault in missing_requirements(require):
        subject, _, message = fault.partition(": ")
        yield Finding(level="error", subject=subject, message=message)


def _fault(error: ConfigurationError) -> Finding:
    return Finding(level="error", subject="configuration", message=str(error))


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
