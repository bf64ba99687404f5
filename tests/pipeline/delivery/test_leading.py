"""What the leader does besides delivering, and that none of it keeps a datapoint from its sink."""

import random

import pytest

from al_framework.api import Receipt, SinkPausedError, SpoolError, TransientSinkError
from al_framework.pipeline.delivery import RetryRules
from al_framework.pipeline.delivery.leading import SECOND_LOOK_S
from al_framework.pipeline.spool import leases

CREATED = Receipt(status="created")


def instantly(datapoint, checkpoint):
    return CREATED


def test_the_spool_is_tidied_at_first_and_every_minute(bench, monkeypatch):
    delivery = bench.delivery({"s": instantly})
    spool, done = bench.spools[0], []
    monkeypatch.setattr(spool, "sweep_step", lambda: done.append("swept"))
    monkeypatch.setattr(spool, "evict_due", lambda: done.append("evicted"))
    monkeypatch.setattr(spool.dead, "prune", lambda: done.append("pruned"))
    rounds = []
    for _ in range(13):
        delivery.step()
        rounds.append(len(done) // 3)
        bench.clock.advance(10)

    assert [1] * 6 + [2] * 6 + [3] == rounds
    assert ["swept", "evicted", "pruned"] * 3 == done


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sweep_step", "delivery: files that nobody needs are not removed: broken"),
        ("evict_due", "delivery: datapoints that are too old are not removed: broken"),
    ],
)
def test_a_duty_that_fails_is_told_once_and_stops_nothing(bench, monkeypatch, caplog, name, text):
    def fail():
        raise SpoolError("broken")

    delivery = bench.delivery({"s": instantly})
    with monkeypatch.context() as patch:
        patch.setattr(bench.spools[0], name, fail)
        for _ in range(3):
            bench.accept()
            delivery.step()
            bench.clock.advance(60)

    assert delivery.counts()["s"].delivered == 3
    assert [text] == caplog.messages
    delivery.step()  # it works again
    bench.clock.advance(60)
    monkeypatch.setattr(bench.spools[0], name, fail)
    delivery.step()
    assert [text] * 2 == caplog.messages


def test_dead_letters_beyond_their_limits_and_states_are_told_as_well(bench, monkeypatch, caplog):
    def fail(*_):
        raise SpoolError("broken")

    delivery = bench.delivery({"s": instantly})
    monkeypatch.setattr(bench.spools[0].dead, "prune", fail)
    monkeypatch.setattr(bench.spools[0].sink_table, "save", fail)
    delivery.step()

    assert [
        "delivery: the state of the sinks is not written down: broken",
        "delivery: dead letters beyond their limits are not removed: broken",
    ] == caplog.messages


def test_a_lease_of_a_process_that_did_not_look_dead_yet_is_freed_soon(bench, monkeypatch):
    delivery = bench.delivery({"s": instantly})
    bench.accept()
    spool, dying = bench.spools[0], [True]
    lease = spool.deliveries.take("s")
    with spool._database.locked(), spool._database.transaction() as tx:
        tx.execute("UPDATE delivery SET owner = ?", (f"1:2:other{lease.owner[-2:]}",))
    real = leases.is_alive
    monkeypatch.setattr(leases, "is_alive", lambda who: dying[0] if "other" in who else real(who))
    steps = [delivery.step()]
    dying[0] = False
    steps.append(delivery.step())
    bench.clock.advance(SECOND_LOOK_S)
    steps.append(delivery.step())

    assert [False, False, True] == steps


@pytest.mark.parametrize("ahead_s", [90.0, 86400.0])
def test_a_datapoint_from_a_process_whose_clock_is_ahead_does_not_wait_for_the_next_minute(
    bench, ahead_s
):
    delivery = bench.delivery({"s": instantly})
    for _ in range(3):  # this minute's duties are done
        delivery.step()
        bench.clock.advance(SECOND_LOOK_S)
    now = bench.clock.time()
    bench.clock.set_time(now + ahead_s)
    bench.accept(spool=bench.spool("s"))
    bench.clock.set_time(now)

    assert delivery.step()
    assert not delivery.step()


def test_the_time_of_trying_is_kept_across_processes(bench):
    for _ in range(3):
        delivery = bench.delivery({"s": instantly})
        for _ in range(11):
            delivery.step()
            bench.clock.advance(10)
        delivery.close(1.0)

    record = bench.spools[0].sink_table.load(("s",))["s"]
    assert record.active_s == 330.0


def test_a_lead_whose_sinks_cannot_be_read_is_left_to_others(bench, monkeypatch):
    def fail(*_):
        raise SpoolError("broken")

    first = bench.delivery({"s": instantly})
    second = bench.delivery({"s": instantly}, spool=bench.spool("s"))
    bench.accept()
    monkeypatch.setattr(bench.spools[0].sink_table, "load", fail)

    with pytest.raises(SpoolError, match="broken"):
        first.step()
    assert second.step()


def test_a_state_that_cannot_be_written_down_is_written_later(bench, monkeypatch, caplog):
    def refuse(datapoint, checkpoint):
        raise SinkPausedError("key")

    def fail(*_):
        raise SpoolError("broken")

    delivery = bench.delivery({"s": refuse})
    delivery.step()
    bench.accept()
    with monkeypatch.context() as patch:
        patch.setattr(bench.spools[0].sink_table, "save", fail)
        with pytest.raises(SpoolError, match="broken"):
            delivery.step()
    before = bench.spools[0].sink_table.load(("s",))["s"].state
    bench.clock.advance(60)
    delivery.step()

    assert ("closed", "paused") == (before, bench.spools[0].sink_table.load(("s",))["s"].state)
    assert "sink 's': paused for 300 s" in caplog.text


def test_lags_of_the_last_deliveries_are_kept_and_no_more(bench, monkeypatch):
    monkeypatch.setattr("al_framework.pipeline.delivery.attempt.KEPT_LAGS", 100)
    delivery = bench.delivery({"s": instantly})
    lags = [float(n) for n in range(150)]
    random.Random(1).shuffle(lags)
    for lag in lags:
        bench.accept()
        bench.clock.advance(lag)
        delivery.step()

    last = sorted(lags[-100:])
    health = delivery.health()["s"]
    assert (last[50], last[99]) == (health.lag_p50_s, health.lag_p99_s)


def test_who_does_not_lead_changes_nothing_that_the_leader_has_written(bench):
    def down(datapoint, checkpoint):
        raise TransientSinkError("500")

    leader = bench.delivery({"s": instantly})
    other = bench.delivery(
        {"s": down}, spool=bench.spool("s"), rules=RetryRules(failures_to_open=1)
    )
    for _ in range(12):
        leader.step()
        bench.clock.advance(60)
    leader.step()
    before = bench.spools[0].sink_table.load(("s",))
    (item,) = bench.accept()

    assert not other.deliver_now(item, 0.1)
    assert before == bench.spools[0].sink_table.load(("s",))
    assert before["s"].active_s > 600
    # What it has met itself holds for it, whatever the leader says of another moment.
    assert other._breakers["s"].needs_person(0) is False
    assert other._breakers["s"].waits_s(bench.clock.monotonic()) > 0
    other._lead.learn()
    assert other._breakers["s"].waits_s(bench.clock.monotonic()) > 0


def test_who_does_not_lead_gives_its_leases_back_without_a_crash(bench):
    leader = bench.delivery({"s": instantly})
    leader.step()
    other = bench.delivery({"s": instantly}, spool=bench.spool("s"))
    (item,) = bench.accept()
    turn = other._turns.take_named("s", item)
    other.close(0.0)

    assert turn is not None
    lease = bench.spools[0].deliveries.take("s")
    assert (item, 0) == (lease.item_id, lease.crashes)


def test_a_sink_that_the_leader_does_not_know_is_told_of(bench, caplog):
    leader = bench.delivery({"a": instantly})
    leader.step()
    other = bench.delivery({"a": instantly, "b": instantly}, spool=bench.spool("a", "b"))
    other.step()
    before = other.health()["b"].reason
    for _ in range(20):
        bench.clock.advance(10)
        other.step()

    text = (
        "another process delivers what lies in this spool and does not know this sink, so its"
        " datapoints wait until that process ends; give both processes the same sinks, or each a"
        " spool.path of its own"
    )
    assert [f"sink 'b': {text}"] == caplog.messages
    assert ("", "", text) == (before, other.health()["a"].reason, other.health()["b"].reason)
    leader.close(0.0)
    other.step()
    assert other.health()["b"].reason == ""
