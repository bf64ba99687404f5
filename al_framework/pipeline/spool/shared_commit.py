"""One commit for what several threads have to write at the same moment.

A commit waits for the disk, and sixteen deliveries that each wait for three of their own get in
each other's way: on a slow disk they are no faster than one. So while one thread commits, the
others leave their changes with those that wait; the first of them commits them all.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from sqlite3 import Connection
from typing import Any, Generic, TypeVar

from al_framework.pipeline.forking import tell_after_fork
from al_framework.pipeline.spool.database import Database

_T = TypeVar("_T")


class SharedCommit:
    """Makes changes of several threads durable together.

    Args:
        database: The index.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.after_fork()
        tell_after_fork(self)

    def after_fork(self) -> None:
        """Begin with nobody at work: the others have stayed in the parent."""
        self._mutex = threading.Lock()
        self._is_busy = False
        self._waiting: deque[_Change[Any]] = deque()

    def write(self, make: Callable[[Connection], _T], then: Callable[[_T], object]) -> _T:
        """Make a change; durable on return.

        Args:
            make: Makes the change in a transaction and returns what came of it, on whichever
                thread it is. It is called a second time if a change of another thread has failed
                and taken this one with it.
            then: Called with that after the commit, the spool's lock still held.

        Raises:
            Exception: What these raise, or what keeps the index from being written. Changes of
                other threads are made all the same.
        """
        change = _Change(make, then)
        with self._mutex:
            change.leads, self._is_busy = not self._is_busy, True
            if not change.leads:
                self._waiting.append(change)
        if not change.leads:
            self._wait(change)
        if change.leads:
            try:
                while not change.is_made:
                    self._commit_with(change)
            finally:
                self._hand_on()
        return change.result()

    def _wait(self, change: "_Change[Any]") -> None:
        """Wait until the change is made, or its thread is to lead."""
        try:
            change.over.wait()
        except BaseException:  # Ctrl-C: nobody comes for what would be done
            with self._mutex, suppress(ValueError):
                change.is_awaited = False
                self._waiting.remove(change)
            if change.leads:
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        """Let the first of those that wait lead."""
        with self._mutex:
            self._is_busy = bool(self._waiting)
            if self._waiting:
                change = self._waiting.popleft()
                change.leads = True
                change.over.set()

    def _commit_with(self, mine: "_Change[Any]") -> None:
        """Commit one change, with all the others that wait by the time the disk is free."""
        group = [mine]
        try:
            with self._database.locked():
                while not mine.is_alone and self._waiting and not self._waiting[0].is_alone:
                    group.append(self._waiting.popleft())
                self._commit(group)
        except BaseException as exc:
            # One of them has failed, or all: each finds out by itself, and for itself alone.
            with self._mutex:
                for change in reversed(group):
                    change.is_alone = True
                    if change is not mine and change.is_awaited and not change.is_made:
                        self._waiting.appendleft(change)
            if len(group) == 1 or not isinstance(exc, Exception):
                raise

    def _commit(self, group: "list[_Change[Any]]") -> None:
        with self._database.transaction() as tx:
            for change in group:
                change.begin(tx)
        for change in group:
            change.is_made = True
        try:
            for change in group:
                change.conclude()
        finally:
            for change in group:
                change.over.set()


class _Change(Generic[_T]):
    """What one thread wants to write.

    Attributes:
        leads: Whether its thread is the one that commits.
        is_alone: Whether it is to be committed by itself.
        is_awaited: Whether its thread is still there.
        is_made: Whether it is committed.
        over: Set when it is, or when its thread is to lead.
    """

    def __init__(self, make: Callable[[Connection], _T], then: Callable[[_T], object]) -> None:
        self.leads = self.is_alone = self.is_made = False
        self.is_awaited = True
        self.over = threading.Event()
        self._make = make
        self._then = then
        self._found: list[_T] = []
        self._failure: BaseException | None = None

    def begin(self, tx: Connection) -> None:
        self._found = [self._make(tx)]

    def conclude(self) -> None:
        try:
            self._then(self._found[0])
        except BaseException as exc:  # noqa: BLE001 - raised again on the thread that it is meant for
            self._failure = exc

    def result(self) -> _T:
        if self._failure is not None:
            raise self._failure
        return self._found[0]
