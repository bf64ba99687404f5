"""Step zero: a file, or a mapping, as plain data whose every place has a line where possible.

Plain means what JSON can say. What all three formats could smuggle in beyond that (NaN, dates,
lone surrogates, endless nesting) ends here, so the steps after this one need not think of it.
"""

import datetime as dt
import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from al_framework.api import ConfigurationError, Fault
from al_framework.config.paths import KeyPath, format_path, parent_of
from al_framework.config.yaml_reading import YamlReader
from al_framework.host.hints import nearest

MAX_BYTES: Final = 1 << 20
MAPPING_ORIGIN: Final = "<mapping>"
_MAX_DEPTH = 32
_MAX_BITS = 128
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SUFFIXES = (".yaml", ".yml", ".json", ".toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A configuration as it was written, before anything in it is checked.

    Attributes:
        data: Dicts with text keys, lists, text, finite numbers, booleans and None.
        origin: The file's name as the user gave it, or ``<mapping>``.
        base_dir: Directory of the file, absolute; relative paths in the configuration start here.
        lines: Line of each place, from 1, by its written path; empty where the format hides it.
    """

    data: Mapping[str, Any] = field(repr=False)
    origin: str
    base_dir: Path
    lines: Mapping[str, int] = field(default_factory=dict, repr=False)

    def line_of(self, path: str) -> int | None:
        """Return the line of ``sinks[1].path``, or of what it lies in; None where unknown."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = parent_of(path)
        return None


def read_document(source: str | Path | Mapping[str, Any]) -> Document:
    """Read a configuration from a file, by its suffix, or from a mapping.

    Raises:
        ConfigurationError: The file cannot be found, read or parsed, or holds no mapping.
    """
    outcome = _read(source)
    # Not further in: tracebacks with the variables of their frames would show the whole text, and
    # what caused the error may hold it too, as a `UnicodeDecodeError` does.
    if isinstance(outcome, ConfigurationError):
        raise outcome
    return outcome


def _read(source: str | Path | Mapping[str, Any]) -> Document | ConfigurationError:
    try:
        return _document(source)
    except ConfigurationError as exc:
        return ConfigurationError(exc.faults, origin=exc.origin)


def _document(source: str | Path | Mapping[str, Any]) -> Document:
    if isinstance(source, Mapping):
        data = _checked(source, [], {}, origin=MAPPING_ORIGIN)
        return Document(data=data, origin=MAPPING_ORIGIN, base_dir=Path.cwd())
    path = Path(source).expanduser()
    origin = str(source)
    reader = _READERS.get(path.suffix.lower())
    try:
        if path.is_dir():
            raise _error(origin, "is a directory: name the configuration file in it")
        if not path.exists():
            raise _error(origin, _not_found(path))
        if reader is None:
            raise _error(
                origin,
                f"cannot be read by its suffix {path.suffix!r}: use one of {', '.join(_SUFFIXES)}",
            )
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise _error(origin, f"cannot be read: {exc.strerror or exc}") from exc
    text = _decoded(content, origin)
    try:
        data, faults, lines = reader(text)
        data = _checked(data, faults, lines, origin=origin)
    except RecursionError:
        raise _error(origin, f"is nested more than {_MAX_DEPTH} deep") from None
    return Document(data=data, origin=origin, base_dir=path.absolute().parent, lines=lines)


_Reading = tuple[Any, list[Fault], dict[str, int]]


def _read_yaml(text: str) -> _Reading:
    reader = YamlReader()
    data = reader.read(text)
    return data, reader.faults, reader.lines


def _read_json(text: str) -> _Reading:
    faults: list[Fault] = []
    lines: dict[str, int] = {}
    repeated: list[str] = []
    constants: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in items:
            if key in result:
                repeated.append(key)
            result.setdefault(key, value)
        return result

    try:
        data = json.loads(text, object_pairs_hook=pairs, parse_constant=constants.append)
    except json.JSONDecodeError as exc:
        message = f"is not JSON: {exc.msg[:1].lower()}{exc.msg[1:]} (column {exc.colno})"
        return None, [Fault(path="", message=message, line=exc.lineno)], lines
    except ValueError:  # more digits than Python converts
        return None, [Fault(path="", message="holds too large a number")], lines
    faults.extend(Fault(path="", message=f"{c} is no finite number") for c in constants)
    as_yaml = YamlReader()
    as_yaml.read(text)
    # JSON is nearly YAML: where YAML reads it too, that reading knows the lines.
    placed = [fault for fault in as_yaml.faults if " twice" in fault.message]
    unplaced = [Fault(path=key, message="is given twice: keep one") for key in repeated]
    faults.extend(placed if len(placed) == len(repeated) else unplaced)
    return data, faults, as_yaml.lines


def _read_toml(text: str) -> _Reading:
    try:
        return tomllib.loads(text), [], {}
    except tomllib.TOMLDecodeError as exc:
        message = str(exc)
        place = _TOML_PLACE.search(message)
        line = int(place[1]) if place is not None and place[1] else None
        column = f" (column {place[2]})" if place is not None and place[2] else ""
        what = _TOML_PLACE.sub("", message)
        what = f"is not TOML: {what[:1].lower()}{what[1:]}{column}"
        return None, [Fault(path="", message=what, line=line)], {}
    except ValueError:  # more digits than Python converts
        return None, [Fault(path="", message="holds too large a number")], {}


_READERS: Mapping[str, Callable[[str], _Reading]] = {
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
    ".toml": _read_toml,
}


def _checked(
    data: Any, faults: list[Fault], lines: Mapping[str, int], *, origin: str
) -> dict[str, Any]:
    """Return the data made plain, or raise all that is wrong with it."""
    if not faults and not isinstance(data, Mapping):
        if data is None:
            raise _error(origin, "is empty: run `al init` to write a first configuration")
        kind = "a list" if isinstance(data, list) else "a single value"
        raise _error(origin, f"is {kind}, not a mapping: begin with lines such as `sinks:`")
    more: list[Fault] = []

    def fault(path: KeyPath, message: str) -> None:
        place = format_path(path)
        more.append(Fault(path=place, message=message, line=lines.get(place)))

    result = _plain(data, (), fault)
    if faults or more:
        raise ConfigurationError([*faults, *more], origin=origin)
    return dict(result)


def _plain(value: Any, path: KeyPath, fault: Callable[[KeyPath, str], None]) -> Any:
    if len(path) > _MAX_DEPTH:
        fault(path[:3], f"is nested more than {_MAX_DEPTH} deep")
        return None
    if isinstance(value, Mapping):
        result: dict[str, Any] = {}
        for key, item in value.items():
            if isinstance(key, str) and _is_unicode(key):
                result[key] = _plain(item, (*path, key), fault)
            else:
                fault(path, f"the key {_short(key)} is not text")
        return result
    if isinstance(value, list | tuple):
        return [_plain(item, (*path, index), fault) for index, item in enumerate(value)]
    message = _objection(value)
    if message:
        fault(path, message)
        return None
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


def _objection(value: Any) -> str:
    """Say what is wrong with a single value; empty if nothing is."""
    if isinstance(value, str) and not _is_unicode(value):
        return "holds half a character (a lone surrogate)"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value!r} is no finite number"
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return "is too large a number"
    plain = (str, int, float, bool, Path, dt.date, dt.time)
    if value is None or isinstance(value, plain):
        return ""
    return f"a value of type {type(value).__name__!r} has no place in a configuration"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short(key: object) -> str:
    return ascii(key)[:40] if isinstance(key, str | int | float) else f"<{type(key).__name__}>"


def _decoded(content: bytes, origin: str) -> str:
    if len(content) > MAX_BYTES:
        raise _error(origin, "is larger than 1 MiB: this cannot be a configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content[: exc.start].count(b"\n") + 1
        fault = Fault(path="", message="is not UTF-8: save it in that encoding", line=line)
        raise ConfigurationError([fault], origin=origin) from exc


def _not_found(path: Path) -> str:
    try:
        names = [entry.name for entry in path.absolute().parent.iterdir() if entry.is_file()]
    except OSError:
        return f"does not exist, nor does its directory {str(path.parent)!r}"
    near = nearest(path.name, [name for name in names if Path(name).suffix.lower() in _READERS])
    if near is not None:
        return f"does not exist: did you mean {near!r}?"
    return "does not exist: run `al init` to write a first configuration"


def _error(origin: str, message: str) -> ConfigurationError:
    return ConfigurationError([Fault(path="", message=message)], origin=origin)
