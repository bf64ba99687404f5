"""Which spool a command is about, and how to look into it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from al_framework.cli._host import DEFAULT_FILE, discover_host
from al_framework.config.loading import load_configuration, plugin_switches, read_document
from al_framework.config.models import Configuration
from al_framework.host import PluginHost
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.limits.base import Ledger
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Spool

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A spool, and the configuration that it belongs to if that is known.

    Attributes:
        directory: Where the spool lies.
        option: What leads another command to the same spool.
        configuration: Whose it is; None where only the directory was given.
    """

    directory: Path
    option: str
    configuration: Configuration | None = None

    @property
    def sinks(self) -> tuple[str, ...]:
        """Names of the configured sinks; none where there is no configuration."""
        return () if self.configuration is None else tuple(e.name for e in self.configuration.sinks)

    def knows(self, sink: str) -> bool:
        """Tell whether a sink is configured; without a configuration, every one may be."""
        return self.configuration is None or sink in self.sinks


def place_options(command: CommandT) -> CommandT:
    """Let a command say which spool it is about."""
    directory = click.option(
        "--spool",
        "directory",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The spool itself, where there is no configuration any more.",
    )
    return config_option(directory(command))


def config_option(command: CommandT) -> CommandT:
    """Let a command say whose spool it is about."""
    option = click.option(
        "-c",
        "--config",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"The configuration whose spool it is.  [default: {DEFAULT_FILE}]",
    )
    return option(command)


def find_place(ctx: click.Context, file: Path | None, directory: Path | None) -> Place:
    """Return the spool that the options mean.

    Raises:
        click.UsageError: Both were given.
        click.ClickException: There is no spool.
        ConfigurationError: The configuration has faults.
    """
    if directory is not None:
        if file is not None:
            raise click.UsageError("give either --config or --spool, not both")
        _require_spool(directory)
        return Place(directory=directory, option=f"--spool {directory}")
    configuration, _ = load(ctx, file)
    return place_of(configuration, file)


def place_of(configuration: Configuration, file: Path | None) -> Place:
    """Return the spool of a configuration that is loaded already.

    Raises:
        click.ClickException: There is no spool.
    """
    _require_spool(configuration.spool_dir)
    return Place(
        directory=configuration.spool_dir,
        option=f"-c {file or DEFAULT_FILE}",
        configuration=configuration,
    )


def load(ctx: click.Context, file: Path | None) -> tuple[Configuration, PluginHost]:
    """Return a configuration, checked, and the plugins.

    Raises:
        ConfigurationError: The configuration has faults.
    """
    document = read_document(file or DEFAULT_FILE)
    host = discover_host(plugin_switches(document), ctx)
    return load_configuration(document, host), host


@contextmanager
def opened(place: Place) -> Iterator[Spool]:
    """Open a spool beside whatever process works with it.

    Raises:
        SpoolError: It cannot be used.
    """
    with Spool(
        place.directory, sinks=place.sinks, ledger=_ledger(place), clock=SystemClock()
    ) as spool:
        yield spool


def _ledger(place: Place) -> Ledger:
    """Return one that takes no credit, but knows of the limits what the spool knows."""
    scope = place.directory.name
    if place.configuration is not None and place.configuration.limits.ledger != "sqlite":
        return MemoryLedger({}, scope=scope)
    return SqliteLedger({}, scope=scope)


def _require_spool(directory: Path) -> None:
    # Opening would make one, and the typing error in a path would look like an empty spool.
    if not (directory / "spool.db").is_file() and not (directory / "obj").is_dir():
        raise click.ClickException(
            f"there is no spool in '{directory}': nothing was collected yet, or it lies elsewhere"
        )
