"""The command line: run a directory of vectors and say what it shows."""

import json
import sys
from pathlib import Path

import click

from al_framework_roboflow.conformance.reading import VectorFileError


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON document.")
@click.option(
    "--failures",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="How many failures of each file to show.",
)
def conformance(directory: Path, *, as_json: bool, failures: int) -> None:
    """Compare our answers with those that Roboflow Inference gave, recorded in DIRECTORY.

    Says for each file how many are equal, how many deviate by which rule, and how many fail. Ends
    with 1 if any fails, and with 2 if the directory cannot be used.
    """
    from rich.console import Console

    from al_framework_roboflow.conformance.reporting import as_document, show
    from al_framework_roboflow.conformance.running import run_directory

    console = Console(highlight=False)
    errors = Console(stderr=True, highlight=False)
    try:
        with errors.status("") as status:
            outcome = run_directory(directory, on_file=status.update)
    except VectorFileError as exc:
        click.echo(f"Error: {exc}", err=True)
        sys.exit(2)
    if as_json:
        click.echo(json.dumps(as_document(outcome), indent=2))
    else:
        show(outcome, console, failures=failures)
    sys.exit(1 if outcome.failed else 0)
