"""What becomes of frames that find the ring full."""

import threading

import pytest

from al_framework.api import Image, Ticket
from al_framework.pipeline.handoff import TELL_EVERY_S
from al_framework.pipeline.ring import Ring
from al_framework.testing import sample_detections, sample_frame, sample_jpeg

WAIT_S = 30.0  # a hang limit, never reached


def test_a_full_ring_drops_the_frame_at_once(world, yes, handoffs, put):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine, ring=Ring(max_items=1))
    put(handoff, engine, "first")

    assert Ticket(status="dropped", reason="ring_full", frame_id="second") == put(
        handoff, engine, "second", wait=WAIT_S
    )
    put(handoff, engine, "third")

    assert {"ring_full": 2} == world.tally.counts({}).dropped
    assert [] == world.reports  # the caller is in a hurry
    assert 0 == world.unbalanced()


def test_a_full_ring_is_told_by_the_other_thread_and_once_a_minute(
    *, world, yes, handoffs, caplog, until, put
):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine, ring=Ring(max_items=1))
    for name in ("kept", "lost"):
        put(handoff, engine, name)
    handoff.start()
    until(lambda: world.reports)
    for _ in range(3):
        world.tally.drop("ring_full")
    put(handoff, engine, "seen", wait=WAIT_S)
    early = caplog.text
    world.clock.advance(TELL_EVERY_S)
    until(lambda: caplog.text)

    assert [
        (
            (
                "frames come faster than they can be stored: those that find the ring full are "
                "dropped and counted as 'ring_full'"
            ),
            None,
        )
    ] == world.reports
    assert "" == early
    assert "frames come faster than they can be stored: 3 more were dropped" in caplog.text


def test_the_oldest_gives_way_where_that_is_chosen(world, yes, handoffs, put):
    engine = world.engine({"a": yes})
    size = len(sample_jpeg())
    handoff = handoffs(engine, ring=Ring(max_bytes=2 * size), when_full="drop_oldest")
    first = put(handoff, engine, "first", image=sample_jpeg())
    statuses = [put(handoff, engine, str(n), image=sample_jpeg()).status for n in range(3)]
    big = put(handoff, engine, "big", image=sample_jpeg() + bytes(3 * size))
    handoff.start()
    handoff.close(WAIT_S)

    assert "queued" == first.status == big.status
    assert ["queued"] * 3 == statuses
    assert {"ring_full": 4} == world.tally.counts({}).dropped
    assert ["big"] == [datapoint.frame_id for datapoint in world.spool.datapoints]
    assert 0 == world.unbalanced()


def test_who_is_displaced_gets_its_ticket(world, yes, handoffs, until, put):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine, ring=Ring(max_items=1), when_full="drop_oldest")
    told: list[Ticket] = []
    waiter = threading.Thread(target=lambda: told.append(put(handoff, engine, "old", wait=WAIT_S)))
    waiter.start()
    until(lambda: handoff.queued_items)
    new = put(handoff, engine, "new")
    waiter.join(WAIT_S)

    assert [Ticket(status="dropped", reason="ring_full", frame_id="old")] == told
    assert "queued" == new.status


def test_a_caller_that_may_be_blocked_waits_for_room(world, yes, handoffs, until, put):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine, ring=Ring(max_items=1), when_full="block", block_s=WAIT_S)
    put(handoff, engine, "first")
    told: list[Ticket] = []
    waiter = threading.Thread(target=lambda: told.append(put(handoff, engine, "second")))
    waiter.start()
    handoff.start()
    waiter.join(WAIT_S)
    handoff.close(WAIT_S)

    assert ["queued"] == [ticket.status for ticket in told]
    assert ["first", "second"] == [datapoint.frame_id for datapoint in world.spool.datapoints]


def test_a_caller_that_may_be_blocked_does_not_wait_for_ever(world, yes, handoffs, put):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine, ring=Ring(max_items=1), when_full="block", block_s=0.02)
    tickets = [put(handoff, engine, name) for name in ("first", "second")]

    assert Ticket(status="dropped", reason="ring_full", frame_id="second") == tickets[1]
    assert {"ring_full": 1} == world.tally.counts({}).dropped


def test_the_end_frees_a_caller_that_waits_for_room(world, yes, handoffs, until, put):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine, ring=Ring(max_items=1), when_full="block", block_s=WAIT_S)
    put(handoff, engine, "first")
    told: list[Ticket] = []
    waiter = threading.Thread(target=lambda: told.append(put(handoff, engine, "second")))
    waiter.start()
    until(lambda: world.tally.queued == 2)
    handoff.close(WAIT_S)
    waiter.join(WAIT_S)

    assert "shutdown" == told[0].reason
    assert {"shutdown": 2} == world.tally.counts({}).dropped


def test_where_there_is_no_room_nothing_is_copied(world, yes, handoffs, monkeypatch, put):
    engine = world.engine({"a": yes})
    handoff = handoffs(engine, ring=Ring(max_items=1))
    put(handoff, engine, "first")
    monkeypatch.setattr(Image, "owned", lambda _: pytest.fail("copied in vain"))
    for keep in (handoff.keep, handoff.keep_owned):
        [offer] = engine.offer(sample_frame("second"), sample_detections(1), keep=keep)

        assert ("dropped", "ring_full", None) == (offer.status, offer.reason, offer.pending)
    assert {"ring_full": 2} == world.tally.counts({}).dropped
    assert 0 == world.unbalanced()


def test_the_ring_counts_the_pictures_bytes(world, yes, handoffs, put):
    engine = world.engine({"a": yes})
    size = len(sample_jpeg())
    handoff = handoffs(engine, ring=Ring(max_bytes=2 * size))
    statuses = [put(handoff, engine, str(n), image=sample_jpeg()).status for n in range(3)]

    assert ["queued", "queued", "dropped"] == statuses
