"""List the installed plugins without importing one: names, versions, requirements, switches."""

import importlib.metadata
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint
from typing import Self

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from al_framework.host.hints import nearest
from al_framework.host.registry import plugin_label

GROUP = "al_framework"
DISTRIBUTION = "al-framework"
DISABLE_VARIABLE = "AL_DISABLE_PLUGINS"

_OUR_REQUIREMENT = re.compile(r"\s*al[-_.]+framework(?![-_.]*[a-z0-9])", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A plugin as its entry point announces it, not imported yet.

    Attributes:
        name: Name of the entry point.
        module: What the entry point names: ``package.module`` or ``package.module:object``.
        obtain: Imports the module and returns the plugin.
        distribution: The distribution that announces it, or None.
        version: That distribution's version, or None.
        requirements: That distribution's requirement lines.
    """

    name: str
    module: str
    obtain: Callable[[], object]
    distribution: str | None = None
    version: str | None = None
    requirements: tuple[str, ...] = ()

    @classmethod
    def from_entry_point(cls, entry_point: EntryPoint) -> Self:
        """Read what the distribution's metadata say."""
        distribution: Distribution | None = entry_point.dist
        return cls(
            name=entry_point.name,
            module=entry_point.value,
            obtain=entry_point.load,
            distribution=_stated(distribution, "Name"),
            version=_stated(distribution, "Version"),
            requirements=() if distribution is None else tuple(distribution.requires or ()),
        )

    @property
    def label(self) -> str:
        """The plugin with its distribution, for messages."""
        return plugin_label(self.name, self.distribution, self.version)

    @property
    def order(self) -> tuple[bool, str, str, str, str]:
        """Sort key: our own plugins first, so that nobody takes a built-in's type from it."""
        own = self.distribution is not None and canonicalize_name(self.distribution) == DISTRIBUTION
        return not own, self.name, self.distribution or "", self.version or "", self.module

    @property
    def requires(self) -> str | None:
        """The requirement on al-framework, as ``al-framework>=0.1,<1``; None without one."""
        return ", ".join(map(_without_marker, self._lines_about_us())) or None

    def requirement_faults(self, present: str) -> list[str]:
        """Return what the plugin needs of al-framework and does not get.

        Args:
            present: Version of al-framework that is running.
        """
        faults = []
        for line in self._lines_about_us():
            if not _readable(line):
                faults.append(f"its requirement {line!r} cannot be read: correct its metadata")
                continue
            # A development version of what the plugin asks for is good enough.
            if not Requirement(line).specifier.contains(present, prereleases=True):
                faults.append(
                    f"it needs {_without_marker(line)}, but {DISTRIBUTION} {present} is running:"
                    f" install versions of {self.distribution} and {DISTRIBUTION} that fit"
                )
        return faults

    def _lines_about_us(self) -> list[str]:
        return [line for line in self.requirements if is_about_us(line)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """Which plugins the user wants at all.

    Attributes:
        only: Names to load, or None for all of them.
        disable: Names that the configuration switches off.
        environment: Names that the environment switches off.
    """

    only: frozenset[str] | None
    disable: frozenset[str]
    environment: frozenset[str]

    @classmethod
    def read(
        cls,
        *,
        only: Collection[str] | None,
        disable: Collection[str],
        environ: Mapping[str, str],
    ) -> Self:
        """Put the configuration's and the environment's wishes together."""
        listed = environ.get(DISABLE_VARIABLE, "").split(",")
        return cls(
            only=None if only is None else frozenset(only),
            disable=frozenset(disable),
            environment=frozenset(name.strip() for name in listed if name.strip()),
        )

    def switched_off_by(self, name: str) -> str | None:
        """Return who switches a plugin off, or None if it is on."""
        if name in self.environment:
            return DISABLE_VARIABLE
        if name in self.disable:
            return "plugins.disable"
        if self.only is not None and name not in self.only:
            return "plugins.only"
        return None

    def faults(self, installed: Collection[str]) -> list[str]:
        """Return the names that were meant for a plugin and hit none.

        A switch for a plugin that is not installed is no fault, since one file serves several
        machines; a name that is nearly a plugin's is.
        """
        faults = []
        for name in sorted(self.only or ()):
            if name not in installed:
                known = ", ".join(sorted(installed)) or "none"
                faults.append(
                    f"plugins.only: plugin {name!r} is not installed{_hint(name, installed)}:"
                    f" install it or choose among {known}"
                )
        for origin, names in (
            ("plugins.disable", self.disable),
            (DISABLE_VARIABLE, self.environment),
        ):
            faults.extend(
                f"{origin}: plugin {name!r} is not installed{_hint(name, installed)}"
                for name in sorted(names)
                if name not in installed and nearest(name, installed)
            )
        return faults


def installed_candidates(entry_points: Iterable[EntryPoint] | None) -> list[Candidate]:
    """Return the plugins among the entry points in an order that is the same each time.

    Args:
        entry_points: Where to look; None for everything that is installed.
    """
    if entry_points is None:
        entry_points = importlib.metadata.entry_points(group=GROUP)
    found = [Candidate.from_entry_point(entry) for entry in entry_points if entry.group == GROUP]
    return sorted(found, key=lambda candidate: candidate.order)


def missing_requirements(require: Iterable[str]) -> list[str]:
    """Return what the configuration requires of the environment and does not find."""
    faults = []
    for line in require:
        if not _readable(line):
            faults.append(f"plugins.require: {line!r} cannot be read: write it as 'name>=1.2'")
            continue
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            present = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            faults.append(f"plugins.require: {line!r} is not installed: run pip install '{line}'")
            continue
        if not wanted.specifier.contains(present, prereleases=True):
            faults.append(
                f"plugins.require: {line!r} is wanted, but {wanted.name} {present} is installed:"
                f" run pip install '{line}'"
            )
    return faults


def is_about_us(line: str) -> bool:
    """Tell whether a requirement line that holds here is about al-framework."""
    return _OUR_REQUIREMENT.match(line) is not None and _live(line)


def _hint(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return "" if near is None else f" (did you mean {near!r}?)"


def _readable(line: str) -> bool:
    try:
        Requirement(line)
    except InvalidRequirement:
        return False
    return True


def _without_marker(line: str) -> str:
    return line.partition(";")[0].strip()


def _live(line: str) -> bool:
    """Tell whether a requirement holds here: not that of an extra or of another platform."""
    if not _readable(line):
        return True
    marker = Requirement(line).marker
    return marker is None or marker.evaluate({"extra": ""})


def _stated(distribution: Distribution | None, key: str) -> str | None:
    """Return a field of the metadata; None without one, which `Distribution.name` no longer is."""
    stated = None if distribution is None else distribution.metadata.get_all(key)
    return stated[0] if stated else None
