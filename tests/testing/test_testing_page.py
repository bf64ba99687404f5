"""The page about testing names every check and every public name; `tests/docs` runs its blocks."""

import re
from pathlib import Path

import pytest

from al_framework import testing

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
CONTRACTS = sorted(name for name in testing.__all__ if name.endswith("Contract"))


def checks_of(name):
    contract = getattr(testing, name)
    general = () if name == "ComponentContract" else dir(testing.ComponentContract)
    return {
        check.removeprefix("test_"): getattr(contract, check).__doc__.strip().splitlines()[0]
        for check in vars(contract)
        if check.startswith("test_") and check not in general
    }


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_page_lists_the_checks_of_a_contract(name):
    expected = [f"| `{check}` | {asks} |" for check, asks in checks_of(name).items()]
    table = re.search(rf"<!-- table: {name} -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)[1]

    assert ["| check | asks |", "| --- | --- |", *expected] == table.splitlines()


def test_every_check_asks_a_question():
    for name in CONTRACTS:
        assert [] == [c for c, asks in checks_of(name).items() if not asks.startswith("Whether ")]


def test_the_page_names_everything_that_is_public():
    assert [] == [name for name in testing.__all__ if not re.search(rf"\b{name}\b", PAGE)]
