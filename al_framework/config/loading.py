"""From a document to a configuration that has been checked against the installed plugins.

Nothing here stops at the first fault: a user who has made three mistakes learns of three.
"""

import json
import os
import re
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from al_framework.config.annotations import secret_places
from al_framework.config.collection import check_collection, hash_of
from al_framework.config.components import ComponentChecker
from al_framework.config.faults import FaultLog
from al_framework.config.models import (
    DOCUMENT_WORDS,
    NAME_PATTERN,
    ComponentEntry,
    Configuration,
    DocumentModel,
    LimitsModel,
    PluginsModel,
    SpoolModel,
    StrategyEntry,
)
from al_framework.config.paths import KeyPath
from al_framework.config.reading import MAPPING_ORIGIN, Document, read_document
from al_framework.config.redis_url import EXAMPLE, redis_url_fault
from al_framework.config.roboflow_document import ActiveLearningModel
from al_framework.config.secrets import hidden, substitute
from al_framework.config.validation import Subject, seen, validate
from al_framework.host.hints import nearest
from al_framework.host.plugins import PluginHost

__all__ = ["Document", "load_configuration", "plugin_switches", "read_document"]

_UNNAMED = "collection"


def plugin_switches(document: Document) -> PluginsModel:
    """Return the ``plugins`` section, which is needed before there is a host.

    One that is faulty counts as absent: `load_configuration` reports it with all other faults.
    """
    section = json.dumps(document.data.get("plugins", {}))
    try:
        return PluginsModel.model_validate_json(section, strict=True)
    except ValidationError:
        return PluginsModel()


def load_configuration(
    document: Document, host: PluginHost, *, environ: Mapping[str, str] | None = None
) -> Configuration:
    """Check a document against the installed plugins.

    Args:
        document: What `read_document` returned.
        host: The installed plugins.
        environ: Environment variables that ``${NAME}`` refers to; None for the process's own.

    Raises:
        ConfigurationError: Anything is wrong; all faults are listed in the order of the file.
    """
    log = FaultLog(document)
    # In no variable of this frame, which some tracebacks print: the environment holds secrets.
    loader = _Loader(document, host, environ=os.environ if environ is None else environ, log=log)
    configuration = loader.load()
    if configuration is None or len(log):
        raise log.error()
    return configuration


class _Loader:
    """One document on its way to a configuration."""

    def __init__(
        self, document: Document, host: PluginHost, *, environ: Mapping[str, str], log: FaultLog
    ) -> None:
        self._document = document
        self._written = _without_what_is_off(document.data)
        self._data: dict[str, Any] = substitute(self._written, environ, log)
        self._checker = ComponentChecker(host, base_dir=document.base_dir, log=log)
        self._log = log

    def load(self) -> Configuration | None:
        """Return the configuration, or None; the log holds the faults either way."""
        subject = Subject(written=self._written, secrets=self._fill_in_secrets())
        model = validate(DocumentModel, self._data, subject, self._log)
        sources = self._sources()
        predictor = self._single("predictor", "predictor")
        adapter = self._single("adapter", "prediction_adapter")
        provider = self._provider()
        active_learning, strategies = self._active_learning() or (None, ())
        sinks = self._several("sinks", "sink")
        self._check_time_zone()
        if model is not None:
            self._check_limits(model.limits)
        if model is None or (active_learning is None and provider is None):
            return None
        name = model.name or self._default_name()
        return Configuration(
            name=name,
            origin=self._document.origin,
            base_dir=self._document.base_dir,
            sources=sources,
            predictor=predictor,
            adapter=adapter,
            active_learning=active_learning,
            strategies=strategies,
            provider=provider,
            sinks=sinks,
            seed=model.seed,
            spool=self._spool(model.spool, name),
            handoff=model.handoff,
            delivery=model.delivery,
            limits=model.limits,
            batch_time_zone=model.batch_time_zone,
            verify_images=model.verify_images,
            plugins=model.plugins,
            configuration_hash=self._hash(),
        )

    def _sources(self) -> tuple[ComponentEntry, ...]:
        if "source" not in self._data:
            return self._several("sources", "source")
        if "sources" in self._data:
            self._log.add(("source",), "stands beside `sources`: keep one of the two")
        entry = self._entry("source", ("source",), self._data["source"], self._written["source"])
        return () if entry is None else (entry,)

    def _single(self, key: str, kind: str) -> ComponentEntry | None:
        if self._data.get(key) is None:
            return None
        return self._entry(kind, (key,), self._data[key], self._written[key])

    def _several(self, key: str, kind: str) -> tuple[ComponentEntry, ...]:
        items, written = self._data.get(key), self._written.get(key)
        if not isinstance(items, list) or not isinstance(written, list):
            return ()
        places: list[KeyPath] = [(key, index) for index in range(len(items))]
        entries = [self._entry(kind, *each) for each in zip(places, items, written, strict=True)]
        self._checker.unique_names(list(zip(places, items, strict=True)))
        return tuple(entry for entry in entries if entry is not None)

    def _entry(self, kind: str, at: KeyPath, data: Any, written: Any) -> ComponentEntry | None:
        return self._checker.component(kind, data, written, at)

    def _provider(self) -> ComponentEntry | None:
        at: KeyPath = ("configuration",)
        if "configuration" not in self._data:
            return None
        if "active_learning" in self._data:
            self._log.add(at, "stands beside `active_learning`: keep one of the two")
        data, written = self._data["configuration"], self._written["configuration"]
        return self._entry("configuration_provider", at, data, written)

    def _active_learning(self) -> tuple[ActiveLearningModel, tuple[StrategyEntry, ...]] | None:
        at: KeyPath = ("active_learning",)
        if "active_learning" in self._data:
            data, written = self._data["active_learning"], self._written["active_learning"]
            return check_collection(data, written, at, self._checker, self._log)
        if "configuration" not in self._data:
            other = "or name in `configuration` what fetches one"
            self._log.add(at, f"is missing: {DOCUMENT_WORDS}; {other}")
        return None

    def _check_time_zone(self) -> None:
        name = self._data.get("batch_time_zone")
        if not isinstance(name, str):
            return
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            known = zoneinfo.available_timezones()
            near = nearest(name, sorted(known))
            hint = f"did you mean {near!r}?" if near is not None else "write one such as 'UTC'"
            hint = hint if known else "no time zones are installed: run pip install tzdata"
            written = self._written["batch_time_zone"]
            self._log.add(("batch_time_zone",), f"there is no time zone {seen(written)}; {hint}")

    def _fill_in_secrets(self) -> frozenset[KeyPath]:
        """Read what the document's own secrets refer to, and return where they stand."""
        places = secret_places(DocumentModel, self._written)
        self._checker.secrets.update(places)
        self._checker.fill_in_secrets(self._data, self._written, places, ())
        return frozenset(places)

    def _check_limits(self, limits: LimitsModel) -> None:
        at: KeyPath = ("limits", "redis_url")
        if limits.redis_url is None:
            if limits.ledger == "redis":
                hint = f"`ledger: redis` needs one such as {EXAMPLE}"
                self._log.add(at, f"is missing: {hint}; ${{NAME}} takes it from the environment")
            return
        fault = redis_url_fault(limits.redis_url.get_secret_value())
        if limits.ledger != "redis":
            keeps = f"`ledger: {limits.ledger}` asks no server"
            self._log.add(at, f"is not used: {keeps}; write `ledger: redis`, or remove it")
            return
        if fault is not None and not self._log.mentions(at):
            self._log.add(at, fault)

    def _default_name(self) -> str:
        origin = self._document.origin
        stem = _UNNAMED if origin == MAPPING_ORIGIN else Path(origin).stem
        return stem if re.fullmatch(NAME_PATTERN, stem) else _UNNAMED

    def _spool(self, spool: SpoolModel, name: str) -> SpoolModel:
        given = spool.path if "path" in spool.model_fields_set else Path(".al") / name
        return spool.model_copy(update={"path": self._document.base_dir / given.expanduser()})

    def _hash(self) -> str:
        return hash_of(hidden(self._written, self._checker.secrets))


def _without_what_is_off(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document without what ``enabled: false`` says not to read."""
    section = data.get("active_learning")
    if isinstance(section, Mapping) and section.get("enabled") is False:
        return {**data, "active_learning": {"enabled": False}}
    return dict(data)
