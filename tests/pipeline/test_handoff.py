import os
import sys
import threading
from functools import partial

import pytest

from al_framework.api import (
    Frame,
    Image,
    SpoolDiskFullError,
    SpoolError,
    SpoolFullError,
    Ticket,
    Verdict,
)
from al_framework.pipeline import handoff as handoff_module
from al_framework.pipeline.handoff import (
    GROUP_AGE_S,
    GROUP_ITEMS,
    NICENESS,
)
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.ring import Ring
from al_framework.pipeline.spool import Acceptance
from al_framework.testing import sample_detections, sample_frame, sample_jpeg, sample_pixels

WAIT_S = 30.0  # a hang limit, never reached


def test_a_frame_is_queued_and_stored_later(world, yes, handoffs, put):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine)
    ticket = put(handoff, engine, "f")

    assert Ticket(status="queued", reason="", frame_id="f") == ticket
    assert not handoff.alive

    handoff.start()

    assert handoff.alive

    handoff.close(WAIT_S)

    assert not handoff.alive
    assert ["f"] == [datapoint.frame_id for datapoint in world.spool.datapoints]
    assert 1 == world.tally.counts({}).accepted


def test_who_waits_gets_the_accepted_ticket(world, yes, handoffs, put):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine)
    handoff.start()
    ticket = put(handoff, engine, "f", wait=WAIT_S)
    [datapoint] = world.spool.datapoints

    assert Ticket(status="accepted", reason="", frame_id="f", item_id=datapoint.item_id) == ticket


def test_who_waits_too_short_gets_the_queued_ticket(world, yes, handoffs, put):
    engine = world.engine({"a": yes})

    assert "queued" == put(handoffs(engine), engine, "f", wait=0.0).status


def test_a_lost_race_for_the_last_credit_is_limited(world, yes, handoffs, pending_of):
    engine = world.engine({"a": yes}, rules={"a": [LimitRule(period="daily", value=1)]})
    handoff = handoffs(engine)
    first, second = (pending_of(engine, sample_frame(name)) for name in "ab")
    handoff.start()
    tickets = [handoff.put(pending, wait_accepted_s=WAIT_S) for pending in (first, second)]

    assert ["accepted", "limited"] == [ticket.status for ticket in tickets]


def test_a_full_batch_is_a_drop_with_its_reason(world, yes, handoffs, monkeypatch, put):
    engine = world.engine({"a": yes})
    monkeypatch.setattr(
        world.spool,
        "accept",
        lambda entries: [Acceptance(item_id=e.item_id, status="batch_full") for e in entries],
    )
    handoff = handoffs(engine)
    handoff.start()

    assert Ticket(status="dropped", reason="batch_full", frame_id="f") == put(
        handoff, engine, "f", wait=WAIT_S
    )
    assert {"batch_full": 1} == world.tally.counts({}).dropped


@pytest.mark.parametrize(
    ("picture", "status"), [(sample_jpeg()[:-100], "invalid"), (sample_jpeg(), "not_selected")]
)
def test_a_frame_that_drops_out_late_settles_its_ticket(
    *, world, no, handoffs, picture, status, put
):
    answer = Verdict(match=status == "invalid")
    engine = world.engine({"a": (answer, {"needs_pixels": True})})
    handoff = handoffs(engine)
    handoff.start()
    ticket = put(handoff, engine, "f", wait=WAIT_S, image=picture)

    assert (status, "f") == (ticket.status, ticket.frame_id)
    assert [] == world.spool.groups
    assert 0 == world.unbalanced()


def test_a_frame_that_comes_in_behind_the_threads_back_is_not_forgotten(world, yes, handoffs, put):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine)
    append = handoff._ring.append

    def late(work, nbytes):
        handoff.close(WAIT_S)  # between the two looks of `put`
        return append(work, nbytes)

    handoff._ring.append = late
    ticket = put(handoff, engine, "late")

    assert Ticket(status="dropped", reason="shutdown", frame_id="late") == ticket
    assert (0, 0) == (handoff.queued_items, world.tally.queued)


def test_what_waits_is_known_in_number_and_bytes(world, yes, handoffs, put):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine)
    for n in range(3):
        put(handoff, engine, str(n), image=sample_jpeg())
    before = (handoff.queued_items, handoff.queued_bytes)
    handoff.start()
    handoff.close(WAIT_S)

    assert (3, 3 * len(sample_jpeg())) == before
    assert (0, 0) == (handoff.queued_items, handoff.queued_bytes)


def test_the_ledger_is_reminded_to_look(world, yes, handoffs, until):
    engine = world.engine({"a": yes})
    moments = []
    engine.ledger.refresh = moments.append
    handoff = handoffs(engine)
    handoff.start()
    until(lambda: moments)

    assert world.clock.time() == moments[0]


@pytest.mark.parametrize(
    ("error", "reason", "traceback"),
    [
        (SpoolFullError("spool 'x': it is full"), "spool_full", False),
        (SpoolDiskFullError("spool 'x': no space"), "disk_full", False),
        (SpoolError("spool 'x': it is gone"), "spool_error", False),
        (RuntimeError("a bug"), "spool_error", True),
    ],
)
def test_errors_of_the_spool_settle_tickets_and_the_thread_goes_on(
    *, world, yes, handoffs, error, reason, traceback, put
):
    engine = world.engine({"a": yes})
    world.spool.errors = [error]
    handoff = handoffs(engine)
    handoff.start()
    lost, kept = (put(handoff, engine, name, wait=WAIT_S) for name in ("lost", "kept"))

    assert Ticket(status="dropped", reason=str(error), frame_id="lost") == lost
    assert "accepted" == kept.status
    assert [(f"frames were dropped: {error}", error if traceback else None)] == world.reports
    assert {reason: 1} == world.tally.counts({}).dropped
    assert 0 == world.unbalanced()


def test_frames_are_stored_in_groups(world, yes, handoffs, put):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine)
    names = [str(n) for n in range(GROUP_ITEMS + 4)]
    for name in names:
        put(handoff, engine, name)
    handoff.start()
    handoff.close(WAIT_S)

    assert [GROUP_ITEMS, 4] == [len(group) for group in world.spool.groups]
    assert names == [datapoint.frame_id for datapoint in world.spool.datapoints]


def test_a_group_ends_with_enough_bytes_or_when_it_is_old_enough(
    world, yes, handoffs, monkeypatch, put
):
    monkeypatch.setattr(handoff_module, "GROUP_BYTES", 2 * len(sample_jpeg()))
    engine = world.engine({"a": yes})
    handoff = handoffs(engine)
    for n in range(3):
        put(handoff, engine, str(n), image=sample_jpeg())
    encode = engine.prepare

    def slow(pending):
        world.clock.advance(GROUP_AGE_S if pending.frame.frame_id.startswith("slow") else 0.0)
        return encode(pending)

    engine.prepare = slow
    for n in range(2):
        put(handoff, engine, f"slow-{n}")
    handoff.start()
    handoff.close(WAIT_S)

    assert [["0", "1"], ["2", "slow-0"], ["slow-1"]] == [
        [candidate.key.frame_id for candidate in group] for group in world.spool.groups
    ]


def test_an_encoded_frame_leaves_no_pixels_behind(world, yes, handoffs, pending_of):
    engine = world.engine({"a": yes})
    handoff, kept = handoffs(engine), []
    pixels = sample_pixels()
    before = sys.getrefcount(pixels)
    accept = world.spool.accept

    def look(entries):
        kept.append(sys.getrefcount(pixels) == before)
        return accept(entries)

    world.spool.accept = look
    frame = Frame(frame_id="f", image=Image(pixels))
    handoff.put(pending_of(engine, frame), wait_accepted_s=None)
    del frame
    handoff.start()
    handoff.close(WAIT_S)

    assert [True] == kept


@pytest.mark.parametrize("started", [True, False])
def test_the_child_of_a_fork_begins_with_an_empty_ring_and_a_thread_if_there_was_one(
    *, world, yes, handoffs, started, put
):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine)
    if started:
        handoff.start()
        handoff._closing.set()  # threads of the parent do not exist in the child
        handoff._thread.join(WAIT_S)
    else:
        put(handoff, engine, "parents")
    handoff.after_fork()
    counts = world.tally.counts({})

    assert (0, 0) == (handoff.queued_items, counts.offered)
    assert started is handoff.alive
    if started:
        assert "accepted" == put(handoff, engine, "childs", wait=WAIT_S).status


def test_after_close_a_frame_is_dropped(world, yes, handoffs, put):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine)
    handoff.start()
    handoff.close(WAIT_S)

    assert Ticket(status="dropped", reason="shutdown", frame_id="f") == put(
        handoff, engine, "f", wait=WAIT_S
    )
    assert {"shutdown": 1} == world.tally.counts({}).dropped


def test_close_drops_what_no_thread_will_come_for(world, yes, handoffs, put):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine)
    put(handoff, engine, "f")
    handoff.close(WAIT_S)
    handoff.close(WAIT_S)
    counts = world.tally.counts({})

    assert ({"shutdown": 1}, 0) == (counts.dropped, counts.queued)


def test_close_leaves_the_rest_in_memory_when_its_time_is_up(world, yes, handoffs, put):
    engine = world.engine({"a": yes})
    accept, go_on = world.spool.accept, threading.Event()
    started = threading.Event()

    def slow(entries):
        started.set()
        go_on.wait(WAIT_S)
        return accept(entries)

    world.spool.accept = slow
    handoff = handoffs(engine)
    for n in range(GROUP_ITEMS + 1):
        put(handoff, engine, str(n))
    handoff.start()
    started.wait(WAIT_S)
    handoff.close(0.0)
    before = world.tally.counts({})
    go_on.set()
    handoff.close(WAIT_S)
    after = world.tally.counts({})

    assert (GROUP_ITEMS + 1, 0) == (before.queued, before.accepted)
    assert (0, GROUP_ITEMS + 1) == (after.queued, after.accepted)


def test_counts_add_up_with_eight_callers(world, handoffs, nan_detections):
    engine = world.engine(
        {"a": lambda frame, _: Verdict(match=not frame.frame_id.startswith("0"))},
        rules={"a": [LimitRule(period="daily", value=60)]},
    )
    handoff = handoffs(engine, ring=Ring(max_items=8))
    handoff.start()

    def call(caller):
        for n in range(60):
            document = nan_detections if n % 5 == 4 else sample_detections(1)
            frame = sample_frame(f"{n % 3}-{caller}-{n}")
            for offer in engine.offer(frame, document):
                if offer.pending is not None:
                    handoff.put(offer.pending, wait_accepted_s=None)

    threads = [threading.Thread(target=partial(call, caller)) for caller in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    handoff.close(WAIT_S)
    counts = world.tally.counts({})

    assert 0 == world.unbalanced()
    assert (480, 0) == (counts.offered, counts.queued)
    assert 96 == counts.dropped["invalid_prediction"]
    assert 128 == counts.not_selected
    assert len(world.spool.datapoints) == counts.accepted <= 60


@pytest.fixture
def run_once(world, yes, handoffs, put):
    """Take one frame through a handoff, and return its ticket's status."""

    def run():
        engine = world.engine({"a": yes})
        handoff = handoffs(engine)
        handoff.start()
        return put(handoff, engine, "f", wait=WAIT_S).status

    return run


def test_on_linux_the_thread_gives_way_to_the_models(run_once, monkeypatch):
    calls = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "PRIO_PROCESS", 0, raising=False)
    monkeypatch.setattr(os, "setpriority", lambda *args: calls.append(args), raising=False)

    assert "accepted" == run_once()
    [(kind, thread, niceness)] = calls
    assert (0, NICENESS) == (kind, niceness)
    assert threading.get_native_id() != thread


def test_a_platform_that_forbids_it_is_no_fault(run_once, monkeypatch):
    def forbid(*_):
        raise PermissionError

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "setpriority", forbid, raising=False)

    assert "accepted" == run_once()


def test_elsewhere_the_priority_is_left_alone(run_once, monkeypatch):
    calls = []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "setpriority", lambda *args: calls.append(args), raising=False)

    assert "accepted" == run_once()
    assert [] == calls
