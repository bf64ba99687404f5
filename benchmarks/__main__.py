"""Run one question's measurements and print them."""

import dataclasses
import importlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from benchmarks.amounts import Amount, amount_table
from benchmarks.comparing import Comparison, comparison_table
from benchmarks.latencies import Latency, latency_table
from benchmarks.measuring import Row, machine, row_table


def _questions() -> list[str]:
    """Return the modules with a `run`, by their text: importing them all would take seconds."""
    directory = Path(__file__).parent
    return sorted(
        path.stem
        for path in directory.glob("[a-z]*.py")
        if "\ndef run(" in path.read_text(encoding="utf-8")
    )


QUESTIONS = _questions()


@click.command()
@click.argument("question", type=click.Choice(QUESTIONS))
@click.option("--quick", is_flag=True, help="Measure roughly, in seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def main(*, question: str, quick: bool, as_json: bool) -> None:
    """Measure one QUESTION and print what was found."""
    about = machine()
    rows: list[Row | Latency | Comparison | Amount]
    rows = importlib.import_module(f"benchmarks.{question}").run(quick=quick)
    if as_json:
        found = [dataclasses.asdict(row) for row in rows]
        click.echo(json.dumps({"question": question, "machine": about, "rows": found}, indent=2))
        return
    console = Console()
    console.print(", ".join(f"{key} {value}" for key, value in about.items()), style="dim")
    for group, members in itertools.groupby(rows, key=lambda row: row.group):
        console.print(table(group, list(members)))


def table(group: str, rows: Sequence[Row | Latency | Comparison | Amount]) -> Table:
    """Return one group's rows, which are of one kind, as a table."""
    comparisons = [row for row in rows if isinstance(row, Comparison)]
    if comparisons:
        return comparison_table(group, comparisons)
    amounts = [row for row in rows if isinstance(row, Amount)]
    if amounts:
        return amount_table(group, amounts)
    latencies = [row for row in rows if isinstance(row, Latency)]
    if latencies:
        return latency_table(group, latencies)
    return row_table(group, [row for row in rows if isinstance(row, Row)])


if __name__ == "__main__":
    main()
