"""The command `al`, one module per command.

Commands are imported when they are used: `al --help` pays for click and nothing else. Plugins add
commands through the entry-point group ``al_framework.commands``, and a broken one costs its own
command only.
"""

import importlib
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

import click

COMMAND_GROUP = "al_framework.commands"
_DISTRIBUTION = "al-framework"

_OWN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "check": ("al_framework.cli.check:check", "Check a configuration without running it."),
        "dead": ("al_framework.cli.dead:dead", "Look after the datapoints that were given up."),
        "doctor": ("al_framework.cli.doctor:doctor", "Say what is wrong with the installation."),
        "explain": ("al_framework.cli.explain:explain", "Say why a frame was or was not taken."),
        "init": ("al_framework.cli.init:init", "Write a first configuration."),
        "new-plugin": ("al_framework.cli.new_plugin:new_plugin", "Write the project of a plugin."),
        "plugins": ("al_framework.cli.plugins:plugins", "Show the plugins and what they provide."),
        "run": ("al_framework.cli.run:run", "Collect from the sources of a configuration."),
        "schema": ("al_framework.cli.schema:schema", "Print the JSON Schema of configurations."),
        "spool": ("al_framework.cli.spool:spool", "Look after what waits to be delivered."),
    }
)


# Help of the commands that our own plugins announce; reading it from them would import them.
_SUMMARIES: Mapping[str, str] = MappingProxyType(
    {
        "export": "Write what a directory sink holds as a COCO or YOLO dataset.",
        "workflow": "Run Roboflow workflow documents around their collectors.",
    }
)


class LazyGroup(click.Group):
    """Knows its commands by name and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every command's name, the plugins' included."""
        del ctx
        return sorted({*_OWN, *_announced()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None if there is none of that name."""
        del ctx
        if cmd_name in _OWN:
            module, _, attribute = _OWN[cmd_name][0].partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        announced = _announced().get(cmd_name)
        return None if announced is None else _load(announced)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any of them."""
        rows = [(name, summary) for name, (_, summary) in _OWN.items()]
        for name, entry_point in _announced().items():
            own = _SUMMARIES.get(name) if _distribution(entry_point) == _DISTRIBUTION else None
            rows.append((name, own or f"Provided by {_distribution(entry_point)}."))
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"{exc.message.rstrip('.')}.{hint}", ctx) from None


def hidden_commands() -> list[str]:
    """Return a sentence for every announced command that cannot be reached by its name."""
    faults = []
    first: dict[str, EntryPoint] = {}
    for entry_point in _sorted_commands():
        name, provider = entry_point.name, _distribution(entry_point)
        winner = first.setdefault(name, entry_point)
        if name not in _OWN and winner is entry_point:
            continue
        other = "al's own" if name in _OWN else f"that of {_distribution(winner)}"
        faults.append(
            f"command {name!r} of {provider} ({entry_point.value}) is hidden by {other}:"
            f" uninstall {provider}, or ask its author for another name"
        )
    return faults


def _announced() -> dict[str, EntryPoint]:
    """Return the plugins' commands; of two with one name the first, ours before others'."""
    found: dict[str, EntryPoint] = {}
    for entry_point in _sorted_commands():
        if entry_point.name not in _OWN:
            found.setdefault(entry_point.name, entry_point)
    return found


def _sorted_commands() -> list[EntryPoint]:
    def order(entry_point: EntryPoint) -> tuple[bool, str, str]:
        provider = _distribution(entry_point)
        return provider != _DISTRIBUTION, provider, entry_point.value

    return sorted(entry_points(group=COMMAND_GROUP), key=order)


def _distribution(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist is not None else "?"


def _load(entry_point: EntryPoint) -> click.Command:
    try:
        command = entry_point.load()
    except (Exception, SystemExit) as exc:  # a plugin boundary: only its own command is lost
        from al_framework.api._faults import named_text_of

        raise click.ClickException(
            f"command {entry_point.name!r} of {_distribution(entry_point)} "
            f"({entry_point.value}) could not be loaded: {named_text_of(exc)}"
        ) from exc
    if not isinstance(command, click.Command):
        raise click.ClickException(
            f"command {entry_point.name!r} of {_distribution(entry_point)} "
            f"({entry_point.value}) is a {type(command).__name__}, not a click command"
        )
    return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="al-framework", prog_name="al")
@click.option("--strict-plugins", is_flag=True, help="Make any plugin's fault an error.")
@click.option("-v", "--verbose", count=True, help="Log more: warnings, then everything.")
@click.pass_context
def cli(ctx: click.Context, strict_plugins: bool, verbose: int) -> None:
    """Decide which images deserve a label, next to any vision model."""
    import logging

    levels = (logging.ERROR, logging.WARNING, logging.DEBUG)
    level = levels[min(verbose, len(levels) - 1)]
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    ctx.obj = {"strict_plugins": strict_plugins}


def main() -> None:
    """Run the command, turning our own errors into one message and an exit status."""
    try:
        cli(prog_name="al")
    except Exception as exc:
        status = _status_of(exc)
        if status is None:
            raise
        from al_framework.api._faults import text_of

        click.echo(f"Error: {text_of(exc)}", err=True)  # of a plugin's class, perhaps
        sys.exit(status)


def _status_of(error: Exception) -> int | None:
    """Return the exit status that one of our own errors means; None for anything else."""
    # What was never imported was never raised, and `al --help` need not pay for numpy.
    errors = sys.modules.get("al_framework.api.errors")
    if errors is None or not isinstance(error, errors.AlFrameworkError):
        return None
    return 2 if isinstance(error, errors.ConfigurationError) else 1
