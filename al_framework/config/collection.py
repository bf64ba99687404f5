"""One Active Learning document, from the user's file or from a server, checked against the plugins.

A file is the user's word, and a mistake in it is an error. A document that was fetched may be newer
than this program: strategy types and keys that are not known here are left out and said, so that an
older client survives a newer server. Every other fault is one in either case.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from al_framework.api import ConfigurationError, Fault
from al_framework.config.components import ComponentChecker
from al_framework.config.faults import FaultLog
from al_framework.config.models import StrategyEntry
from al_framework.config.paths import KeyPath
from al_framework.config.reading import MAX_BYTES, read_document
from al_framework.config.roboflow_document import (
    ActiveLearningDocumentModel,
    ActiveLearningModel,
    switched_off,
)
from al_framework.config.validation import Subject, seen, validate
from al_framework.host.plugins import PluginHost

FETCHED_ORIGIN = "<fetched document>"
_WANTED = "should be a Roboflow Active Learning document, a mapping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """An Active Learning document that has been checked.

    Attributes:
        active_learning: The document without its strategies.
        strategies: Its strategies, in their order; none where it is switched off.
        document_hash: 16 hexadecimal digits that change with anything in the document.
        skipped: What was left out of a lenient reading, and why.
    """

    active_learning: ActiveLearningModel
    strategies: tuple[StrategyEntry, ...]
    document_hash: str
    skipped: tuple[Fault, ...] = ()


def load_collection(
    data: object, host: PluginHost, *, lenient: bool, origin: str = FETCHED_ORIGIN
) -> Collection:
    """Check a document that does not come from the user's file.

    References to the environment and to files are left as they are: whoever runs the server must
    not read this machine's secrets.

    Args:
        data: The document; of 1 MiB at most, as a file.
        host: The installed plugins.
        lenient: Whether unknown strategy types and keys are left out rather than faults; then
            anything false as ``enabled``, or none, switches collection off, as with Roboflow.
        origin: What messages call the document.

    Raises:
        ConfigurationError: Anything is wrong; all faults are listed.
    """
    if not isinstance(data, Mapping):  # whatever a server has sent
        fault = Fault(path="", message=f"{_WANTED}, not {seen(data)}")
        raise ConfigurationError([fault], origin=origin)
    try:
        document = replace(read_document(data), origin=origin)
    except ConfigurationError as exc:
        raise ConfigurationError(exc.faults, origin=origin) from exc
    text = _canonical(document.data)
    if len(text) > MAX_BYTES:
        fault = Fault(path="", message="is larger than 1 MiB: this cannot be a configuration")
        raise ConfigurationError([fault], origin=origin)
    log = FaultLog(document, lenient=lenient)
    checker = ComponentChecker(host, base_dir=Path(), log=log, references=False)
    found = check_collection(document.data, document.data, (), checker, log)
    if found is None or len(log):
        raise log.error()
    active_learning, strategies = found
    return Collection(
        active_learning=active_learning,
        strategies=strategies,
        document_hash=_digest(text),
        skipped=log.skipped(),
    )


def check_collection(
    data: Any, written: Any, at: KeyPath, checker: ComponentChecker, log: FaultLog
) -> tuple[ActiveLearningModel, tuple[StrategyEntry, ...]] | None:
    """Check the document at a place; None, or too few strategies, after faults.

    Args:
        data: The document, after `substitute` where it is the user's.
        written: The document as it was written.
        at: Where it stands.
        checker: Checks the strategies.
        log: Takes the faults.
    """
    if not isinstance(data, Mapping):
        log.add(at, f"{_WANTED}, not {seen(written)}")
        return None
    enabled = data.get("enabled")
    if enabled is False or (log.lenient and not enabled):
        return switched_off(), ()
    items = data.get("sampling_strategies")
    outline = dict(data)
    if isinstance(items, list):  # each is checked by its own model; here only their number
        outline["sampling_strategies"] = [{} for _ in items]
    subject = Subject(at=at, written=written)
    model = validate(ActiveLearningDocumentModel, outline, subject, log)
    strategies: tuple[StrategyEntry, ...] = ()
    if isinstance(items, list):
        strategies = _strategies(items, written["sampling_strategies"], at, checker)
    return None if model is None else (model, strategies)


def hash_of(data: Any) -> str:
    """Return 16 hexadecimal digits that change with anything in plain data but its order."""
    return _digest(_canonical(data))


def _canonical(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _strategies(
    items: list[Any], written: list[Any], at: KeyPath, checker: ComponentChecker
) -> tuple[StrategyEntry, ...]:
    places = [(*at, "sampling_strategies", index) for index in range(len(items))]
    entries: list[StrategyEntry] = []
    named: list[tuple[KeyPath, Any]] = []
    for place, data, raw in zip(places, items, written, strict=True):
        if checker.leaves_out("strategy", raw, place):
            continue
        named.append((place, data))
        entry = checker.strategy(data, raw, place)
        if entry is not None:
            entries.append(entry)
    checker.unique_names(named)
    return tuple(entries)
