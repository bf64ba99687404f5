"""The composition root: configuration + plugins → a running engine.

The only module that knows both plugins and frames. It builds one object per configuration entry,
starts them in order, wires the stages, and takes everything down again in reverse.
"""

import random
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from al_framework.api import Clock
from al_framework.assembly.building import Builder
from al_framework.assembly.lifetime import Assembly
from al_framework.config.loading import load_configuration, plugin_switches, read_document
from al_framework.config.models import Configuration
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.clock import SteadyClock
from al_framework.pipeline.recent import RecentImages


def assemble_from(
    config: str | Path | Mapping[str, object],
    *,
    recent: RecentImages | None = None,
    background: bool = True,
) -> Assembly:
    """Read a configuration, find the plugins, and assemble them for library use.

    Args:
        config: A file, or the same as a mapping.
        recent: What collectors of this process have sent lately.
        background: As for `assemble`.

    Raises:
        ConfigurationError: The configuration has faults; all of them are listed.
        PluginError: A plugin that the configuration requires is missing.
        ComponentError: A component could not be started.
        SpoolError: The spool directory cannot be used.
    """
    document = read_document(config)
    switches = plugin_switches(document)
    host = PluginHost.discover(
        only=switches.only, disable=switches.disable, require=switches.require
    )
    configuration = load_configuration(document, host)
    return assemble(configuration, host, recent=recent, background=background)


def assemble(  # noqa: PLR0913 - the root is where everything that can be replaced comes in
    configuration: Configuration,
    host: PluginHost,
    *,
    with_sources: bool = False,
    dry_run: bool = False,
    clock: Clock | None = None,
    rng: random.Random | None = None,
    environ: Mapping[str, str] | None = None,
    recent: RecentImages | None = None,
    background: bool = True,
) -> Assembly:
    """Build and start everything a configuration names.

    Args:
        configuration: What the user wrote, checked.
        host: The plugins.
        with_sources: Start sources and predictor too, as `al run` needs them.
        dry_run: Write nothing: no spool, no sinks.
        clock: Time; by default one that no setting of the system's clock can turn back.
        rng: Chance for names, for the seed where none is fixed, and for back-off.
        environ: The environment; the process's by default.
        recent: What collectors of this process have sent lately; None to send all there is.
        background: Whether threads deliver and ask for documents; if not, that is left to whoever
            brings frames.

    Raises:
        ComponentError: A component could not be started; those before it are closed again.
        SpoolError: The spool directory cannot be used.
    """
    clock = clock if clock is not None else SteadyClock()
    rng = rng if rng is not None else random.SystemRandom()
    # One stack for good: a stateful strategy enters it late, with the first frame of its source.
    stack = ExitStack()
    try:
        builder = Builder(configuration, host, clock, stack)
        assembly = builder.assemble(
            rng, environ=environ, with_sources=with_sources, dry_run=dry_run, recent=recent
        )
    except BaseException:
        stack.close()
        raise
    host.notify("al_run_started", run=assembly.run)
    if not background:
        return assembly
    if assembly.delivery is not None:
        assembly.delivery.start()
    if assembly.refresher is not None:
        assembly.refresher.start()
    return assembly


__all__ = ["Assembly", "assemble", "assemble_from"]
