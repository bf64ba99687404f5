"""Draining delivers what waits, within its deadline."""

import threading

from al_framework.api import Receipt, SinkPausedError, TransientSinkError

CREATED = Receipt(status="created")
PATIENCE_S = 20.0  # far beyond what anything here takes; only a hang reaches it


def instantly(datapoint, checkpoint):
    return CREATED


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
    gate = bench.gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept()

    assert bench.eventually(lambda: gate.inside == 1)
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
    gate = bench.gate()
    delivery = bench.delivery({"s": gate})
    delivery.start()
    bench.accept()
    bench.eventually(lambda: gate.inside == 1)
    drained = []
    thread = threading.Thread(target=lambda: drained.append(delivery.drain(None)))
    thread.start()
    delivery.close(0.0)
    thread.join()
    gate.open.set()

    assert [False] == drained
