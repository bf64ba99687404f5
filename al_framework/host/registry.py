"""Answer which class stands behind a type name, and who provides it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from al_framework.api import Component


def plugin_label(name: str, distribution: str | None, version: str | None) -> str:
    """Return ``plugin 'entropy' (al-framework-entropy 1.0)``, as every message names a plugin."""
    if distribution is None:
        return f"plugin {name!r}"
    origin = distribution if version is None else f"{distribution} {version}"
    return f"plugin {name!r} ({origin})"


def kind_words(kind: str) -> str:
    """Return a kind as people say it: ``prediction adapter``."""
    return kind.replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A component class and its provider.

    Attributes:
        kind: Key of `al_framework.api.COMPONENT_KINDS`.
        type_name: What the user writes as ``type:``.
        component: The class.
        plugin: Name of the plugin that provides it.
        distribution: The plugin's distribution, or None outside of one.
        version: That distribution's version, or None.
    """

    kind: str
    type_name: str
    component: type[Component[Any]]
    plugin: str
    distribution: str | None = None
    version: str | None = None

    @property
    def provider(self) -> str:
        """The plugin with its distribution, for messages."""
        return plugin_label(self.plugin, self.distribution, self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two plugins that provide one type.

    Attributes:
        kept: The one that configurations get.
        left_out: The one that they do not.
    """

    kept: Registration
    left_out: Registration

    def __str__(self) -> str:
        """Return the sentence that names both plugins and says what to do."""
        lost, kept = self.left_out, self.kept
        return (
            f"{lost.provider}: {kind_words(lost.kind)} type {lost.type_name!r} is already provided"
            f" by {kept.provider}; the second one is left out: switch one of the two off with"
            f" AL_DISABLE_PLUGINS={kept.plugin} or AL_DISABLE_PLUGINS={lost.plugin}"
        )


class Registry:
    """Every component class that configurations may name, by kind and type.

    The first to register a type keeps it. A second one is recorded as a `Conflict`: it is never
    renamed, since a configuration would then mean something else on another machine.
    """

    def __init__(self) -> None:
        self._registrations: dict[tuple[str, str], Registration] = {}
        self._conflicts: list[Conflict] = []

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Every type that a second plugin wanted, in the order of registration."""
        return tuple(self._conflicts)

    def add(self, registration: Registration) -> Conflict | None:
        """Take a class in, or return the conflict that kept it out."""
        key = registration.kind, registration.type_name
        kept = self._registrations.setdefault(key, registration)
        if kept is registration:
            return None
        conflict = Conflict(kept=kept, left_out=registration)
        self._conflicts.append(conflict)
        return conflict

    def get(self, kind: str, type_name: str) -> Registration | None:
        """Return who provides a type, or None if nobody does."""
        return self._registrations.get((kind, type_name))

    def types(self, kind: str) -> tuple[str, ...]:
        """Return every type of one kind, sorted."""
        return tuple(sorted(entry.type_name for entry in self._of_kind(kind)))

    def registrations(self, kind: str | None = None) -> tuple[Registration, ...]:
        """Return all registrations, or those of one kind, sorted by kind and type."""
        entries = self._registrations.values() if kind is None else self._of_kind(kind)
        return tuple(sorted(entries, key=lambda entry: (entry.kind, entry.type_name)))

    def _of_kind(self, kind: str) -> Iterable[Registration]:
        return (entry for entry in self._registrations.values() if entry.kind == kind)
