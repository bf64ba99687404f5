"""Delivery on threads of its own: leadership, slots, draining, closing."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from al_framework.api import Receipt, SinkPausedError, SpoolError, TransientSinkError
from al_framework.pipeline.delivery import worker

CREATED = Receipt(status="created")
PATIENCE_S = 20.0  # far beyond what anything here takes; only a hang reaches it


def eventually(fact) -> bool:
    """Poll for a fact that another thread brings about."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if fact():
            return True
        threading.Event().wait(0.002)
    return False


class Gate:
    """A sink that holds every datapoint until it is opened."""

    def __init__(self):
        self.open = threading.Event()
        self.inside = 0
        self.most = 0
        self.lock = threading.Lock()

    def __call__(self, datapoint, checkpoint):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.open.wait(PATIENCE_S)
        with self.lock:
            self.inside -= 1
        checkpoint.save(done="yes")
        return CREATED


def instantly(datapoint, checkpoint):
    return CREATED


def test_what_is_accepted_is_delivered_without_being_asked(bench):
    delivery = bench.delivery({"s": instantly})
    delivery.start()
    bench.accept(5)

    assert delivery.drain(PATIENCE_S)
    assert delivery.counts()["s"].delivered == 5
    assert bench.spools[0].stats().items == 0


def test_nothing_runs_before_start(bench):
    before = set(threading.enumerate())
    bench.delivery({"s": instantly})
    bench.accept()

    assert set(threading.enumerate()) <= before


def test_a_slow_sink_does_not_delay_another(bench):
    gate = Gate()
    delivery = bench.delivery({"slow": gate, "fast": instantly})
    delivery.start()
    bench.accept(20)

    assert eventually(lambda: delivery.counts()["fast"].delivered == 20)
    assert delivery.counts()["slow"].delivered == 0
    bench.accept(3)
    assert eventually(lambda: delivery.counts()["fast"].delivered == 23)
    gate.open.set()
    assert delivery.drain(PATIENCE_S)
    assert gate.most == 2  # four workers for two sinks


def test_a_single_sink_has_all_workers(bench):
    gate = Gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept(10)

    assert eventually(lambda: gate.inside == 4)
    gate.open.set()
    assert delivery.drain(PATIENCE_S)
    assert gate.most == 4


def test_every_sink_has_a_worker_however_few_there_are(bench):
    gates = {name: Gate() for name in "abc"}
    delivery = bench.delivery(gates, workers=1)
    delivery.start()
    bench.accept(2)

    assert eventually(lambda: [gate.inside for gate in gates.values()] == [1, 1, 1])
    for gate in gates.values():
        gate.open.set()
    assert delivery.drain(PATIENCE_S)


def test_one_idle_thread_looks_out_and_finds_work_of_other_processes(bench):
    delivery = bench.delivery({"s": instantly})
    delivery.start()
    other = bench.spool("s")
    bench.accept(spool=other)

    assert eventually(lambda: other.counts()["s"].delivered == 1)


def test_due_dates_that_come_are_noticed(bench):
    answers = iter([TransientSinkError("busy"), CREATED])

    def deliver(datapoint, checkpoint):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    delivery = bench.delivery({"s": deliver})
    delivery.start()
    bench.accept()
    assert eventually(lambda: delivery.counts()["s"].retried == 1)
    bench.clock.advance(10)

    assert eventually(lambda: delivery.counts()["s"].delivered == 1)


def test_one_delivery_leads_and_the_next_takes_over(bench):
    first = bench.delivery({"s": instantly})
    second = bench.delivery({"s": instantly}, spool=bench.spool("s"))
    bench.accept(2)

    assert first.step()
    assert not second.step()
    first.close(1.0)
    assert second.step()


def test_the_lead_passes_on_when_a_process_is_killed(bench, tmp_path):
    code = (
        "import os, pathlib, sys\n"
        "from al_framework.pipeline.spool.locking import FileLock\n"
        "assert FileLock(pathlib.Path(sys.argv[1])).try_acquire()\n"
        "print('leads', flush=True); sys.stdin.read(1); os._exit(137)"
    )
    delivery = bench.delivery({"s": instantly})
    with subprocess.Popen(
        [sys.executable, "-c", code, str(bench.directory / "deliver.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as leader:
        assert leader.stdout.readline() == "leads\n"
        bench.accept()
        delivery.start()
        before = delivery.step()
        leader.stdin.write("x")
        leader.stdin.close()

        assert not before
        assert delivery.drain(PATIENCE_S)


def test_draining_an_empty_spool_is_done_at_once(bench):
    assert bench.delivery({"s": instantly}).drain(0.0)


def test_draining_without_threads_delivers_on_the_callers(bench):
    threads = []

    def deliver(datapoint, checkpoint):
        threads.append(threading.current_thread())
        return CREATED

    delivery = bench.delivery({"s": deliver})
    bench.accept(2)

    assert delivery.drain(None)
    assert [threading.current_thread()] * 2 == threads


def test_draining_gives_up_at_the_deadline(bench):
    gate = Gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept()

    assert eventually(lambda: gate.inside == 1)
    assert not delivery.drain(0.05)
    gate.open.set()


def test_draining_does_not_wait_for_a_paused_sink(bench):
    def refuse(datapoint, checkpoint):
        raise SinkPausedError("key")

    delivery = bench.delivery({"bad": refuse, "good": instantly})
    bench.accept(3)

    assert not delivery.drain(None)
    assert (3, 3) == (delivery.counts()["bad"].pending, delivery.counts()["good"].delivered)


def test_draining_waits_for_dates_within_the_deadline_only(bench):
    def busy(datapoint, checkpoint):
        raise TransientSinkError("busy", retry_after_s=100.0)

    delivery = bench.delivery({"s": busy})
    bench.accept()

    assert not delivery.drain(99.0)  # at once: nothing can happen before the deadline
    assert delivery.counts()["s"].retried == 1


def test_draining_without_a_deadline_waits_for_a_busy_sink(bench):
    answers = iter([TransientSinkError("busy", retry_after_s=100.0), CREATED])

    def deliver(datapoint, checkpoint):
        answer = next(answers)
        if isinstance(answer, Exception):
            threading.Timer(0.01, bench.clock.advance, [100.1]).start()
            raise answer
        return answer

    delivery = bench.delivery({"s": deliver})
    bench.accept()

    assert delivery.drain(None)


def test_draining_is_not_misled_by_dates_of_a_clock_that_was_set_back(bench):
    delivery = bench.delivery({"s": instantly})
    bench.accept()
    bench.clock.set_time(bench.clock.time() - 86400)

    assert delivery.drain(PATIENCE_S)


def test_draining_ends_when_the_delivery_is_closed(bench):
    gate = Gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept()
    eventually(lambda: gate.inside == 1)
    drained = []
    thread = threading.Thread(target=lambda: drained.append(delivery.drain(None)))
    thread.start()
    delivery.close(0.0)
    thread.join()
    gate.open.set()

    assert [False] == drained


def test_closing_lets_a_running_delivery_finish(bench):
    gate = Gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept()
    eventually(lambda: gate.inside == 1)
    threading.Timer(0.05, gate.open.set).start()

    delivery.close(PATIENCE_S)
    delivery.close(PATIENCE_S)

    assert delivery.counts()["s"].delivered == 1
    assert not delivery.step()


def test_closing_frees_what_does_not_finish_in_time(bench, caplog):
    gate = Gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept()
    eventually(lambda: gate.inside == 1)
    delivery.close(0.02)
    heir = bench.delivery({"s": instantly}, spool=bench.spool("s"))

    assert heir.step()
    gate.open.set()
    assert eventually(lambda: gate.inside == 0)
    assert eventually(lambda: "another worker has taken over" in caplog.text)


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
    assert eventually(lambda: not delivery._lead.holds)


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


def test_idle_threads_end_when_closed(bench):
    before = set(threading.enumerate())
    delivery = bench.delivery({"s": instantly})
    delivery.start()
    bench.accept(20)
    delivery.drain(PATIENCE_S)
    delivery.close(PATIENCE_S)

    assert set(threading.enumerate()) <= before


def test_idle_threads_but_one_wait_without_polling(bench):
    gate = Gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept(4)
    eventually(lambda: gate.inside == 4)
    gate.open.set()
    delivery.drain(PATIENCE_S)

    assert eventually(lambda: delivery._crew._idle >= 4)
    looks = []
    take = bench.spools[0].deliveries.take
    bench.spools[0].deliveries.take = lambda sink, **options: (
        looks.append(threading.current_thread()) or take(sink, **options)
    )
    assert eventually(lambda: len(looks) >= 5)
    assert len(set(looks)) == 1


def test_a_spool_that_fails_is_reported_once_and_tried_again(bench, caplog, monkeypatch):
    deliveries = bench.spool("s").deliveries
    failures = []
    take = deliveries.take

    def fail_at_first(sink, **options):
        if len(failures) < 5:
            failures.append(sink)
            raise SpoolError("spool 'x': the disk is full")
        return take(sink, **options)

    monkeypatch.setattr(deliveries, "take", fail_at_first)
    delivery = bench.delivery({"s": instantly})
    delivery.start()
    bench.accept()

    assert delivery.drain(PATIENCE_S)
    text = "delivery: interrupted, and tried again until it works: spool 'x': the disk is full"
    assert caplog.text.count(text) == 1


@pytest.mark.parametrize("answer", [asyncio.CancelledError("leaked"), KeyboardInterrupt()])
def test_whatever_a_sink_raises_on_our_threads_is_a_fault_of_the_sink(bench, caplog, answer):
    def deliver(datapoint, checkpoint):
        if datapoint.item_id == "item-1":
            raise answer
        return CREATED

    delivery = bench.delivery({"s": deliver}, workers=1)
    delivery.start()
    bench.accept(3)

    assert eventually(lambda: delivery.counts()["s"].delivered == 2)
    assert len(delivery._crew._threads) == 1
    (row,) = bench.rows("s")
    assert ("item-1", 1) == (row[0], row[3])
    assert row[2] > 0  # it waits, as after any failure
    text = f"sink 's': failed with {type(answer).__name__}, which is a fault of the sink"
    assert caplog.text.count(text) == 1


def test_on_a_callers_thread_what_ends_a_process_goes_through(bench):
    delivery = bench.delivery({"s": lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)})
    (item,) = bench.accept()

    with pytest.raises(KeyboardInterrupt):
        delivery.step()
    assert [(item, 0, 0.0, 0)] == bench.rows("s")


def test_a_fault_in_here_is_told_once_and_ends_no_thread(bench, caplog, monkeypatch):
    delivery = bench.delivery({"s": instantly})
    failures = []
    take = delivery._turns.take

    def fail_at_first():
        if len(failures) < 5:
            failures.append(1)
            raise RuntimeError("bug")
        return take()

    monkeypatch.setattr(delivery._turns, "take", fail_at_first)
    delivery.start()
    bench.accept()

    assert delivery.drain(PATIENCE_S)
    text = "delivery: failed with RuntimeError, which is a fault in here, and is tried again: bug"
    assert [text] == [message for message in caplog.messages if "fault in here" in message]


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
    gate = Gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept()
    eventually(lambda: gate.inside == 1)

    def interrupt(*_):
        raise KeyboardInterrupt

    for thread in delivery._crew._threads:
        monkeypatch.setattr(thread, "join", interrupt)
    with pytest.raises(KeyboardInterrupt):
        delivery.close(PATIENCE_S)
    gate.open.set()

    assert not delivery._lead.holds


def test_no_thread_at_shutdown_is_no_error(bench, monkeypatch):
    class Refused(threading.Thread):
        def start(self):
            raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(worker.threading, "Thread", Refused)
    delivery = bench.delivery({"s": instantly})
    delivery.start()
    bench.accept()

    assert delivery.counts()["s"].pending == 1


def test_a_lead_that_cannot_be_taken_is_a_spool_error(bench):
    delivery = bench.delivery({"s": instantly})
    (bench.directory / "deliver.lock").mkdir()

    with pytest.raises(SpoolError, match=r"deliver\.lock"):
        delivery.step()


def test_the_child_of_a_fork_starts_without_threads_and_lead(bench):
    delivery = bench.delivery({"s": instantly})
    assert not delivery.step()
    assert delivery._lead.holds

    delivery._lead._lock.after_fork()
    delivery.after_fork()
    bench.accept()

    assert not delivery._crew._threads
    assert delivery.step()


def test_a_closed_delivery_stays_closed_in_the_child_of_a_fork(bench):
    delivery = bench.delivery({"s": instantly})
    delivery.close(0.0)

    delivery.after_fork()
    bench.accept()

    assert not delivery.step()
