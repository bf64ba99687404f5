"""Carry frames from the caller's thread to the spool's, bounded in bytes and in number.

The taker polls and is never woken: waking a thread from the inference path costs milliseconds
while the caller holds the interpreter, appending to a deque costs about a microsecond.
"""

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Ring(Generic[T]):
    """A bounded queue between threads that never blocks.

    Args:
        max_items: Entries at most.
        max_bytes: Their bytes at most; a single larger entry is still taken by an empty ring.
    """

    def __init__(self, *, max_items: int = 64, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._entries: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def append(self, item: T, nbytes: int) -> bool:
        """Add an entry, or return False when there is no room for it."""
        with self._lock:
            full = len(self._entries) >= self._max_items
            heavy = self._bytes > 0 and self._bytes + nbytes > self._max_bytes
            if full or heavy:
                return False
            self._entries.append((item, nbytes))
            self._bytes += nbytes
            return True

    def take(self, count: int) -> list[T]:
        """Remove and return the oldest entries, at most `count`."""
        with self._lock:
            taken = [self._entries.popleft() for _ in range(min(count, len(self._entries)))]
            self._bytes -= sum(nbytes for _, nbytes in taken)
        return [item for item, _ in taken]

    def empty_copy(self) -> "Ring[T]":
        """Return a ring of the same bounds with nothing in it, for the child of a fork."""
        return Ring(max_items=self._max_items, max_bytes=self._max_bytes)

    def __len__(self) -> int:
        """Return how many entries wait."""
        return len(self._entries)
