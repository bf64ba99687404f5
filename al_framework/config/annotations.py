"""Follow a place in the data through the models that describe it.

The faults of pydantic name places, but not the field's description, its neighbours' names or
whether it holds a secret. All three follow from the annotations, plugins' nested models included.
"""

import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from al_framework.config.paths import KeyPath


def alternatives(annotation: Any) -> list[Any]:
    """Return what an annotation allows, without ``Annotated``, unions and type aliases."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin is Union or origin is types.UnionType:
        return [found for part in get_args(annotation) for found in alternatives(part)]
    if hasattr(annotation, "__value__"):  # a `type` statement
        return alternatives(annotation.__value__)
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return alternatives(annotation.model_fields["root"].annotation)
    return [annotation]


def follow(model: type[BaseModel], path: KeyPath) -> list[Any]:
    """Return the annotations that describe a place in a model's data."""
    found: list[Any] = alternatives(model)
    for step in path:
        found = _step(found, step)
    return found


def models_at(model: type[BaseModel], path: KeyPath) -> list[type[BaseModel]]:
    """Return the models that describe the mapping at a place."""
    return [found for found in follow(model, path) if _is_model(found)]


def field_names(models: Iterable[type[BaseModel]]) -> list[str]:
    """Return the keys that a user may write, in the order of the models."""
    names: dict[str, None] = {}
    for model in models:
        for name, field in model.model_fields.items():
            names[field.alias or name] = None
    return list(names)


def description_of(models: Iterable[type[BaseModel]], name: str) -> str | None:
    """Return the description of a field by the key that the user writes."""
    for model in models:
        field = _field(model, name)
        if field is not None:
            return field.description
    return None


def secret_places(model: type[BaseModel], data: Any) -> set[KeyPath]:
    """Return every place in the data that the model calls a secret."""
    return set(_secrets(data, alternatives(model), ()))


def _secrets(data: Any, described_by: list[Any], path: KeyPath) -> Iterable[KeyPath]:
    if any(_is_secret(found) for found in described_by):
        yield path
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _secrets(value, _step(described_by, key), (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _secrets(value, _step(described_by, index), (*path, index))


def _step(described_by: list[Any], step: str | int) -> list[Any]:
    found: list[Any] = []
    for annotation in described_by:
        if _is_model(annotation):
            field = _field(annotation, step) if isinstance(step, str) else None
            if field is not None:
                found.extend(alternatives(field.annotation))
        else:
            parts = get_args(annotation)
            # Of a mapping only the values; of a fixed tuple every part may stand at any index.
            parts = parts[1:] if isinstance(step, str) else parts
            found.extend(part for argument in parts for part in alternatives(argument))
    return found


def _field(model: type[BaseModel], name: str) -> FieldInfo | None:
    for own, field in model.model_fields.items():
        if name == (field.alias or own):
            return field
    return None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_secret(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, SecretStr | SecretBytes)
