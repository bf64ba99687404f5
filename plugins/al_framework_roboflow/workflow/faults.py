"""Turn what pydantic refuses into faults with their place and the nearest name."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic_core import ErrorDetails

from al_framework.api import Fault

_LISTED = 20
_MAX_SHOWN = 60
_MAX_DEPTH = 12
_TAG_FAULTS = ("union_tag_invalid", "union_tag_not_found")
_PLAIN: Mapping[str, str] = MappingProxyType(
    {
        "missing": "is missing: add it",
        "union_tag_not_found": "is missing: add it",
        "recursion_depth_exceeded": "is nested too deeply: make it flatter",
        # No minimum in these documents is above one.
        "too_short": "is empty: at least one is needed",
        "string_too_short": "is empty: fill it in",
    }
)


def suggestion(name: str, known: Iterable[str], *, what: str) -> str:
    """Return ``did you mean 'x'?``, or all there is to choose from where nothing is near.

    Args:
        name: What was written.
        known: What there is.
        what: What to call those: ``outputs``.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name[:100], names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    listed = ", ".join(repr(one) for one in names[:_LISTED]) or "none"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"known {what}: {listed}{more}"


def shown(value: object) -> str:
    """Return a value for a message, short."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def faults_of(
    error: ValidationError,
    at: str,
    model: type[BaseModel],
    tagged: Mapping[str, type[BaseModel]] | None = None,
) -> Iterator[Fault]:
    """Yield one fault for each thing that pydantic refuses.

    Args:
        error: What it raised.
        at: Where the document of the model stands.
        model: The model.
        tagged: The models of a union by their tags, which pydantic puts into its places.
    """
    tagged = tagged or {}
    seen: set[Fault] = set()
    for details in error.errors(include_url=False):
        keys = [key for key in details["loc"] if key not in tagged]
        tags = [key for key in details["loc"] if key in tagged]
        within = tagged[str(tags[-1])] if tags else model
        if details["type"] in _TAG_FAULTS:
            keys.append("type")
        fault = Fault(path=_path(at, keys), message=_message(details, keys, within, tagged))
        if fault not in seen:
            seen.add(fault)
            yield fault


def _path(at: str, keys: list[int | str]) -> str:
    path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys[:_MAX_DEPTH])
    return f"{at}{path}{'...' if len(keys) > _MAX_DEPTH else ''}"


def _message(
    details: ErrorDetails,
    keys: list[int | str],
    model: type[BaseModel],
    tagged: Mapping[str, type[BaseModel]],
) -> str:
    kind, message = details["type"], details["msg"]
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "union_tag_invalid":
        tag = details.get("ctx", {})["tag"]
        return f"{shown(tag)} is no type: {suggestion(str(tag), tagged, what='types')}"
    if kind == "extra_forbidden":
        return f"is unknown: {suggestion(str(keys[-1]), known_keys(model), what='keys')}"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    text = message.removeprefix("Input ").replace("a valid dictionary", "an object")
    text = text[:1].lower() + text[1:]
    # A key in the wrong form is still a key.
    secret = any("api_key" in str(key) for key in keys)
    return text if secret else f"{text}, not {shown(details['input'])}"


def known_keys(model: type[BaseModel]) -> set[str]:
    """Return every key that a model reads, under each of its names."""
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            keys |= {choice for choice in alias.choices if isinstance(choice, str)}
        else:
            keys.add(alias if isinstance(alias, str) else name)
    return keys
