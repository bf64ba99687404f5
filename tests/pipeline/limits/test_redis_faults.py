"""Budgets that several hosts share: what the ledger does while its server is not well.

It refuses, says so, waits for nobody, and goes on by itself; a budget is never exceeded.
"""

import re

import pytest

from al_framework.pipeline.limits.base import LedgerUnavailableError
from al_framework.pipeline.limits.redis_scripts import book

AFTERWARDS = (
    "; nothing is taken until it answers: check that it runs, that it can be written, and"
    " `limits.redis_url`"
)


def refused(ledger, name="t"):
    """Return what a refusal says, without the server's address."""
    with pytest.raises(LedgerUnavailableError) as caught:
        ledger.reserve(["a"], name, 0, None)
    return re.sub(r"^limits server '[^']*': ", "", str(caught.value))


def tokens(server):
    with server.client() as client:
        return client.zrange(book("s", "a"), 0, -1)


def make_read_only(server, client):
    client.replicaof("127.0.0.1", "1")


def make_writable(server, client):
    client.replicaof("NO", "ONE")


def fill(server, client):
    client.config_set("maxmemory", "1")


def empty(server, client):
    client.config_set("maxmemory", "0")


def take_the_name(server, client):
    client.set(book("s", "a"), "something else")


def give_the_name_back(server, client):
    client.delete(book("s", "a"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ((make_read_only, make_writable), "ReadOnlyError: "),
        ((fill, empty), "OutOfMemoryError: command not allowed when used memory > 'maxmemory'"),
        (
            (take_the_name, give_the_name_back),
            "ResponseError: WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
    ],
    ids=["replica", "no memory", "another type"],
)
def test_a_server_that_refuses_is_believed_and_tried_again(
    own_redis, ledger_on, clock, caplog, *, changes, message
):
    break_it, repair_it = changes
    ledger = ledger_on(own_redis.url)
    with own_redis.client() as client:
        break_it(own_redis, client)
        said, again, later = refused(ledger), refused(ledger), refused(ledger)
        repair_it(own_redis, client)
    clock.advance(3)
    paid = ledger.reserve(["a"], "t", 0, None)

    assert said.startswith(message)
    assert said.endswith(AFTERWARDS)
    assert again == said
    assert later.startswith("it is left alone for 3.0 s more after " + message)
    assert paid.strategy == "a"
    name = f"limits server '127.0.0.1:{own_redis.port}': "
    first, second = [record.getMessage() for record in caplog.records]
    assert first.startswith(name + message)
    assert first.endswith("; frames that need a limit are not taken until it answers")
    assert second == name + "it answers again"


def test_the_error_has_the_clients_error_nowhere_in_its_chain(own_redis, ledger_on):
    ledger = ledger_on(own_redis.url)
    own_redis.kill()

    with pytest.raises(LedgerUnavailableError) as caught:
        ledger.reserve(["a"], "t", 0, None)

    assert caught.value.__context__ is caught.value.__cause__ is None
    assert re.fullmatch(
        r"limits server '127\.0\.0\.1:\d+': ConnectionError: Error 111 connecting to"
        r" 127\.0\.0\.1:\d+\. Connection refused" + re.escape(AFTERWARDS),
        str(caught.value),
    )


def test_scripts_that_the_server_has_lost_are_brought_again(own_redis, ledger_on):
    ledger = ledger_on(own_redis.url)
    ledger.reserve(["a"], "t1", 0, None)

    with own_redis.client() as client:
        client.script_flush()
    paid = ledger.reserve(["a"], "t2", 0, None)

    assert paid is not None
    assert ["t1", "t2"] == tokens(own_redis)


def test_a_restart_between_two_credits_goes_unnoticed(own_redis, ledger_on, caplog):
    ledger = ledger_on(own_redis.url)
    ledger.reserve(["a"], "t1", 0, None)

    own_redis.kill()
    own_redis.start()
    paid = ledger.reserve(["a"], "t2", 0, None)

    assert paid is not None
    assert ["t1", "t2"] == tokens(own_redis)
    assert [] == caplog.records


@pytest.mark.usefixtures("impatient")
def test_a_slow_server_is_waited_for_twice_and_then_left_alone(own_redis, ledger_on):
    ledger = ledger_on(own_redis.url)
    ledger.reserve(["a"], "t1", 0, None)
    waits = []
    ledger._link._call = _counting(ledger._link._call, waits)
    own_redis.stop()

    said = [refused(ledger, f"u{n}") for n in range(50)]
    ledger.refresh(0)
    ledger.release("t1", None)

    assert len(waits) == 2
    assert said[:2] == ["TimeoutError: Timeout reading from socket" + AFTERWARDS] * 2
    assert said[2].startswith("it is left alone for 3.0 s more after TimeoutError")
    own_redis.go_on()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_late_once_denies_the_one_that_waited_and_nobody_else(
    own_redis, ledger_on
):
    ledger = ledger_on(own_redis.url)
    ledger.reserve(["a"], "t1", 0, None)
    for number in range(2):  # each time it is asked again at once, and may be late once more
        own_redis.stop()
        late = refused(ledger, f"late {number}")
        own_redis.go_on()
        assert late.startswith("TimeoutError: ")
        assert ledger.trouble

        assert ledger.reserve(["a"], "t2", 0, None).strategy == "a"
        assert ledger.trouble == ""


def _counting(call, calls):
    def counted(*args):
        calls.append(args)
        return call(*args)

    return counted


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, None),
        (
            {"appendonly": "no"},
            (
                "it keeps no append-only file, so a restart of it may grant credits a second time;"
                " set `appendonly yes`"
            ),
        ),
        ({"maxmemory-policy": "allkeys-lru"}, None),  # without a bound it throws nothing away
        (
            {"maxmemory": "100mb", "maxmemory-policy": "volatile-lru"},
            (
                "its maxmemory-policy 'volatile-lru' may throw credits away, which are then granted"
                " a second time; set `maxmemory-policy noeviction`"
            ),
        ),
    ],
)
def test_a_server_that_may_forget_is_told_of_once(own_redis, ledger_on, caplog, settings, message):
    ledger = ledger_on(own_redis.url)
    with own_redis.client() as client:
        for name, value in settings.items():
            client.config_set(name, value)

    for n in range(3):
        ledger.reserve(["a"], f"t{n}", 0, None)

    name = f"limits server '127.0.0.1:{own_redis.port}': "
    expected = [] if message is None else [name + message]
    assert expected == [record.getMessage() for record in caplog.records]


def test_a_server_that_tells_nothing_of_itself_is_used_all_the_same(own_redis, ledger_on, caplog):
    caplog.set_level("DEBUG", logger="al_framework")
    with own_redis.client() as client:
        client.acl_setuser("default", enabled=True, nopass=True, commands=["+@all", "-info"])

    paid = ledger_on(own_redis.url).reserve(["a"], "t", 0, None)

    assert paid is not None
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(
        f"limits server '127.0.0.1:{own_redis.port}': cannot be asked what it keeps: "
        "NoPermissionError: "
    )
