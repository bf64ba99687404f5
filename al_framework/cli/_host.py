"""Find the plugins for a command."""

import contextlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from al_framework.api import ConfigurationError
from al_framework.config.loading import plugin_switches, read_document
from al_framework.config.models import PluginsModel
from al_framework.host import PluginHost

DEFAULT_FILE = Path("al.yaml")

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


class PluginSwitches(Protocol):
    """What a configuration says about plugins: its ``plugins`` section."""

    @property
    def only(self) -> tuple[str, ...] | None:
        """Names of the plugins to load; None for all."""
        ...

    @property
    def disable(self) -> tuple[str, ...]:
        """Names of plugins not to load."""
        ...

    @property
    def require(self) -> tuple[str, ...]:
        """What must be installed besides."""
        ...


def strict_plugins(ctx: click.Context) -> bool:
    """Tell whether the user gave ``--strict-plugins``."""
    settings = ctx.find_root().obj
    return isinstance(settings, Mapping) and bool(settings.get("strict_plugins"))


def switches_option(command: CommandT) -> CommandT:
    """Let a command say whose plugins it is about."""
    option = click.option(
        "-c",
        "--config",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A configuration, whose plugins section holds here, too."
        f"  [default: {DEFAULT_FILE}, if there]",
    )
    return option(command)


def read_switches(file: Path | None) -> PluginsModel:
    """Return what a configuration says about plugins, or that all may come.

    Args:
        file: The configuration that the user names; without one, `DEFAULT_FILE` if it is there.

    Raises:
        ConfigurationError: The file that the user names cannot be read. If it is the default
            one, that is only told.
    """
    chosen = DEFAULT_FILE if file is None and DEFAULT_FILE.is_file() else file
    if chosen is None:
        return PluginsModel()
    try:
        return plugin_switches(read_document(chosen))
    except ConfigurationError as exc:
        if file is not None:
            raise
        click.echo(f"Warning: its plugins section is left out: {exc}", err=True)
        return PluginsModel()


def discover_host(
    switches: PluginSwitches | None, ctx: click.Context, *, show_problems: bool = False
) -> PluginHost:
    """Return the plugins that are installed, or those that a test has put into the context.

    Args:
        switches: The configuration's wishes; None where there is no configuration.
        ctx: Context of the command. Its root's object may hold ``strict_plugins`` and ``host``.
        show_problems: Whether the command prints the problems itself. Then they are neither logged
            nor raised, so that it can show them beside what works.

    Raises:
        PluginLoadError: As in `PluginHost.discover`.
    """
    settings = ctx.find_root().obj
    injected = settings.get("host") if isinstance(settings, Mapping) else None
    if isinstance(injected, PluginHost):
        return injected
    # What a plugin prints while it is imported is not what the command prints, which may be JSON.
    # Here and not in the host: it is for the whole process, and a program has other threads.
    with contextlib.redirect_stdout(sys.stderr):
        return PluginHost.discover(
            only=None if switches is None else switches.only,
            disable=() if switches is None else switches.disable,
            require=() if switches is None else switches.require,
            strict=strict_plugins(ctx) and not show_problems,
            log_problems=not show_problems,
        )
