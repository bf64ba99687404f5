"""A spool that is full is waited for, and one that stays full ends the run."""

import pytest

from al_framework.api import SpoolDiskFullError, SpoolError, SpoolFullError, Verdict
from al_framework.pipeline.runner import GROUP_ITEMS


def odd_ones(frame, _):
    """Take frames whose name ends with an odd digit."""
    return Verdict(match=frame.frame_id[-1] in "13579")


def test_a_full_spool_is_waited_for(world, listed, new_run):
    run = new_run(world.engine({"a": odd_ones}), rooms=[True, True])
    full = SpoolFullError("spool 'x': it is full")
    both, one = full, full  # a part of the group may have room
    world.spool.errors = [both, one, both, one, None]

    assert {} == run(listed("1", "2"))
    assert [] == run.waiting
    assert [["[cam/1]", "cam/2"]] == run.groups
    assert 1 == world.tally.counts({}).accepted


def test_what_there_is_room_for_is_taken_before_the_rest_is_waited_for(world, yes, listed, new_run):
    run = new_run(world.engine({"a": yes}), rooms=[True])
    full = SpoolFullError("spool 'x': it is full")
    world.spool.errors = [full, None, full, full, None]

    assert {} == run(listed("1", "2", "3", "4"))
    assert [] == run.waiting
    assert [["[cam/1]", "[cam/2]"], ["[cam/3]", "[cam/4]"]] == run.groups
    assert 4 == world.tally.counts({}).accepted
    assert 0 == world.unbalanced()


@pytest.mark.parametrize(
    ("error", "reason", "rooms"),
    [
        (SpoolFullError("spool 'x': it is full"), "spool_full", [True, False]),
        (SpoolDiskFullError("spool 'x': no room"), "disk_full", [True, False]),
        (SpoolError("spool 'x': it is gone"), "spool_error", []),
        (TypeError("a bug"), "spool_error", []),
    ],
)
def test_a_spool_that_takes_nothing_ends_the_run_with_counts_right_and_nothing_seen(
    *, world, listed, error, reason, rooms, new_run
):
    run = new_run(world.engine({"a": odd_ones}), rooms=rooms)
    world.spool.errors = [error] * 10

    with pytest.raises(type(error), match=str(error)):
        run(listed("1", "2", "3"), listed("4", source="south"))

    counts = world.tally.counts({})

    assert [] == run.groups
    assert ["cam"] * 3 == run.progressed
    assert (3, 0, 0, 1, {reason: 2}) == (
        counts.offered,
        counts.accepted,
        counts.queued,
        counts.not_selected,
        counts.dropped,
    )
    assert 0 == world.unbalanced()


def test_a_spool_that_fills_up_in_the_middle_of_a_source_ends_the_run(world, yes, listed, new_run):
    run = new_run(world.engine({"a": yes}), rooms=[False])
    world.spool.errors = [SpoolFullError("spool 'x': it is full")] * 10

    with pytest.raises(SpoolFullError, match="it is full"):
        run(listed(*map(str, range(40))))

    assert [] == run.groups
    assert {"spool_full": GROUP_ITEMS} == world.tally.counts({}).dropped
    assert 0 == world.unbalanced()
