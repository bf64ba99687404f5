"""Say what went wrong in terms of who has to act.

The tree::

    AlFrameworkError
    ├── ConfigurationError         fix the configuration file (`faults` lists every place)
    ├── PluginError                fix, update or switch off the plugin (`plugin`)
    │   ├── PluginLoadError          it could not be loaded or registered
    │   └── ComponentError           one of its components failed to start (`component`)
    ├── MissingExtraError          install an optional dependency (`extra`)
    ├── SourceError                the source as a whole cannot be read
    ├── FrameError                 skip this one frame (`frame_id`)
    │   ├── ImageError               its picture cannot be used
    │   └── PredictionError          its prediction cannot be used
    ├── SinkError                  one delivery did not succeed
    │   ├── TransientSinkError       try again later (`retry_after_s`)
    │   ├── PermanentSinkError       never try this datapoint again
    │   └── SinkPausedError          stop delivering until the key or configuration is repaired
    ├── SpoolError                 the spool directory cannot be used
    │   └── SpoolFullError           there is no room for another datapoint
    │       └── SpoolDiskFullError     because the disk itself has none
    └── LeaseLostError             stop working on this datapoint: another worker has it

Messages read *who, where, what was seen, what to do*, in lower case and without a final stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class AlFrameworkError(Exception):
    """Base of every exception that al-framework raises on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong in a configuration.

    Attributes:
        path: Where, as the user would write it: ``sinks[1].path``; empty for the whole file.
        message: What was seen and what to do.
        line: Line in the file, from 1; None where the format does not tell.
        plugin: The plugin that provides the component, where one is involved.
    """

    path: str
    message: str
    line: int | None = None
    plugin: str | None = None

    def __str__(self) -> str:
        """Return ``line 4: sinks[1].path: …``, leaving out what is not known."""
        line = f"line {self.line}: " if self.line is not None else ""
        path = f"{self.path}: " if self.path else ""
        return f"{line}{path}{self.message}"


class ConfigurationError(AlFrameworkError):
    """The configuration cannot be used; all its faults are listed at once.

    Attributes:
        faults: Every fault found, in the order of the file.
        origin: The file's name, or ``<mapping>``.
    """

    def __init__(self, faults: Sequence[Fault], *, origin: str = "<mapping>") -> None:
        self.faults = tuple(faults)
        self.origin = origin
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"{origin}: {count} in the configuration\n{lines}")


class PluginError(AlFrameworkError):
    """A plugin is at fault.

    Attributes:
        plugin: The plugin's name, as its entry point gives it.
    """

    def __init__(self, message: str, *, plugin: str) -> None:
        self.plugin = plugin
        super().__init__(message)


class PluginLoadError(PluginError):
    """A plugin could not be loaded or registered."""


class ComponentError(PluginError):
    """A component could not be built or started.

    Attributes:
        component: The instance's name in the configuration.
    """

    def __init__(self, message: str, *, plugin: str, component: str) -> None:
        self.component = component
        super().__init__(message, plugin=plugin)


class MissingExtraError(AlFrameworkError):
    """A component needs a package that is not installed.

    Attributes:
        package: The module that could not be imported.
        extra: The extra that brings it.
        distribution: The distribution whose extra it is.
    """

    def __init__(self, *, package: str, extra: str, distribution: str = "al-framework") -> None:
        self.package = package
        self.extra = extra
        self.distribution = distribution
        super().__init__(
            f"the package {package!r} is not installed: run pip install '{distribution}[{extra}]'"
        )


class SourceError(AlFrameworkError):
    """A source as a whole cannot be read: its directory is missing, its stream refused."""


class FrameError(AlFrameworkError):
    """One frame cannot be used; the run goes on without it.

    Attributes:
        frame_id: The frame at fault, where it is known.
    """

    def __init__(self, message: str, *, frame_id: str | None = None) -> None:
        self.frame_id = frame_id
        super().__init__(message)


class ImageError(FrameError):
    """The frame's picture is truncated, too large, or no picture at all."""


class PredictionError(FrameError):
    """The frame's prediction is malformed, not finite, or belongs to another picture."""


class SinkError(AlFrameworkError):
    """A delivery did not succeed."""


class TransientSinkError(SinkError):
    """The sink cannot take anything at the moment; the delivery is tried again.

    Attributes:
        retry_after_s: Seconds that the sink asked us to wait, or None.
        may_be_stored: Whether the sink may hold the datapoint all the same, as when no answer came
            in time. Say False where it has certainly not taken it: then its credit returns if it
            is given up.
    """

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, may_be_stored: bool = True
    ) -> None:
        self.retry_after_s = None if retry_after_s is None else float(retry_after_s)
        self.may_be_stored = may_be_stored
        super().__init__(message)


class PermanentSinkError(SinkError):
    """The sink will never take this datapoint."""


class SinkPausedError(SinkError):
    """The sink's key or configuration is at fault; every datapoint waits until it is repaired."""


class SpoolError(AlFrameworkError):
    """The spool directory cannot be used."""


class SpoolFullError(SpoolError):
    """The spool or its disk has no room for another datapoint."""


class SpoolDiskFullError(SpoolFullError):
    """The disk of the spool has no room for another datapoint."""


class LeaseLostError(AlFrameworkError):
    """Another worker has taken this datapoint over; nothing more may be done to it."""
