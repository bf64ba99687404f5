import asyncio
import subprocess
import sys

import pytest

from al_framework.api._faults import named_text_of, plugin_errors, text_of


class MuteError(Exception):
    """Its text is whatever the function given to it returns, or raises."""

    def __init__(self, say):
        super().__init__()
        self._say = say

    def __str__(self):
        return self._say()


def endless():
    return endless()


def cancelled():
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("say", "failure"),
    [
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: None, "TypeError"),
        (lambda: sys.exit(3), "SystemExit"),
        (endless, "RecursionError"),
        (cancelled, "CancelledError"),
    ],
)
def test_an_error_without_a_text_has_one_all_the_same(say, failure):
    told = f"its text cannot be told ({failure})"

    assert text_of(MuteError(say)) == told
    assert named_text_of(MuteError(say)) == f"MuteError: {told}"


def test_an_error_with_a_text_keeps_it():
    assert text_of(ValueError("no boxes")) == "no boxes"
    assert named_text_of(ValueError("no boxes")) == "ValueError: no boxes"


def test_ctrl_c_is_for_the_user_wherever_it_arrives():
    def interrupt():
        raise KeyboardInterrupt

    assert not issubclass(KeyboardInterrupt, plugin_errors())
    with pytest.raises(KeyboardInterrupt):
        text_of(MuteError(interrupt))


@pytest.mark.parametrize("error", [ValueError, SystemExit, asyncio.CancelledError])
def test_whatever_else_a_plugin_raises_is_its_own(error):
    assert issubclass(error, plugin_errors())


def test_asyncio_is_not_imported_for_it():
    code = (
        "import sys; from al_framework.api._faults import plugin_errors;"
        "print(sorted({error.__name__ for error in plugin_errors()}), 'asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "['Exception', 'SystemExit'] False\n"
