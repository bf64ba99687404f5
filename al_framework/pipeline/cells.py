"""Count on many threads without a lock: a cell for each thread, added up by whoever asks.

A lock would make the caller's thread wait for whichever thread was put to sleep while it held it.
A cell is written by its own thread only, and no call stands between reading a number and writing
it back, so neither another thread nor a signal handler comes in between.
"""

import threading
import weakref
from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

Cell: TypeAlias = defaultdict[str, int]

_FOLD_AT = 64


class _Owner:
    """Lives exactly as long as its thread's storage does."""

    __slots__ = ("__weakref__",)


class Cells:
    """Numbers by name.

    The cells of threads that are gone are folded into one, so a server that has a new thread for
    each request does not collect them.
    """

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget everything; also for the child of a fork, where another thread held the lock."""
        self._lock = threading.RLock()  # a signal handler may submit, too
        self._local = threading.local()
        self._owners: list[tuple[weakref.ref[_Owner], Cell]] = []
        # Replaced as a whole: whoever reads it sees each number once.
        self._published: tuple[Cell, ...] = (defaultdict(int),)

    def mine(self) -> Cell:
        """Return the calling thread's own cell; only its first call takes a lock."""
        try:
            cell: Cell = self._local.cell
        except AttributeError:
            return self._register()
        return cell

    def sum(self, name: str) -> int:
        """Return one number of all threads."""
        total = 0
        for cell in self._published:
            total += cell.get(name, 0)
        return total

    def excess(self, name: str, over: str) -> int:
        """Return by how much one number exceeds another, never less than it does.

        The other one is read first: read the other way round, what is added to both in between
        would count for the other one only.
        """
        total = 0
        for cell in self._published:
            total -= cell.get(over, 0)
        for cell in self._published:
            total += cell.get(name, 0)
        return total

    def sums(self) -> dict[str, int]:
        """Return all numbers of all threads."""
        return _added(self._published)

    def _register(self) -> Cell:
        cell: Cell = defaultdict(int)
        owner = _Owner()
        with self._lock:
            self._owners.append((weakref.ref(owner), cell))
            base, living = self._published[0], self._published[1:]
            if len(self._owners) > _FOLD_AT:
                gone = {id(one): one for reference, one in self._owners if reference() is None}
                self._owners = [entry for entry in self._owners if id(entry[1]) not in gone]
                base = defaultdict(int, _added((base, *gone.values())))
                living = tuple(one for one in living if id(one) not in gone)
            self._published = (base, *living, cell)
        self._local.owner, self._local.cell = owner, cell
        return cell


def _added(cells: Iterable[Cell]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for cell in cells:
        for name, number in cell.copy().items():  # a copy: its thread may be adding a name
            sums[name] = sums.get(name, 0) + number
    return sums
