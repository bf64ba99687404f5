"""Each tenant has a collector of its own, made once, kept while in use, and closed at rest."""

import logging
import threading

import pytest
from pydantic import SecretStr

from al_framework.api import ConfigurationError, Fault
from al_framework_roboflow.pool import PoolError
from al_framework_roboflow.pool.keys import make_key

SECRET = "rf_abcdefgh12345678"
HANG_S = 20.0


def take(pool, dataset="a", secret=SECRET, configuration=None):
    return pool.collector(
        api_key=SecretStr(secret), target_dataset=dataset, configuration=configuration
    )


def settle(pool):
    """Wait for the threads that open and close collectors."""
    for thread in list(pool._threads):
        thread.join(HANG_S)
        assert not thread.is_alive()


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


def test_the_counts_are_told_by_names_without_keys(pool, workshop):
    take(pool).submit("image")

    [(name, counts)] = pool.stats().items()

    assert name == workshop.made[0].document["name"]
    assert counts.offered == 1
    assert SECRET not in repr(pool.stats())
