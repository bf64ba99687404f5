"""How a pool ends: closed within one deadline, or left behind by a fork or a restart."""

import gc
import os
import threading
import warnings
import weakref
from pathlib import Path

import pytest
from pydantic import SecretStr

from al_framework_roboflow.pool import CollectorPool, PoolError
from al_framework_roboflow.pool.keys import make_key

SECRET = "rf_abcdefgh12345678"
HANG_S = 20.0


def take(pool, dataset="a", secret=SECRET, configuration=None):
    return pool.collector(
        api_key=SecretStr(secret), target_dataset=dataset, configuration=configuration
    )


def fork():
    with warnings.catch_warnings():
        # From 3.12 on Python warns where other threads run, as they may in a test run.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def test_closing_closes_all_within_one_deadline_and_once(pool, workshop, clock):
    first, second = take(pool), take(pool, dataset="b")
    first.close = lambda deadline_s: (first.closed.append(deadline_s), clock.advance(4.0))

    pool.close()
    pool.close()

    assert (first.closed, second.closed) == ([5.0], [1.0])
    with pytest.raises(PoolError, match="the pool of collectors is closed: the process is about"):
        take(pool)


def test_closing_waits_for_a_collector_that_is_being_opened(pool, workshop):
    workshop.gates["a"] = threading.Event()
    given = []
    pool.when_open(make_key(SecretStr(SECRET), "a", None), given.append, size=1)
    assert workshop.begun.wait(HANG_S)
    thread = threading.Thread(target=pool.close)
    thread.start()
    workshop.gates["a"].set()
    thread.join(HANG_S)

    assert given == workshop.made
    assert workshop.made[0].closed == [5.0]


def test_a_collector_that_opens_after_the_end_is_closed_at_once(pool, workshop):
    workshop.gates["a"] = threading.Event()
    problems = []

    def late():
        with pytest.raises(PoolError) as caught:
            take(pool)
        problems.append(str(caught.value))

    thread = threading.Thread(target=late)
    thread.start()
    assert workshop.begun.wait(HANG_S)
    pool.close()
    workshop.gates["a"].set()
    thread.join(HANG_S)

    assert problems == ["the pool of collectors was closed while this one was being opened"]
    assert workshop.made[0].closed == [0.0]


def test_a_forked_child_begins_with_an_empty_pool(pool, workshop):
    inherited = take(pool)
    pool._lock.acquire()  # as another thread might hold it at that moment
    pid = fork()
    if pid == 0:
        status = 1
        try:
            empty = not pool.stats() and take(pool) is not inherited
            pool.close()
            status = 0 if empty and not inherited.closed else 2
        finally:
            os._exit(status)
    pool._lock.release()

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert take(pool) is inherited


def test_what_a_child_inherits_is_never_closed(pool, workshop):
    inherited = take(pool)

    pool._after_fork()
    take(pool)
    pool.close()

    assert inherited.closed == []
    assert workshop.made[1].closed == [5.0]


def test_a_pool_that_is_gone_is_not_kept_for_the_next_fork(tmp_path, workshop):
    pool = CollectorPool(spool_root=tmp_path, build=workshop)
    pool.close()
    reference = weakref.ref(pool)
    del pool
    gc.collect()

    assert reference() is None
    pid = fork()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_restart_finds_the_spools_again(workshop, tmp_path):
    paths = []
    for _ in range(2):
        pool = CollectorPool(spool_root=tmp_path, build=workshop)
        paths.append(take(pool, configuration={"enabled": True}).document["spool"]["path"])
        pool.close()

    assert paths[0] == paths[1]


def test_spools_lie_where_the_environment_says(monkeypatch, tmp_path, workshop):
    monkeypatch.chdir(tmp_path)
    places = []
    for value in ("/elsewhere", ""):
        monkeypatch.setenv("AL_SPOOL_DIR", value)
        pool = CollectorPool(build=workshop)
        places.append(Path(take(pool).document["spool"]["path"]).parent)
        pool.close()

    assert places == [Path("/elsewhere"), tmp_path / ".al"]
