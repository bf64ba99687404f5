"""The threads that deliver: as many as have something to do, and one that looks out.

They are not woken but by what there is to do, so that waiting costs nothing.
"""

import logging
import threading
from collections.abc import Callable

_LOG = logging.getLogger(__name__)


class Crew:
    """Calls for work from threads of its own, until it is closed.

    Args:
        work: Does one piece of work and tells whether there was any; called by several threads at
            the same time. It raises nothing.
        paced_s: Tells in how many seconds there may be some that no one will be woken for, if any.
        most: Threads at most.
        poll_s: Seconds between looks for work that other processes or the passing of time bring.

    Attributes:
        closed: Whether it was closed; to be waited for.
    """

    def __init__(
        self,
        work: Callable[[], bool],
        *,
        paced_s: Callable[[], float | None],
        most: int,
        poll_s: float,
    ) -> None:
        self._work = work
        self._paced_s = paced_s
        self._most = most
        self._poll_s = poll_s
        self._started = False
        self.closed = threading.Event()
        self.begin()

    def begin(self) -> None:
        """Start with no thread: at first, and in the child of a fork."""
        # New ones, since a fork may have happened while another thread held them.
        was_closed, self.closed = self.closed.is_set(), threading.Event()
        if was_closed:
            self.closed.set()
        self._condition = threading.Condition()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._has_poller = False

    def start(self) -> None:
        """Begin to work; before that, nobody is woken."""
        self._started = True
        self.wake()

    @property
    def has_started(self) -> bool:
        """Whether it works on threads of its own."""
        return self._started

    def wake(self) -> None:
        """Say that there may be work."""
        with self._condition:
            if self._idle:
                self._condition.notify()
            else:
                self._spawn()

    def close(self) -> list[threading.Thread] | None:
        """Let nothing more begin; return the threads that still work, or None if it was closed."""
        with self._condition:
            if self.closed.is_set():
                return None
            self.closed.set()
            self._condition.notify_all()
            return list(self._threads)

    def _spawn(self) -> None:
        if not self._started or self.closed.is_set() or len(self._threads) >= self._most:
            return
        thread = threading.Thread(target=self._run, name="al-delivery", daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as exc:  # the interpreter is shutting down; the spool keeps everything
            self._threads.discard(thread)
            _LOG.debug("delivery: no thread for the rest: %s", exc)

    def _run(self) -> None:
        try:
            while not self.closed.is_set():
                if not self._work():
                    self._wait()
        finally:
            with self._condition:
                self._threads.discard(threading.current_thread())

    def _wait(self) -> None:
        with self._condition:
            if self.closed.is_set():
                return
            # One idle thread looks out, so that the others cost nothing.
            is_poller = not self._has_poller
            self._has_poller = True
            self._idle += 1
            # With a pace every thread does: a poll later would be time lost to the sink.
            waits = (self._poll_s if is_poller else None, self._paced_s())
            self._condition.wait(min((s for s in waits if s is not None), default=None))
            self._idle -= 1
            if is_poller:
                self._has_poller = False
