"""The password of a limits server is never told, whatever the server answers."""

import re
import socket
import threading
import traceback
from contextlib import contextmanager, suppress

import pytest

from al_framework.pipeline.limits.base import LedgerUnavailableError

HANG_S = 30.0
SECRET = "pA55-cAn4ry"  # of a server that is killed at the end


def refused(ledger, name="t"):
    """Return what a refusal says, without the server's address."""
    with pytest.raises(LedgerUnavailableError) as caught:
        ledger.reserve(["a"], name, 0, None)
    return re.sub(r"^limits server '[^']*': ", "", str(caught.value))


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
