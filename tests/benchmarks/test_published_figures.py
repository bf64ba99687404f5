"""docs/performance.md as it is: made from what is kept, and nothing on it is without a source."""

import re
import tomllib

import pytest

from benchmarks import page, results, targets
from benchmarks.__main__ import QUESTIONS

# What is made of results, and profiles that name the commit and the command.
SUPPORTED = re.compile(
    r"<!-- figures: .*?<!-- end of figures -->"
    r"|^##+ Profile: (?=[^#]*commit `)(?=[^#]*`python -)[^#]*",
    re.MULTILINE | re.DOTALL,
)


def test_the_page_says_what_is_kept():
    text = page.PAGE.read_text(encoding="utf-8")
    made = page.filled(text, results.read(), targets.read())

    assert made == text, "run: python -m benchmarks.page"


def unsupported(text):
    """Return the figures that are written by hand, but in profiles that have a source."""
    rest = SUPPORTED.sub("", text)
    return set(re.findall(r"(?:\d+ or )?\d[\d.,]*\s?(?:µs|ms|s|[MG]B|dB)\b", rest))


def test_no_figure_is_written_by_hand():
    settings = {"0 or 50 ms"}  # what the server lets its answers wait

    assert settings == unsupported(page.PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("## A\nIt takes 4.8 ms and 150 MB.\n", {"4.8 ms", "150 MB"}),
        ("<!-- figures: a -->\n4.8 ms\n<!-- end of figures -->\n", set()),
        ("## Profile: it\nIt takes 4.8 ms.\n## B\n", {"4.8 ms"}),
        ("## Profile: it\nOf commit `abc`, by `python -X x`: 4.8 ms.\n## B\n5 µs\n", {"5 µs"}),
    ],
)
def test_a_figure_that_is_written_by_hand_is_seen(text, figures):
    assert figures == unsupported(text)


def test_what_is_to_be_installed_is_what_the_project_is_tested_with():
    text, root = page.PAGE.read_text(encoding="utf-8"), page.PAGE.parents[1]
    [(extras, others)] = re.findall(r"pip install -e '\.\[(.+)\]' (.+)", text)
    [peer] = re.findall(r"'inference-cpu==(.+)'", text)
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tox = (root / "tox.ini").read_text(encoding="utf-8")

    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert all(f"\n    {other}>=" in tox for other in others.split())
    assert f"inference-cpu[http]=={peer}\n" in tox


def test_every_question_has_its_place_on_the_page():
    asked = page.asked(page.PAGE.read_text(encoding="utf-8"))

    assert sorted(asked) == sorted(QUESTIONS)


def test_every_result_that_is_kept_is_of_a_question():
    assert set(results.read()) <= set(QUESTIONS)


def test_every_target_that_is_missed_has_a_reason_and_no_other():
    faults = targets.faults(results.read().values(), targets.read())

    assert not faults, "\n".join(faults)
