import threading

from al_framework.pipeline.cells import Cells


def in_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)


def test_numbers_of_all_threads_are_added_up():
    cells = Cells()
    cells.mine()["a"] += 2
    in_thread(lambda: cells.mine().update(a=3, b=1))

    assert (5, 1, 0) == (cells.sum("a"), cells.sum("b"), cells.sum("c"))
    assert {"a": 5, "b": 1} == cells.sums()


def test_one_number_less_another_is_that_of_all_threads():
    cells = Cells()
    cells.mine()["taken"] += 2
    in_thread(lambda: cells.mine().update(added=5, taken=1))

    assert 2 == cells.excess("added", "taken")


def test_a_thread_has_one_cell_of_its_own():
    cells, others = Cells(), []
    mine = cells.mine()
    in_thread(lambda: others.append(cells.mine()))

    assert cells.mine() is mine
    assert others[0] is not mine


def test_threads_that_are_gone_leave_their_numbers_and_no_cell():
    cells = Cells()
    cells.mine()["n"] += 1

    def work():
        cells.mine()["n"] += 1

    for _ in range(300):
        in_thread(work)

    assert 301 == cells.sum("n")
    assert len(cells._published) < 70
    assert len(cells._owners) < 70


def test_asking_for_a_number_makes_none():
    cells = Cells()
    cells.mine()
    cells.sum("a")

    assert {} == cells.sums()


def test_the_child_of_a_fork_begins_with_nothing_and_a_lock_that_nobody_holds():
    cells = Cells()
    cells.mine()["n"] += 1
    in_thread(cells._lock.acquire)  # by a thread of the parent
    cells.begin_anew()
    cells.mine()["n"] += 5

    assert {"n": 5} == cells.sums()


def test_a_reader_sees_numbers_that_only_grow_while_threads_come_and_go(switch_often):
    cells, done, begun = Cells(), threading.Event(), threading.Event()
    seen = []

    def read():
        begun.set()
        while not done.is_set():
            seen.append(cells.sum("n"))

    def work():
        for _ in range(20):
            cells.mine()["n"] += 1

    reader = threading.Thread(target=read)
    reader.start()
    begun.wait(30)
    with switch_often():
        for _ in range(200):
            in_thread(work)
        done.set()
        reader.join(30)

    assert 4000 == cells.sum("n")
    assert seen == sorted(seen)
