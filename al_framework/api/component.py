"""What every component is, whatever its kind: options, a context, a beginning and an end.

What the core hands *to* a component (`Clock`, `Checkpoint`) is a Protocol, so that tests can
replace it.

A component's life: the class is registered; the host validates the user's options with its
`Options` model and builds one object per configuration entry; `start` is called once; then the
methods of its kind; then `close`. Import heavy packages in `start`, never at module level: every
command pays for what a module imports.
"""

import importlib
import logging
from abc import ABC
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Generic, Protocol, get_args

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeVar

from al_framework.api.errors import MissingExtraError


class Options(BaseModel):
    """Base of every component's options: unknown keys are errors, values never change.

    Give every field a ``description=``; it becomes schema, completion and help, so write it for
    users. Hold secrets in ``pydantic.SecretStr``. The names ``name``, ``type``, ``tags``,
    ``limits`` and ``applies_to`` belong to the host.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Clock(Protocol):
    """The only source of time inside the framework."""

    def time(self) -> float:
        """Return UTC epoch seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only ever grow, for measuring intervals."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the host gives to a component.

    Attributes:
        name: The instance's name in the configuration.
        logger: Logger that carries the instance's name; use it instead of your own.
        clock: Time, injected so that tests can set it.
        base_dir: Directory of the configuration file; relative paths in options start there.
        state_dir: Directory where the instance may keep files between runs. It is created by
            whoever writes first.
    """

    name: str
    logger: logging.Logger
    clock: Clock
    base_dir: Path
    state_dir: Path

    def resolve(self, path: str | Path) -> Path:
        """Return the path as an absolute one, relative paths starting at `base_dir`."""
        return self.base_dir / Path(path).expanduser()


def require(package: str, *, extra: str, distribution: str = "al-framework") -> ModuleType:
    """Import an optional package, or say in one sentence how to install it.

    Args:
        package: Module to import.
        extra: The extra that brings it.
        distribution: The distribution that declares the extra.

    Raises:
        MissingExtraError: The package, or something it needs, is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as exc:
        raise MissingExtraError(package=package, extra=extra, distribution=distribution) from exc


OptionsT = TypeVar("OptionsT", bound=Options, default=Options)


class Component(ABC, Generic[OptionsT]):
    """Base of everything that a plugin provides.

    Subclass one of the kinds. Name the options model as type argument,
    ``class Entropy(Strategy[EntropyOptions])``, and `options` is typed; without one the component
    takes no options.

    Attributes:
        type_name: What the user writes as ``type:``; matches ``^[a-z][a-z0-9_]{0,62}$``.
        Options: The options model, taken from the type argument.
        options: The validated options of this instance.
        context: What the host gave to this instance.
    """

    type_name: ClassVar[str]
    Options: ClassVar[type[BaseModel]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "Options" in cls.__dict__:
            return
        for base in cls.__dict__.get("__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, BaseModel):
                    cls.Options = argument

    def __init__(self, options: OptionsT, context: Context) -> None:
        self.options = options
        self.context = context

    def start(self) -> None:
        """Get ready: import heavy packages, open files, load models.

        Called once, before the first frame, on the thread that starts the run. An error ends the
        run before it begins and names the instance. Strategies of a document that a configuration
        provider brings while the run goes on start on the provider's thread; an error there is
        logged, and the last document holds.
        """

    def close(self) -> None:
        """Let go of everything.

        Called at the end on a thread of its own; must be safe without `start` and when called
        twice. A strategy that another document has replaced is closed once no frame is on its way
        through it. An error is logged and nothing else; a component that has not closed within ten
        seconds, or within one after another has hung, is left behind.
        """


# Set here because the class body's own name hides the base model from the type checker.
Component.Options = Options
