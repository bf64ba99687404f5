"""Read YAML 1.2 as plain data with a line for every place in it.

Built on ruamel's events instead of its loaders: those expand aliases (304 bytes became 28 MB),
turn dates into objects and follow tags, none of which a configuration needs, and none of them
reports every fault at once.
"""

import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from al_framework.api import Fault
from al_framework.config.paths import KeyPath, format_path

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False}
_BOOLEANS["FALSE"] = False
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
# The core schema of YAML 1.2, section 10.3.2: `no`, `1_000` and dates are text.
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_PREFIXED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class YamlReader:
    """One reading of one text.

    Attributes:
        faults: What is wrong, in the order of the file.
        lines: Line of each place, from 1, by its written path.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.lines: dict[str, int] = {}
        self._events: Iterator[Any] = iter(())

    def read(self, text: str) -> Any:
        """Return the document as dicts, lists, text, numbers, booleans and None.

        Anchors, aliases, tags, duplicate keys, several documents and syntax errors become
        `faults`; what is returned then serves to find further ones.
        """
        self._events = YAML(typ="safe", pure=True).parse(text)
        data: Any = None
        documents = 0
        try:
            for event in self._events:
                if isinstance(event, DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self._fault((), event, "holds more than one document: keep one")
                        break
                    data = self._build(next(self._events), ())
        except MarkedYAMLError as exc:
            self.faults.append(_syntax_fault(exc))
        except YAMLError as exc:  # the reader's own, for characters that no YAML may hold
            character = getattr(exc, "character", None)
            seen = f"the character {chr(character)!r}" if isinstance(character, int) else "it"
            self.faults.append(Fault(path="", message=f"{seen} is not allowed in YAML"))
        return data

    def _build(self, event: Any, path: KeyPath) -> Any:
        if isinstance(event, AliasEvent):
            self._fault(path, event, f"the alias '*{event.anchor}' is not allowed: write it out")
            return None
        if event.anchor is not None:
            self._fault(path, event, f"the anchor '&{event.anchor}' is not allowed: remove it")
        if event.tag is not None:
            self._fault(path, event, f"the tag {str(event.tag)!r} is not allowed: remove it")
        if isinstance(event, ScalarEvent):
            return self._scalar(event, path) if event.implicit[0] else event.value
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _sequence(self, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            place = (*path, len(items))
            self.lines.setdefault(format_path(place), event.start_mark.line + 1)
            items.append(self._build(event, place))
        return items

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                self._skip_pair(event, path)
                continue
            key = str(event.value)
            place = (*path, key)
            first = self.lines.setdefault(format_path(place), event.start_mark.line + 1)
            if key in items:
                self._fault(place, event, f"is given twice, first on line {first}: keep one")
            value = self._build(next(self._events), place)
            items.setdefault(key, value)
        return items

    def _skip_pair(self, event: Any, path: KeyPath) -> None:
        """Refuse a key that is no text; it and its value are read to find further faults."""
        kind = "a mapping" if isinstance(event, MappingStartEvent) else "a list"
        kind = "an alias" if isinstance(event, AliasEvent) else kind
        self._fault(path, event, f"{kind} cannot be a key: use text")
        if not isinstance(event, AliasEvent):
            self._build(event, path)
        self._build(next(self._events), path)

    def _scalar(self, event: Any, path: KeyPath) -> Any:
        text = str(event.value)
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _NOT_FINITE.fullmatch(text):
            self._fault(path, event, f"{text} is no finite number")
            return None
        return self._number(text, event, path)

    def _number(self, text: str, event: Any, path: KeyPath) -> int | float | str | None:
        """Return a number, or the text itself where it is none."""
        try:
            if _DECIMAL.fullmatch(text):
                return int(text)
            if _PREFIXED.fullmatch(text):
                return int(text, 0)
        except ValueError:  # more digits than Python converts
            self._fault(path, event, "is too large a number")
            return None
        return float(text) if _FLOAT.fullmatch(text) else text

    def _fault(self, path: KeyPath, event: Any, message: str) -> None:
        line = event.start_mark.line + 1
        self.faults.append(Fault(path=format_path(path), message=message, line=line))


def _syntax_fault(exc: MarkedYAMLError) -> Fault:
    mark = exc.problem_mark or exc.context_mark
    what = exc.problem or exc.context or "it cannot be read"
    column = "" if mark is None else f" (column {mark.column + 1})"
    line = None if mark is None else mark.line + 1
    return Fault(path="", message=f"is not YAML: {what}{column}", line=line)
