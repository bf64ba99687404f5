"""Import one plugin, hear what it registers, and turn all that can go wrong into sentences.

Every call into a plugin's code stands in a ``try``.
"""

import inspect
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pluggy

from al_framework import __version__
from al_framework.api import Component, hookspecs
from al_framework.api._faults import plugin_errors
from al_framework.host.checking import component_faults
from al_framework.host.discovery import DISABLE_VARIABLE, DISTRIBUTION, Candidate
from al_framework.host.faults import describe
from al_framework.host.hints import nearest
from al_framework.host.notifying import NOTIFICATION_HOOKS, Listener
from al_framework.host.registry import kind_words

logger = logging.getLogger(__name__)

REGISTRATION_HOOKS: Mapping[str, str] = MappingProxyType(
    {
        "al_register_sources": "source",
        "al_register_predictors": "predictor",
        "al_register_prediction_adapters": "prediction_adapter",
        "al_register_strategies": "strategy",
        "al_register_sinks": "sink",
        "al_register_configuration_providers": "configuration_provider",
    }
)

_MARK = f"{hookspecs.PROJECT_NAME}_impl"
_SPEC_MARK = f"{hookspecs.PROJECT_NAME}_spec"
_PREFIX = "al_"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlugin:
    """What became of one candidate.

    Attributes:
        components: Its classes, each with its kind; empty if there are faults.
        listeners: Its notifications; empty if there are faults.
        faults: Everything that is wrong with it, a sentence each.
    """

    components: tuple[tuple[str, type[Component[Any]]], ...] = ()
    listeners: tuple[Listener, ...] = ()
    faults: tuple[str, ...] = ()


class PluginLoader:
    """Loads one candidate after the other into one pluggy manager."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT_NAME)
        self._manager.add_hookspecs(hookspecs)

    def load(self, candidate: Candidate) -> LoadedPlugin:
        """Import the plugin and collect what it registers.

        A plugin with a fault gives nothing at all: half a plugin would collect half the data, and
        whoever wrote a configuration for it would find out when it is too late.
        """
        try:
            plugin = candidate.obtain()
        except plugin_errors() as exc:
            logger.debug("%s: the import failed", candidate.label, exc_info=True)
            fault = f"the import of {candidate.module!r} failed: {describe(exc)}"
            return LoadedPlugin(faults=(f"{fault}: {_import_remedy(candidate, exc)}",))
        try:
            loaded = self._register(candidate, plugin)
        except plugin_errors() as exc:
            logger.debug("%s: the registration failed", candidate.label, exc_info=True)
            fault = f"it cannot be registered: {describe(exc)}: {_remedy(candidate)}"
            loaded = LoadedPlugin(faults=(fault,))
        if loaded.faults and self._manager.has_plugin(candidate.name):
            self._manager.unregister(name=candidate.name)
        return loaded

    def _register(self, candidate: Candidate, plugin: object) -> LoadedPlugin:
        if plugin is None or isinstance(plugin, type):
            shown = "None" if plugin is None else f"the class {plugin.__name__}"
            fault = f"{candidate.module!r} is {shown}: name a module or an object with hooks"
            return LoadedPlugin(faults=(fault,))
        other = self._manager.get_name(plugin)
        if other is not None:
            fault = f"{candidate.module!r} is loaded as plugin {other!r} already: announce it once"
            return LoadedPlugin(faults=(fault,))
        try:
            self._manager.register(plugin, candidate.name)
        except pluggy.PluginValidationError as exc:
            # pluggy spreads its message over lines, the first of which repeats the plugin's name.
            seen = "; ".join(str(exc).splitlines()[1:]) or str(exc)
            fault = f"a hook does not fit its specification: {seen}: take what the hook passes"
            return LoadedPlugin(faults=(f"{fault}, which is nothing where it registers",))
        hooks = [
            (caller.name, implementation)
            for caller in self._manager.get_hookcallers(plugin) or ()
            for implementation in caller.get_hookimpls()
            if implementation.plugin is plugin
        ]
        faults = [*self._unknown_hooks(hooks), *_forgotten_marks(plugin, marked=bool(hooks))]
        faults += [fault for name, hook in hooks for fault in _shape_faults(name, hook)]
        if faults:
            return LoadedPlugin(faults=tuple(faults))
        return _collect(candidate, hooks)

    def _unknown_hooks(self, hooks: Iterable[tuple[str, pluggy.HookImpl]]) -> list[str]:
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError:
            known = [*REGISTRATION_HOOKS, *NOTIFICATION_HOOKS]
            return [
                f"there is no hook {name!r}: "
                + (f"did you mean {near!r}?" if (near := nearest(name, known)) else _all_hooks())
                for name, hook in hooks
                if name not in known and not hook.optionalhook
            ]
        return []


def _collect(candidate: Candidate, hooks: Iterable[tuple[str, pluggy.HookImpl]]) -> LoadedPlugin:
    components: list[tuple[str, type[Component[Any]]]] = []
    listeners: list[Listener] = []
    faults: list[str] = []
    for name, hook in sorted(hooks, key=lambda entry: entry[0]):
        kind = REGISTRATION_HOOKS.get(name)
        if kind is not None:
            classes, hook_faults = _call(kind, hook.function, remedy=_remedy(candidate))
            components += [(kind, component) for component in classes]
            faults += [f"{name}: {fault}" for fault in hook_faults]
        elif name in NOTIFICATION_HOOKS:
            listeners.append(
                Listener(
                    label=candidate.label,
                    hook=name,
                    function=hook.function,
                    arguments=(*hook.argnames, *hook.kwargnames),
                )
            )
    if not faults:
        faults += _repeated_types(components)
    if faults:
        return LoadedPlugin(faults=tuple(faults))
    return LoadedPlugin(components=tuple(components), listeners=tuple(listeners))


def _call(
    kind: str, function: Callable[[], object], *, remedy: str
) -> tuple[list[type[Component[Any]]], list[str]]:
    """Call a registration hook; return its classes and everything that is wrong with them."""
    classes: list[type[Component[Any]]] = []
    faults: list[str] = []
    try:
        returned = function()
        if isinstance(returned, type):
            name = returned.__name__
            return [], [f"it returns the class {name}, not a list: return [{name}]"]
        if not isinstance(returned, Iterable) or isinstance(returned, str | bytes | Mapping):
            return [], [f"it returns {returned!r}: return a list of classes"]
        # A generator raises here, not where it was called.
        for component in returned:
            found = component_faults(kind, component)
            faults += found
            if not found:
                classes.append(component)
    except plugin_errors() as exc:
        logger.debug("a registration hook failed", exc_info=True)
        faults.append(f"it failed with {describe(exc)}: {remedy}")
    return classes, faults


def _repeated_types(components: Iterable[tuple[str, type[Component[Any]]]]) -> list[str]:
    count = Counter((kind, component.type_name) for kind, component in components)
    return [
        f"it provides {kind_words(kind)} type {type_name!r} {times} times: rename all but one"
        for (kind, type_name), times in count.items()
        if times > 1
    ]


def _shape_faults(name: str, hook: pluggy.HookImpl) -> Iterator[str]:
    """Return what would make a call do nothing, without an error."""
    if hook.wrapper or hook.hookwrapper:
        yield f"{name} is a hook wrapper: write a plain function"
    elif inspect.iscoroutinefunction(hook.function) or inspect.isasyncgenfunction(hook.function):
        yield f"{name} is async: write a plain function"
    elif name in NOTIFICATION_HOOKS and inspect.isgeneratorfunction(hook.function):
        yield f"{name} is a generator, which would never run: write a plain function"


def _forgotten_marks(plugin: object, *, marked: bool) -> list[str]:
    """Return the functions that look like hooks and are none, and whether nothing is left."""
    known = {*REGISTRATION_HOOKS, *NOTIFICATION_HOOKS}
    functions = {
        name: function
        for name in dir(plugin)
        if name.startswith(_PREFIX)
        and inspect.isfunction(function := inspect.getattr_static(plugin, name))
        and not {_MARK, _SPEC_MARK} & set(vars(function))
    }
    faults = []
    for name, function in functions.items():
        foreign = [mark.removesuffix("_impl") for mark in vars(function) if mark.endswith("_impl")]
        if foreign:
            faults.append(
                f"{name} carries the mark of {foreign[0]!r}:"
                " use the one of al_framework, from al_framework.api import hookimpl"
            )
        elif name in known:
            faults.append(f"{name} is no hook: is @hookimpl missing?")
    if not marked and not faults:
        near = sorted(name for name in functions if nearest(name, known))
        seen = f" on {', '.join(near)}" if near else ""
        faults.append(f"it registers no component: is @hookimpl missing{seen}?")
    return faults


def _remedy(candidate: Candidate) -> str:
    return f"repair or update it, or switch it off with {DISABLE_VARIABLE}={candidate.name}"


def _import_remedy(candidate: Candidate, exc: BaseException) -> str:
    """Say what helps; a name that our own API lacks is a matter of versions."""
    missing = exc.name if isinstance(exc, ImportError) else None
    if missing is None or missing.partition(".")[0] != hookspecs.PROJECT_NAME:
        return _remedy(candidate)
    return (
        f"it was written for another version than {DISTRIBUTION} {__version__}, which its"
        " requirements should say: install versions that fit"
    )


def _all_hooks() -> str:
    return f"choose among {', '.join([*REGISTRATION_HOOKS, *NOTIFICATION_HOOKS])}"
