"""What a pool does when something around it fails."""

import gc
import threading
import traceback
import weakref

import pytest
from pydantic import SecretStr

from al_framework.api import ConfigurationError, Counts, Fault, SpoolError
from al_framework_roboflow.pool import PoolError
from al_framework_roboflow.pool.backlog import MAX_BYTES
from al_framework_roboflow.pool.keys import CollectorKey, make_key

SECRET = "rf_abcdefgh12345678"
HANG_S = 20.0


def key(dataset="a"):
    return make_key(SecretStr(SECRET), dataset, None)


def take(pool, dataset="a"):
    return pool.collector(api_key=SecretStr(SECRET), target_dataset=dataset, configuration=None)


def settle(pool):
    for thread in list(pool._threads):
        thread.join(HANG_S)
        assert not thread.is_alive()


def unreadable():
    raise SpoolError("the disk is gone")


def test_a_spool_that_cannot_be_read_troubles_no_other_tenant(pool, clock):
    broken = take(pool)
    broken.stats = unreadable
    clock.advance(601)

    assert take(pool, dataset="b").closed == []
    settle(pool)
    assert broken.closed == [5.0]


def test_a_spool_that_cannot_be_read_is_left_out_of_the_counts(pool, caplog):
    take(pool).stats = unreadable
    take(pool, dataset="b")

    assert list(pool.stats()) == [key("b").name]
    assert f"the collector {key().name} cannot be counted: the disk is gone" in caplog.text


def test_nobody_waits_while_the_disk_is_asked_what_is_pending(pool, clock):
    asked, gate = threading.Event(), threading.Event()
    slow = take(pool)

    def stats():
        asked.set()
        assert gate.wait(HANG_S)
        return Counts()

    slow.stats = stats
    clock.advance(601)
    take(pool, dataset="b")
    assert asked.wait(HANG_S)

    clock.advance(1)
    assert take(pool) is slow
    gate.set()
    settle(pool)
    assert slow.closed == []


def no_thread(self):
    raise RuntimeError("can't start new thread")


def test_where_no_thread_can_be_started_the_image_is_refused(pool, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(PoolError) as caught:
            pool.when_open(key(), lambda _: None, size=1)

    assert str(caught.value) == (
        "no thread can be started to open the collector for the dataset 'a': this image is not kept"
    )
    given = []
    pool.when_open(key(), given.append, size=1)
    settle(pool)
    assert len(given) == 1
    assert pool._backlog.admit(MAX_BYTES)  # nothing waits any more


def test_where_no_thread_can_be_started_a_collector_stays_open(pool, clock, monkeypatch):
    one = take(pool)
    clock.advance(601)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        take(pool, dataset="b")

    assert take(pool) is one
    assert one.closed == []


class Picture:
    """Something that a weak reference can watch."""


def test_a_failure_that_is_remembered_keeps_no_picture_alive(pool, workshop):
    workshop.faults["a"] = ConfigurationError([Fault(path="", message="is bad")])

    def call():
        picture = Picture()
        with pytest.raises(PoolError):
            take(pool)
        return weakref.ref(picture)

    alive = call()
    workshop.faults.clear()
    gc.collect()

    assert alive() is None
    assert pool._slots[key()].failure.__traceback__ is None


@pytest.mark.parametrize(
    ("secret", "dataset", "error"),
    [
        (f"{SECRET} ", "a", None),
        (SECRET, "", None),
        (SECRET, "a", ConfigurationError([Fault(path="", message="is bad")])),
        (SECRET, "a", ValueError(f"no {SECRET}")),
    ],
)
def test_a_traceback_with_variables_shows_no_key(pool, workshop, secret, dataset, error):
    workshop.faults = {} if error is None else {"a": error}
    given = SecretStr(secret)
    with pytest.raises(PoolError) as caught:
        pool.collector(api_key=given, target_dataset=dataset, configuration=None)

    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    found = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in found.stack if "al_framework_roboflow" in frame.filename]
    assert ours
    assert [frame.name for frame in ours if SECRET in repr(frame.locals)] == []


def test_two_keys_are_two_even_if_their_hashes_were_the_same():
    one = key()
    other = CollectorKey(
        tenant=one.tenant,
        dataset=one.dataset,
        configuration_hash=one.configuration_hash,
        api_key=SecretStr("another"),
        configuration=None,
    )

    assert one != other
