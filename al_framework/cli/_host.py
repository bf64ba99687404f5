"""Find the plugins for a command."""

from collections.abc import Mapping
from typing import Protocol

import click

from al_framework.host import PluginHost


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
    return PluginHost.discover(
        only=None if switches is None else switches.only,
        disable=() if switches is None else switches.disable,
        require=() if switches is None else switches.require,
        strict=strict_plugins(ctx) and not show_problems,
        log_problems=not show_problems,
    )
