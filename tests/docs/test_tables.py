"""Tables that say what the code decides are held to the code."""

import re
import tomllib
from pathlib import Path

import pytest

from al_framework.api import PermanentSinkError, SinkPausedError, TransientSinkError
from al_framework.api.http import HttpError, sink_error
from al_framework.testing import FakeCheckpoint
from al_framework_webhook import sink as webhook

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# What the tables say happens, by the words with which they begin to say it.
OUTCOMES = {
    "tried again": TransientSinkError,
    "the sink is paused": SinkPausedError,
    "a dead letter": PermanentSinkError,
    "given up": PermanentSinkError,
}


def read(page):
    return (DOCS / page).read_text(encoding="utf-8")


def table_below(page, heading):
    """Return the rows of the first table below a line, a list of cells each."""
    lines = read(page).partition(heading)[2].splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("| ---"))
    found = []
    for line in lines[first + 1 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def outcome(status, pausing):
    failure = HttpError("no", kind="status", status=status)
    return type(sink_error(failure, who="sink", checkpoint=FakeCheckpoint(), pausing=pausing))


def stated(rows):
    """Return what the table says of each status; ``5xx except …`` and *any other* are spelt out."""
    found, rest, delivered = {}, None, set()
    for answer, what in rows:
        kind = next((OUTCOMES[word] for word in OUTCOMES if what.lower().startswith(word)), None)
        named, _, without = answer.partition("5xx except")
        statuses = {int(number) for number in re.findall(r"\b\d{3}\b", named)}
        if without:
            statuses |= {*range(500, 600)} - {int(one) for one in re.findall(r"\d{3}", without)}
        if kind is None:
            delivered |= statuses
        elif "2xx" not in answer:
            found.update(dict.fromkeys(statuses, kind))
            rest = kind if "any other" in answer else rest
    assert rest is not None
    return {status: found.get(status, rest) for status in {*range(400, 600)} - delivered}


@pytest.mark.parametrize(
    ("page", "heading", "pausing"),
    [
        ("reliability.md", "What an answer means to a sink by default:", ()),
        ("webhook.md", "## What your answer means", webhook._PAUSING),
    ],
)
def test_what_an_answer_means_is_what_the_code_makes_of_it(page, heading, pausing):
    said = stated(table_below(page, heading))
    wrong = {status: kind for status, kind in said.items() if outcome(status, pausing) is not kind}

    assert len(said) >= 199
    assert wrong == {}


def test_every_extra_is_in_the_table_and_no_other():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = [row[0] for row in table_below("first-run.md", "What not everybody needs")]

    assert table == [f"`{name}`" for name in project["optional-dependencies"]]


def test_every_file_that_shows_a_claim_exists():
    rows = table_below("reliability.md", "## How each claim is tested")
    named = [name for row in rows for name in re.findall(r"`([\w./]+)`", row[-1])]

    assert len(named) >= 20
    assert [name for name in named if not (ROOT / "tests" / "delivery" / name).exists()] == []


@pytest.mark.parametrize(
    "page", ["README.md", *(f"examples/{one.name}/README.md" for one in ROOT.glob("examples/*"))]
)
def test_every_link_that_is_relative_leads_to_a_file(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)

    assert targets or page != "README.md"
    assert [one for one in targets if not (ROOT / page).parent.joinpath(one).exists()] == []
