"""Delivery on threads of its own: leadership, slots, idle threads and what fails on them."""

import asyncio
import subprocess
import sys
import threading

import pytest

from al_framework.api import Receipt, SpoolError, TransientSinkError
from al_framework.pipeline.delivery import worker

CREATED = Receipt(status="created")
PATIENCE_S = 20.0  # far beyond what anything here takes; only a hang reaches it


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
    gate = bench.gate()
    delivery = bench.delivery({"slow": gate, "fast": instantly})
    delivery.start()
    bench.accept(20)

    assert bench.eventually(lambda: delivery.counts()["fast"].delivered == 20)
    assert delivery.counts()["slow"].delivered == 0
    bench.accept(3)
    assert bench.eventually(lambda: delivery.counts()["fast"].delivered == 23)
    gate.open.set()
    assert delivery.drain(PATIENCE_S)
    assert gate.most == 2  # four workers for two sinks


def test_a_single_sink_has_all_workers(bench):
    gate = bench.gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept(10)

    assert bench.eventually(lambda: gate.inside == 4)
    gate.open.set()
    assert delivery.drain(PATIENCE_S)
    assert gate.most == 4


def test_every_sink_has_a_worker_however_few_there_are(bench):
    gates = {name: bench.gate() for name in "abc"}
    delivery = bench.delivery(gates, workers=1)
    delivery.start()
    bench.accept(2)

    assert bench.eventually(lambda: [gate.inside for gate in gates.values()] == [1, 1, 1])
    for gate in gates.values():
        gate.open.set()
    assert delivery.drain(PATIENCE_S)


def test_one_idle_thread_looks_out_and_finds_work_of_other_processes(bench):
    delivery = bench.delivery({"s": instantly})
    delivery.start()
    other = bench.spool("s")
    bench.accept(spool=other)

    assert bench.eventually(lambda: other.counts()["s"].delivered == 1)


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
    assert bench.eventually(lambda: delivery.counts()["s"].retried == 1)
    bench.clock.advance(10)

    assert bench.eventually(lambda: delivery.counts()["s"].delivered == 1)


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


def test_idle_threads_end_when_closed(bench):
    before = set(threading.enumerate())
    delivery = bench.delivery({"s": instantly})
    delivery.start()
    bench.accept(20)
    delivery.drain(PATIENCE_S)
    delivery.close(PATIENCE_S)

    assert set(threading.enumerate()) <= before


def test_idle_threads_but_one_wait_without_polling(bench):
    gate = bench.gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept(4)
    bench.eventually(lambda: gate.inside == 4)
    gate.open.set()
    delivery.drain(PATIENCE_S)

    assert bench.eventually(lambda: delivery._crew._idle >= 4)
    looks = []
    take = bench.spools[0].deliveries.take
    bench.spools[0].deliveries.take = lambda sink, **options: (
        looks.append(threading.current_thread()) or take(sink, **options)
    )
    assert bench.eventually(lambda: len(looks) >= 5)
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

    assert bench.eventually(lambda: delivery.counts()["s"].delivered == 2)
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
