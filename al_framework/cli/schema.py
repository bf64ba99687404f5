"""`al schema`: print the JSON Schema that editors complete and check configurations with."""

import json
from pathlib import Path

import click

from al_framework.cli._host import discover_host, read_switches, switches_option
from al_framework.config.schema import build_schema


@click.command()
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it to this file instead.",
)
@switches_option
@click.pass_context
def schema(ctx: click.Context, *, output: Path | None, file: Path | None) -> None:
    """Print the JSON Schema of configurations, for the plugins installed now.

    Write it beside the configuration with "al schema > al.schema.json". Editors find it by the
    first line of the configuration: "# yaml-language-server: $schema=./al.schema.json" in YAML,
    "#:schema ./al.schema.json" in TOML; al init writes it. After plugins have changed, al doctor
    says that the file is out of date.
    """
    # What the configuration requires has no part in the schema, and editors are for repairs.
    switches = read_switches(file).model_copy(update={"require": ()})
    text = json.dumps(build_schema(discover_host(switches, ctx)), indent=2) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise click.ClickException(f"{output}: cannot be written: {exc.strerror}") from exc
    click.echo(f"{output}: written")
