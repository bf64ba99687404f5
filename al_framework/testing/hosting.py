"""A host of exactly what a test names, whatever is installed."""

from types import SimpleNamespace
from typing import Any

from al_framework.api import COMPONENT_KINDS, Component, hookimpl
from al_framework.host.loading import REGISTRATION_HOOKS
from al_framework.host.plugins import PluginHost

__all__ = ["make_host"]

_NAME = "test"


def make_host(*components: type[Component[Any]], **plugins: object) -> PluginHost:
    """Return a host without discovery.

    Args:
        components: Classes that one plugin called ``test`` provides.
        **plugins: Whole plugins by name: modules, or objects with hook implementations.

    Raises:
        TypeError: A class is of no kind of component.
    """
    everything: dict[str, object] = {**plugins}
    if components:
        everything[_NAME] = _plugin_of(components)
    return PluginHost.without_discovery(everything)


def _plugin_of(components: tuple[type[Component[Any]], ...]) -> SimpleNamespace:
    plugin = SimpleNamespace(__name__=_NAME)
    for component in components:
        if not any(issubclass(component, base) for base in COMPONENT_KINDS.values()):
            raise TypeError(f"{component!r} is of no kind: derive it from Strategy, Sink, …")
    for hook, kind in REGISTRATION_HOOKS.items():
        base = COMPONENT_KINDS[kind]
        found = [component for component in components if issubclass(component, base)]
        if found:
            setattr(plugin, hook, _returning(found))
    return plugin


def _returning(classes: list[type[Component[Any]]]) -> object:
    return hookimpl(lambda: classes)
