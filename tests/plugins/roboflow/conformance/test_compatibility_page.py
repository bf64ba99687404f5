"""The page on compatibility against the code: names of deviations, defects, and tests."""

import ast
import re
from pathlib import Path

import pytest

from al_framework_roboflow.conformance.kinds import KINDS

ROOT = Path(__file__).resolve().parents[4]
PAGE = ROOT / "docs" / "roboflow-compatibility.md"


def rows(heading):
    """Return the cells of every row of the table under a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def named_tests():
    page = PAGE.read_text(encoding="utf-8")
    return sorted(set(re.findall(r"`(tests/[\w/]+\.py)::((?:Test\w+::)?test_\w+)`", page)))


def test_every_deviation_stands_on_the_page_and_none_that_is_not_there():
    in_code = {name for kind in KINDS.values() for name in kind.deviations}

    assert sorted(in_code) == sorted(row[0].strip("`") for row in rows("Named deviations"))


def test_a_deviation_is_listed_with_the_files_that_have_it():
    for name, where, *_ in rows("Named deviations"):
        of = [kind for kind, rules in KINDS.items() if name.strip("`") in rules.deviations]

        assert where == "every file" or where.split(", ") == of, name


def test_the_reason_in_the_code_names_the_same_defects():
    on_page = {
        row[0].strip("`"): set(re.findall(r"D\d+", row[3])) for row in rows("Named deviations")
    }
    in_code = {}
    for kind in KINDS.values():
        for name, reason in kind.deviations.items():
            in_code.setdefault(name, set()).update(re.findall(r"D\d+", reason))

    assert in_code == on_page


def test_every_deviation_is_decided_where_the_page_says():
    plugin = ROOT / "plugins" / "al_framework_roboflow"
    for name, _, _, _, where in rows("Named deviations"):
        file = where.strip("`")
        if file.endswith(".py"):
            assert name.strip("`") in (plugin / file).read_text(encoding="utf-8"), name


def test_every_defect_has_one_row_and_is_mended_or_inherited():
    table = rows("The known defects, one by one")

    assert [f"D{number}" for number in range(1, 36)] == [row[0] for row in table]
    assert {"mended", "inherited"} == {row[2] for row in table}
    assert [] == [row[0] for row in table if row[2] == "mended" and "::test_" not in row[3]]


@pytest.mark.parametrize(("file", "name"), named_tests())
def test_a_test_that_the_page_names_exists(file, name):
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    for part in name.split("::"):
        [found] = [node for node in body if getattr(node, "name", None) == part]
        body = found.body if isinstance(found, ast.ClassDef) else []


def test_every_test_that_the_page_names_is_looked_for():
    text = PAGE.read_text(encoding="utf-8")

    assert text.count("::test_") == sum(
        text.count(f"`{file}::{name}`") for file, name in named_tests()
    )
