"""What docs/comparison.md says has a source, and what it says of us a test that exists."""

import re
from pathlib import Path

import click
import pytest

from al_framework.cli import cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
HOSTS = ["pytest", "tox", "llm", "hatch", "npe2", "al-framework"]
SECTIONS = {part.partition("\n")[0]: part.partition("\n")[2] for part in PAGE.split("\n## ")[1:]}
TESTS = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
ASKED = re.findall(r"^\| \[[^]]+\]\(#([\w-]+)\) \|(.*)\|$", PAGE, re.MULTILINE)


def rows(text):
    lines = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def section(anchor):
    return next(
        text for title, text in SECTIONS.items() if title.lower().replace(" ", "-") == anchor
    )


def test_eight_things_are_asked_for_and_each_host_has_its_answer():
    answers = [[answer.strip() for answer in cells.split("|")] for _, cells in ASKED]

    assert len(answers) == 8
    assert {len(row) for row in answers} == {len(HOSTS)}
    assert {answer for row in answers for answer in row} == {"yes", "partly", "no"}


@pytest.mark.parametrize("anchor", [anchor for anchor, _ in ASKED])
def test_every_cell_has_its_source_and_ours_its_tests(anchor):
    text = section(anchor)
    *others, ours = rows(text)

    assert [row[0] for row in (*others, ours)] == HOSTS
    for row in others:
        assert "tried" in row[-1] or re.search(r"\[[^]]+\]", row[-1]), row
        assert all(row), row
    assert ours[-1] == "below"
    assert re.search(r"^- `tests/", text, re.MULTILINE)


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_every_test_that_is_named_exists(file, name):
    text = (ROOT / file).read_text(encoding="utf-8")

    assert not name or f"def {name}(" in text


def test_every_command_of_ours_exists():
    known = set(cli.list_commands(click.Context(cli)))
    named = set(re.findall(r"`al ([a-z-]+)", PAGE)) - {"--help"}
    benchmarks = re.findall(r"`python -m benchmarks (\w+)`", PAGE)

    assert named
    assert named <= known
    assert benchmarks
    assert all((ROOT / "benchmarks" / f"{name}.py").exists() for name in benchmarks)


def test_every_link_leads_somewhere_and_is_used():
    defined = re.findall(r"^\[([^]]+)\]: https://\S+$", PAGE, re.MULTILINE)
    body = re.sub(r"`[^`\n]+`|^\[.*\]: .*$", "", PAGE, flags=re.MULTILINE)
    used = set(re.findall(r"\[([\w#-]+)\](?![\[(])", body))

    assert defined == sorted(set(defined))
    assert used == set(defined)


def test_the_broken_plugins_are_as_many_as_it_says():
    [claimed] = re.findall(r"more than (\d+) ways to be broken", PAGE)

    assert len([*(ROOT / "tests/host/broken").glob("*/*.py")]) > int(claimed)
