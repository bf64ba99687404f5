"""Make up a value that an option's schema allows, for examples that are valid as they stand."""

from collections.abc import Iterator, Mapping
from typing import Any

_TEXTS: Mapping[str, str] = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "file-path": "path/to/file",
    "directory-path": "path/to/directory",
    "password": "${MY_SECRET}",
    "path": "path/to/file",
    "time": "12:00:00Z",
    "uri": "https://example.org",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_PLAIN = "<string>"
_NOTHING = object()


def example_value(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """Return what the author gives as an example, else the default, else something that fits.

    A text with a pattern of its own is beyond this: its author gives ``examples=[…]``.
    """
    known = next(_known_values(field), _NOTHING)
    if known is not _NOTHING:
        return known
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return example_value(definitions.get(name, {}), definitions)
    choices = field.get("anyOf", field.get("oneOf", field.get("allOf")))
    if choices:
        return example_value(choices[0], definitions)
    return _made_up(field, definitions)


def _made_up(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    kind = field.get("type")
    if kind == "array":
        return _items(field, definitions)
    if kind == "object":
        return _members(field, definitions)
    if kind in {"integer", "number"}:
        return _number(field, whole=kind == "integer")
    return True if kind == "boolean" else _text(field)


def _known_values(field: Mapping[str, Any]) -> Iterator[object]:
    yield from field.get("examples", ())
    if "default" in field:
        yield field["default"]
    if "const" in field:
        yield field["const"]
    yield from field.get("enum", ())


def _items(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[Any]:
    if "prefixItems" in field:
        return [example_value(item, definitions) for item in field["prefixItems"]]
    count = max(1, int(field.get("minItems", 1)))
    return [example_value(field.get("items", {}), definitions)] * count


def _members(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    properties = field.get("properties", {})
    return {
        name: example_value(properties[name], definitions) for name in field.get("required", ())
    }


def _number(field: Mapping[str, Any], *, whole: bool) -> float:
    above, below = field.get("exclusiveMinimum"), field.get("exclusiveMaximum")
    low = field.get("minimum", above)
    high = field.get("maximum", below)
    if not whole and low is not None and high is not None:
        return round(float(low + high) / 2, 3)
    value: float = 1 if low is None else low
    if low is None and high is not None:
        value = min(1, high)
    if value == above:
        value += 1
    elif value == below:
        value -= 1
    step = field.get("multipleOf")
    if step:
        value = -(-value // step) * step
    return int(value) if whole else float(value)


def _text(field: Mapping[str, Any]) -> str:
    text = _TEXTS.get(str(field.get("format")), _PLAIN)
    return text.ljust(int(field.get("minLength", 0)), ".")[: field.get("maxLength")]
