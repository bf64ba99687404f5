"""Jobs wait, within bounds, for a collector that is opened in the background."""

import threading

import pytest
from pydantic import SecretStr

from al_framework.api import ConfigurationError, Fault
from al_framework_roboflow.pool import PoolError
from al_framework_roboflow.pool.backlog import MAX_BYTES
from al_framework_roboflow.pool.keys import make_key

SECRET = "rf_abcdefgh12345678"
HANG_S = 20.0


def settle(pool):
    """Wait for the threads that open and close collectors."""
    for thread in list(pool._threads):
        thread.join(HANG_S)
        assert not thread.is_alive()


def test_jobs_wait_for_a_collector_that_is_opened_in_the_background(pool, workshop):
    workshop.gates["a"] = threading.Event()
    key = make_key(SecretStr(SECRET), "a", None)
    given = []

    pool.when_open(key, given.append, size=1)
    pool.when_open(key, given.append, size=1)
    assert workshop.begun.wait(HANG_S)

    assert given == []
    assert not pool.is_open(key)
    workshop.gates["a"].set()
    settle(pool)
    assert given == workshop.made * 2
    assert pool.is_open(key)
    assert pool._backlog.admit(MAX_BYTES)  # nothing waits any more


def test_jobs_whose_collector_cannot_be_opened_are_told_and_counted(pool, workshop, caplog):
    workshop.gates["a"] = threading.Event()
    workshop.faults["a"] = ConfigurationError([Fault(path="", message="is bad")])
    key = make_key(SecretStr(SECRET), "a", None)
    given = []
    pool.when_open(key, given.append, size=1)
    pool.when_open(key, given.append, size=1)

    workshop.gates["a"].set()
    settle(pool)

    assert given == [None, None]
    assert "2 images are lost: no collector for the dataset 'a'" in caplog.text
    with pytest.raises(PoolError, match="is bad"):
        pool.when_open(key, given.append, size=1)


@pytest.mark.parametrize(("count", "size"), [(256, 1), (1, 256 * 1024 * 1024)])
def test_what_waits_in_memory_is_bounded(pool, workshop, count, size):
    workshop.gates["a"] = threading.Event()
    key = make_key(SecretStr(SECRET), "a", None)
    for _ in range(count):
        pool.when_open(key, lambda _: None, size=size)

    with pytest.raises(PoolError) as caught:
        pool.when_open(key, lambda _: None, size=1)

    assert str(caught.value) == (
        "the collector for the dataset 'a' is still being opened, and too many images wait for "
        "that: this one is not kept"
    )
    workshop.gates["a"].set()
