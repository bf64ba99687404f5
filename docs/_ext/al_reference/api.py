"""The API, in the order in which an author meets it; autodoc reads the docstrings."""

import ast
import importlib
import inspect
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import al_framework
from al_framework import api
from al_framework.api import hookspecs, http

PARTS: Mapping[str, str] = MappingProxyType(
    {
        "Hooks": "al_framework.api.hookspecs",
        "Components": "al_framework.api.component",
        "Kinds of components": "al_framework.api.components",
        "Values along the data path": "al_framework.api.types",
        "Predictions": "al_framework.api.predictions",
        "Pictures": "al_framework.api.image",
        "Errors": "al_framework.api.errors",
        "Runs, counts and health": "al_framework.api.runs",
        "Datapoints as JSON": "al_framework.api.codec",
    }
)

DATA: Mapping[str, str] = MappingProxyType(
    {
        "COMPONENT_KINDS": "The kinds of components by name, each with its abstract class.",
        "ColorOrder": 'Channel order of an array: ``"bgr"`` or ``"rgb"``.',
        "ImageInput": "What a picture is made from: bytes, a path, an array or a PIL image.",
        "ImageSize": "``(width, height)`` in pixels.",
        "Prediction": "`Detections`, `Classification` or `Unlabelled`.",
        "hookimpl": "Marks a function or method that implements a hook.",
    }
)
"""What is exported and has no docstring of its own."""


def plugin_api() -> str:
    """Return all that a component may import, grouped by subject."""
    parts = [
        f"## {title}\n\n{_documented(_names(module), 'al_framework.api')}"
        for title, module in PARTS.items()
    ]
    http_part = _documented(http.__all__, "al_framework.api.http")
    return "\n\n".join([*parts, f"## HTTP for network sinks\n\n{http_part}"])


def program() -> str:
    """Return what a program imports that uses the framework."""
    own = [name for name in al_framework.__all__ if name not in {*api.__all__, "__version__"}]
    return _documented(own, "al_framework")


def hooks() -> str:
    """Return every hook with its exact signature."""
    return _documented(hook_names(), "al_framework.api.hookspecs")


def hook_names() -> list[str]:
    """Return the hooks in the order of the module."""
    return [name for name in vars(hookspecs) if name.startswith("al_")]


def _names(module: str) -> list[str]:
    """Return what the API exports of a module, in the order in which it is defined there."""
    exported = {
        alias.name
        for statement in ast.parse(inspect.getsource(api)).body
        if isinstance(statement, ast.ImportFrom) and statement.module == module
        for alias in statement.names
    }
    return [name for name in vars(importlib.import_module(module)) if name in exported]


def _documented(names: Iterable[str], module: str) -> str:
    blocks = []
    for name in names:
        found = getattr(importlib.import_module(module), name)
        if inspect.isclass(found):
            # A component's options model is documented by itself.
            flags = "   :members:\n   :exclude-members: Options\n"
            bases = "" if found.__bases__ == (object,) else "   :show-inheritance:\n"
            blocks.append(f".. autoclass:: {module}.{name}\n{flags}{bases}")
        elif inspect.isfunction(found):
            blocks.append(f".. autofunction:: {module}.{name}\n")
        else:  # autodoc would show the docstring of its type
            value = f"   :value: {found!r}\n" if isinstance(found, int | float | str) else ""
            blocks.append(f".. py:data:: {module}.{name}\n{value}\n   {DATA.get(name, '')}\n")
    return "```{eval-rst}\n" + "\n".join(blocks) + "```"
