"""Find the installed plugins, keep the broken ones apart, and answer for the rest.

Why not pluggy's own loader, `load_setuptools_entrypoints`: one plugin that fails to import stops
all that come after it; of two plugins with one name the second is dropped without a word, and which
one that is depends on the order of directories; its results come in the reverse order of
registration and do not say who returned them. So the loop is ours, one ``try`` per plugin, and
pluggy does what it is good at: matching functions with hook specifications.
"""

import logging
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from typing import Literal, Self, TypeAlias

from al_framework import __version__
from al_framework.api import PluginLoadError
from al_framework.host.discovery import (
    DISABLE_VARIABLE,
    Candidate,
    Switches,
    installed_candidates,
    missing_requirements,
)
from al_framework.host.loading import LoadedPlugin, PluginLoader
from al_framework.host.notifying import Listener, Notifier
from al_framework.host.registry import Registration, Registry

logger = logging.getLogger(__name__)

PluginState: TypeAlias = Literal["loaded", "failed", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRecord:
    """What became of one announced plugin.

    Attributes:
        name: Name of its entry point.
        distribution: The distribution that announces it, or None outside of one.
        version: That distribution's version, or None.
        module: What the entry point names.
        state: ``loaded``; ``failed``: nothing of it is used; ``disabled``: it was not imported.
        components: Its classes that configurations can name.
        problem: What is wrong, one line per fault; None if nothing is. A loaded plugin has one
            where another plugin provides the same type.
        requires: Its requirement on al-framework, or None.
        requirements: All requirement lines of its distribution.
        notifications: Names of the notifications that it hears.
        switched_off_by: Who disabled it: ``AL_DISABLE_PLUGINS``, ``plugins.disable`` or
            ``plugins.only``; None if nobody did.
    """

    name: str
    distribution: str | None
    version: str | None
    module: str
    state: PluginState
    components: tuple[Registration, ...] = ()
    problem: str | None = None
    requires: str | None = None
    requirements: tuple[str, ...] = ()
    notifications: tuple[str, ...] = ()
    switched_off_by: str | None = None


class PluginHost:
    """The installed plugins of one process.

    Make one with `discover`; tests make theirs with `without_discovery`.

    Attributes:
        records: Every announced plugin, sorted by name.
        registry: The component classes of the loaded ones.
        problems: Everything that is wrong, a whole sentence each, in the order of loading.
    """

    def __init__(
        self,
        *,
        records: Iterable[PluginRecord],
        registry: Registry,
        problems: Iterable[str],
        listeners: Iterable[Listener],
    ) -> None:
        self.records = tuple(sorted(records, key=lambda r: (r.name, r.distribution or "")))
        self.registry = registry
        self.problems = tuple(problems)
        self._notifier = Notifier(listeners)

    @classmethod
    def discover(  # noqa: PLR0913  # keyword-only switches, one for each thing a user can set
        cls,
        *,
        entry_points: Iterable[EntryPoint] | None = None,
        only: Collection[str] | None = None,
        disable: Collection[str] = (),
        require: Iterable[str] = (),
        strict: bool = False,
        environ: Mapping[str, str] | None = None,
        log_problems: bool = True,
    ) -> Self:
        """Load the plugins that are installed.

        al-framework's own come first, then all others by name, so the outcome does not depend on
        the order of directories and nobody takes a built-in's type from it.

        Args:
            entry_points: Where to look; None for everything that is installed.
            only: Names of the plugins to load; None for all.
            disable: Names of plugins not to load.
            require: What must be installed besides, such as ``al-framework-entropy>=1.2``.
            strict: Whether any problem is an error.
            environ: Environment variables, of which ``AL_DISABLE_PLUGINS`` is read; None for the
                process's own.
            log_problems: Whether each problem is logged as a warning; say no to show them
                yourself.

        Raises:
            PluginLoadError: Something in `require` is missing; or, if `strict`, anything is wrong.
        """
        missing = missing_requirements(require)
        if missing:
            raise _load_error(missing)
        switches = Switches.read(
            only=only, disable=disable, environ=os.environ if environ is None else environ
        )
        candidates = installed_candidates(entry_points)
        problems = switches.faults({candidate.name for candidate in candidates})
        host = cls._load(candidates, switches, problems)
        if strict and host.problems:
            broken = ", ".join(record.name for record in host.records if record.problem)
            raise _load_error(host.problems, plugin=broken)
        for record in host.records:
            if record.state == "loaded":  # they run with all our rights: say who is here
                logger.info(
                    "plugin %r of %s %s is loaded", record.name, record.distribution, record.version
                )
        if log_problems:
            for problem in host.problems:
                logger.warning("%s", problem)
        return host

    @classmethod
    def without_discovery(cls, plugins: Mapping[str, object]) -> Self:
        """Return a host of exactly these plugins, whatever is installed.

        Args:
            plugins: Modules or objects with hook implementations, by plugin name.
        """
        candidates = [
            Candidate(
                name=name,
                module=getattr(plugin, "__name__", type(plugin).__name__),
                obtain=lambda plugin=plugin: plugin,  # type: ignore[misc]  # binds the loop's value
            )
            for name, plugin in plugins.items()
        ]
        nothing_off = Switches(only=None, disable=frozenset(), environment=frozenset())
        return cls._load(sorted(candidates, key=lambda c: c.order), nothing_off, [])

    def notify(self, hook: str, **kwargs: object) -> None:
        """Tell every plugin that listens, one by one, what happened.

        Nothing that a plugin does wrong is raised: its first error in each hook is logged with its
        name and a traceback, later ones are counted and logged without. Safe on any thread.

        Args:
            hook: ``al_run_started``, ``al_datapoint_delivered`` or ``al_run_finished``.
            **kwargs: All arguments of that hook.

        Raises:
            ValueError: There is no such notification, or its arguments are others.
        """
        self._notifier.notify(hook, kwargs)

    @classmethod
    def _load(
        cls, candidates: Iterable[Candidate], switches: Switches, problems: list[str]
    ) -> Self:
        loader = PluginLoader()
        registry = Registry()
        records: list[PluginRecord] = []
        listeners: list[Listener] = []
        first: dict[str, Candidate] = {}
        for candidate in candidates:
            off = switches.switched_off_by(candidate.name)
            announced = _announced(candidate, switched_off_by=off)
            if off is not None:
                records.append(announced)
                continue
            faults = _faults_before_import(candidate, first.setdefault(candidate.name, candidate))
            loaded = LoadedPlugin(faults=tuple(faults)) if faults else loader.load(candidate)
            # What a plugin returned is shown, and a repr may have lines; a fault has one.
            sentences = [" ".join(f"{candidate.label}: {fault}".split()) for fault in loaded.faults]
            kept, clashes = _take_in(registry, candidate, loaded)
            sentences += clashes
            problems += sentences
            listeners += loaded.listeners
            records.append(
                replace(
                    announced,
                    state="failed" if loaded.faults else "loaded",
                    components=kept,
                    problem="\n".join(sentences) or None,
                    notifications=tuple(listener.hook for listener in loaded.listeners),
                )
            )
        return cls(records=records, registry=registry, problems=problems, listeners=listeners)


def _faults_before_import(candidate: Candidate, first: Candidate) -> list[str]:
    if first is not candidate:
        seen = f"its name is taken by {first.label}"
        both = f"{DISABLE_VARIABLE}={candidate.name} switches off both"
        return [f"{seen}: uninstall one of the two distributions ({both})"]
    return candidate.requirement_faults(__version__)


def _take_in(
    registry: Registry, candidate: Candidate, loaded: LoadedPlugin
) -> tuple[tuple[Registration, ...], list[str]]:
    """Register the plugin's classes; return those that were taken and a sentence per clash.

    A clash, other than a fault, leaves out one class only: the plugin is sound, and what it clashes
    with depends on what else is installed.
    """
    kept: list[Registration] = []
    clashes: list[str] = []
    for kind, component in loaded.components:
        registration = Registration(
            kind=kind,
            type_name=component.type_name,
            component=component,
            plugin=candidate.name,
            distribution=candidate.distribution,
            version=candidate.version,
        )
        conflict = registry.add(registration)
        if conflict is None:
            kept.append(registration)
        else:
            clashes.append(str(conflict))
    return tuple(kept), clashes


def _announced(candidate: Candidate, *, switched_off_by: str | None) -> PluginRecord:
    return PluginRecord(
        name=candidate.name,
        distribution=candidate.distribution,
        version=candidate.version,
        module=candidate.module,
        state="disabled",
        requires=candidate.requires,
        requirements=candidate.requirements,
        switched_off_by=switched_off_by,
    )


def _load_error(problems: Collection[str], *, plugin: str = "") -> PluginLoadError:
    lines = "\n".join(f"  {problem}" for problem in problems)
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return PluginLoadError(f"{count} with the plugins\n{lines}", plugin=plugin)
