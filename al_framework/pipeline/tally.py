"""Count where every frame goes, so that the numbers of a summary add up.

One lock, held for a few additions: frames are offered on any thread while the spool's thread
settles earlier ones, and ``+=`` on an attribute is not atomic.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

from al_framework.api import Counts, SinkCounts, StrategyCounts
from al_framework.pipeline.forking import tell_after_fork

End: TypeAlias = Literal["not_selected", "limited", "accepted"]

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
        self._counts = dict.fromkeys(
            ("offered", "matched", "not_selected", "limited", "accepted", "queued", "skipped"), 0
        )
        self._dropped: dict[str, int] = {}
        self._strategies = {name: StrategyTally() for name in strategies}
        self._problems: list[str] = []
        self._unlisted = 0
        tell_after_fork(self)

    def after_fork(self) -> None:
        """Begin anew in the child, with a lock that nobody holds."""
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget every frame, in the child of a fork: they are counted by the parent."""
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(self._counts, 0)
        self._dropped = {}
        for tally in self._strategies.values():
            tally.begin_anew()

    def offer(self) -> None:
        """Count a frame in: it is queued until it is settled."""
        with self._lock:
            self._counts["offered"] += 1
            self._counts["queued"] += 1

    def settle(self, end: End) -> None:
        """Count a queued frame out."""
        with self._lock:
            self._counts["queued"] -= 1
            self._counts[end] += 1

    def drop(self, reason: str) -> None:
        """Count a queued frame as lost."""
        with self._lock:
            self._counts["queued"] -= 1
            self._dropped[reason] = self._dropped.get(reason, 0) + 1

    def match(self) -> None:
        """Count a frame that at least one strategy takes."""
        with self._lock:
            self._counts["matched"] += 1

    def skip(self) -> None:
        """Count a frame that an earlier run has dealt with."""
        with self._lock:
            self._counts["skipped"] += 1

    def expect(self, strategies: "Mapping[str, StrategyTally]") -> None:
        """Count for these strategies from now on; what was counted for others stays, behind.

        Of those, only the thousand that went last: documents may bring new names for years.
        """
        with self._lock:
            gone = [entry for entry in self._strategies.items() if entry[0] not in strategies]
            self._strategies = {**strategies, **dict(gone[:_MAX_GONE])}

    def strategy(self, name: str) -> "StrategyTally":
        """Return one strategy's own counters, to be written by the sampler only.

        New ones for a name that was not seen before; they count once `expect` names them.
        """
        with self._lock:
            return self._strategies.get(name) or StrategyTally()

    def paid(self, name: str) -> None:
        """Count a frame whose place was taken from a strategy's limits."""
        with self._lock:
            if name in self._strategies:  # else it is gone for long
                self._strategies[name].paid += 1

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
        with self._lock:
            return Counts(
                **self._counts,
                dropped=dict(self._dropped),
                strategies={name: tally.counts() for name, tally in self._strategies.items()},
                sinks={name: replace(counts) for name, counts in sinks.items()},
            )


class StrategyTally:
    """Counters of one strategy."""

    __slots__ = (
        "disabled",
        "evaluated",
        "failed",
        "lock",
        "matched",
        "not_eligible",
        "paid",
        "selected",
    )

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.evaluated = 0
        self.matched = 0
        self.selected = 0
        self.paid = 0
        self.not_eligible = 0
        self.failed = 0
        self.disabled = False

    def begin_anew(self) -> None:
        """Forget what was counted before a fork, but not that the strategy was switched off."""
        self.lock = threading.Lock()
        for name in ("evaluated", "matched", "selected", "paid", "not_eligible", "failed"):
            setattr(self, name, 0)

    def counts(self) -> StrategyCounts:
        """Return the counters as they stand."""
        return StrategyCounts(
            **{name: getattr(self, name) for name in self.__slots__ if name != "lock"}
        )
