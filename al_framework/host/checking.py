"""Check a component class before anybody relies on it.

pluggy takes whatever a hook returns. What is wrong with a class would otherwise show in the middle
of a run, in words that name neither the class nor its plugin.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel

from al_framework.api import COMPONENT_KINDS, Component, Options, Sink, Strategy
from al_framework.host.registry import kind_words

TYPE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
RESERVED_OPTIONS = frozenset({"name", "type", "tags", "limits", "applies_to"})
RESERVED_OPTIONS_OF: Mapping[type[Component[Any]], frozenset[str]] = {Sink: frozenset({"pace"})}

_ANY_OBJECT = object()


def component_faults(kind: str, component: object) -> list[str]:
    """Return everything that is wrong with what a plugin offers as a component of one kind.

    Args:
        kind: Key of `al_framework.api.COMPONENT_KINDS`.
        component: What the plugin's hook returned.

    Returns:
        One sentence per fault, without the plugin's name; empty for a class that can be used.
    """
    base = COMPONENT_KINDS[kind]
    if isinstance(component, base):
        name = type(component).__name__
        return [f"it returns an instance of {name}: return the class, [{name}]"]
    if not isinstance(component, type):
        return [f"it returns {component!r}: return classes derived from api.{base.__name__}"]
    if not issubclass(component, base):
        seen = f"class {component.__name__} is no {kind_words(kind)}"
        for other, its_base in COMPONENT_KINDS.items():
            if issubclass(component, its_base):
                return [f"{seen} but a {kind_words(other)}: return it from the hook of its kind"]
        return [f"{seen}: derive it from api.{base.__name__}"]
    return [f"class {component.__name__} {fault}" for fault in _class_faults(base, component)]


def _class_faults(base: type[Component[Any]], component: type[Component[Any]]) -> Iterator[str]:
    missing = sorted(getattr(component, "__abstractmethods__", ()))
    if missing:
        yield f"leaves {', '.join(missing)} undefined: write what the contract asks for"
    yield from _type_name_faults(component)
    yield from _options_faults(base, component)
    yield from _constructor_faults(component)
    yield from _method_faults(base, component)
    if issubclass(component, Strategy):
        yield from _tasks_faults(component)


def _type_name_faults(component: type[Component[Any]]) -> Iterator[str]:
    type_name = getattr(component, "type_name", None)
    if type_name is None:
        yield "has no type_name: set it to what users are to write as type"
    elif not isinstance(type_name, str) or TYPE_NAME.fullmatch(type_name) is None:
        yield f"has the type_name {type_name!r}: it must match ^{TYPE_NAME.pattern}$"


def _options_faults(base: type[Component[Any]], component: type[Component[Any]]) -> Iterator[str]:
    stranger = _stranger_among_bases(component)
    if stranger is not None:
        yield f"takes {stranger!r} as its options: name a class derived from api.Options"
        return
    model: object = component.Options
    if not (isinstance(model, type) and issubclass(model, Options)):
        yield f"has the options {model!r}: derive them from api.Options"
        return
    if model.model_config.get("extra") != "forbid":
        yield f"has options that let unknown keys pass: remove extra from {model.__name__}"
    fields = model.model_fields
    reserved = RESERVED_OPTIONS | RESERVED_OPTIONS_OF.get(base, frozenset())
    spellings = {alias for name in fields for alias in _spellings(model, name)}
    for name in sorted(reserved & spellings):
        yield f"has the option {name!r}, which belongs to the host: call it something else"
    silent = [name for name, field in fields.items() if not (field.description or "").strip()]
    if silent:
        yield f"has options without a description, {', '.join(silent)}: add description= to each"


def _stranger_among_bases(component: type[Component[Any]]) -> object | None:
    """Return a type argument that is no model: `Component` passes over it and takes no options."""
    for cls in component.__mro__:
        for base in vars(cls).get("__orig_bases__", ()):
            # A type parameter of somebody's own base class means something else.
            ours = get_origin(base) in {Component, *COMPONENT_KINDS.values()}
            for argument in get_args(base) if ours else ():
                model = isinstance(argument, type) and issubclass(argument, BaseModel)
                if not model and not isinstance(argument, TypeVar):
                    found: object = argument
                    return found
        if "Options" in vars(cls):
            break
    return None


def _spellings(model: type[Options], name: str) -> set[str]:
    field = model.model_fields[name]
    return {name} | {
        alias for alias in (field.alias, field.validation_alias) if isinstance(alias, str)
    }


def _constructor_faults(component: type[Component[Any]]) -> Iterator[str]:
    try:
        signature = inspect.signature(component)
        signature.bind(_ANY_OBJECT, _ANY_OBJECT)
    except (TypeError, ValueError):
        shown = inspect.signature(component.__init__)
        yield f"has the constructor {shown}: it must take (options, context)"


def _method_faults(base: type[Component[Any]], component: type[Component[Any]]) -> Iterator[str]:
    for owner in (base, Component):
        for name, declared in vars(owner).items():
            if name.startswith("_") or not inspect.isfunction(declared):
                continue
            written = inspect.getattr_static(component, name)
            if written is not declared:
                yield from _one_method_faults(name, declared, written, component)


def _one_method_faults(
    name: str, declared: object, written: object, component: type[Component[Any]]
) -> Iterator[str]:
    if isinstance(written, staticmethod | classmethod) or inspect.isfunction(written):
        # Bound, so that `self` drops out of the signature.
        written = written.__get__(_ANY_OBJECT, component)
    if not callable(written):
        yield f"has {name} = {written!r}: write a method"
        return
    if inspect.iscoroutinefunction(written) or inspect.isasyncgenfunction(written):
        yield f"has an async method {name}: write a plain one, since nobody awaits it"
        return
    wanted = inspect.signature(declared.__get__(_ANY_OBJECT))  # type: ignore[attr-defined]  # a function, as the caller has seen
    arguments = [p for p in wanted.parameters.values() if p.kind is not p.KEYWORD_ONLY]
    keywords = [p.name for p in wanted.parameters.values() if p.kind is p.KEYWORD_ONLY]
    seen = inspect.signature(written)
    try:
        seen.bind(*arguments, **dict.fromkeys(keywords))
    except TypeError:
        given = ", ".join([p.name for p in arguments] + [f"{key}=…" for key in keywords])
        taken = ", ".join(seen.parameters)
        called = f"which is called as {name}({given})"
        yield f"has the method {name}({taken}), {called}: take these arguments"


def _tasks_faults(component: type[Strategy[Any]]) -> Iterator[str]:
    tasks: object = component.tasks
    if tasks is None:
        return
    if not isinstance(tasks, frozenset) or not all(isinstance(task, str) for task in tasks):
        yield f"has tasks = {tasks!r}: write None or a frozenset of prediction types"
