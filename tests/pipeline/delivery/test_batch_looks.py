"""How often sinks are asked for the size of a batch, who waits for it, and what a failure costs."""

import logging
import threading

import pytest

from al_framework.api import Receipt, SpoolError, Target
from al_framework.pipeline.delivery import batch_looks
from al_framework.pipeline.delivery.batch_looks import BatchLooks
from al_framework.pipeline.spool import BatchKey

CREATED = Receipt(status="created")
KEY = BatchKey(name="batch")


class Remote:
    """A sink whose batch others fill as well."""

    def __init__(self, images=0):
        self.images = images
        self.requests = []
        self.delivered = 0

    def deliver(self, datapoint, checkpoint):
        self.images += 1
        self.delivered += 1
        return CREATED

    def size(self, batch_name, target):
        self.requests.append((batch_name, target))
        if isinstance(self.images, BaseException):
            raise self.images
        return self.images


@pytest.fixture
def settle(bench):
    """Wait until no look is on its way."""

    def wait(delivery):
        for look in list(delivery._looks._running.values()):
            assert look.done.wait(30)

    return wait


def make(bench, remote, **options):
    return bench.delivery(
        {"s": remote.deliver}, batch_sizes=options.pop("batch_sizes", {"s": remote.size}), **options
    )


def test_the_first_look_is_waited_for_and_no_image_asks_again(bench):
    remote = Remote(images=3)
    make(bench, remote)

    taken = [len(bench.accept(2, max_batch_images=8)) for _ in range(4)]

    assert [2, 2, 1, 0] == taken
    assert [("batch", Target())] == remote.requests


def test_images_without_a_limit_ask_nothing(bench):
    remote = Remote(images=3)
    make(bench, remote)

    assert len(bench.accept(2)) == 2
    assert [] == remote.requests


def test_sinks_that_cannot_tell_are_not_asked(bench):
    remote = Remote(images=3)
    make(bench, remote, batch_sizes=None)

    assert len(bench.accept(5, max_batch_images=4)) == 4


def test_each_batch_and_target_is_looked_at(bench):
    remote = Remote(images=1)
    make(bench, remote)
    target = Target(workspace="w", project="p")
    bench.accept(2, max_batch_images=9)
    bench.accept(2, max_batch_images=9, target=target)

    assert [("batch", Target()), ("batch", target)] == remote.requests


def test_the_leader_looks_once_a_minute_while_the_batch_is_in_use(bench, settle):
    remote = Remote(images=3)
    delivery = make(bench, remote)
    counts = []
    for _ in range(30):  # five minutes, an image each ten seconds
        bench.accept(1, max_batch_images=1000)
        while delivery.step():
            pass
        settle(delivery)
        counts.append(len(remote.requests))
        bench.clock.advance(10)
    for _ in range(30):  # and five without
        delivery.step()
        settle(delivery)
        bench.clock.advance(10)

    assert [1] * 6 + [2] * 6 + [3] * 6 + [4] * 6 + [5] * 6 == counts
    assert len(remote.requests) <= 7
    assert (33, 30) == (remote.images, remote.delivered)


def test_others_filling_the_batch_are_seen_at_the_next_look(bench, settle):
    remote = Remote(images=0)
    delivery = make(bench, remote)
    first = len(bench.accept(2, max_batch_images=5))
    while delivery.step():
        pass
    remote.images += 2
    bench.clock.advance(60)
    delivery.step()
    settle(delivery)

    assert (2, 1) == (first, len(bench.accept(3, max_batch_images=5)))


def test_a_follower_looks_too_when_nobody_has_but_not_again(bench):
    remote = Remote(images=3)
    leader = make(bench, remote)
    other = bench.spool("s")
    follower = make(bench, remote, spool=other)
    leader.step()

    assert len(bench.accept(9, spool=other, max_batch_images=5)) == 2
    assert len(bench.accept(9, max_batch_images=6)) == 1
    bench.clock.advance(60)
    assert not follower.step()
    assert len(remote.requests) == 1


def test_an_old_count_is_not_relied_on(bench):
    remote = Remote(images=0)
    make(bench, remote)
    bench.accept(1, max_batch_images=5)
    remote.images = 4
    bench.clock.advance(3600)

    assert len(bench.accept(9, max_batch_images=5)) == 0
    assert len(remote.requests) == 2


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
    remote = Remote(images=error)
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
    remote = Remote(images=3)
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
    remote = Remote(images=None)
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
    remote = Remote(images=size)
    make(bench, remote)

    assert len(bench.accept(9, max_batch_images=3)) == 3
    assert caplog.messages[0].endswith(
        f"ValueError: batch_size returned {size}, which is no number of images"
    )


def test_batches_of_long_ago_are_not_remembered(bench, settle):
    remote = Remote(images=0)
    delivery = make(bench, remote)
    for name in "abc":
        bench.accept(1, max_batch_images=5, target=Target(project=name))
        settle(delivery)
        bench.clock.advance(5.0)

    assert len(delivery._looks._rests) == 1


@pytest.mark.parametrize("size", ["3", 2.5, True])
def test_an_answer_that_is_no_number_is_a_fault_of_the_sink(bench, caplog, size):
    remote = Remote(images=size)
    make(bench, remote)

    assert len(bench.accept(9, max_batch_images=3)) == 3
    assert caplog.messages[0].endswith(
        f"TypeError: batch_size returned {size!r} instead of a number or None"
    )


def test_the_lock_is_free_while_a_look_is_waited_for(bench):
    remote = Remote(images=3)
    asked, answer = threading.Event(), threading.Event()

    def slow(batch_name, target):
        asked.set()
        assert answer.wait(30)
        return remote.size(batch_name, target)

    make(bench, remote, batch_sizes={"s": slow})
    taken = []
    waiting = threading.Thread(target=lambda: taken.extend(bench.accept(3, max_batch_images=5)))
    waiting.start()
    assert asked.wait(30)
    meanwhile = bench.accept(1)
    answer.set()
    waiting.join(30)

    assert len(meanwhile) == 1
    assert len(taken) == 1  # three of others, one of ours meanwhile, and this one


def test_a_look_that_takes_too_long_is_waited_for_once_and_said(bench, caplog):
    remote = Remote(images=4)
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


def test_threads_that_meet_a_new_batch_ask_once_and_never_overshoot(bench):
    remote = Remote(images=10)
    make(bench, remote)
    taken = []
    groups = [[bench.candidate(max_batch_images=25) for _ in range(3)] for _ in range(24)]
    together = threading.Barrier(6)

    def work(worker):
        together.wait()
        for group in groups[worker::6]:
            taken.extend(a.status for a in bench.spools[0].accept(group))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (15, 57) == (taken.count("accepted"), taken.count("batch_full"))
    assert len(remote.requests) == 1


def test_delivering_threads_and_looks_never_overshoot_together(bench, settle):
    remote = Remote(images=5)
    lock = threading.Lock()

    def deliver(datapoint, checkpoint):
        with lock:
            return remote.deliver(datapoint, checkpoint)

    def size(batch_name, target):
        with lock:
            return remote.size(batch_name, target)

    delivery = bench.delivery({"s": deliver}, batch_sizes={"s": size})
    delivery.start()
    for _ in range(20):
        bench.accept(3, max_batch_images=30)
        bench.clock.advance(20)
    assert delivery.drain(60)
    first = remote.images
    settle(delivery)
    bench.clock.advance(60)
    delivery._looks.refresh()  # what arrived while the sink was asked has counted twice until now
    settle(delivery)
    bench.accept(9, max_batch_images=30)
    assert delivery.drain(60)

    assert 25 <= first <= 30
    assert remote.images == 30
    assert len(remote.requests) < 20


def test_a_closed_delivery_asks_nothing_and_keeps_no_late_answer(bench, caplog):
    remote = Remote(images=4)
    asked, answer = threading.Event(), threading.Event()

    def slow(batch_name, target):
        asked.set()
        assert answer.wait(30)
        return 4

    delivery = make(bench, remote, batch_sizes={"s": slow})
    delivery._looks._first_look_s = 0.0
    bench.accept(1, max_batch_images=5)
    assert asked.wait(30)
    (look,) = delivery._looks._running.values()
    delivery.close(1.0)
    bench.spools[0].close()
    answer.set()
    assert look.done.wait(30)

    bench.spools[0].open()
    assert len(bench.accept(9, max_batch_images=5)) == 4
    assert len(caplog.messages) == 1  # that it was late


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

    remote = Remote(images=3)
    make(bench, remote)
    monkeypatch.setattr(batch_looks.threading.Thread, "start", refuse)

    assert len(bench.accept(9, max_batch_images=5)) == 5
    assert [] == remote.requests


def test_the_child_of_a_fork_starts_its_own_looks(bench):
    remote = Remote(images=3)
    delivery = make(bench, remote)
    delivery._looks._running[KEY, "s"] = batch_looks._Look()  # the parent's, which never ends here
    delivery.after_fork()

    assert len(bench.accept(9, max_batch_images=5)) == 2
