"""Carry frames from the caller's thread to the spool's, bounded in bytes and in number.

Nobody waits and nobody is woken: waking a thread from the inference path costs milliseconds while
the caller holds the interpreter, appending to a deque costs about a microsecond. Places are taken
from one deque and given back to it, which is exact without a lock; each thread counts in a cell of
its own the bytes that it adds, before it adds them, and those that it takes.
"""

from collections import deque
from typing import Generic, TypeVar

from al_framework.pipeline.cells import Cells

T = TypeVar("T")


class Ring(Generic[T]):
    """A bounded queue between threads that never blocks.

    Neither bound is ever exceeded. Threads that append at the same moment may all be refused the
    last bytes.

    Args:
        max_items: Entries at most.
        max_bytes: Their bytes at most; a single larger entry is still taken by an empty ring.
    """

    def __init__(self, *, max_items: int = 64, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._share = max_bytes // max(1, max_items)
        self._adding_up = False  # no entry has exceeded its share yet: whatever waits fits
        self._entries: deque[tuple[T, int]] = deque()
        self._places: deque[None] = deque([None] * max_items)
        self._bytes = Cells()

    @property
    def nbytes(self) -> int:
        """Bytes of the entries that wait."""
        return self._bytes.excess("added", "taken")

    def has_room(self, nbytes: int) -> bool:
        """Tell whether such an entry would be taken now; another thread may be faster."""
        if not self._places:
            return False
        if nbytes <= self._share:  # near enough, and it saves most frames the sum
            return True
        held = self._bytes.excess("added", "taken")
        return held == 0 or held + nbytes <= self._max_bytes

    def append(self, item: T, nbytes: int) -> bool:
        """Add an entry, or return False when there is no room for it."""
        try:
            self._places.pop()
        except IndexError:
            return False
        mine = self._bytes.mine()
        mine["added"] += nbytes
        if nbytes > self._share:
            self._adding_up = True  # before the sum: who has not seen it has added its bytes
        if self._adding_up:
            held = self._bytes.excess("added", "taken")
            if held > self._max_bytes and held > nbytes:
                mine["taken"] += nbytes
                self._places.append(None)
                return False
        self._entries.append((item, nbytes))
        return True

    def take(self) -> T | None:
        """Remove and return the oldest entry, or None when there is none; on any thread."""
        try:
            item, nbytes = self._entries.popleft()
        except IndexError:
            return None
        self._bytes.mine()["taken"] += nbytes
        self._places.append(None)
        return item

    def empty_copy(self) -> "Ring[T]":
        """Return a ring of the same bounds with nothing in it, for the child of a fork."""
        return Ring(max_items=self._max_items, max_bytes=self._max_bytes)

    def __len__(self) -> int:
        """Return how many entries wait."""
        return len(self._entries)
