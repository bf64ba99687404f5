"""Looks at batches: asks sinks how many pictures a labelling batch holds, on threads of their own.

The first look at a batch is waited for, by the thread that accepts and before it takes the
spool's lock, since pictures taken without it may be too many. Later looks are the delivery
leader's and nobody waits for them.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from al_framework.api import Clock, SpoolError, Target
from al_framework.api._faults import named_text_of, plugin_errors
from al_framework.pipeline.spool import Batches, BatchKey
from al_framework.pipeline.spool.batches import REFRESH_S

FIRST_LOOK_S = 5.0
# Whoever found the size unknown just before it was written down need not ask once more.
_ANSWERED_S = 1.0
_MOST = 2**53  # pictures; beyond it an answer is a mistake
_LOG = logging.getLogger(__name__)

BatchSize: TypeAlias = Callable[[str, Target], int | None]
_Subject: TypeAlias = tuple[BatchKey, str]


@dataclass(slots=True, eq=False)
class _Look:
    """A question on its way.

    Attributes:
        done: Set when its answer is written down.
        is_late: Whether somebody has waited in vain, so that nobody should again.
    """

    done: threading.Event = field(default_factory=threading.Event)
    is_late: bool = False


class BatchLooks:
    """Keeps the spool informed of the sizes of batches.

    Args:
        batches: What the spool knows of them.
        batch_sizes: Whom to ask, by sink; called on threads of their own.
        clock: Time.
        first_look_s: Seconds for which a first look is waited for.
    """

    def __init__(
        self,
        batches: Batches,
        batch_sizes: Mapping[str, BatchSize],
        *,
        clock: Clock,
        first_look_s: float = FIRST_LOOK_S,
    ) -> None:
        self._batches = batches
        self._batch_sizes = dict(batch_sizes)
        self._clock = clock
        self._first_look_s = first_look_s
        self._is_closed = False
        self._silent: dict[str, str] = {}
        self.begin()

    def begin(self) -> None:
        """Start with no look on its way: at first, and in the child of a fork."""
        self._lock = threading.Lock()
        self._running: dict[_Subject, _Look] = {}
        # Until when not to look again, by the monotonic clock.
        self._rests: dict[_Subject, float] = {}

    def close(self) -> None:
        """Look no more; the answer to a question on its way is not awaited, and not used."""
        self._is_closed = True

    def ensure(self, keys: Sequence[BatchKey]) -> None:
        """Look at batches whose size nobody knows, and wait for the answers, within bounds.

        Raises:
            SpoolError: The spool cannot be read.
        """
        if not self._batch_sizes:
            return
        subjects = self._batches.unknown(keys, self._sinks)
        looks = [(subject, self._look(subject)) for subject in subjects]
        started = self._clock.monotonic()
        for subject, look in looks:
            if look is None or look.is_late:
                continue
            elapsed = self._clock.monotonic() - started
            if not look.done.wait(max(0.0, self._first_look_s - elapsed)):
                look.is_late = True
                self._report_late(*subject)

    def refresh(self) -> None:
        """Look at the batches in use whose size was last asked for a minute ago; wait for none.

        Raises:
            SpoolError: The spool cannot be read.
        """
        if self._batch_sizes:
            for subject in self._batches.due(self._sinks):
                self._look(subject)

    @property
    def _sinks(self) -> tuple[str, ...]:
        return tuple(self._batch_sizes)

    def _look(self, subject: _Subject) -> _Look | None:
        """Return the look on its way, begun now if there was none; None if there cannot be one."""
        with self._lock:
            if (running := self._running.get(subject)) is not None:
                return running
            rests_until = self._rests.get(subject, float("-inf"))
            if self._is_closed or self._clock.monotonic() < rests_until:
                return None
            look = self._running[subject] = _Look()
        thread = threading.Thread(
            target=self._work, args=(subject, look), name="al-batch-look", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as exc:  # the interpreter is shutting down
            _LOG.debug("batch %r: no thread to look at it: %s", subject[0].name, exc)
            self._end(subject, look, _ANSWERED_S)
        return look

    def _work(self, subject: _Subject, look: _Look) -> None:
        key, sink = subject
        rest_s = _ANSWERED_S
        try:
            # First, so that what arrives in the meantime counts twice rather than not at all.
            stored = self._batches.stored(key, sink)
            size = self._ask(key, sink)
            if not self._is_closed:
                others = None if size is None else size - stored
                self._batches.record(key, sink, others=others)
        except SpoolError as exc:
            rest_s = REFRESH_S
            if not self._is_closed:
                _LOG.warning("batch %r: its size cannot be written down: %s", key.name, exc)
        finally:
            self._end(subject, look, rest_s)

    def _end(self, subject: _Subject, look: _Look, rest_s: float) -> None:
        now = self._clock.monotonic()
        with self._lock:
            self._running.pop(subject, None)
            # Batches come and go for as long as the process lives; only these still rest.
            self._rests = {one: until for one, until in self._rests.items() if until > now}
            self._rests[subject] = now + rest_s
        look.done.set()

    def _ask(self, key: BatchKey, sink: str) -> int | None:
        try:
            size: object = self._batch_sizes[sink](key.name, key.target)
            if size is not None and (not isinstance(size, int) or isinstance(size, bool)):
                raise TypeError(f"batch_size returned {size!r} instead of a number or None")
            if size is not None and not 0 <= size < _MOST:
                raise ValueError(f"batch_size returned {size}, which is no number of images")
        except plugin_errors() as exc:  # a plugin boundary: collecting goes on
            self._report(
                sink,
                "error",
                f"sink {sink!r}: cannot be asked how many images the batch {key.name!r} holds, so"
                f" its last answer and our own images count: {named_text_of(exc)}",
            )
            return None
        if size is None:
            self._report(
                sink,
                "unknown",
                f"sink {sink!r}: does not know how many images the batch {key.name!r} holds, so"
                " only its last answer and our own images count towards max_batch_images",
            )
            return None
        self._silent.pop(sink, None)
        return size

    def _report_late(self, key: BatchKey, sink: str) -> None:
        self._report(
            sink,
            "late",
            f"sink {sink!r}: has not said within {self._first_look_s:g} s how many images the batch"
            f" {key.name!r} holds, so until it does its last answer and our own images count",
        )

    def _report(self, sink: str, kind: str, text: str) -> None:
        """Say it when it begins, not each minute."""
        if self._silent.get(sink) != kind and not self._is_closed:
            self._silent[sink] = kind
            _LOG.warning("%s", text)
