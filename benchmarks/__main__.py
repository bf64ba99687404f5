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
from benchmarks.measuring import Row, row_table
from benchmarks.origin import Origin, origin
from benchmarks.results import Measured, Result, outcomes


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
    about = origin(quick=quick)  # before anything is measured
    rows: list[Result] = importlib.import_module(f"benchmarks.{question}").run(quick=quick)
    if as_json:
        measured = Measured(question=question, origin=about, rows=rows)
        click.echo(json.dumps(dataclasses.asdict(measured), indent=2))
        return
    console = Console(highlight=False)
    console.print(_said(about), style="dim")
    for group, members in itertools.groupby(rows, key=lambda row: row.group):
        of_group = list(members)
        console.print(table(group, of_group))
        for one in outcomes(of_group):
            console.print(one, style="dim", markup=False)


def _said(about: Origin) -> str:
    facts = {"load": about.load, **about.machine, **about.versions}
    rough = "rough figures of --quick, " if about.quick else ""
    dirty = " with changes that are in no commit" if about.uncommitted else ""
    told = ", ".join(f"{name} {value}" for name, value in facts.items())
    return f"{rough}commit {about.commit}{dirty}, {about.date} UTC, {told}"


def table(group: str, rows: Sequence[Result]) -> Table:
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
