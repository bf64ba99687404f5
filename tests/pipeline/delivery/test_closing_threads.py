"""Closing lets deliveries finish, and gives back leases and the lead in time."""

import threading

import pytest

from al_framework.api import Receipt
from al_framework.pipeline.delivery import worker

CREATED = Receipt(status="created")
PATIENCE_S = 20.0  # far beyond what anything here takes; only a hang reaches it


def instantly(datapoint, checkpoint):
    return CREATED


def test_closing_lets_a_running_delivery_finish(bench):
    gate = bench.gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept()
    bench.eventually(lambda: gate.inside == 1)
    threading.Timer(0.05, gate.open.set).start()

    delivery.close(PATIENCE_S)
    delivery.close(PATIENCE_S)

    assert delivery.counts()["s"].delivered == 1
    assert not delivery.step()


def test_closing_frees_what_does_not_finish_in_time(bench, caplog):
    gate = bench.gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept()
    bench.eventually(lambda: gate.inside == 1)
    delivery.close(0.02)
    heir = bench.delivery({"s": instantly}, spool=bench.spool("s"))

    assert heir.step()
    gate.open.set()
    assert bench.eventually(lambda: gate.inside == 0)
    assert bench.eventually(lambda: "another worker has taken over" in caplog.text)


def test_closing_without_starting_is_safe(bench):
    delivery = bench.delivery({"s": instantly})

    delivery.close(0.0)

    assert not delivery.drain(0.0) or delivery.counts()["s"].pending == 0
    delivery.start()
    bench.accept()
    assert delivery.counts()["s"].pending == 1


def test_closing_after_the_spool_says_what_is_left(bench, caplog):
    delivery = bench.delivery({"s": instantly})
    delivery.step()
    bench.spools[0].close()
    delivery.close(1.0)

    assert "delivery: leases are left to the next start: spool '" in caplog.text


def test_closing_does_not_wait_for_a_spool_that_does_not_answer(bench, caplog, monkeypatch):
    monkeypatch.setattr(worker, "_RESIGN_S", 0.05)
    delivery = bench.delivery({"s": instantly})
    delivery.start()
    bench.accept()
    assert delivery.drain(PATIENCE_S)
    with bench.spools[0]._database.locked():
        delivery.close(0.0)

        assert (
            "delivery: the spool does not answer within 0.05 s, so its leases are left to the next"
            " start"
        ) in caplog.messages
    assert bench.eventually(lambda: not delivery._lead.holds)


def test_at_the_shutdown_of_the_interpreter_leases_go_back_without_a_thread(bench, monkeypatch):
    delivery = bench.delivery({"s": instantly})
    delivery.start()
    bench.accept()
    assert delivery.drain(PATIENCE_S)

    class Refused(threading.Thread):
        def start(self):
            raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(worker.threading, "Thread", Refused)
    delivery.close(PATIENCE_S)

    assert not delivery._lead.holds


def test_a_thread_that_closing_has_overtaken_takes_no_lead(bench, monkeypatch):
    delivery = bench.delivery({"s": instantly}, workers=1)
    here, go, take = threading.Event(), threading.Event(), delivery._lead.take

    def gated():
        here.set()
        go.wait(PATIENCE_S)
        return take()

    monkeypatch.setattr(delivery._lead, "take", gated)
    delivery.start()
    bench.accept()
    assert here.wait(PATIENCE_S)
    (thread,) = delivery._crew._threads
    delivery.close(0.0)
    go.set()
    thread.join(PATIENCE_S)

    assert not delivery._lead.holds
    assert delivery.counts()["s"].delivered == 0
    assert bench.delivery({"s": instantly}, spool=bench.spool("s")).step()


@pytest.mark.parametrize("is_before", [True, False])
def test_what_is_taken_while_the_delivery_closes_is_given_back(bench, monkeypatch, is_before):
    delivery = bench.delivery({"s": instantly})
    (item,) = bench.accept()
    take = delivery._turns.take

    def overtaken():
        turn = take() if is_before else None
        delivery.close(0.0)
        return turn or take()

    monkeypatch.setattr(delivery._turns, "take", overtaken)

    assert not delivery.step()
    assert [(item, 0, 0.0, 0)] == bench.rows("s")
    assert bench.spools[0].deliveries.next_due("s") is not None
    assert not delivery._breakers["s"].running


def test_who_cannot_wait_any_longer_leaves_no_lead_behind(bench, monkeypatch):
    gate = bench.gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept()
    bench.eventually(lambda: gate.inside == 1)

    def interrupt(*_):
        raise KeyboardInterrupt

    for thread in delivery._crew._threads:
        monkeypatch.setattr(thread, "join", interrupt)
    with pytest.raises(KeyboardInterrupt):
        delivery.close(PATIENCE_S)
    gate.open.set()

    assert not delivery._lead.holds
