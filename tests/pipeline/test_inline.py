import threading

import pytest

from al_framework.api import SpoolFullError, Ticket, TransientSinkError, Verdict
from al_framework.pipeline.inline import Inline
from al_framework.testing import sample_detections, sample_frame


class Deliverer:
    """Delivers what it is told to, and says how long it was given."""

    def __init__(self, world, *answers):
        self.world = world
        self.answers = list(answers)
        self.asked = []
        self.steps = 0

    def deliver_now(self, item_id, timeout_s):
        self.asked.append((item_id, timeout_s))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def step(self):
        self.steps += 1
        return False


def inline_of(world, engine, delivery, **more):
    return Inline(engine, delivery, clock=world.clock, timeout_s=30.0, **more)


def put(inline, engine, name="f"):
    [offer] = engine.offer(sample_frame(name), sample_detections(1), keep=inline.keep)
    return inline.put(offer.pending, wait_accepted_s=None)


def test_a_frame_is_stored_and_delivered_before_the_call_returns(world, yes):
    engine = world.engine({"a": yes})
    delivery = Deliverer(world, True)
    threads = threading.active_count()
    ticket = put(inline_of(world, engine, delivery), engine)
    [datapoint] = world.spool.datapoints

    assert Ticket(status="accepted", reason="", frame_id="f", item_id=datapoint.item_id) == ticket
    assert [(datapoint.item_id, 30.0)] == delivery.asked
    assert 1 == delivery.steps  # for what an earlier frame has left
    assert threads == threading.active_count()


def test_the_time_for_storing_is_part_of_the_time(world, yes):
    engine = world.engine({"a": yes})
    accept = world.spool.accept

    def slow(entries):
        world.clock.advance(12.0)
        return accept(entries)

    world.spool.accept = slow
    delivery = Deliverer(world, True, True)
    inline = inline_of(world, engine, delivery)
    put(inline, engine)
    world.spool.accept = lambda entries: (world.clock.advance(40.0), accept(entries))[1]
    put(inline, engine)

    assert [18.0, 0.0] == [left for _, left in delivery.asked]


def test_what_is_not_delivered_in_time_is_said_to_be_safe(world, yes):
    engine = world.engine({"a": yes})
    delivery = Deliverer(world, False)
    ticket = put(inline_of(world, engine, delivery), engine)

    assert "accepted" == ticket.status
    assert "safe in the spool, and still to be delivered" == ticket.reason
    assert 0 == delivery.steps
    assert 1 == world.tally.counts({}).accepted


def test_an_error_of_the_delivery_reaches_no_caller(world, yes):
    engine = world.engine({"a": yes})
    error = TransientSinkError("the line is dead")
    ticket = put(inline_of(world, engine, Deliverer(world, error)), engine)

    assert "accepted" == ticket.status
    assert "safe in the spool, and still to be delivered: the line is dead" == ticket.reason
    assert [("a frame is safe in the spool, but: the line is dead", error)] == world.reports


def test_where_nothing_is_delivered_a_frame_is_stored(world, yes):
    engine = world.engine({"a": yes})

    assert ("accepted", "") == (
        (ticket := put(inline_of(world, engine, None), engine)).status,
        ticket.reason,
    )


def test_a_frame_that_is_not_taken_is_not_delivered(world):
    engine = world.engine({"a": (Verdict(match=False), {"needs_pixels": True})})
    delivery = Deliverer(world)

    assert "not_selected" == put(inline_of(world, engine, delivery), engine).status
    assert [] == delivery.asked


def test_a_full_spool_is_a_drop(world, yes):
    engine = world.engine({"a": yes})
    world.spool.errors = [SpoolFullError("spool 'x': it is full")]
    ticket = put(inline_of(world, engine, Deliverer(world)), engine)

    assert Ticket(status="dropped", reason="spool 'x': it is full", frame_id="f") == ticket
    assert {"spool_full": 1} == world.tally.counts({}).dropped


def test_after_the_end_frames_are_dropped(world, yes):
    engine = world.engine({"a": yes})
    inline = inline_of(world, engine, Deliverer(world))
    inline.close(1.0)

    assert Ticket(status="dropped", reason="shutdown", frame_id="f") == put(inline, engine)
    assert {"shutdown": 1} == world.tally.counts({}).dropped


def test_the_document_is_asked_for_at_the_start_and_whenever_it_is_due(world, yes):
    engine, asked = world.engine({"a": yes}), []

    def refresh():
        asked.append(world.clock.monotonic())
        return 60.0

    inline = inline_of(world, engine, None, refresh=refresh)
    inline.start()
    inline.look()
    world.clock.advance(59.0)
    inline.look()
    world.clock.advance(1.0)
    inline.look()

    assert [0.0, 60.0] == asked


def test_only_one_thread_at_a_time_asks_for_the_document(world, yes):
    engine, asked = world.engine({"a": yes}), []

    def refresh():
        asked.append(1)
        inline.look()  # as another thread would
        return 60.0

    inline = inline_of(world, engine, None, refresh=refresh)
    inline.look()

    assert [1] == asked


def test_a_document_that_fails_to_come_may_be_asked_for_again(world, yes):
    engine = world.engine({"a": yes})
    inline = inline_of(world, engine, None, refresh=lambda: 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            inline.look()


def test_the_child_of_a_fork_counts_its_own_with_locks_that_nobody_holds(world, yes):
    engine = world.engine({"a": yes})
    inline = inline_of(world, engine, Deliverer(world, True, True))
    put(inline, engine)
    inline._storing.acquire()  # as by a thread of the parent
    inline._asking.acquire()
    inline.after_fork()

    assert "accepted" == put(inline, engine, "child").status
    assert 1 == world.tally.counts({}).offered
    assert (True, 0, 0) == (inline.alive, inline.queued_items, inline.queued_bytes)
