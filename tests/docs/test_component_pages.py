"""The pages about kinds of components are whole, and say what the code says."""

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from al_framework import api
from al_framework.api import COMPONENT_KINDS
from al_framework.cli._scaffolding import KINDS, PluginProject

pytestmark = pytest.mark.docs

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SECTIONS = [
    "A whole one",
    "Contract",
    "Life cycle, threads, errors",
    "Options",
    "Testing",
    "Known plugins",
]
# The pages by name, each with the host's name for its kind; no command writes a provider.
PAGES = {**KINDS, "configuration_provider": "configuration_provider"}
# The hooks as a plugin's module has them, with the page about what they register.
HOOKS = {f"al_register_{kind}s".replace("ys", "ies"): page for page, kind in PAGES.items()}


@pytest.fixture(scope="module")
def generator():
    pytest.importorskip("sphinx", reason="the site is built by tox -e docs")
    import al_reference

    return al_reference


@pytest.fixture(params=sorted(PAGES))
def page(request):
    return request.param


def source_of(page):
    return (DOCS / "plugins" / f"{page}.md").read_text(encoding="utf-8")


def members(page):
    """Return what an author can write in a class of this kind, besides what every kind has."""
    kind = COMPONENT_KINDS[PAGES[page]]
    return {name: value for name, value in vars(kind).items() if not name.startswith("_")}


def first_cells(table):
    return re.findall(r"^\| \[?`(\w+)`", table, re.MULTILINE)


def test_every_kind_has_the_same_sections(page):
    headings = re.findall(r"^## (.*)$", source_of(page), re.MULTILINE)

    assert [heading for heading in headings if heading in SECTIONS] == SECTIONS


def test_the_life_of_a_kind_has_all_its_methods(generator, page):
    own = [
        name
        for name, value in members(page).items()
        if inspect.isfunction(value) or isinstance(value, property)
    ]
    asked = f"<!-- generated: life {PAGES[page]} -->"
    table = generator.expanded(asked, "here")
    told = first_cells(table)

    assert asked in source_of(page)
    assert (told[0], told[-1]) == ("start", "close")
    assert sorted(told[1:-1]) == sorted(own)


def test_the_attributes_of_a_kind_are_explained(page):
    attributes = [
        name
        for name, value in members(page).items()
        if not inspect.isfunction(value) and not isinstance(value, property)
    ]

    assert [name for name in attributes if f"`{name}" not in source_of(page)] == []


def test_the_errors_that_a_kind_can_raise_are_explained(page):
    kind = COMPONENT_KINDS[PAGES[page]]
    named = {*re.findall(r"`(\w+Error)`", inspect.getsource(kind))} & {*api.__all__}

    assert [error for error in sorted(named) if f"`{error}`" not in source_of(page)] == []


def test_what_comes_with_us_is_known(generator, page):
    asked = f"<!-- generated: known {PAGES[page]} -->"
    types = [entry.type_name for entry in generator.options.registrations(PAGES[page])]
    configuration = generator.expanded(f"<!-- generated: types {PAGES[page]} -->", "here")

    assert asked in source_of(page)
    assert types
    assert first_cells(generator.expanded(asked, "here")) == types
    assert [name for name in types if f"`{name}`\n" not in configuration] == []


def test_every_plugin_among_the_examples_is_known():
    modules = sorted(ROOT.glob("examples/al-framework-*/al_framework_*.py"))
    pages = {
        module.parent.name: HOOKS[re.search(r"def (al_register_\w+)", module.read_text())[1]]
        for module in modules
    }

    assert len(pages) >= 1
    for example, page in pages.items():
        assert f"`examples/{example}`" in source_of(page)


@pytest.mark.parametrize("page", sorted(KINDS))
def test_a_page_begins_with_the_command_that_writes_its_kind(page):
    assert re.search(rf"^\$ al new-plugin \S+ --kind {page}$", source_of(page), re.MULTILINE)


def test_a_page_ends_in_the_contract(page):
    assert f"(../testing.md#{page.replace('_', '')}contract)" in source_of(page)


def test_every_kind_has_its_page():
    assert sorted(PAGES.values()) == sorted(COMPONENT_KINDS)


def test_the_tutorial_keeps_what_the_command_has_written():
    project = PluginProject.named("confusion", kind="strategy")
    written = {path.as_posix(): content for path, content in project.files()}
    tutorial = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    file = re.compile(
        r"^<!-- file: confusion/(\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL
    )
    shown = dict(file.findall(tutorial))
    before = tomllib.loads(written["pyproject.toml"].decode())
    after = tomllib.loads(shown["pyproject.toml"])
    old, new = before.pop("project"), after.pop("project")

    assert set(shown) <= set(written)
    assert before == after
    assert set(old["dependencies"]) < set(new["dependencies"])
    assert {name for name in new if new[name] != old.get(name)} == {
        "authors",
        "dependencies",
        "description",
        "license",
    }


def test_a_block_that_is_a_file_shows_its_name(generator):
    shown = generator.captioned("<!-- file: a/b.py -->\n```python\npass\n```\n")

    assert shown == "```{code-block} python\n:caption: '`a/b.py`'\n\npass\n```\n"


@pytest.mark.parametrize("asked", ["life nothing", "known"])
def test_a_kind_that_there_is_not_is_named(generator, asked):
    from sphinx.errors import ExtensionError

    with pytest.raises(ExtensionError, match=rf"nothing generates '{asked}': .*life sink"):
        generator.expanded(f"<!-- generated: {asked} -->", "here")
