"""A process ends at every named point, the first and the second time that it gets there.

The recovery that follows is killed too, at the same point if it gets there; the one after it meets
every obligation, and one more finds nothing left to do.
"""

import itertools
import json
import re
from pathlib import Path

import pytest

import al_framework
from al_framework.pipeline.spool.failpoints import FAILPOINTS

KILLED = 137
SINGLE = [f"{point}:{hits}" for point in FAILPOINTS for hits in (1, 2)]
PAIRS = [f"{first}:1:{second}" for first, second in itertools.permutations(FAILPOINTS, 2)]


@pytest.fixture(scope="module")
def reports(children, quick_directory, size):
    """Run all cases in one process, whose forks need not import anything."""
    cases = [*SINGLE, *size.pick(ci=PAIRS[::8], full=PAIRS, soak=PAIRS)]
    output = children.run("failpoints", quick_directory, *cases, hang_s=3600.0)
    return {report["case"]: report for report in map(json.loads, output.splitlines())}


@pytest.mark.parametrize("case", SINGLE)
def test_a_process_that_ends_there_leaves_nothing_that_cannot_be_recovered(reports, case):
    report = reports[case]

    assert report["tour"] == KILLED, f"the tour never gets to {case}"
    assert report["killed again"] in (0, KILLED)
    assert report["verdict"] == {}
    assert report["verdict of a second recovery"] == {}


@pytest.mark.timeout(0)  # a hundred and more; the child has a hang limit of its own
def test_a_recovery_that_ends_elsewhere_leaves_nothing_either(reports):
    pairs = {case: report for case, report in reports.items() if case.count(":") == 2}

    wrong = {
        case: report
        for case, report in pairs.items()
        if report["tour"] != KILLED or report["verdict"] or report["verdict of a second recovery"]
    }

    assert wrong == {}


def test_each_point_has_a_name_that_is_tried():
    sources = Path(al_framework.__file__).parent.rglob("*.py")
    named = [re.findall(r'failpoint\("(\w+)"\)', source.read_text()) for source in sources]

    assert sorted(itertools.chain(*named)) == sorted(FAILPOINTS)
