"""The recorded answers of Roboflow Inference, through the command that users have.

The files are not part of this repository; where they are absent there is nothing to compare with.
"""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from al_framework_roboflow.conformance.command import conformance
from al_framework_roboflow.conformance.kinds import KINDS

VECTORS = Path(__file__).resolve().parents[4].parent / "shared" / "vectors"

pytestmark = pytest.mark.skipif(
    not VECTORS.is_dir(), reason="the golden vectors are not beside this repository"
)

# Roboflow's own rules: nothing but a refusal may differ, and what mends a defect by name.
EQUAL_WHERE_VALID = {
    "strategies": {"documented-spelling", "top-alone"},
    "batch_names": set(),
    "downscale": {"at-least-one-pixel", "whole-size-with-a-point"},
    "tags": set(),
    "forbidden": set(),
}
# What no public case tells apart, or not first; test_conformance_kinds.py,
# test_conformance_counts.py and test_e2e_conformance.py have one of each that does.
NEEDED_ELSEWHERE = {
    ("downscale", "whole-size-with-a-point"),
    ("limits", "clock-backwards"),
    ("e2e", "at-least-one-pixel"),
    ("e2e", "duplicate-annotated"),
    ("e2e", "stored-frame"),
}


@pytest.fixture(scope="module")
def outcome():
    result = CliRunner().invoke(conformance, [str(VECTORS), "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_no_case_fails(outcome):
    status, document = outcome

    assert [] == [file["failures"] for file in document["files"].values() if file["failures"]]
    assert (0, 0) == (status, document["failed"])


def test_every_file_is_run(outcome):
    _, document = outcome

    assert [] == document["absent"]
    assert [] == document["unknown"]
    assert sorted(f"{name}.jsonl" for name in document["files"]) == sorted(
        path.name for path in VECTORS.glob("*.jsonl")
    )


def test_every_line_is_a_case(outcome):
    _, document = outcome
    for name, file in document["files"].items():
        lines = (VECTORS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()

        assert len(lines) == file["cases"]
        assert file["cases"] == file["equal"] + sum(file["deviating"].values())


def test_no_deviation_is_unused(outcome):
    _, document = outcome
    unused = {
        (name, deviation)
        for name, kind in KINDS.items()
        for deviation in kind.deviations
        if deviation not in document["files"][name]["deviating"]
    }

    assert NEEDED_ELSEWHERE == unused


@pytest.mark.parametrize(("name", "mended"), EQUAL_WHERE_VALID.items())
def test_roboflows_own_rules_are_equal_wherever_a_case_passes_our_validation(outcome, name, mended):
    _, document = outcome

    assert document["files"][name]["deviating"].keys() <= {"refused-by-validation", *mended}


@pytest.mark.parametrize("name", KINDS)
def test_no_answer_is_found_by_the_name_of_a_case_or_by_what_is_expected(name):
    """Answers and deviations are asked with the input alone; the same input gives the same."""
    kind = KINDS[name]
    for line in (VECTORS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[::25]:
        given = json.loads(line)["input"]
        before = json.dumps(given)
        first = kind.answer(given), kind.deviation(given)

        assert (kind.answer(given), kind.deviation(given)) == first
        assert before == json.dumps(given)
