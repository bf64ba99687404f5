"""`al schema`: print the JSON Schema that editors complete and check configurations with."""

import json
from pathlib import Path

import click

from al_framework.cli._host import discover_host
from al_framework.config.schema import build_schema


@click.command()
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it to this file instead.",
)
@click.pass_context
def schema(ctx: click.Context, output: Path | None) -> None:
    """Print the JSON Schema of configurations, for the plugins installed now.

    Editors with the YAML language server read it when a file begins with the line
    "# yaml-language-server: $schema=al.schema.json".
    """
    text = json.dumps(build_schema(discover_host(None, ctx)), indent=2) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise click.ClickException(f"{output}: cannot be written: {exc.strerror}") from exc
    click.echo(f"{output}: written")
