"""Threads for the contracts: calls that must not hang the tests, and races that must show."""

import concurrent.futures
import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from al_framework.testing._checks import check

__all__ = ["often_switching", "run_in_time"]

ResultT = TypeVar("ResultT")


def run_in_time(call: Callable[[], ResultT], *, limit_s: float, what: str) -> ResultT:
    """Return what a call on another thread returns, or raise what it raises.

    Why no `ThreadPoolExecutor`: the interpreter waits for its threads when it ends.

    Args:
        call: What to call.
        limit_s: Seconds until it has to be over.
        what: What the call is called in the message of the failure.
    """
    done: concurrent.futures.Future[ResultT] = concurrent.futures.Future()

    def run() -> None:
        try:
            done.set_result(call())
        except BaseException as exc:  # noqa: BLE001 - raised again where the result is asked for
            done.set_exception(exc)

    threading.Thread(target=run, name=f"test of {what}", daemon=True).start()
    concurrent.futures.wait([done], timeout=limit_s)
    check(done.done(), f"{what} is not over after {limit_s:g} s")
    return done.result()


@contextlib.contextmanager
def often_switching() -> Iterator[None]:
    """Have threads take turns as often as the interpreter can, so that more races show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
