"""Delivering one datapoint on the caller's thread, as an inline collector does."""

import threading

import pytest

from al_framework.api import PermanentSinkError, Receipt, SinkPausedError, TransientSinkError

CREATED = Receipt(status="created")


class Scripted:
    """A sink that answers as it is told; after the last answer it takes everything."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = []

    def __call__(self, datapoint, checkpoint):
        self.calls.append(datapoint.item_id)
        answer = self.answers.pop(0) if self.answers else CREATED
        if isinstance(answer, BaseException):
            raise answer
        return answer


def test_it_is_delivered_to_every_sink_without_a_thread(bench):
    before = threading.active_count()
    sinks = {"a": Scripted(), "b": Scripted()}
    delivery = bench.delivery(sinks)
    _, item = bench.accept(2, sinks=("a", "b"))

    assert delivery.deliver_now(item, 5.0)
    assert [[item, "item-1"], [item]] == [sink.calls for sink in sinks.values()]
    assert threading.active_count() == before


def test_a_datapoint_that_waits_is_given_one_more_chance_with_the_next(bench):
    sink = Scripted(TransientSinkError("busy"))
    delivery = bench.delivery({"s": sink})
    (first,) = bench.accept()
    late = delivery.deliver_now(first, 0.1)
    bench.clock.advance(60)
    (second,) = bench.accept()

    assert not late
    assert delivery.deliver_now(second, 5.0)
    assert [first, second, first] == sink.calls


@pytest.mark.parametrize(
    ("answer", "pending", "dead"),
    [
        (PermanentSinkError("no"), 0, 1),
        (SinkPausedError("key"), 1, 0),
        (TransientSinkError("busy", retry_after_s=100.0), 1, 0),
    ],
)
def test_it_returns_at_once_when_waiting_is_of_no_use(bench, answer, pending, dead):
    sink = Scripted(answer)
    delivery = bench.delivery({"s": sink})
    (item,) = bench.accept()

    assert not delivery.deliver_now(item, 30.0)
    counts = delivery.counts()["s"]
    assert (1, pending, dead) == (len(sink.calls), counts.pending, counts.dead)


def test_it_is_tried_again_within_its_time(bench):
    sink = Scripted(TransientSinkError("busy"), TransientSinkError("busy"))
    delivery = bench.delivery({"s": sink})
    (item,) = bench.accept()
    done = []
    thread = threading.Thread(target=lambda: done.append(delivery.deliver_now(item, 1000.0)))
    thread.start()
    while thread.is_alive():
        bench.clock.advance(0.1)
        thread.join(0.001)

    assert [True] == done
    assert [item] * 3 == sink.calls


def test_a_process_that_does_not_lead_delivers_its_own(bench):
    leader = bench.delivery({"s": Scripted()})
    leader.step()
    sink = Scripted()
    follower = bench.delivery({"s": sink}, spool=bench.spool("s"))
    (item, _) = bench.accept(2)

    assert follower.deliver_now(item, 5.0)
    assert [item] == sink.calls  # the other one is the leader's


def test_it_waits_for_another_process_that_delivers_it(bench):
    delivery = bench.delivery({"s": Scripted()})
    (item,) = bench.accept()
    lease = bench.spools[0].deliveries.take("s")
    timer = threading.Timer(0.05, bench.spools[0].deliveries.deliver, [lease, CREATED])
    timer.start()

    assert delivery.deliver_now(item, 30.0)
    timer.join()


def test_it_gives_up_when_its_time_is_up(bench):
    delivery = bench.delivery({"s": Scripted()})
    (item,) = bench.accept()
    bench.spools[0].deliveries.take("s")

    assert not delivery.deliver_now(item, 0.05)
    assert not delivery.deliver_now(item, 0.0)


def test_a_sink_that_another_process_found_paused_is_left_alone(bench):
    leader = bench.delivery({"s": Scripted(SinkPausedError("key"))})
    bench.accept()
    leader.step()
    sink = Scripted()
    follower = bench.delivery({"s": sink}, spool=bench.spool("s"))
    (item,) = bench.accept()
    first = follower.deliver_now(item, 5.0)
    bench.clock.advance(300)

    assert not first
    assert follower.deliver_now(item, 5.0)
    assert leader.health()["s"].state == "half_open"  # until it tries for itself
    assert [item] == sink.calls


def test_a_sink_that_is_not_configured_any_more_is_not_waited_for(bench):
    bench.spool("old", "s")
    sink = Scripted()
    delivery = bench.delivery({"s": sink}, spool=bench.spools[0])
    (item,) = bench.accept()

    assert not delivery.deliver_now(item, 30.0)
    assert [item] == sink.calls


def test_a_closed_delivery_delivers_nothing(bench):
    sink = Scripted()
    delivery = bench.delivery({"s": sink})
    (item,) = bench.accept()
    delivery.close(1.0)

    assert not delivery.deliver_now(item, 5.0)
    assert [] == sink.calls
