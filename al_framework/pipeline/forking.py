"""Forks: what has to be still before the process is copied, and what begins anew in the child.

Python keeps a hook for as long as the process lives, and an application may make and close
thousands of collectors. So there is one hook for all, and listeners are held weakly. They are told
in the order in which they asked, and before a fork in reverse, as Python does.
"""

import functools
import logging
import os
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Protocol

logger = logging.getLogger(__name__)


class _Forked(Protocol):
    def after_fork(self) -> None: ...


class _Forking(Protocol):
    def before_fork(self) -> None: ...

    def after_fork_in_parent(self) -> None: ...


def tell_after_fork(listener: _Forked) -> None:
    """Call ``listener.after_fork()`` in the child of every fork, for as long as it lives."""
    _after().add(listener)


def tell_around_fork(listener: _Forking) -> None:
    """Call the listener before every fork and after it in the parent, as long as it lives."""
    _around().add(listener)


class _Listeners:
    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[Any]] = {}

    def add(self, listener: object) -> None:
        key = id(listener)

        def forget(_: object) -> None:
            self._references.pop(key, None)

        self._references[key] = weakref.ref(listener, forget)

    def alive(self) -> list[Any]:
        found = [reference() for reference in list(self._references.values())]
        return [listener for listener in found if listener is not None]


@functools.cache
def _after() -> _Listeners:
    listeners = _Listeners()
    os.register_at_fork(
        after_in_child=lambda: _tell(listeners.alive(), lambda one: one.after_fork())
    )
    return listeners


@functools.cache
def _around() -> _Listeners:
    listeners = _Listeners()
    os.register_at_fork(
        before=lambda: _tell(reversed(listeners.alive()), lambda one: one.before_fork()),
        after_in_parent=lambda: _tell(listeners.alive(), lambda one: one.after_fork_in_parent()),
    )
    return listeners


def _tell(listeners: Iterable[Any], call: Callable[[Any], None]) -> None:
    for listener in listeners:
        try:
            call(listener)
        except Exception:  # the others have to be told all the same
            logger.exception("%s could not follow a fork", type(listener).__name__)
