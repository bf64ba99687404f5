"""What the site says is made from the product: options, commands, hooks, the API.

Written by hand these pages would drift. A page asks for a part by a comment on a line of its own,
``<!-- generated: commands -->``, and the build puts Markdown in its place before it is parsed, so
that headings, links and the search see nothing special. Beside that, diagrams are put into the
page instead of being linked, to follow its colours, state diagrams become tables, and a block that
the tests write to a file shows the file's name.
"""

import html
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform

from al_reference import api, commands, kinds, options
from al_reference.states import states_as_tables

MARKER = re.compile(r"^<!-- generated: (\S+)(?: (\S+))? -->$", re.MULTILINE)
FILE = re.compile(r"^<!-- file: (\S+) -->\n```(\w+)$", re.MULTILINE)

GENERATORS: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "api": api.plugin_api,
        "program": api.program,
        "hooks": api.hooks,
        "commands": commands.reference,
        "file": options.file,
        "active_learning": options.active_learning,
    }
)
FOR_A_KIND: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"types": options.types, "life": kinds.life, "known": kinds.known}
)


def expanded(text: str, page: str) -> str:
    """Return a page with what is generated in the place of its comments."""
    return MARKER.sub(lambda match: _generated(match[1], match[2], page), text)


def captioned(text: str) -> str:
    """Return a page on which every block that is a file shows the file's name."""
    return FILE.sub(r"```{code-block} \2\n:caption: '`\1`'\n", text)


def _generated(name: str, argument: str | None, page: str) -> str:
    if name in FOR_A_KIND and argument in options.KINDS:
        return FOR_A_KIND[name](argument)
    if name in GENERATORS and argument is None:
        return GENERATORS[name]()
    of_kinds = (f"{name} {kind}" for name in FOR_A_KIND for kind in options.KINDS)
    known = ", ".join([*GENERATORS, *of_kinds])
    asked = name if argument is None else f"{name} {argument}"
    raise ExtensionError(f"page {page!r}: nothing generates {asked!r}: choose one of {known}")


def _on_source_read(app: Sphinx, docname: str, content: list[str]) -> None:
    del app
    content[0] = captioned(states_as_tables(expanded(content[0], docname), docname))


class InlineDiagrams(SphinxTransform):
    """Put our SVG files into the page: one that is linked cannot follow the page's colours."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        """Replace the images of one page."""
        del kwargs
        for image in list(self.document.findall(nodes.image)):
            if not image["uri"].endswith(".svg"):
                continue
            name, path = self.env.relfn2path(image["uri"])
            self.env.note_dependency(name)
            drawing = Path(path).read_text(encoding="utf-8")
            words = html.escape(image["alt"])
            drawing = drawing.replace("<svg ", f'<svg role="img" aria-label="{words}" ', 1)
            framed = f'<div class="diagram-frame">{drawing}</div>'
            image.parent.replace(image, nodes.raw("", framed, format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx what there is; called once by each build."""
    app.connect("source-read", _on_source_read)
    app.add_transform(InlineDiagrams)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
