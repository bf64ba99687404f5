"""What it costs when a sink cannot tell the size of a batch, takes too long, or tells nonsense."""

import logging
import threading

import pytest

from al_framework.api import SpoolError
from al_framework.pipeline.delivery import batch_looks
from al_framework.pipeline.delivery.batch_looks import BatchLooks
from al_framework.pipeline.spool import BatchKey

KEY = BatchKey(name="batch")


def make(bench, remote, **options):
    return bench.delivery(
        {"s": remote.deliver}, batch_sizes=options.pop("batch_sizes", {"s": remote.size}), **options
    )


class MuteError(Exception):
    def __str__(self):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionError("nobody there"), "ConnectionError: nobody there"),
        (MuteError(), "MuteError: its text cannot be told (ZeroDivisionError)"),
    ],
)
def test_an_unreachable_server_is_asked_once_and_said_once(bench, settle, caplog, error, told):
    remote = bench.remote(images=error)
    delivery = make(bench, remote)
    with caplog.at_level(logging.WARNING):
        taken = [len(bench.accept(1, max_batch_images=3)) for _ in range(4)]
        asked = len(remote.requests)
        bench.clock.advance(60)
        delivery._looks.refresh()
        settle(delivery)

    assert ([1, 1, 1, 0], 1) == (taken, asked)
    assert len(remote.requests) == 2
    assert [
        (
            "sink 's': cannot be asked how many images the batch 'batch' holds, so its last answer"
            f" and our own images count: {told}"
        )
    ] == caplog.messages


def test_after_an_error_the_last_answer_holds_and_the_next_error_is_said_again(
    bench, settle, caplog
):
    remote = bench.remote(images=3)
    delivery = make(bench, remote)
    bench.accept(1, max_batch_images=5)
    said = []
    for images in (OSError("a"), OSError("b"), 3, SystemExit(1)):
        remote.images = images
        bench.clock.advance(60)
        delivery._looks.refresh()
        settle(delivery)
        bench.accept(1, max_batch_images=0)  # keeps the batch in use
        said.append(len(caplog.messages))

    assert [1, 1, 1, 2] == said
    assert len(bench.accept(9, max_batch_images=5)) == 1


def test_a_sink_that_does_not_know_is_said_once_and_our_own_count(bench, caplog):
    remote = bench.remote(images=None)
    make(bench, remote)
    taken = len(bench.accept(9, max_batch_images=3))
    bench.clock.advance(3600)
    bench.accept(1, max_batch_images=3)

    assert taken == 3
    assert [
        (
            "sink 's': does not know how many images the batch 'batch' holds, so only its last"
            " answer and our own images count towards max_batch_images"
        )
    ] == caplog.messages


@pytest.mark.parametrize("size", [-1, 2**53, 10**30])
def test_an_answer_that_cannot_be_a_number_of_images_is_a_fault_of_the_sink(bench, caplog, size):
    remote = bench.remote(images=size)
    make(bench, remote)

    assert len(bench.accept(9, max_batch_images=3)) == 3
    assert caplog.messages[0].endswith(
        f"ValueError: batch_size returned {size}, which is no number of images"
    )


@pytest.mark.parametrize("size", ["3", 2.5, True])
def test_an_answer_that_is_no_number_is_a_fault_of_the_sink(bench, caplog, size):
    remote = bench.remote(images=size)
    make(bench, remote)

    assert len(bench.accept(9, max_batch_images=3)) == 3
    assert caplog.messages[0].endswith(
        f"TypeError: batch_size returned {size!r} instead of a number or None"
    )


def test_a_look_that_takes_too_long_is_waited_for_once_and_said(bench, caplog):
    remote = bench.remote(images=4)
    answer = threading.Event()

    def slow(batch_name, target):
        assert answer.wait(30)
        return remote.size(batch_name, target)

    delivery = make(bench, remote, batch_sizes={"s": slow})
    delivery._looks._first_look_s = 0.05
    early = len(bench.accept(1, max_batch_images=5))
    (look,) = delivery._looks._running.values()
    delivery._looks._first_look_s = 600.0  # would hang the test, were it waited for again
    again = len(bench.accept(1, max_batch_images=5))
    answer.set()
    assert look.done.wait(30)

    assert (1, 1) == (early, again)
    assert [
        (
            "sink 's': has not said within 0.05 s how many images the batch 'batch' holds, so until"
            " it does its last answer and our own images count"
        )
    ] == caplog.messages
    assert len(bench.accept(9, max_batch_images=8)) == 2  # four of others, two of ours before
    assert len(remote.requests) == 1


def test_an_answer_that_cannot_be_written_down_is_reported_and_let_rest(bench, caplog):
    class Broken:
        def __init__(self):
            self.asked = 0

        def unknown(self, keys, sinks):
            return [(key, sink) for key in keys for sink in sinks]

        def stored(self, key, sink):
            self.asked += 1
            raise SpoolError("spool '/x': broken")

    broken = Broken()
    looks = BatchLooks(broken, {"s": lambda *_: 3}, clock=bench.clock)
    for _ in range(3):
        looks.ensure([KEY])
    bench.clock.advance(60)
    looks.ensure([KEY])

    assert broken.asked == 2
    assert ["batch 'batch': its size cannot be written down: spool '/x': broken"] * 2 == (
        caplog.messages
    )


def test_without_a_thread_for_it_a_look_is_left_out(bench, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("can't start new thread at interpreter shutdown")

    remote = bench.remote(images=3)
    make(bench, remote)
    monkeypatch.setattr(batch_looks.threading.Thread, "start", refuse)

    assert len(bench.accept(9, max_batch_images=5)) == 5
    assert [] == remote.requests
