"""State diagrams as tables.

The pages hold them in Mermaid's notation, which code hosts draw. Drawing it here would take a
script of three megabytes from another host; a table of transitions says the same and can be read
aloud.
"""

import re

from sphinx.errors import ExtensionError

_FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TRANSITION = re.compile(r"(\S+) --> (\S+?)(?:: (.+))?")


def states_as_tables(text: str, page: str) -> str:
    """Return a page with tables in place of its state diagrams."""
    return _FENCE.sub(lambda match: _table(match[1].splitlines(), page), text)


def _table(lines: list[str], page: str) -> str:
    if lines[0] != "stateDiagram-v2":
        raise ExtensionError(
            f"page {page!r}: {lines[0]!r} is no diagram of states: draw it as SVG in diagrams/"
        )
    rows = ["| from | to | when |", "| --- | --- | --- |"]
    for line in lines[1:]:
        match = _TRANSITION.fullmatch(line.strip())
        if match is None:
            raise ExtensionError(
                f"page {page!r}: {line.strip()!r} is no transition: write 'a --> b: when'"
            )
        rows.append(f"| {_state(match[1])} | {_state(match[2], end=True)} | {match[3] or ''} |")
    return "\n".join(rows)


def _state(name: str, *, end: bool = False) -> str:
    if name == "[*]":
        return "(the end)" if end else "(the beginning)"
    return name.replace("_", " ")
