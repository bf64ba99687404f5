"""Count where every frame goes, so that the numbers of a summary add up.

Frames are offered on any thread while the spool's thread settles earlier ones. Each counts in a
cell of its own, without a lock; only lines of text and the list of strategies have one.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

from al_framework.api import Counts, SinkCounts, StrategyCounts
from al_framework.pipeline.cells import Cells
from al_framework.pipeline.forking import tell_after_fork

End: TypeAlias = Literal["not_selected", "limited", "accepted"]

_ENDS: tuple[End, ...] = ("not_selected", "limited", "accepted")
_MAX_PROBLEMS = 20
_MAX_IMPORTANT = 200
_MAX_GONE = 1000


class Tally:
    """Counts of one run.

    Always ``offered = not_selected + limited + accepted + queued + sum(dropped)``: a frame is
    offered once, is queued from then on, and settled or dropped once.

    Args:
        strategies: Names in configuration order.
    """

    def __init__(self, strategies: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._counts = Cells()
        self._drops = Cells()
        self._strategies = {name: StrategyTally() for name in strategies}
        self._problems: list[str] = []
        self._unlisted = 0
        tell_after_fork(self)

    def after_fork(self) -> None:
        """Begin anew in the child, with locks that nobody holds."""
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget every frame, in the child of a fork: they are counted by the parent."""
        self._lock = threading.Lock()
        self._counts.begin_anew()
        self._drops.begin_anew()
        for tally in self._strategies.values():
            tally.begin_anew()

    def offer(self) -> None:
        """Count a frame in: it is queued until it is settled."""
        self._counts.mine()["offered"] += 1

    def settle(self, end: End) -> None:
        """Count a queued frame out."""
        self._counts.mine()[end] += 1

    def drop(self, reason: str) -> None:
        """Count a queued frame as lost."""
        self._drops.mine()[reason] += 1

    def match(self) -> None:
        """Count a frame that at least one strategy takes."""
        self._counts.mine()["matched"] += 1

    def skip(self) -> None:
        """Count a frame that an earlier run has dealt with."""
        self._counts.mine()["skipped"] += 1

    @property
    def queued(self) -> int:
        """Frames that are offered and not yet settled."""
        return self._flow()["queued"]

    def dropped(self, reason: str) -> int:
        """Return how many frames were lost for a reason."""
        return self._drops.sum(reason)

    def expect(self, strategies: "Mapping[str, StrategyTally]") -> None:
        """Count for these strategies from now on; what was counted for others stays, behind.

        Of those, only the thousand that went last: documents may bring new names for years.
        """
        with self._lock:
            gone = [entry for entry in self._strategies.items() if entry[0] not in strategies]
            self._strategies = {**strategies, **dict(gone[:_MAX_GONE])}

    def strategy(self, name: str) -> "StrategyTally":
        """Return one strategy's own counters, to be written by the engine only.

        New ones for a name that was not seen before; they count once `expect` names them.
        """
        with self._lock:
            return self._strategies.get(name) or StrategyTally()

    def paid(self, name: str) -> None:
        """Count a frame whose place was taken from a strategy's limits."""
        tally = self._strategies.get(name)
        if tally is not None:  # else it is gone for long
            tally.count("paid")

    def problem(self, text: str, *, capped: bool = True) -> bool:
        """Remember a line for the summary; tell whether it was kept (the first twenty are).

        Args:
            text: The line.
            capped: False for one that is not to be hidden by twenty bad frames.
        """
        most = _MAX_PROBLEMS if capped else _MAX_IMPORTANT
        with self._lock:
            if len(self._problems) < most:
                self._problems.append(text)
                return True
            self._unlisted += 1
            return False

    def problems(self) -> tuple[str, ...]:
        """Return what a person should know, and how much more there was."""
        with self._lock:
            more = (f"… and {self._unlisted} more like these",) if self._unlisted else ()
            return (*self._problems, *more)

    def counts(self, sinks: Mapping[str, SinkCounts]) -> Counts:
        """Return all counts as they stand, with those of the sinks."""
        dropped = self._drops.sums()
        flow = self._flow(sum(dropped.values()))
        return Counts(
            **flow,
            matched=self._counts.sum("matched"),
            skipped=self._counts.sum("skipped"),
            dropped=dropped,
            strategies={name: tally.counts() for name, tally in self._strategies.items()},
            sinks={name: replace(counts) for name, counts in sinks.items()},
        )

    def _flow(self, dropped: int | None = None) -> dict[str, int]:
        if dropped is None:
            dropped = sum(self._drops.sums().values())
        ends: dict[str, int] = {end: self._counts.sum(end) for end in _ENDS}
        # Last: whatever has ended was offered before, so no frame seems to end unoffered.
        offered = self._counts.sum("offered")
        return {**ends, "offered": offered, "queued": offered - dropped - sum(ends.values())}


class StrategyTally:
    """Counters of one strategy.

    Attributes:
        disabled: Whether it is switched off.
        lock: Held while a fault is dealt with; a strategy that works takes no lock.
    """

    __slots__ = ("_cells", "disabled", "lock")

    def __init__(self) -> None:
        self.disabled = False
        self.lock = threading.Lock()
        self._cells = Cells()

    def begin_anew(self) -> None:
        """Forget what was counted before a fork, but not that the strategy was switched off."""
        self.lock = threading.Lock()
        self._cells.begin_anew()

    def count(self, name: Literal["evaluated", "failed", "not_eligible", "paid"]) -> None:
        """Count one more."""
        self._cells.mine()[name] += 1

    def judge(self, *, matched: bool, selected: bool) -> None:
        """Count a frame that the strategy was asked about and answered."""
        cell = self._cells.mine()
        cell["evaluated"] += 1
        if matched:
            cell["matched"] += 1
        if selected:
            cell["selected"] += 1

    def counts(self) -> StrategyCounts:
        """Return the counters as they stand."""
        return StrategyCounts(**self._cells.sums(), disabled=self.disabled)
