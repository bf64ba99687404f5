import threading

import pytest

from al_framework.pipeline.ring import Ring


def test_entries_come_out_in_the_order_in_which_they_went_in():
    ring = Ring()
    for n in range(5):
        ring.append(n, 1)

    assert 5 == len(ring)
    assert [0, 1] == ring.take(2)
    assert [2, 3, 4] == ring.take(16)
    assert [] == ring.take(16)
    assert 0 == len(ring)


def test_a_ring_takes_no_more_entries_than_it_may():
    ring = Ring(max_items=2)

    assert [True, True, False] == [ring.append(n, 0) for n in range(3)]
    assert [0] == ring.take(1)
    assert ring.append(3, 0)
    assert [1, 3] == ring.take(9)


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
    ring.take(1)

    assert not refused
    assert ring.append("c", 60)
    assert not ring.append("d", 1)


def test_threads_neither_lose_nor_repeat_an_entry():
    ring = Ring(max_items=50)
    done = threading.Event()
    taken, refused = [], []

    def give(start):
        refused.extend(n for n in range(start, start + 1000) if not ring.append(n, 1))

    def take():
        while not done.is_set() or len(ring):
            taken.extend(ring.take(7))

    taker = threading.Thread(target=take)
    givers = [threading.Thread(target=give, args=(start,)) for start in range(0, 4000, 1000)]
    for thread in (taker, *givers):
        thread.start()
    for thread in givers:
        thread.join(30)
    done.set()
    taker.join(30)

    assert list(range(4000)) == sorted(taken + refused)
