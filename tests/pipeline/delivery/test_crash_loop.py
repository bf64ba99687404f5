"""A datapoint that kills the process is found out, and its neighbours are not blamed."""

import pytest

from al_framework.api import Receipt, TransientSinkError
from al_framework.pipeline.delivery import turns
from al_framework.pipeline.spool import leases

CREATED = Receipt(status="created")


@pytest.fixture
def die(bench, monkeypatch):
    """Have all leases of this process be those of one that has died since."""

    def now():
        spool = bench.spools[0]
        with spool._database.locked(), spool._database.transaction() as tx:
            tx.execute(
                "UPDATE delivery SET owner = '1:1:long-ago/1/' || number || sink"
                " WHERE owner IS NOT NULL"
            )
        spool.deliveries._held.clear()
        spool.deliveries.reclaim(("s", "t"))

    monkeypatch.setattr(leases, "is_alive", lambda name: not name.endswith("long-ago"))
    return now


def ready(delivery):
    """Take every turn that may be begun, and return it by datapoint."""
    taken = {}
    while (turn := delivery._take()) is not None:
        taken[turn.lease.item_id] = turn
    return taken


def finish(delivery, taken):
    for turn in taken.values():
        delivery._run(turn)


def test_after_three_deaths_in_a_row_it_is_given_up_and_the_others_are_delivered(bench, die):
    calls = []
    delivery = bench.delivery(
        {"s": lambda datapoint, _: calls.append(datapoint.item_id) or CREATED}
    )
    bench.accept(8)
    hands = []
    for _ in range(40):
        taken = ready(delivery)
        if not taken:
            break
        hands.append(sorted(taken))
        if "item-2" in taken and taken["item-2"].lease.crashes < 3:
            delivery._turns.begin()
            die()
        else:
            finish(delivery, taken)

    assert hands[0] == ["item-1", "item-2", "item-3", "item-4"]
    assert hands[1:5] == [["item-1"], ["item-2"], ["item-2"], ["item-2"]]
    assert sorted(calls) == [f"item-{n}" for n in (1, 3, 4, 5, 6, 7, 8)]
    assert bench.reason("s") == "crash: the process died 3 times in a row while it delivered it"
    assert (7, 1) == (delivery.counts()["s"].delivered, delivery.counts()["s"].dead)
    assert {"crash": 1} == delivery.counts()["s"].given_up


def test_another_end_than_a_death_begins_the_count_anew(bench, die):
    delivery = bench.delivery({"s": lambda *_: (_ for _ in ()).throw(TransientSinkError("busy"))})
    bench.accept()
    for _ in range(3):
        for _ in range(2):
            ready(delivery)
            delivery._turns.begin()
            die()
        finish(delivery, ready(delivery))
        bench.clock.advance(600)

    assert [(0, 3)] == [(state, attempts) for _, state, _, attempts in bench.rows("s")]


def test_a_suspect_waits_for_others_to_end_but_not_for_ever(bench, die):
    delivery = bench.delivery({"s": lambda *_: CREATED, "t": lambda *_: CREATED})
    bench.accept(1, sinks=("s",))
    ready(delivery)
    die()
    delivery._turns.begin()
    bench.accept(2, sinks=("t",))
    bench.spools[0].deliveries.put_back(
        bench.spools[0].deliveries.take("s"), reason="x", delay_s=1.0
    )
    with bench.spools[0]._database.locked(), bench.spools[0]._database.transaction() as tx:
        tx.execute("UPDATE delivery SET crashes = 1 WHERE sink = 's'")
    hung = delivery._take()
    bench.clock.advance(1.0)

    assert hung.lease.sink == "t"
    assert delivery._take() is None  # held, so that the suspect is soon alone
    bench.clock.advance(turns.ALONE_S)
    suspect = delivery._take()
    assert suspect.lease.sink == "s"
    assert delivery._take() is None  # it is as alone as can be
    bench.clock.advance(turns.ALONE_S)
    assert delivery._take().lease.sink == "t"
    finish(delivery, {"s": suspect})


def test_suspects_of_a_sink_that_is_left_alone_hold_up_nobody(bench, die):
    answers = [TransientSinkError("later", retry_after_s=100.0)]
    delivery = bench.delivery({"s": lambda *_: CREATED, "t": lambda *_: CREATED})
    bench.accept(1, sinks=("s",))
    ready(delivery)
    die()
    delivery._turns.begin()
    breaker = delivery._breakers["s"]
    permit = breaker.enter(0.0)
    breaker.fail(permit, 0.0, asked_s=100.0)
    breaker.leave(permit)
    bench.accept(2, sinks=("t",))

    assert ["t", "t"] == [turn.lease.sink for turn in ready(delivery).values()]
    assert answers


def test_a_suspect_that_another_process_has_taken_leaves_its_turn_to_the_others(
    bench, die, monkeypatch
):
    delivery = bench.delivery({"s": lambda *_: CREATED})
    bench.accept(2)
    monkeypatch.setattr(bench.spools[0].deliveries, "suspects", lambda _: {"s"})

    assert delivery._take() is None
    monkeypatch.undo()
    assert len(ready(delivery)) == 2


def test_of_two_threads_that_find_a_suspect_one_has_it_alone(bench, die, monkeypatch):
    delivery = bench.delivery({"s": lambda *_: CREATED})
    bench.accept(2)
    ready(delivery)
    die()
    delivery._turns.begin()
    first = delivery._take()
    monkeypatch.setattr(delivery._turns, "_is_alone", lambda: False)  # as a moment ago

    assert first.lease.crashes == 1
    assert delivery._take() is None


def test_a_suspect_of_a_sink_without_a_free_slot_stops_nobody_else(bench, die):
    delivery = bench.delivery({"s": lambda *_: CREATED, "t": lambda *_: CREATED}, workers=2)
    bench.accept(2, sinks=("s",))
    ready(delivery)
    die()  # the attempt itself hangs on, as far as this process knows
    bench.accept(3, sinks=("t",))

    assert bench.spools[0].deliveries.suspects(("s", "t")) == {"s"}
    for _ in range(3):
        turn = delivery._take()
        assert turn.lease.sink == "t"
        delivery._run(turn)
    assert delivery._take() is None


def test_a_suspect_of_a_sink_whose_trial_hangs_stops_nobody_else(bench, die):
    delivery = bench.delivery({"s": lambda *_: CREATED, "t": lambda *_: CREATED}, workers=8)
    delivery.step()
    bench.accept(2, sinks=("s",))
    breaker = delivery._breakers["s"]
    now = bench.clock.monotonic()
    permit = breaker.enter(now)
    breaker.fail(permit, now, asked_s=1.0)
    breaker.leave(permit)
    bench.clock.advance(1.0)
    ready(delivery)
    die()
    bench.accept(1, sinks=("t",))

    assert delivery._take().lease.sink == "t"


def test_only_the_death_of_a_process_is_held_against_a_datapoint(bench):
    delivery = bench.delivery({"s": lambda *_: CREATED})
    bench.accept()
    for _ in range(4):
        ready(delivery)
        delivery._turns.begin()
        bench.spools[0].deliveries.reclaim(("s",), own=True)

    assert ready(delivery)["item-1"].lease.crashes == 0
