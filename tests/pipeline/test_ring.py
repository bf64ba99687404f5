import threading

import pytest

from al_framework.pipeline.cells import Cells
from al_framework.pipeline.ring import Ring


def drain(ring, count=None):
    """Take what there is, or so many."""
    taken = []
    while (count is None or len(taken) < count) and (item := ring.take()) is not None:
        taken.append(item)
    return taken


def test_entries_come_out_in_the_order_in_which_they_went_in():
    ring = Ring()
    for n in range(5):
        ring.append(n, 10)

    assert (5, 50) == (len(ring), ring.nbytes)
    assert [0, 1] == drain(ring, 2)
    assert (3, 30) == (len(ring), ring.nbytes)
    assert [2, 3, 4] == drain(ring)
    assert ring.take() is None
    assert (0, 0) == (len(ring), ring.nbytes)


def test_a_ring_takes_no_more_entries_than_it_may():
    ring = Ring(max_items=2)

    assert [True, True, False] == [ring.append(n, 0) for n in range(3)]
    assert 0 == ring.take()
    assert ring.append(3, 0)
    assert [1, 3] == drain(ring)


@pytest.mark.parametrize(
    ("sizes", "taken"),
    [
        ([50, 50], [True, True]),
        ([50, 51], [True, False]),
        ([500], [True]),
        ([500, 0], [True, False]),
        ([0, 500, 1], [True, True, False]),
        ([60, 60, 40], [True, False, True]),
    ],
)
def test_a_ring_takes_no_more_bytes_than_it_may_but_one_large_entry(sizes, taken):
    ring = Ring(max_bytes=100)

    assert taken == [ring.append(size, size) for size in sizes]


def test_what_is_taken_gives_its_bytes_back():
    ring = Ring(max_bytes=100)
    ring.append("a", 60)
    ring.append("b", 40)
    refused = ring.append("c", 40)
    ring.take()

    assert not refused
    assert ring.append("c", 60)
    assert not ring.append("d", 1)


def test_a_copy_for_the_child_of_a_fork_is_empty_and_as_large():
    ring = Ring(max_items=2, max_bytes=10)
    ring.append("parent", 4)
    copy = ring.empty_copy()

    assert (0, 0, 1) == (len(copy), copy.nbytes, len(ring))
    assert [True, False] == [copy.append(n, 8) for n in range(2)]
    assert [True, False] == [copy.append(n, 1) for n in range(2)]


@pytest.mark.parametrize("bounds", [{"max_items": 5}, {"max_bytes": 50}])
def test_however_many_threads_append_neither_bound_is_exceeded(bounds, switch_often):
    ring, together = Ring(**bounds), threading.Barrier(9)
    taken, most = [], []

    def work(caller):
        together.wait(30)
        together.wait(30)
        for n in range(500):
            ring.append((caller, n), 10)
            most.append(len(ring))
            if n % 2:
                taken.append(ring.take())

    threads = [threading.Thread(target=work, args=(caller,)) for caller in range(8)]
    for thread in threads:
        thread.start()
    together.wait(30)
    with switch_often():
        together.wait(30)
        for thread in threads:
            thread.join(60)
    drain(ring)

    assert 0 < max(most) <= 5
    assert (0, 0) == (len(ring), ring.nbytes)
    assert 5 == sum(ring.append(n, 10) for n in range(9))


def test_who_appends_while_the_first_large_entry_is_added_up_knows_of_it(monkeypatch):
    meanwhile = []

    class Interrupted(Cells):
        def excess(self, name, over):
            total = super().excess(name, over)
            while meanwhile:
                meanwhile.pop()()
            return total

    monkeypatch.setattr("al_framework.pipeline.ring.Cells", Interrupted)
    ring = Ring(max_items=8, max_bytes=80)
    meanwhile += [lambda: ring.append("small", 10)] * 7

    assert ring.append("large", 64)
    assert 74 == ring.nbytes


def test_threads_neither_lose_nor_repeat_an_entry(switch_often):
    ring = Ring(max_items=50)
    done, together = threading.Event(), threading.Barrier(6)
    taken, refused = [], []

    def give(start):
        together.wait(30)
        together.wait(30)
        refused.extend(n for n in range(start, start + 1000) if not ring.append(n, 1))

    def take():
        together.wait(30)
        together.wait(30)
        while not done.is_set() or len(ring):
            taken.extend(drain(ring, 7))

    taker = threading.Thread(target=take)
    givers = [threading.Thread(target=give, args=(start,)) for start in range(0, 4000, 1000)]
    for thread in (taker, *givers):
        thread.start()
    together.wait(30)
    with switch_often():
        together.wait(30)
        for thread in givers:
            thread.join(30)
        done.set()
        taker.join(30)

    assert list(range(4000)) == sorted(taken + refused)
