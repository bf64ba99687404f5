"""Check data against a pydantic model, and say what is wrong in the user's words.

Strictly, as JSON: text is no number and ``yes`` no boolean, so that what the JSON Schema of the
same model refuses is refused here too.
"""

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from al_framework.api._faults import named_text_of, plugin_errors
from al_framework.config.annotations import description_of, field_names, models_at
from al_framework.config.faults import FaultLog
from al_framework.config.models import PATTERN_WORDS
from al_framework.config.paths import MISSING, KeyPath, look_up
from al_framework.host.hints import nearest, suggestion

ModelT = TypeVar("ModelT", bound=BaseModel)

_EXACT_FLOAT = 2.0**53
_LONGEST_SEEN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is being checked, for the messages.

    Attributes:
        at: Where the data stand in the document.
        written: The data as the user wrote them, before anything was substituted.
        owner: Whose options these are: ``sink type 'directory', plugin 'local'``; empty for the
            configuration itself.
        plugin: Name of that plugin, or None.
        secrets: Places whose values are never shown.
        known: Further keys that may stand beside the model's own.
    """

    at: KeyPath = ()
    written: Any = None
    owner: str = ""
    plugin: str | None = None
    secrets: frozenset[KeyPath] = field(default_factory=frozenset)
    known: tuple[str, ...] = ()


def validate(model: type[ModelT], data: Any, subject: Subject, log: FaultLog) -> ModelT | None:
    """Return the model filled with the data; None if the log has taken faults instead.

    Where the log is lenient, unknown keys are left out, and it is told of each.
    """
    about = f" ({subject.owner})" if subject.owner else ""
    try:
        return model.model_validate_json(json.dumps(_whole_numbers(data)), strict=True)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False)
    except plugin_errors() as exc:  # a plugin's own validator may raise anything
        text = f"cannot be checked: {named_text_of(exc)}: report this to the plugin's author"
        log.add(subject.at, f"{text}{about}", plugin=subject.plugin)
        return None
    if log.lenient:
        unknown = [error for error in errors if error["type"] == "extra_forbidden"]
        known, left_out = _without(data, [_place(error, subject.written) for error in unknown])
        if left_out:
            for path, text in _explain(model, unknown, subject):
                log.skip((*subject.at, *path), f"{text}{about}; it is left out")
            return validate(model, known, subject, log)
    explained = [((*subject.at, *path), text) for path, text in _explain(model, errors, subject)]
    # What could not be read, such as an unset variable, has its own fault; one is enough.
    fresh = [(path, text) for path, text in explained if not log.mentions(path)]
    for path, text in fresh:
        log.add(path, f"{text}{about}", plugin=subject.plugin)
    return None


def seen(value: Any) -> str:
    """Return how a message shows what the user wrote; of lists and mappings never the content."""
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST_SEEN else f"{value[:_LONGEST_SEEN]}…")
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return f"a list of {_entries(len(value))}" if value else "an empty list"
    return json.dumps(value)


def _whole_numbers(data: Any) -> Any:
    """Return the data with 5.0 as 5: JSON has one kind of number, and models take 5 for either."""
    if isinstance(data, Mapping):
        return {key: _whole_numbers(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_whole_numbers(value) for value in data]
    if isinstance(data, float) and data.is_integer() and abs(data) <= _EXACT_FLOAT:
        return int(data)
    return data


def _without(data: Any, places: Sequence[KeyPath]) -> tuple[Any, bool]:
    """Return a copy of the data without these places, and whether that is any less."""
    result, less = copy.deepcopy(data), False
    for place in places:
        holder = look_up(result, place[:-1])
        if isinstance(holder, dict) and holder.pop(place[-1], MISSING) is not MISSING:
            less = True
    return result, less


def _explain(
    model: type[BaseModel], errors: Iterable[ErrorDetails], subject: Subject
) -> Iterable[tuple[KeyPath, str]]:
    """Translate, joining what the alternatives of a union wanted of one place."""
    wanted: dict[KeyPath, list[str]] = {}
    for error in errors:
        path = _place(error, subject.written)
        kind, context = error["type"], error.get("ctx", {})
        if kind == "missing":
            about = description_of(models_at(model, path[:-1]), str(path[-1]))
            about = "the list is too short" if isinstance(path[-1], int) else about
            yield path, f"is missing: {_sentence(about)}" if about else "is missing"
        elif kind == "extra_forbidden":
            names = field_names(models_at(model, path[:-1]))
            names += subject.known if len(path) == 1 else ()
            hint = suggestion(str(path[-1]), names, known="known are")
            yield path, f"unknown key, {hint}"
        elif kind in {"value_error", "assertion_error"}:
            yield path, _own_words(context.get("error"))
        elif (wish := _wanted(error, context, subject, path)) is not None:
            wanted.setdefault(path, []).append(wish)
        else:
            yield path, _own_words(error["msg"])
    for path, wishes in wanted.items():
        yield path, f"should be {' or '.join(dict.fromkeys(wishes))}{_but(path, subject)}"


def _place(error: ErrorDetails, written: Any) -> KeyPath:
    """Return the error's place in the data, without the names pydantic gives to alternatives."""
    place: KeyPath = ()
    steps = error["loc"]
    for index, step in enumerate(steps):
        last = index == len(steps) - 1
        if look_up(written, (*place, step)) is not MISSING or (last and error["type"] == "missing"):
            place = (*place, step)
    return place


def _but(path: KeyPath, subject: Subject) -> str:
    """Say what stands there instead, unless that could be a secret."""
    value = look_up(subject.written, path)
    if value is MISSING or any(path[: len(place)] == place for place in subject.secrets):
        return ""
    return f", not {seen(value)}"


_TYPES: Mapping[str, str] = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "none": "null",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen": "a list",
    "dict": "a mapping",
    "mapping": "a mapping",
    "model": "a mapping",
    "dataclass": "a mapping",
    "url": "a URL",
    "date": "a date",
    "datetime": "a date and time",
    "time": "a time or a duration",
    "bytes": "text",
}

_RANGES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda ctx: f"greater than {_number(ctx['gt'])}",
    "greater_than_equal": lambda ctx: f"at least {_number(ctx['ge'])}",
    "less_than": lambda ctx: f"less than {_number(ctx['lt'])}",
    "less_than_equal": lambda ctx: f"at most {_number(ctx['le'])}",
    "multiple_of": lambda ctx: f"a multiple of {_number(ctx['multiple_of'])}",
    "too_short": lambda ctx: f"a list of at least {_entries(ctx['min_length'])}",
    "too_long": lambda ctx: f"a list of at most {_entries(ctx['max_length'])}",
    "missing_argument": lambda _: "a longer list",
    "unexpected_positional_argument": lambda _: "a shorter list",
    "string_too_short": lambda ctx: (
        "text that is not empty"
        if ctx["min_length"] == 1
        else f"text of at least {ctx['min_length']} letters"
    ),
    "string_too_long": lambda ctx: f"text of at most {ctx['max_length']} letters",
    "string_pattern_mismatch": lambda ctx: PATTERN_WORDS.get(
        ctx["pattern"], f"text of the form {ctx['pattern']}"
    ),
}


def _wanted(
    error: ErrorDetails, context: Mapping[str, Any], subject: Subject, path: KeyPath
) -> str | None:
    """Return what should stand there, to follow «should be»; None if the error says otherwise."""
    kind = error["type"]
    if kind in _RANGES:
        return _RANGES[kind](context)
    if kind in {"literal_error", "enum"}:
        value = look_up(subject.written, path)
        choices = str(context["expected"])
        names = choices.replace(" or ", ", ").strip("'").split("', '")
        near = nearest(value, names) if isinstance(value, str) else None
        return f"{choices} (did you mean {near!r}?)" if near is not None else choices
    for suffix in ("_type", "_parsing", "_from_float"):
        if kind.endswith(suffix) and kind.split("_", 1)[0] in _TYPES:
            return _TYPES[kind.split("_", 1)[0]]
    message = error["msg"]
    for start in ("Input should be ", "Value should be "):
        if message.startswith(start):
            return message.removeprefix(start)
    return None


def _own_words(error: object) -> str:
    """Return what a validator said, as messages here are written."""
    return _sentence(str(error)) or "is refused"


def _sentence(text: str) -> str:
    """Return a sentence as the second half of a message: lower case, no stop."""
    text = " ".join(text.split()).rstrip(".")
    return text if text[:2].isupper() else f"{text[:1].lower()}{text[1:]}"


def _number(value: Any) -> str:
    return str(_whole_numbers(value))


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"
