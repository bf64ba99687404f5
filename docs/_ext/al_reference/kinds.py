"""What the page of a kind of component takes from elsewhere: its life, and who provides it."""

import re
from pathlib import Path

from al_framework.api import COMPONENT_KINDS
from al_reference.options import registrations, sentence, slug

HOOKS = Path(__file__).parents[2] / "hooks.md"
_ROW = re.compile(r"^\| `(?P<owner>\w+)\.(?P<method>\w+)` (?P<rest>\|.*\|)$", re.MULTILINE)


def life(kind: str) -> str:
    """Return when a component's methods are called, from the table of all kinds, in that order."""
    rows = {(row["owner"], row["method"]): row["rest"] for row in _ROW.finditer(_hooks())}
    own = [key for key in rows if key[0] == COMPONENT_KINDS[kind].__name__]
    order = [("Component", "start"), *own, ("Component", "close")]
    head = "| method | when, how often | thread | what an error does |\n| --- | --- | --- | --- |"
    return "\n".join([head, *(f"| `{key[1]}` {rows[key]}" for key in order)])


def known(kind: str) -> str:
    """Return the types of a kind that come with al-framework."""
    lines = ["| type | plugin | what it does |", "| --- | --- | --- |"]
    for entry in registrations(kind):
        link = f"[`{entry.type_name}`](/configuration.md#{slug(entry)})"
        lines.append(f"| {link} | `{entry.plugin}` | {sentence(entry.component)} |")
    return "\n".join(lines)


def _hooks() -> str:
    # Links of that page start at its place; those of this one begin a directory further down.
    return re.sub(r"\]\((?=\w)", "](/", HOOKS.read_text(encoding="utf-8"))
