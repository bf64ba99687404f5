"""Threads that have something to write at the same moment share one commit."""

import threading
import time

import pytest

from al_framework.api import LeaseLostError, Receipt, SpoolError
from al_framework.pipeline.spool.shared_commit import SharedCommit

THREADS = 8
HANG_S = 20.0


@pytest.fixture
def spool(make_spool):
    return make_spool()


@pytest.fixture
def database(spool):
    return spool._database


@pytest.fixture
def commits(database, monkeypatch):
    """The number of commits so far, in a list."""
    counted, commit = [0], database._commit

    def counting(tx):
        counted[0] += 1
        commit(tx)

    monkeypatch.setattr(database, "_commit", counting)
    return counted


def all_at_once(database, shared, calls):
    """Make every call on a thread of its own, while all of them find the disk busy."""
    found = [None] * len(calls)

    def work(index):
        try:
            found[index] = calls[index]()
        except Exception as exc:  # noqa: BLE001 - returned to whoever asked
            found[index] = exc

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(calls))]
    with database.locked():
        for thread in threads:
            thread.start()
        until = time.monotonic() + HANG_S
        while len(shared._waiting) < len(calls) - 1 and time.monotonic() < until:
            time.sleep(0.001)
        assert len(shared._waiting) == len(calls) - 1  # the other one leads
    for thread in threads:
        thread.join(HANG_S)
    return found


def noting(number, *, then=lambda _: None, fails=False):
    """Return what writes a note, and what is called with its answer after the commit."""

    def make(tx):
        tx.execute("INSERT INTO note (name, value) VALUES (?, ?)", (f"n{number}", number))
        if fails:
            raise LeaseLostError(f"lost {number}")
        return number

    return make, then


def notes(database):
    with database.read() as tx:
        rows = tx.execute("SELECT value FROM note WHERE name LIKE 'n%'").fetchall()
    return sorted(int(value) for (value,) in rows)


def test_whoever_waits_is_committed_with_the_first(database, commits):
    shared = SharedCommit(database)

    found = all_at_once(
        database, shared, [lambda n=n: shared.write(*noting(n)) for n in range(THREADS)]
    )

    assert found == notes(database) == list(range(THREADS))
    assert commits == [1]


def test_a_change_that_fails_takes_no_other_with_it(database):
    shared = SharedCommit(database)
    calls = [lambda n=n: shared.write(*noting(n, fails=n == 3)) for n in range(THREADS)]

    found = all_at_once(database, shared, calls)

    assert isinstance(found.pop(3), LeaseLostError)
    assert found == notes(database) == [n for n in range(THREADS) if n != 3]


def test_what_fails_after_the_commit_is_told_to_its_own_thread(database, commits):
    shared, heard = SharedCommit(database), []

    def then(number):
        heard.append(number)
        if number == 2:
            raise OSError("no such file")

    found = all_at_once(
        database, shared, [lambda n=n: shared.write(*noting(n, then=then)) for n in range(THREADS)]
    )

    assert isinstance(found.pop(2), OSError)
    assert found == [n for n in range(THREADS) if n != 2]
    assert sorted(heard) == notes(database) == list(range(THREADS))
    assert commits == [1]


def test_nothing_is_left_to_others_by_one_who_cannot_have_the_lock(database, monkeypatch):
    shared = SharedCommit(database)

    def refuse():
        raise SpoolError("its index was removed")

    with monkeypatch.context() as broken:
        broken.setattr(database, "_identity_on_disk", refuse)
        with pytest.raises(SpoolError, match="its index was removed"):
            shared.write(*noting(1))
    shared.write(*noting(2))

    assert notes(database) == [2]


def test_who_is_interrupted_while_waiting_leaves_nothing_to_do(database, monkeypatch):
    shared, ready = SharedCommit(database), threading.Event()
    change = threading.Event.wait

    def interrupted(event, timeout=None):
        if event in {one.over for one in shared._waiting}:
            raise KeyboardInterrupt
        return change(event, timeout)

    def lead(tx):
        ready.set()
        until = time.monotonic() + HANG_S
        while not is_over.is_set() and time.monotonic() < until:
            time.sleep(0.001)
        return noting(1)[0](tx)

    is_over = threading.Event()
    leader = threading.Thread(target=lambda: shared.write(lead, lambda _: None))
    leader.start()
    assert ready.wait(HANG_S)
    with monkeypatch.context() as broken:
        broken.setattr(threading.Event, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shared.write(*noting(2))
    is_over.set()
    leader.join(HANG_S)
    shared.write(*noting(3))

    assert notes(database) == [1, 3]


def test_deliveries_that_end_together_cost_one_commit(spool, candidate, database, commits):
    spool.accept([candidate(f"c{n}") for n in range(THREADS)])
    leases = [spool.deliveries.take("s1") for _ in range(THREADS)]
    commits[0] = 0

    receipt = Receipt(status="created")
    calls = [lambda one=one: spool.deliveries.deliver(one, receipt) for one in leases]
    assert all_at_once(database, spool.deliveries._commit, calls) == [None] * THREADS

    assert commits == [1]
    assert spool.counts()["s1"].delivered == THREADS


def test_leases_that_are_taken_together_are_different_ones(spool, candidate, database, commits):
    spool.accept([candidate(f"c{n}") for n in range(THREADS)])
    commits[0] = 0

    calls = [lambda: spool.deliveries.take("s1") for _ in range(THREADS)]
    leases = all_at_once(database, spool.deliveries._commit, calls)

    assert commits == [1]
    assert len({lease.item_id for lease in leases}) == THREADS
    assert len({lease.owner for lease in leases}) == THREADS
