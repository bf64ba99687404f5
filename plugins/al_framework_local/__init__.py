"""Work with plain directories: pictures in, a crash-safe collection out, datasets from it."""

from collections.abc import Sequence
from typing import Any

from al_framework.api import Sink, Source, hookimpl


@hookimpl
def al_register_sources() -> Sequence[type[Source[Any]]]:
    """Return the source `directory`."""
    from al_framework_local.source import DirectorySource

    return (DirectorySource,)


@hookimpl
def al_register_sinks() -> Sequence[type[Sink[Any]]]:
    """Return the sinks `directory` and `null`."""
    from al_framework_local.null import NullSink
    from al_framework_local.sink import DirectorySink

    return (DirectorySink, NullSink)
