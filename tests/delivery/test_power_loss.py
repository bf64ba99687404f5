"""The power fails at every moment: whatever the disk may then hold, nothing accepted is lost.

The real code runs on a disk that writes down what is asked of it (`children/disk_model.py`). For
every moment, every state that such a disk may be left in is made and opened by the real code: names
that were not synced, there or not; contents that were not synced, torn, empty or zeros; commits
that were not synced, gone. A model that finds nothing proves nothing, so the order of writes is
also spoiled in nine ways, each of which has to be noticed.
"""

import json
import tempfile
from pathlib import Path

import pytest

SCENARIOS = [
    "first",
    "groups",
    "delivery",
    "restarts",
    "two_sinks",
    "given_up",
    "evicted",
    "damaged_index",
]
MUTATIONS = [
    "no fdatasync",
    "no fsync of the hour",
    "no fsync of obj",
    "no fsync of the spool",
    "synced after the commit",
    "synchronous = NORMAL",
    "unlinked before the commit",
    "unlinked with its neighbours",
    "acknowledged before the commit",
]
HANG_S = 600.0


@pytest.fixture
def cut_power(run_child, quick_directory, seed):
    def cut(scenario, mutation=""):
        with tempfile.TemporaryDirectory(dir=quick_directory) as place:
            arguments = (Path(place) / "loss", seed, mutation, scenario)
            output = run_child("power_loss", *arguments, hang_s=HANG_S)
        print(f"{scenario} {mutation}: {output}")  # noqa: T201 - the evidence, with pytest -rP
        return json.loads(output)

    return cut


def check(report):
    """Nothing is wrong in any state, and nothing went unseen."""
    assert report["status"] == 0
    assert report["unseen"] == []
    assert report["examples"] == {}
    assert report["violations"] == 0


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_power_cut_at_any_moment_loses_nothing_accepted(cut_power, scenario):
    report = cut_power(scenario)

    check(report)
    assert report["states"] > report["steps"] / 2


@pytest.mark.timeout(0)  # a soak takes hours; each child has a hang limit of its own
def test_a_power_cut_in_a_scenario_that_chance_has_written_loses_nothing(cut_power, seed, size):
    for number in range(size.pick(ci=4, full=40, soak=1000)):
        check(cut_power(f"made_up:{seed + number}"))


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_wrong_order_of_writes_is_noticed(cut_power, mutation):
    report = cut_power("groups", mutation)

    assert report["violations"] > 0
