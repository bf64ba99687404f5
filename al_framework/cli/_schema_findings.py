"""What `al doctor` sees of the JSON Schema that an editor completes a configuration with."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from al_framework.cli._host import DEFAULT_FILE
from al_framework.config.schema import build_schema
from al_framework.host import PluginHost
from al_framework.host.doctor import Finding

SCHEMA_FILE = "al.schema.json"

_HEADER = re.compile(r"^\s*#(?:\s*yaml-language-server:\s*\$schema=|:schema\s+)(\S+)", re.MULTILINE)
_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def schema_findings(file: Path | None, host: PluginHost) -> Iterator[Finding]:
    """Tell whether the schema beside a configuration is that of the plugins it works with.

    Args:
        file: The configuration; None where there is none.
        host: The plugins, as the configuration switches them.
    """
    named = None if file is None else _named_in(file)
    if named is not None and _ADDRESS.match(named):
        return  # a copy of the user's own on a server
    path = (Path() if file is None else file.parent) / (named or SCHEMA_FILE)
    option = "" if file in {None, DEFAULT_FILE} else f" -c {file}"
    if path.is_file():
        fresh = _content(path) == build_schema(host)
        stale = f"it does not fit the plugins that are installed: run al schema{option} -o {path}"
        message = f"{path}: it fits the plugins" if fresh else f"{path}: {stale}"
        yield Finding(level="ok" if fresh else "warning", subject="schema", message=message)
    elif named is not None:
        message = f"{path} is not there; for an editor, run al schema{option} -o {path}"
        yield Finding(level="ok", subject="schema", message=message)


def _named_in(file: Path) -> str | None:
    """Return the schema that a configuration names to editors, or None."""
    try:
        found = _HEADER.search(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None  # it is reported as a fault of the configuration
    return None if found is None else found[1]


def _content(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
