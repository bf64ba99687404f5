import gc
import logging
import os
import threading
import warnings
import weakref
from pathlib import Path

import pytest
from pydantic import SecretStr

from al_framework.api import ConfigurationError, Counts, Fault, SinkCounts
from al_framework.testing import FakeClock
from al_framework_roboflow.pool import CollectorPool, PoolError
from al_framework_roboflow.pool.backlog import MAX_BYTES
from al_framework_roboflow.pool.keys import make_key

SECRET = "rf_abcdefgh12345678"
HANG_S = 20.0


class FakeCollector:
    """A collector that only remembers."""

    def __init__(self, document, recent):
        self.document = document
        self.recent = recent
        self.closed = []
        self.pending = 0
        self.submitted = []

    def submit(self, image, prediction=None, **given):
        self.submitted.append((image, prediction, given))

    def stats(self):
        return Counts(offered=len(self.submitted), sinks={"s": SinkCounts(pending=self.pending)})

    def close(self, deadline_s=5.0):
        self.closed.append(deadline_s)


class Workshop:
    """Makes collectors, or fails to, and can be held up."""

    def __init__(self):
        self.made = []
        self.attempts = 0
        self.faults = {}
        self.gates = {}
        self.begun = threading.Event()

    def __call__(self, document, recent):
        self.attempts += 1
        self.begun.set()
        name = document["sinks"][0]["project"]
        if name in self.gates:
            assert self.gates[name].wait(HANG_S)
        if name in self.faults:
            raise self.faults[name]
        self.made.append(FakeCollector(document, recent))
        return self.made[-1]


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def workshop():
    return Workshop()


@pytest.fixture
def pool(clock, workshop, tmp_path):
    pool = CollectorPool(spool_root=tmp_path, clock=clock, build=workshop, max_collectors=2)
    yield pool
    pool.close()


def take(pool, dataset="a", secret=SECRET, configuration=None):
    return pool.collector(
        api_key=SecretStr(secret), target_dataset=dataset, configuration=configuration
    )


def settle(pool):
    """Wait for the threads that open and close collectors."""
    for thread in list(pool._threads):
        thread.join(HANG_S)
        assert not thread.is_alive()


def fork():
    with warnings.catch_warnings():
        # From 3.12 on Python warns where other threads run, as they may in a test run.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def test_a_collector_is_made_once_and_given_again(pool, workshop):
    assert take(pool) is take(pool)
    assert workshop.attempts == 1


def test_two_tenants_two_datasets_and_two_configurations_never_share(pool, workshop):
    some = [
        take(pool),
        take(pool, secret="another"),
        take(pool, dataset="b"),
        take(pool, configuration={"enabled": True}),
        take(pool, configuration={"enabled": True, "tags": []}),
    ]

    assert len({id(one) for one in some}) == 5
    assert len({one.document["name"] for one in some}) == 5
    # Limits and what waits for delivery are of the key and the dataset.
    assert len({one.document["spool"]["path"] for one in some}) == 3
    assert some[1].document["sinks"][0]["api_key"] == "another"


def test_every_collector_knows_what_was_sent_lately(pool):
    some = [take(pool), take(pool, dataset="b"), take(pool, secret="another")]

    assert {id(pool.recent)} == {id(one.recent) for one in some}


def test_the_least_recently_used_rests_when_there_are_too_many(pool, workshop, caplog):
    caplog.set_level(logging.INFO)
    first, second = take(pool), take(pool, dataset="b")
    take(pool)

    take(pool, dataset="c")
    settle(pool)

    assert (first.closed, second.closed) == ([], [5.0])
    assert "rests and is closed; what it has not delivered stays in its spool" in caplog.text
    assert take(pool) is first
    assert take(pool, dataset="b") is not second


def test_one_in_use_is_never_closed(pool, workshop):
    key = make_key(SecretStr(SECRET), "a", None)
    with pool.lease(key) as held:
        take(pool, dataset="b")
        take(pool, dataset="c")
        take(pool, dataset="d")
        settle(pool)

        assert held.closed == []


def test_one_that_rests_is_closed_unless_it_has_work_left(pool, workshop, clock):
    idle, busy = take(pool), take(pool, dataset="b")
    busy.pending = 3

    clock.advance(601)
    take(pool, dataset="c")
    settle(pool)

    assert (idle.closed, busy.closed) == ([5.0], [])


def test_use_keeps_a_collector_open(pool, workshop, clock):
    one = take(pool)
    for _ in range(30):
        clock.advance(100)
        assert take(pool) is one

    assert one.closed == []


def test_the_spool_that_is_being_closed_is_not_opened_again_meanwhile(pool, workshop):
    closing, gate = threading.Event(), threading.Event()
    first = take(pool)

    def close(deadline_s):
        closing.set()
        assert gate.wait(HANG_S)
        first.closed.append(deadline_s)

    first.close = close
    take(pool, dataset="b")
    take(pool, dataset="c")
    assert closing.wait(HANG_S)
    attempts = workshop.attempts
    again = []
    thread = threading.Thread(target=lambda: again.append(take(pool)))
    thread.start()

    assert not pool.is_open(make_key(SecretStr(SECRET), "a", None))
    assert workshop.attempts == attempts
    gate.set()
    thread.join(HANG_S)
    settle(pool)
    assert first.closed == [5.0]
    assert again[0] is not first


def test_a_failure_is_told_at_once_and_tried_again_after_a_minute(pool, workshop, clock, caplog):
    workshop.faults["a"] = ConfigurationError([Fault(path="active_learning", message="is bad")])
    for _ in range(3):
        with pytest.raises(PoolError, match="'a': 1 fault: active_learning_configuration: is bad"):
            take(pool)

    assert workshop.attempts == 1
    clock.advance(61)
    with pytest.raises(PoolError, match="is bad"):
        take(pool)
    assert workshop.attempts == 2
    assert caplog.text.count("is bad") == 1
    clock.advance(61)
    del workshop.faults["a"]
    assert take(pool) is workshop.made[-1]


def test_one_tenants_failure_leaves_the_others_alone(pool, workshop):
    workshop.faults["bad"] = ValueError(f"no {SECRET}")
    with pytest.raises(PoolError) as caught:
        take(pool, dataset="bad")

    assert str(caught.value) == "no collector for the dataset 'bad': ValueError: no ***"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert take(pool, dataset="bad-not") is workshop.made[0]


def test_many_faulty_configurations_neither_pile_up_nor_close_good_collectors(pool, workshop):
    good = take(pool)
    workshop.faults["bad"] = ConfigurationError([Fault(path="", message="is bad")])
    for number in range(100):
        with pytest.raises(PoolError):
            take(pool, dataset="bad", configuration={"n": number})

    assert len(pool._slots) <= 17
    assert good.closed == []


def test_a_slow_tenant_does_not_hold_up_the_others(pool, workshop):
    workshop.gates["slow"] = threading.Event()
    thread = threading.Thread(target=take, args=(pool, "slow"))
    thread.start()
    assert workshop.begun.wait(HANG_S)

    assert take(pool, dataset="b") is workshop.made[0]
    workshop.gates["slow"].set()
    thread.join(HANG_S)


def test_two_threads_that_want_the_same_get_the_same(pool, workshop):
    workshop.gates["a"] = threading.Event()
    found = []
    threads = [threading.Thread(target=lambda: found.append(take(pool))) for _ in range(4)]
    for thread in threads:
        thread.start()
    workshop.gates["a"].set()
    for thread in threads:
        thread.join(HANG_S)

    assert workshop.attempts == 1
    assert found == [workshop.made[0]] * 4


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


def test_the_counts_are_told_by_names_without_keys(pool, workshop):
    take(pool).submit("image")

    [(name, counts)] = pool.stats().items()

    assert name == workshop.made[0].document["name"]
    assert counts.offered == 1
    assert SECRET not in repr(pool.stats())


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
