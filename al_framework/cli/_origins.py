"""Tell in which file a plugin or a component is defined, without importing anything for it."""

import importlib.util
import inspect
import sys

from al_framework.host import PluginRecord, Registration


def plugin_file(record: PluginRecord) -> str | None:
    """Return the file of a plugin's module; of one that was not imported, its package's.

    None where there is no such module, or where it has no file.
    """
    name = record.module.partition(":")[0]
    module = sys.modules.get(name)
    if module is not None:
        return getattr(module, "__file__", None)
    try:
        # Of a top-level name alone: to look for a submodule, Python would import its package.
        spec = importlib.util.find_spec(name.partition(".")[0])
    except (ImportError, ValueError):
        return None
    return None if spec is None or not spec.has_location else spec.origin


def class_name(registration: Registration) -> str:
    """Return where a component is defined, as ``package.module:Class``."""
    component = registration.component
    return f"{component.__module__}:{component.__qualname__}"


def class_file(registration: Registration) -> str | None:
    """Return the file in which a component is written, or None where it has none."""
    module = sys.modules.get(registration.component.__module__)
    return getattr(module, "__file__", None)


def class_line(registration: Registration) -> int | None:
    """Return the line on which a component's class begins, or None where its text is not there."""
    try:
        return inspect.getsourcelines(registration.component)[1]
    except (OSError, TypeError):
        return None
