"""Credits that a server took without answering are counted once or given back, later if need be."""

import re
import time

import pytest

from al_framework.pipeline.limits.base import LedgerUnavailableError
from al_framework.pipeline.limits.redis_scripts import BOOKS, book

HANG_S = 30.0


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
