"""Frames go through all stages in order, in groups, and none is taken twice."""

import threading

import numpy as np
import pytest

from al_framework.api import FrameKey, Options, Verdict
from al_framework.pipeline import runner as runner_module
from al_framework.pipeline.runner import (
    GROUP_AGE_S,
    GROUP_ENTRIES,
    GROUP_ITEMS,
    BoundSource,
    Runner,
)
from al_framework.pipeline.spool import Candidate
from al_framework.testing import sample_jpeg

PICTURE = sample_jpeg()


def odd_ones(frame, _):
    """Take frames whose name ends with an odd digit."""
    return Verdict(match=frame.frame_id[-1] in "13579")


def outcomes(world):
    return {
        entry.key.frame_id: entry.outcome
        for group in world.spool.groups
        for entry in group
        if not isinstance(entry, Candidate)
    }


def test_every_frame_goes_through_all_stages_in_order(world, listed, new_run):
    run = new_run(world.engine({"a": odd_ones}))

    assert {} == run(listed("1", "2", "3"))

    counts = world.tally.counts({})

    assert [["[cam/1]", "cam/2", "[cam/3]"]] == run.groups
    assert ["cam"] * 3 == run.progressed
    assert (3, 2, 1, 0) == (counts.offered, counts.accepted, counts.not_selected, counts.queued)


def test_a_frame_is_never_seen_ahead_of_an_earlier_one_that_is_not_accepted(world, listed, new_run):
    names = [str(n) for n in range(200)]
    run = new_run(world.engine({"a": odd_ones}))
    run(listed(*names))
    committed = [name.strip("[]") for group in run.groups for name in group]

    assert [f"cam/{name}" for name in names] == committed


def test_sixteen_candidates_are_a_group(world, yes, listed, new_run):
    run = new_run(world.engine({"a": yes}))
    run(listed(*map(str, range(GROUP_ITEMS + 2))))

    assert [16, 2] == [len(group) for group in run.groups]


def test_sixty_four_frames_are_a_group_even_without_candidates(world, no, listed, new_run):
    run = new_run(world.engine({"a": no}))
    run(listed(*map(str, range(GROUP_ENTRIES + 1))))

    assert [64, 1] == [len(group) for group in run.groups]


def test_heavy_pictures_are_a_group_of_their_own(world, yes, listed, monkeypatch, new_run):
    monkeypatch.setattr(runner_module, "GROUP_BYTES", 2 * len(PICTURE) - 200)
    run = new_run(world.engine({"a": yes}))
    run(listed("1", "2", "3"))

    assert [["[cam/1]", "[cam/2]"], ["[cam/3]"]] == run.groups


def test_a_candidate_waits_for_others_but_not_for_long(world, listed, new_run):
    run = new_run(world.engine({"a": odd_ones}))
    later = lambda: world.clock.advance(GROUP_AGE_S)  # noqa: E731 - a step between two frames
    run(listed("2", later, "4", "1", "6", later, "3", "8"))

    assert [["cam/2", "cam/4", "[cam/1]"], ["cam/6", "[cam/3]"], ["cam/8"]] == run.groups


def test_a_candidate_does_not_wait_behind_frames_that_leave_nothing(world, listed, new_run):
    committed = []
    run = new_run(world.engine({"a": odd_ones}))
    later = lambda: world.clock.advance(GROUP_AGE_S)  # noqa: E731 - a step between two frames
    look = lambda: committed.append(len(world.spool.groups))  # noqa: E731 - likewise
    run(listed("1", look, later, "2", look, asks=False))

    assert [0, 1] == committed


def test_a_live_source_does_not_ask_and_its_rejected_frames_leave_nothing(world, listed, new_run):
    run = new_run(world.engine({"a": odd_ones}))
    run(listed("1", "2", asks=False))
    [[candidate]] = world.spool.groups

    assert [] == run.asked
    assert FrameKey(source="cam", frame_id="cam/1", size=0, mtime_ns=0) == candidate.key


def test_what_an_earlier_run_has_dealt_with_is_skipped_and_shown_as_progress(
    world, listed, new_run
):
    run = new_run(world.engine({"a": odd_ones}), seen=["cam/1", "cam/2"])
    source = listed("1", "2", "3")
    run(source)
    counts = world.tally.counts({})

    assert ["cam/1", "cam/2", "cam/3"] == [key.frame_id for key in run.asked]
    assert ["cam/3"] == source.asked_for_prediction
    assert ["cam"] * 3 == run.progressed
    assert (2, 1, 1) == (counts.skipped, counts.offered, counts.accepted)


def test_the_key_that_was_asked_about_is_remembered(world, listed, new_run):
    run = new_run(world.engine({"a": odd_ones}))
    run(listed("1", "2"))

    assert run.asked == [entry.key for group in world.spool.groups for entry in group]


def test_crops_are_committed_before_their_frame_counts_as_split(
    world, context, listed, halves, new_run
):
    engine = world.engine(
        {"a": lambda frame, _: Verdict(match=frame.frame_id.endswith("left"))},
        adapters=[("halves", halves(Options(), context))],
    )
    run = new_run(engine)
    run(listed("1", recorded={"cam/1": "halves"}))
    counts = world.tally.counts({})

    assert [["[cam/1#left]", "cam/1"]] == run.groups
    assert {"cam/1": "split"} == outcomes(world)
    assert (2, 1, 1) == (counts.offered, counts.accepted, counts.not_selected)
    assert 0 == world.unbalanced()


def test_a_stopped_run_commits_what_it_has_and_asks_no_more(world, yes, listed, new_run):
    run = new_run(world.engine({"a": yes}))
    first = listed("1", run.stop.set, "2", "3", source="north")
    second = listed("4", source="south")

    assert {} == run(first, second)
    assert [["[north/1]", "[north/2]"]] == run.groups
    assert [] == second.asked_for_prediction
    assert 0 == world.tally.counts({}).queued


def test_an_interrupt_commits_the_frames_at_hand(world, yes, listed, new_run):
    def interrupt():
        raise KeyboardInterrupt

    run = new_run(world.engine({"a": yes}))

    with pytest.raises(KeyboardInterrupt):
        run(listed("1", interrupt))

    assert [["[cam/1]"]] == run.groups


def test_flushing_nothing_asks_the_spool_nothing(world, yes, new_run):
    run = new_run(world.engine({"a": yes}))
    run.runner.flush()

    assert [] == run.groups


def test_a_second_run_over_a_real_spool_takes_nothing_twice(world, listed, spool):
    engine = world.engine({"a": odd_ones})
    pictures = {"5": b"no picture"}
    engine._acceptor = spool
    for _ in range(2):
        Runner(
            engine=engine,
            predictor=None,
            seen=spool.seen,
            wait_for_room=lambda: False,
            clock=world.clock,
        ).run(
            [BoundSource(name="cam", source=listed("1", "2", "5", pictures=pictures))],
            stop=threading.Event(),
            progress=lambda _: None,
        )
    counts = world.tally.counts({})
    found = {name: spool.find(f"cam/{name}")[0].outcome for name in "125"}

    assert {"1": "accepted", "2": "not_selected", "5": "invalid_image"} == found
    assert (3, 3, 1) == (counts.offered, counts.skipped, counts.accepted)


@pytest.mark.parametrize(("again", "ends"), [(False, (1, 1)), (True, (2, 0))])
def test_two_runs_at_the_same_time_take_a_frame_once_unless_told_otherwise(
    world, listed, spool, again, ends
):
    engine = world.engine({"a": odd_ones})
    engine._acceptor = spool

    def run(*names):
        Runner(
            engine=engine,
            predictor=None,
            seen=None if again else spool.seen,
            wait_for_room=lambda: False,
            clock=world.clock,
        ).run(
            [BoundSource(name="cam", source=listed(*names))],
            stop=threading.Event(),
            progress=lambda _: None,
        )

    # The other run overtakes this one, which has both frames in hand.
    run("1", "2", lambda: run("1", "2"))
    counts = world.tally.counts({})

    assert ends == (counts.accepted, counts.dropped.get("seen_meanwhile", 0))
    assert (4, 2, 0) == (counts.offered, counts.not_selected, counts.queued)


def test_a_rejection_with_numbers_of_numpy_is_written_to_a_real_spool(
    world, listed, spool, new_run
):
    engine = world.engine({"a": Verdict(match=np.bool_(False), utility=np.float32(0.5))})
    engine._acceptor = spool
    run = new_run(engine)
    run(listed("1"))
    [found] = spool.find("cam/1")

    assert "not_selected" == found.outcome
    assert found.detail["verdicts"][0]["match"] is False
