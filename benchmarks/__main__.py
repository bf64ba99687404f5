"""Run one question's measurements and print them."""

import dataclasses
import importlib
import itertools
import json
import pkgutil

import click
from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks.latencies import Latency, latency_table
from benchmarks.measuring import Row, machine

_NO_QUESTIONS = {"__main__", "latencies", "measuring"}
QUESTIONS = sorted(
    module.name
    for module in pkgutil.iter_modules(benchmarks.__path__)
    if module.name not in _NO_QUESTIONS
)


@click.command()
@click.argument("question", type=click.Choice(QUESTIONS))
@click.option("--quick", is_flag=True, help="Measure roughly, in seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def main(*, question: str, quick: bool, as_json: bool) -> None:
    """Measure one QUESTION and print what was found."""
    rows: list[Row | Latency] = importlib.import_module(f"benchmarks.{question}").run(quick=quick)
    about = machine()
    if as_json:
        found = [dataclasses.asdict(row) for row in rows]
        click.echo(json.dumps({"question": question, "machine": about, "rows": found}, indent=2))
        return
    console = Console()
    console.print(", ".join(f"{key} {value}" for key, value in about.items()), style="dim")
    for group, members in itertools.groupby(rows, key=lambda row: row.group):
        found_here = list(members)
        latencies = [row for row in found_here if isinstance(row, Latency)]
        costs = [row for row in found_here if isinstance(row, Row)]
        console.print(latency_table(group, latencies) if latencies else table(group, costs))


def table(group: str, rows: list[Row]) -> Table:
    """Return one comparison as a table that fits 80 columns."""
    result = Table(title=group, title_justify="left", box=None, pad_edge=False)
    result.add_column("case", no_wrap=True)
    for heading in ("CPU µs a call", "best - worst", "decodes", "cheaper"):
        result.add_column(heading, justify="right")
    for row in rows:
        result.add_row(
            row.case,
            f"{row.median_us:,.1f}",
            f"{row.best_us:,.1f} - {row.worst_us:,.1f}",
            f"{row.decodes:g}",
            f"{row.ratio:,.0f} x",
        )
    return result


if __name__ == "__main__":
    main()
