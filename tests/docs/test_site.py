"""The site is built without a warning, and nothing of the product is missing from it."""

import html
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from al_framework import api
from al_framework.api import http

pytestmark = pytest.mark.docs

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
pytest.importorskip("sphinx", reason="the site is built by tox -e docs")


class Site:
    """What was built."""

    def __init__(self, directory):
        self.directory = directory

    def source(self, page):
        return (self.directory / page).with_suffix(".html").read_text(encoding="utf-8")

    def text(self, page):
        """Return what a person reads on a page."""
        article = self.source(page).partition("<article")[2].partition("</article>")[0]
        return html.unescape(re.sub(r"<[^>]+>", "", article))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(directory / "doctrees"), str(DOCS), str(directory / "html")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Site(directory / "html")


@pytest.fixture(scope="module")
def generator():
    import al_reference

    return al_reference


@pytest.fixture(scope="module")
def tests():
    """Return the text of every file of tests but these."""
    files = [path for path in (ROOT / "tests").rglob("*.py") if path.parent.name != "docs"]
    return [path.read_text(encoding="utf-8") for path in files]


def rows(page):
    """Return the first cells of a page's tables."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE)


def errors():
    return [
        name
        for module in (api, http)
        for name in module.__all__
        if inspect.isclass(found := getattr(module, name)) and issubclass(found, Exception)
    ]


def untested(words, tests):
    seen = {word for text in tests for word in re.findall(r"\w+", text)}
    return [word for word in words if word not in seen]


def test_every_page_is_built_and_whole(site):
    pages = [path.relative_to(DOCS) for path in DOCS.rglob("*.md")]

    assert len(pages) >= 10
    for page in pages:
        source = site.source(page)
        assert "generated:" not in source
        assert "mermaid" not in source


def test_a_page_asks_no_other_host_for_anything(site):
    for page in site.directory.rglob("*.html"):
        source = page.read_text(encoding="utf-8")
        assert not re.search(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//', source), page.name
        assert not re.search(r'<link[^>]* href="(?:https?:)?//', source), page.name


@pytest.mark.parametrize("page", ["index.md", "concepts.md", "reliability.md"])
def test_a_diagram_is_in_the_page_with_words_for_those_who_do_not_see_it(site, page):
    [drawing] = re.findall(r"<svg [^>]*diagram[^>]*>", site.source(page))

    assert 'role="img"' in drawing
    assert re.search(r'aria-label="[^"]{40,}"', drawing)


def test_states_are_tables(site):
    text = site.text("reliability.md")

    assert re.search(r"leased\s+dead\s+refused for good", text)
    assert re.search(r"\(the beginning\)\s+pending\s+accepted", text)


def test_every_hook_has_its_row_and_its_signature_and_is_tested(site, generator, tests):
    hooks = generator.api.hook_names()

    assert len(hooks) >= 9
    assert [row for row in rows("hooks.md") if row.startswith("al_")] == hooks
    for hook in hooks:
        assert f'id="al_framework.api.hookspecs.{hook}"' in site.source("hooks.md")
    assert untested(hooks, tests) == []


def test_every_method_of_a_component_has_its_row():
    kinds = [api.Component, *api.COMPONENT_KINDS.values()]
    methods = [
        f"{kind.__name__}.{name}"
        for kind in kinds
        for name, member in vars(kind).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    ]

    assert sorted(methods) == sorted(row for row in rows("hooks.md") if "." in row)


def test_every_name_of_the_api_is_documented(site):
    source = site.source("api.md")

    assert [name for name in api.__all__ if f'id="al_framework.api.{name}"' not in source] == []


def test_every_error_is_documented_and_tested(site, tests):
    missing = [name for name in errors() if name not in rows("errors.md")]

    assert len(errors()) >= 18
    assert missing == []
    assert untested(errors(), tests) == []


def test_every_command_is_documented_and_tested(site, generator, tests):
    text = site.text("cli.md")
    paths = [path for path, _, _ in generator.commands.walk()]

    assert len(paths) >= 20
    for path in paths:
        assert re.search(rf"^{path}[#¶]?$", text, re.MULTILINE), path
        *_, group, last = ["", *path.split()]
        assert any(f'"{last}"' in text and group in text for text in tests) or path == "al", path


def test_every_switch_of_a_command_is_documented_and_tested(site, generator, tests):
    text = site.text("cli.md")
    switches = {
        switch
        for _, command, _ in generator.commands.walk()
        for parameter in command.params
        for switch in parameter.opts
        if switch.startswith("--")
    }

    assert len(switches) >= 20
    assert [switch for switch in sorted(switches) if switch not in text] == []
    tested = {switch for text in tests for switch in re.findall(r"--[a-z-]+", text)}
    assert sorted(switches - tested) == []


def test_every_option_is_documented_described_and_tested(site, generator, tests):
    source, options = site.source("configuration.md"), generator.options
    models = [
        *options.sections(options.DocumentModel),
        *options.sections(options.ActiveLearningDocumentModel, "active_learning"),
        *options.sections(options.StrategyCommonModel, "sampling_strategies"),
        *options.sections(options.SinkEntryModel, "sinks"),
        *(
            found
            for kind in options.KINDS
            for entry in options.registrations(kind)
            for found in options.sections(entry.component.Options, entry.type_name)
        ),
    ]
    fields = {
        f"{place}.{field.alias or name}": field
        for place, model in models
        for name, field in model.model_fields.items()
    }
    names = {place.rpartition(".")[2] for place in fields}

    assert len(fields) >= 60
    assert [place for place, field in fields.items() if not field.description] == []
    documented = set(re.findall(r'<span class="pre">(\w+)</span>', source))
    assert sorted(names - documented) == []
    assert untested(sorted(names), tests) == []


def test_every_type_has_a_section(site, generator):
    text, options = site.text("configuration.md"), generator.options
    types = [
        f"{kind.replace('_', ' ').capitalize()} {entry.type_name}"
        for kind in options.KINDS
        for entry in options.registrations(kind)
    ]

    assert len(types) >= 17
    assert [name for name in types if not re.search(rf"^{name}[#¶]?$", text, re.MULTILINE)] == []


@pytest.mark.parametrize("asked", ["nonsense", "types", "types nothing", "file more"])
def test_a_page_that_asks_for_what_nothing_generates_is_named(generator, asked):
    from sphinx.errors import ExtensionError

    expected = rf"page 'here': nothing generates '{asked}': choose one of api, .*types sink"

    with pytest.raises(ExtensionError, match=expected):
        generator.expanded(f"<!-- generated: {asked} -->", "here")


@pytest.mark.parametrize(
    ("diagram", "message"),
    [
        ("flowchart LR", "'flowchart LR' is no diagram of states: draw it as SVG"),
        ("stateDiagram-v2\n  a -> b", "'a -> b' is no transition: write 'a --> b: when'"),
    ],
)
def test_a_diagram_that_cannot_be_a_table_is_named(generator, diagram, message):
    from sphinx.errors import ExtensionError

    with pytest.raises(ExtensionError, match=re.escape(f"page 'here': {message}")):
        generator.states_as_tables(f"```mermaid\n{diagram}\n```\n", "here")


def test_large_bounds_are_written_out(site):
    assert "integer >= 0, < 18446744073709551616" in site.text("configuration.md")
