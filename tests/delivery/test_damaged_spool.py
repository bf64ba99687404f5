"""Files of a spool are damaged in every way that chance finds; it opens, and loses what is damaged.

SQLite takes a log whose end is damaged for a shorter one, which the spool notices by the shared
memory, or by what comes later in the log. Where both are gone nothing is left to tell of the last
commits: their datapoints have no row any more. Their pictures are not touched by the start;
`al spool verify` names them as stray files.
"""

import json
from collections import Counter

import pytest

from al_framework.pipeline.spool.schema import MIGRATIONS

# What nobody can tell from an earlier state; all others lose nothing that is intact.
SHORTENS_THE_LOG = {"log and shared memory"}
LOG = {"log gone", "log cut", "log bytes", "log flips and shared memory"}


@pytest.fixture(scope="module")
def reports(children, quick_directory, size, run_seed):
    """Damage so many spools, and return what is said of each."""
    cases = size.pick(ci=300, full=3000, soak=20_000)
    output = children.run("damage", quick_directory, run_seed, 0, cases, hang_s=cases * 2.0 + 120.0)
    found = [json.loads(line) for line in output.splitlines()]
    assert len(found) == cases
    return found


pytestmark = [
    pytest.mark.timeout(0),  # a soak takes hours; the child has a hang limit of its own
    pytest.mark.usefixtures("seed"),  # which prints it
]


def wrong(reports, what):
    """Return the cases of which something is said that should not be."""
    return {report["case"]: report for report in reports if report.get(what)}


def test_a_start_never_fails_or_hangs_but_for_an_index_of_a_later_version(reports):
    refused = {report["refused"].partition(": ")[2] for report in reports if "refused" in report}
    kinds = Counter(report["kind"] for report in reports if report["codes"] != [0, 0])

    assert refused == {
        (
            "its index has schema version 99, and this version of al-framework knows up to"
            f" {len(MIGRATIONS)}; update al-framework, or use another directory"
        )
    }
    assert set(kinds) == {"version"}


def test_everything_intact_is_delivered_unless_the_log_is_shortened_without_a_trace(
    reports,
):
    lost = wrong(reports, "lost")

    assert {report["kind"] for report in lost.values()} <= SHORTENS_THE_LOG, lost


def test_a_log_was_damaged_in_every_way(reports):
    seen = {report["kind"] for report in reports}

    assert seen >= LOG | SHORTENS_THE_LOG


def test_what_has_lost_its_row_is_still_on_the_disk(reports):
    assert wrong(reports, "gone for good") == {}


def test_nothing_damaged_is_ever_delivered(reports):
    assert wrong(reports, "altered") == {}


def test_only_what_is_damaged_dies_and_says_so(reports):
    assert wrong(reports, "dead but intact") == {}
    assert wrong(reports, "damaged and unsaid") == {}
    assert wrong(reports, "pending") == {}


def test_a_second_start_delivers_nothing_again(reports):
    assert wrong(reports, "repeated") == {}
