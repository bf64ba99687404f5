"""What a provider that fails or answers nonsense costs, and what is said of it."""

import asyncio
import logging

import pytest

from al_framework.api import TransientSinkError


def test_an_error_keeps_the_last_document_and_is_said_once(
    build, server, answered, asked_again, messages
):
    assembly = build()
    answered()
    plan = assembly.engine.plan
    server.answer = TransientSinkError("the door is shut")
    for _ in range(3):
        asked_again()
    server.answer = OSError(5, "no line")
    asked_again()
    said = [m for m in messages(logging.WARNING) if "holds" in m]

    assert assembly.engine.plan is plan
    assert said == [
        "configuration provider 'scripted': the door is shut; the last document holds",
        "configuration provider 'scripted': [Errno 5] no line; the last document holds",
    ]
    assert said == [p for p in assembly.engine.tally.problems() if "holds" in p]


class MuteError(Exception):
    def __str__(self):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("no idea"), "RuntimeError: no idea"),
        (MuteError(), "MuteError: its text cannot be told (ZeroDivisionError)"),
        (asyncio.CancelledError("too late"), "CancelledError: too late"),
    ],
)
def test_an_error_before_the_first_answer_says_what_happens_to_frames(
    build, server, answered, error, told
):
    server.answer = error
    assembly = build()
    answered()

    assert assembly.engine.tally.problems() == (
        (
            f"configuration provider 'scripted': {told}; there is no document yet, "
            "so frames are dropped as 'no_configuration'"
        ),
    )
    assert not assembly.refresher.settled


def test_it_says_when_the_server_answers_again(
    build, server, answered, asked_again, caplog, *, messages
):
    caplog.set_level(logging.INFO)
    server.answer = OSError(5, "no line")
    assembly = build()
    answered()
    server.answer = {"enabled": False}
    asked_again()

    assert "configuration provider 'scripted': answers again" in messages()
    assert assembly.refresher.trouble == ""


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (OSError("no line"), [1.0, 2.0, 4.0, 8.0]),
        (TransientSinkError("busy", retry_after_s=30.0), [30.0, 30.0, 30.0, 30.0]),
        (TransientSinkError("busy", retry_after_s=float("nan")), [86400.0] * 4),
    ],
)
def test_a_failing_server_is_asked_less_and_less(
    build, server, answered, error, waits, *, monkeypatch
):
    server.answer = error
    server.gate.clear()
    refresher = build().refresher
    monkeypatch.setattr(refresher, "_fetch", lambda: (_ for _ in ()).throw(error))

    assert waits == [refresher.refresh() for _ in waits]


def test_retries_are_never_further_apart_than_answers(build, server, answered, asked_again):
    server.refresh_after_s = 5.0
    refresher = build().refresher
    answered()
    server.answer = OSError("no line")
    for _ in range(5):
        asked_again(1000.0)

    assert refresher.refresh() == 5.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"refresh_after_s": "soon"}, "ValueError: could not convert string to float: 'soon'"),
        ({"refresh_after_s": None}, "TypeError: float() argument must be "),
        ({"reason": None}, "TypeError: fetch returned a reason that is no text, or a target that"),
        ({"target": "w/p"}, "TypeError: fetch returned a reason that is no text, or a target tha"),
    ],
)
def test_an_answer_that_is_not_what_it_should_be_is_said_and_asked_for_again(
    build, server, answered, asked_again, change, *, message, offer
):
    good = {name: getattr(server, name) for name in change}
    vars(server).update(change)
    assembly = build()
    answered()
    [problem] = assembly.engine.tally.problems()
    vars(server).update(good)
    asked_again()

    assert problem.startswith(f"configuration provider 'scripted': {message}")
    assert offer(assembly).status == "pending"


def test_what_it_says_is_not_hidden_by_bad_frames_and_not_without_end(
    build, server, answered, asked_again, messages, *, document_with
):
    server.answer = RuntimeError("x" * 5000)
    assembly = build()
    answered()
    for number in range(30):
        assembly.engine.report(f"bad frame {number}", None)
    server.answer = OSError("the door is shut")
    asked_again()
    server.answer = document_with(**{f"key_{number}": 1 for number in range(25)})
    asked_again()
    said = [m for m in messages(logging.WARNING) if m.startswith("configuration provider")]

    assert said[0].startswith(f"configuration provider 'scripted': RuntimeError: {'x' * 1986}… (30")
    assert said[1].startswith("configuration provider 'scripted': the door is shut; ")
    assert len(said) == 2 + 20 + 1
    assert said[-1] == "configuration provider 'scripted': 5 more of its entries are left out"
    assert said[1] in assembly.engine.tally.problems()
