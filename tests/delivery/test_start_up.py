"""Opening a spool costs the same whether ten datapoints wait in it or ten thousand.

Counted are what the cost is made of: rows changed, steps of SQLite's machine, files opened,
directories listed. The seconds stand in the benchmark; here is a hang limit alone.
"""

import json

import pytest


@pytest.fixture
def measure(children, tmp_path):
    """Fill a spool in a process that is killed, and open it in another one."""

    def run(items, end):
        directory = tmp_path / f"{end}-{items}"
        children.run("start_up", "fill", directory, items, end, hang_s=600.0)
        return json.loads(children.run("start_up", "open", directory, hang_s=600.0))

    return run


@pytest.mark.parametrize("end", ["killed", "closed"])
def test_the_cost_of_a_start_does_not_grow_with_the_backlog(measure, size, end):
    few = measure(200, end)
    many = measure(size.pick(ci=2_000, full=10_000, soak=50_000), end)

    assert few["recovered"] == 200
    assert many["recovered"] == size.pick(ci=2_000, full=10_000, soak=50_000)
    assert min(few[count] for count in ("rows", "opened", "steps")) > 0  # else nothing was counted
    for count in ("rows", "opened", "listed"):
        assert many[count] == few[count], count
    # A tree of ten times as many rows is a little higher.
    assert many["steps"] <= 2 * few["steps"]
    assert many["memory"] <= few["memory"] + 20 * 2**20
    assert many["first_lease_s"] < 2.5  # ten times the target: a hang limit


def test_only_an_unclean_end_has_the_index_looked_through(measure):
    assert measure(20, "closed")["checks"] == 0
    assert measure(20, "killed")["checks"] == 1
