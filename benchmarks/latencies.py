"""Measure how long single calls take, slow ones above all, all sides of a comparison in one run.

Calls during which the system took the processor away are counted and not left out: a call that
wakes a thread invites that.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rich.table import Table

from benchmarks.showing import Show, apart, microseconds, times

# Makes one call and tells how long it took, in seconds by the name of the row.
Timed: TypeAlias = Callable[[], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Bound:
    """What calls are to reach.

    Attributes:
        of: A time in microseconds, which is bounded above; or the ratio, which is bounded below.
        limit: The bound.
    """

    of: Literal["p50", "p99", "ratio"]
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long calls take.

    Attributes:
        group: The rows that are compared with each other.
        case: What was called.
        p50_us: Median, wall microseconds.
        p99_us: 99th percentile.
        max_us: The slowest call.
        calls: Calls measured.
        interrupted: The share of them during which the system took the processor away; None where
            that was not looked at.
        ratio: The 99th percentile of the group's reference over this one.
        bounds: What is to be reached.
        outputs: What else came of the calls, by name: how many a second, how many were granted.
    """

    group: str
    case: str
    p50_us: float
    p99_us: float
    max_us: float
    calls: int
    interrupted: float | None = None
    ratio: float
    bounds: Sequence[Bound] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)

    def value(self, bound: Bound) -> float:
        """Return what a bound is about."""
        return {"p50": self.p50_us, "p99": self.p99_us, "ratio": self.ratio}[bound.of]

    def is_met(self, bound: Bound) -> bool:
        """Tell whether it was reached."""
        value = self.value(bound)
        return value >= bound.limit if bound.of == "ratio" else value <= bound.limit


def measure_latencies(
    group: str,
    cases: Mapping[str, Callable[[], object]],
    *,
    reference: str,
    calls: int,
    between: Callable[[], object],
) -> list[Latency]:
    """Call every case in turns, so that a busy machine hits all alike.

    Args:
        group: Name of the comparison.
        cases: What to call, by name.
        reference: The case that the others are compared with.
        calls: Calls of each case.
        between: What the caller does between two calls.
    """
    timed = [(outside(name, call), between) for name, call in cases.items()]
    return measure_timed(group, timed, reference=reference, calls=calls)


def measure_timed(
    group: str,
    cases: Sequence[tuple[Timed, Callable[[], object]]],
    *,
    reference: str,
    calls: int,
    block: int = 1,
) -> list[Latency]:
    """Do the same with calls that time themselves, and may tell of parts of themselves.

    Args:
        group: Name of the comparison.
        cases: What to call, which tells its rows; and what its caller does before each call.
        reference: The row that the others are compared with.
        calls: Calls of each case.
        block: How often a case is called before it is another's turn: a loop that always makes the
            same call finds its code and data where it left them.
    """
    taken: dict[str, list[float]] = {}
    interrupted: dict[str, int] = {}
    for _ in range(max(1, calls // block)):
        for call, wait in cases:
            for _ in range(block):
                wait()
                before = _interruptions()
                found = call()
                cut = _interruptions() > before
                for name, seconds in found.items():
                    taken.setdefault(name, []).append(seconds)
                    interrupted[name] = interrupted.get(name, 0) + cut
    base = percentile(taken[reference], 0.99)
    return [
        Latency(
            group=group,
            case=name,
            p50_us=percentile(seconds, 0.5) * 1e6,
            p99_us=(p99 := percentile(seconds, 0.99)) * 1e6,
            max_us=max(seconds) * 1e6,
            calls=len(seconds),
            interrupted=interrupted[name] / len(seconds),
            ratio=base / p99,
        )
        for name, seconds in taken.items()
    ]


def outside(name: str, call: Callable[[], object]) -> Timed:
    """Return the call with a watch around it."""

    def timed() -> Mapping[str, float]:
        start = time.perf_counter()
        call()
        return {name: time.perf_counter() - start}

    return timed


def _interruptions() -> int:
    """Return how often the system took the processor from this thread."""
    if sys.platform != "linux":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw


def percentile(values: list[float], share: float) -> float:
    """Return the value that a share of all values does not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def latency_table(group: str, rows: Sequence[Latency]) -> Table:
    """Return one comparison as a table that fits 80 columns."""
    result = Table(title=group, title_justify="left", box=None, pad_edge=False)
    result.add_column("case")
    for heading in ("p50", "p99", "max", "cut short", "p99 better"):
        result.add_column(heading, justify="right", no_wrap=True)
    asked = any(row.bounds for row in rows)
    if asked:
        result.add_column("target", no_wrap=True)
    for row in rows:
        targets = "\n".join(said(row, bound) for bound in row.bounds)
        result.add_row(row.case, *figures(row), *([targets] if asked else []))
    return result


def figures(row: Latency) -> tuple[str, ...]:
    """Return p50, p99 and the slowest call, how many were cut short, and how much better p99 is."""

    def told(of: str, number: float, show: Show) -> str:
        return apart(number, [one.limit for one in row.bounds if one.of == of], show)

    return (
        told("p50", row.p50_us, microseconds),
        told("p99", row.p99_us, microseconds),
        microseconds(row.max_us),
        "" if row.interrupted is None else f"{row.interrupted:.0%}",
        told("ratio", row.ratio, times),
    )


def said(row: Latency, bound: Bound) -> str:
    """Return a bound, and whether it was met."""
    verdict = "met" if row.is_met(bound) else "missed"
    if bound.of == "ratio":
        return f">= {bound.limit:g} x {verdict}"
    return f"{bound.of} <= {microseconds(bound.limit)} {verdict}"
