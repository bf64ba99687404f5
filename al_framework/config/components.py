"""Check one entry of the configuration in two steps: find its type, then ask that type's model."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from al_framework.api import Strategy
from al_framework.config.annotations import field_names, secret_places
from al_framework.config.faults import FaultLog
from al_framework.config.models import ComponentEntry, EntryModel, SinkEntryModel, StrategyEntry
from al_framework.config.paths import KeyPath, format_path, look_up
from al_framework.config.roboflow_document import TASK_GROUPS, StrategyCommonModel, TaskGroup
from al_framework.config.secrets import FILE_PREFIX, is_literal, secret_from_file
from al_framework.config.validation import Subject, seen, validate
from al_framework.host.hints import listing, nearest
from al_framework.host.plugins import PluginHost
from al_framework.host.registry import Registration, kind_words

logger = logging.getLogger(__name__)

_LITERAL = (
    "%s: a secret stands in the file itself: write ${NAME} for a variable of the environment, or"
    " file:PATH"
)

CommonT = TypeVar("CommonT", EntryModel, StrategyCommonModel)

# Roboflow's block schema gives it to one strategy type, where nothing ever reads it (spec §14).
_IGNORED_IN_STRATEGIES = "max_batch_images"


class ComponentChecker:
    """Checks the entries of one document against the installed plugins.

    Args:
        host: The installed plugins.
        base_dir: Where relative paths start.
        log: Takes the faults.
        references: Whether ``file:PATH`` may bring a secret from this machine; not where the
            document is somebody else's.

    Attributes:
        secrets: Places in the document that hold secrets, as far as they have been checked.
    """

    def __init__(
        self, host: PluginHost, *, base_dir: Path, log: FaultLog, references: bool = True
    ) -> None:
        self.secrets: set[KeyPath] = set()
        self._host = host
        self._base_dir = base_dir
        self._log = log
        self._references = references

    def leaves_out(self, kind: str, written: Any, at: KeyPath) -> bool:
        """Tell whether an entry is of a type that a lenient reading leaves out, and note it."""
        type_name = written.get("type") if self._log.lenient and isinstance(written, dict) else None
        if not isinstance(type_name, str) or not type_name:
            return False
        if self._host.registry.get(kind, type_name) is not None:
            return False
        self._log.skip((*at, "type"), f"{self._no_such_type(kind, type_name)}; it is left out")
        return True

    def component(self, kind: str, data: Any, written: Any, at: KeyPath) -> ComponentEntry | None:
        """Return the entry of a source, predictor, adapter or sink; None after faults.

        Args:
            kind: Key of `al_framework.api.COMPONENT_KINDS`.
            data: The entry after `substitute`.
            written: The entry as the user wrote it.
            at: Where it stands in the document.
        """
        model = SinkEntryModel if kind == "sink" else EntryModel
        common, entry = self._check(kind, model, data, written, at)
        if entry is None or not isinstance(common, SinkEntryModel):
            return entry
        return replace(entry, pace=common.pace)

    def strategy(self, data: Any, written: Any, at: KeyPath) -> StrategyEntry | None:
        """Return the entry of a strategy; None after faults."""
        common, entry = self._check("strategy", StrategyCommonModel, data, written, at)
        if common is None or entry is None:
            return None
        return StrategyEntry(
            entry=entry,
            tags=common.tags,
            limits=common.limits,
            tasks=self._tasks(entry, common.applies_to, at),
        )

    def unique_names(self, entries: Sequence[tuple[KeyPath, Any]]) -> None:
        """Note every entry whose name, given or taken from its type, another one has."""
        first: dict[str, KeyPath] = {}
        for at, data in entries:
            values = data if isinstance(data, Mapping) else {}
            given = values.get("name") is not None
            name = values.get("name") if given else values.get("type")
            if not isinstance(name, str) or first.setdefault(name, at) == at:
                continue
            other = format_path(first[name])
            if given:
                message = f"the name {name!r} is taken by {other}: give each its own"
                self._log.add((*at, "name"), message)
            else:
                message = f"is called {name!r} after its type, as is {other}: give each a `name`"
                self._log.add(at, message)

    def _tasks(
        self, entry: ComponentEntry, groups: Sequence[TaskGroup] | None, at: KeyPath
    ) -> frozenset[str] | None:
        """Return what the strategy is asked about; note every group that it cannot read."""
        kind = cast("type[Strategy]", entry.component)
        if groups is None:
            return kind.tasks
        asked: frozenset[str] = frozenset()
        for index, group in enumerate(groups):
            readable = _readable(kind, group)
            asked |= readable
            if not readable:
                possible = listing([name for name in TASK_GROUPS if _readable(kind, name)])
                hint = f"it can read {possible}" if possible else "leave `applies_to` out"
                words = f"strategy type {entry.type_name!r}, plugin {entry.plugin!r}"
                text = f"{group!r} is nothing that the strategy reads: {hint} ({words})"
                self._log.add((*at, "applies_to", index), text, plugin=entry.plugin)
        return asked

    def _check(
        self, kind: str, model: type[CommonT], data: Any, written: Any, at: KeyPath
    ) -> tuple[CommonT | None, ComponentEntry | None]:
        if not isinstance(data, Mapping):
            choice = next(iter(self._host.registry.types(kind)), "…")
            wanted = f"should be a mapping such as {{type: {choice}}}, not {seen(written)}"
            self._log.add(at, wanted)
            return None, None
        keys = field_names([model])
        common_data = {key: data[key] for key in keys if key in data}
        if "type" not in data:
            types = self._host.registry.types(kind)
            choice = f"choose one of {listing(types)}" if types else "no plugin provides one"
            near = nearest("type", data)
            hint = f" (did you mean it by {near!r}?)" if near is not None else ""
            self._log.add((*at, "type"), f"is missing{hint}: {choice}")
            common_data["type"] = "missing"
        elif data["type"] is None and "null" in self._host.registry.types(kind):
            self._log.add((*at, "type"), 'is nothing: write "null" in quotes')
            common_data["type"] = "missing"
        common = validate(model, common_data, Subject(at=at, written=written), self._log)
        # As written: which class it is must not depend on a variable.
        type_name = written.get("type")
        if not isinstance(type_name, str) or not type_name:
            return common, None
        registration = self._host.registry.get(kind, type_name)
        if registration is None:
            self._log.add((*at, "type"), self._no_such_type(kind, type_name))
            return common, None
        options = self._options(registration, data, written, at, common_keys=keys)
        if options is None or common is None:
            return common, None
        entry = ComponentEntry(
            kind=kind,
            type_name=type_name,
            name=common.name or type_name,
            component=registration.component,
            options=options,
            plugin=registration.plugin,
        )
        return common, entry

    def _options(
        self,
        registration: Registration,
        data: Mapping[str, Any],
        written: Mapping[str, Any],
        at: KeyPath,
        *,
        common_keys: Sequence[str],
    ) -> Any:
        model = registration.component.Options
        left_out = set(common_keys)
        if registration.kind == "strategy" and _IGNORED_IN_STRATEGIES not in field_names([model]):
            left_out.add(_IGNORED_IN_STRATEGIES)
        values = {key: value for key, value in data.items() if key not in left_out}
        raw = {key: value for key, value in written.items() if key not in left_out}
        secrets = secret_places(model, raw)
        self.secrets.update((*at, *place) for place in secrets)
        complete = self.fill_in_secrets(values, raw, secrets, at)
        words = f"{kind_words(registration.kind)} type {registration.type_name!r}"
        subject = Subject(
            at=at,
            written=raw,
            owner=f"{words}, plugin {registration.plugin!r}",
            plugin=registration.plugin,
            secrets=frozenset(secrets),
            known=tuple(common_keys),
        )
        options = validate(model, values, subject, self._log)
        return options if complete else None

    def fill_in_secrets(
        self, values: dict[str, Any], raw: Mapping[str, Any], places: set[KeyPath], at: KeyPath
    ) -> bool:
        """Replace ``file:PATH`` by the file's content; return False if one cannot be read.

        What an environment variable brings is never taken for a reference.
        """
        complete = True
        for place in sorted(places, key=str):
            value, written = look_up(values, place), look_up(raw, place)
            if not isinstance(value, str):
                continue
            refers = self._references and isinstance(written, str)
            if refers and self._log.is_of_file and is_literal(written):
                logger.warning(_LITERAL, format_path((*at, *place)))
            if refers and written.startswith(FILE_PREFIX):
                name = value.removeprefix(FILE_PREFIX)
                content = secret_from_file(name, (*at, *place), self._base_dir, self._log)
                complete = complete and content is not None
                value = content or ""
                look_up(values, place[:-1])[place[-1]] = value
            self._log.keep_secret(value)
        return complete

    def _no_such_type(self, kind: str, type_name: str) -> str:
        """Say what there is instead, and which plugins might have brought the type."""
        registry, word = self._host.registry, kind_words(kind)
        types = registry.types(kind)
        near = nearest(type_name, types)
        hint = f" (did you mean {near!r}?)" if near is not None else ""
        parts = [f"there is no {word} type {type_name[:80]!r}{hint}"]
        others = [entry for entry in registry.registrations() if entry.type_name == type_name]
        parts.extend(f"{type_name!r} is a {kind_words(entry.kind)} type" for entry in others)
        parts.append(f"installed {word} types: {listing(types) if types else 'none'}")
        for record in self._host.records:
            if record.state == "failed":
                problem = " ".join((record.problem or "").split())
                parts.append(f"failed to load: {problem or repr(record.name)}")
            elif record.state == "disabled":
                switch = record.switched_off_by or "a switch"
                parts.append(f"plugin {record.name!r} is switched off by {switch}")
        return "; ".join(parts)


def _readable(strategy: type[Strategy], group: TaskGroup) -> frozenset[str]:
    """Return the prediction types of a group that a strategy can read, if it is asked to."""
    if strategy.tasks is None:
        return TASK_GROUPS[group]
    return TASK_GROUPS[group] & (strategy.tasks | strategy.also_reads)
