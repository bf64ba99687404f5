"""Forks: what has to be still before the process is copied, and what begins anew in the child.

Listeners are held weakly, since Python keeps a hook for as long as the process lives.
"""

import os
import weakref
from typing import Protocol


class _Forked(Protocol):
    def after_fork(self) -> None: ...


def tell_after_fork(listener: _Forked) -> None:
    """Call ``listener.after_fork()`` in the child of every fork, for as long as it lives."""
    reference = weakref.ref(listener)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive.after_fork()

    os.register_at_fork(after_in_child=call)


class _Forking(Protocol):
    def before_fork(self) -> None: ...

    def after_fork_in_parent(self) -> None: ...


def tell_around_fork(listener: _Forking) -> None:
    """Call the listener before every fork and after it in the parent, as long as it lives."""
    reference = weakref.ref(listener)

    def before() -> None:
        alive = reference()
        if alive is not None:
            alive.before_fork()

    def after() -> None:
        alive = reference()
        if alive is not None:
            alive.after_fork_in_parent()

    os.register_at_fork(before=before, after_in_parent=after)
