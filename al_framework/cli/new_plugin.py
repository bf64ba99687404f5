"""`al new-plugin`: write the project of a plugin that works as it is."""

import shlex
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import click

import al_framework.api
from al_framework.cli._host import discover_host
from al_framework.cli._scaffolding import KINDS, PluginProject
from al_framework.host import PluginHost


@click.command("new-plugin")
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(sorted(KINDS)), required=True, help="What the plugin provides."
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    help="Where to write the project, new or empty.  [default: ./NAME]",
)
@click.pass_context
def new_plugin(ctx: click.Context, name: str, kind: str, directory: Path | None) -> None:
    """Write the project of a plugin that works as it is, to be changed.

    The component's type is NAME, the distribution al-framework-NAME. The project holds the
    component, tests that inherit the contract of its kind, an example to run, and a README that
    says what to change and how to publish it.
    """
    try:
        project = PluginProject.named(name, kind=kind)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="NAME") from exc
    taken = _taken(project, discover_host(None, ctx, show_problems=True))
    if taken is not None:
        raise click.BadParameter(f"{taken}: choose another name", param_hint="NAME")
    target = Path(name) if directory is None else directory
    _write(target, project.files())
    article = "an" if kind[0] in "aeiou" else "a"
    click.echo(f"{target}: written: {article} {kind} of type {project.type_name!r}; next:")
    click.echo(f"  pip install {_shown(target)}")
    click.echo(f"  al plugins show {project.type_name}")
    click.echo(f"  al run {_shown(target / 'example' / 'al.yaml')}")


def _taken(project: PluginProject, host: PluginHost) -> str | None:
    """Say who has one of the project's names already; None if nobody does."""
    other = host.registry.get(KINDS[project.kind], project.type_name)
    if other is not None:
        return f"{project.kind} type {project.type_name!r} is already provided by {other.provider}"
    for record in host.records:
        if record.name == project.name:
            return f"a plugin {project.name!r} is installed already, from {record.distribution}"
    if project.class_name in al_framework.api.__all__:
        return f"the class {project.class_name} is one of al_framework.api"
    return None


def _write(target: Path, files: Iterable[tuple[PurePosixPath, bytes]]) -> None:
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise click.ClickException(
                f"{target}: exists already and is not an empty directory: choose another with "
                "--directory"
            )
        for path, content in files:
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    except OSError as exc:
        raise click.ClickException(
            f"{target}: cannot be written ({exc.strerror}): choose another with --directory"
        ) from exc


def _shown(path: Path) -> str:
    """Return the path as a shell takes it, and pip, which takes a bare name for an index's."""
    text = path.as_posix()
    return shlex.quote(text if path.is_absolute() or text.startswith(".") else f"./{text}")
