"""The command line, as ``--help`` says it."""

from collections.abc import Iterator

import click

from al_framework.cli import cli

COLUMNS = 80


def walk() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield every command as it is typed, the outermost first."""
    yield from _walk(cli, _context(cli, "al"))


def _walk(
    command: click.Command, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    yield context.command_path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _walk(inner, _context(inner, name, context))


def _context(
    command: click.Command, name: str, parent: click.Context | None = None
) -> click.Context:
    return click.Context(
        command,
        parent=parent,
        info_name=name,
        terminal_width=COLUMNS,
        help_option_names=["-h", "--help"],
    )


def reference() -> str:
    """Return a section for each command."""
    return "\n\n".join(
        f"{'##' if path.count(' ') < 2 else '###'} `{path}`\n\n"
        f"```text\n{command.get_help(context)}\n```"
        for path, command, context in walk()
    )
