"""Budgets that several hosts share: what the ledger does while its server is not well.

It refuses, says so, waits for nobody, and goes on by itself; a budget is never exceeded.
"""

import re
import socket
import threading
import time
import traceback
from contextlib import contextmanager, suppress

import pytest

from al_framework.pipeline.limits import redis_link
from al_framework.pipeline.limits.base import LedgerUnavailableError, LimitRule
from al_framework.pipeline.limits.redis import RedisLedger
from al_framework.pipeline.limits.redis_scripts import BOOKS, book
from al_framework.testing import FakeClock

HANG_S = 30.0
RULES = {"a": [LimitRule(period="daily", value=5)]}
SECRET = "pA55-cAn4ry"  # of a server that is killed at the end
AFTERWARDS = (
    "; nothing is taken until it answers: check that it runs, that it can be written, and"
    " `limits.redis_url`"
)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def impatient(monkeypatch):
    """Let nobody wait for long for a server that was stopped."""
    monkeypatch.setattr(redis_link, "TIMEOUT_S", 2.0)  # still enough on a busy machine


@pytest.fixture
def ledger_on(clock):
    made = []

    def make(url, rules=RULES):
        made.append(RedisLedger(rules, scope="s", url=url, clock=clock))
        return made[-1]

    yield make
    for ledger in made:
        ledger.close()


def refused(ledger, name="t"):
    """Return what a refusal says, without the server's address."""
    with pytest.raises(LedgerUnavailableError) as caught:
        ledger.reserve(["a"], name, 0, None)
    return re.sub(r"^limits server '[^']*': ", "", str(caught.value))


def tokens(server):
    with server.client() as client:
        return client.zrange(book("s", "a"), 0, -1)


def poll(condition):
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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


@pytest.mark.usefixtures("impatient")
def test_a_credit_taken_behind_our_back_is_counted_once_when_its_token_comes_again(
    own_redis, ledger_on, clock
):
    ledger = ledger_on(own_redis.url)
    ledger.reserve(["a"], "t1", 0, None)
    own_redis.stop()
    refused(ledger, "t2")  # it lies in the server's socket
    own_redis.go_on()
    poll(lambda: tokens(own_redis) == ["t1", "t2"])

    clock.advance(3)
    paid = ledger.reserve(["a"], "t2", 0, None)
    clock.advance(1)
    ledger.refresh(0)

    assert paid.token == "t2"
    assert ["t1", "t2"] == tokens(own_redis)


@pytest.mark.usefixtures("impatient")
def test_a_credit_taken_behind_our_back_is_given_back(own_redis, ledger_on, clock):
    ledger = ledger_on(own_redis.url)
    ledger.reserve(["a"], "t1", 0, None)
    own_redis.stop()
    refused(ledger, "t2")
    own_redis.go_on()
    poll(lambda: tokens(own_redis) == ["t1", "t2"])

    clock.advance(3)
    ledger.refresh(0)

    assert ["t1"] == tokens(own_redis)


def test_credits_are_given_back_as_soon_as_the_server_is_there(own_redis, ledger_on, clock):
    ledger = ledger_on(own_redis.url)
    for n in range(3):
        ledger.reserve(["a"], f"t{n}", 0, None)
    own_redis.kill()
    for n in range(3):
        ledger.release(f"t{n}", None)
    own_redis.start()

    clock.advance(3)
    ledger.refresh(0)

    assert [] == tokens(own_redis)
    with own_redis.client() as client:
        assert not client.exists(BOOKS)


def test_what_is_owed_is_paid_when_the_ledger_closes(own_redis, ledger_on, clock):
    ledger = ledger_on(own_redis.url)
    for n in range(2):
        ledger.reserve(["a"], f"t{n}", 0, None)
    own_redis.kill()
    ledger.release("t0", None)
    ledger.close()  # in vain, and without a word
    own_redis.start()

    clock.advance(3)
    ledger.close()

    assert ["t1"] == tokens(own_redis)


def test_a_child_does_not_pay_what_its_parent_owes(own_redis, ledger_on, clock):
    ledger = ledger_on(own_redis.url)
    ledger.reserve(["a"], "t", 0, None)
    own_redis.kill()
    ledger.release("t", None)

    ledger.abandon()
    own_redis.start()
    clock.advance(3)
    ledger.refresh(0)

    assert ["t"] == tokens(own_redis)


def test_the_credits_owed_are_bounded(ledger_on):
    ledger = ledger_on("redis://127.0.0.1:1")
    for n in range(10_050):
        ledger.release(f"t{n}", None)

    assert [f"t{n}" for n in range(50, 10_050)] == list(ledger._owed)


def test_a_key_of_somebody_else_does_not_keep_credits(own_redis, ledger_on):
    ledger = ledger_on(own_redis.url)
    ledger.reserve(["a"], "t", 0, None)
    with own_redis.client() as client:
        client.set("alien", "x")
        client.sadd(BOOKS, "alien")

    ledger.release("t", None)

    assert [] == tokens(own_redis)


@pytest.mark.parametrize("user", ["", "default"])
def test_the_password_opens_the_server_and_is_never_told(own_redis, ledger_on, caplog, user):
    caplog.set_level("DEBUG")
    with own_redis.client() as client:
        client.config_set("requirepass", SECRET)
        address = f"@127.0.0.1:{own_redis.port}/0"
        good = ledger_on(f"redis://{user}:{SECRET}{address}")
        paid = good.reserve(["a"], "t", 0, None)
        with pytest.raises(LedgerUnavailableError) as caught:
            ledger_on(f"redis://{user}:wrong-{SECRET}{address}").reserve(["a"], "u", 0, None)
        with pytest.raises(LedgerUnavailableError, match=r"AuthenticationError: "):
            ledger_on(own_redis.url).reserve(["a"], "u", 0, None)

    assert paid is not None
    shown = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=False).format()
    )
    assert "AuthenticationError: invalid username-password pair" in shown
    assert SECRET not in shown + repr(good) + repr(good._link) + caplog.text


@contextmanager
def answering(reply):
    """Yield the port of a server that gives one reply to every command, whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with suppress(OSError):  # the end of the test
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):  # the client hangs up as it likes
                        while data := connection.recv(4096):
                            # Commands that came together want an answer each.
                            connection.sendall(reply * len(re.findall(rb"(?m)^\*\d+\r$", data)))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)  # wakes it
            thread.join(HANG_S)


def test_a_server_that_repeats_the_password_does_not_make_us_repeat_it(ledger_on, caplog):
    reply = f"-ERR unknown command 'AUTH', with args beginning with: '{SECRET}!'\r\n"
    with answering(reply.encode()) as port:
        ledger = ledger_on(f"redis://:{SECRET}%21@127.0.0.1:{port}")
        said = refused(ledger)
        ledger.close()

    assert "with args beginning with: '***'" in said
    assert SECRET not in said + caplog.text


def test_an_answer_that_is_none_is_a_fault_of_the_server(ledger_on):
    with answering(b"+OK\r\n") as port:
        ledger = ledger_on(f"redis://127.0.0.1:{port}")
        said = refused(ledger)
        ledger.close()

    assert said.startswith("ValueError: ")


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


@pytest.mark.parametrize("password", ["", "pw"])
def test_short_names_and_passwords_leave_messages_readable(ledger_on, password):
    pytest.importorskip("redis")
    ledger = ledger_on(f"redis://u:{password}@127.0.0.1:1/0")
    with pytest.raises(LedgerUnavailableError, match=r"ConnectionError: .*refused") as caught:
        ledger.reserve(["a"], "t", 0, None)

    assert "***" not in str(caught.value)
    assert ledger.trouble.startswith(
        "limits server '127.0.0.1:1' does not answer as it should (ConnectionError: "
    )
