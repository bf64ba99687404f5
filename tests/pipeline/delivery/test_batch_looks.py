"""How often sinks are asked for the size of a batch, and who waits for it."""

import threading

from al_framework.api import Target
from al_framework.pipeline.delivery import batch_looks
from al_framework.pipeline.spool import BatchKey

KEY = BatchKey(name="batch")


def make(bench, remote, **options):
    return bench.delivery(
        {"s": remote.deliver}, batch_sizes=options.pop("batch_sizes", {"s": remote.size}), **options
    )


def test_the_first_look_is_waited_for_and_no_image_asks_again(bench):
    remote = bench.remote(images=3)
    make(bench, remote)

    taken = [len(bench.accept(2, max_batch_images=8)) for _ in range(4)]

    assert [2, 2, 1, 0] == taken
    assert [("batch", Target())] == remote.requests


def test_images_without_a_limit_ask_nothing(bench):
    remote = bench.remote(images=3)
    make(bench, remote)

    assert len(bench.accept(2)) == 2
    assert [] == remote.requests


def test_sinks_that_cannot_tell_are_not_asked(bench):
    remote = bench.remote(images=3)
    make(bench, remote, batch_sizes=None)

    assert len(bench.accept(5, max_batch_images=4)) == 4


def test_each_batch_and_target_is_looked_at(bench):
    remote = bench.remote(images=1)
    make(bench, remote)
    target = Target(workspace="w", project="p")
    bench.accept(2, max_batch_images=9)
    bench.accept(2, max_batch_images=9, target=target)

    assert [("batch", Target()), ("batch", target)] == remote.requests


def test_the_leader_looks_once_a_minute_while_the_batch_is_in_use(bench, settle):
    remote = bench.remote(images=3)
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
    remote = bench.remote(images=0)
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
    remote = bench.remote(images=3)
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
    remote = bench.remote(images=0)
    make(bench, remote)
    bench.accept(1, max_batch_images=5)
    remote.images = 4
    bench.clock.advance(3600)

    assert len(bench.accept(9, max_batch_images=5)) == 0
    assert len(remote.requests) == 2


def test_batches_of_long_ago_are_not_remembered(bench, settle):
    remote = bench.remote(images=0)
    delivery = make(bench, remote)
    for name in "abc":
        bench.accept(1, max_batch_images=5, target=Target(project=name))
        settle(delivery)
        bench.clock.advance(5.0)

    assert len(delivery._looks._rests) == 1


def test_the_lock_is_free_while_a_look_is_waited_for(bench):
    remote = bench.remote(images=3)
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


def test_threads_that_meet_a_new_batch_ask_once_and_never_overshoot(bench):
    remote = bench.remote(images=10)
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
    remote = bench.remote(images=5)
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
    remote = bench.remote(images=4)
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


def test_the_child_of_a_fork_starts_its_own_looks(bench):
    remote = bench.remote(images=3)
    delivery = make(bench, remote)
    delivery._looks._running[KEY, "s"] = batch_looks._Look()  # the parent's, which never ends here
    delivery.after_fork()

    assert len(bench.accept(9, max_batch_images=5)) == 2
