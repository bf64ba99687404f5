"""Measure our side, the peer's and the floor in turns, and set them beside each other.

A ratio is made within a round, where the machine was as busy for one side as for the other, and
the median of the rounds is reported. Processor time counts all threads of a process; the clock on
the wall stands beside it.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rich.table import Table

from benchmarks.showing import Show, apart, microseconds, part

_CALLS_AT_MOST = 20_000
_MICRO = 1e6
Time: TypeAlias = Literal["cpu", "wall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a number of calls took, in seconds of the processor and on the wall."""

    cpu_s: float
    wall_s: float


# Makes so many calls and tells what they cost together.
Side: TypeAlias = Callable[[int], Cost]


@dataclass(frozen=True, slots=True)
class Target:
    """What our side is to reach.

    Attributes:
        at_most: Our time over the other side's; or our own time where ``of`` is ``µs``.
        of: What it is a part of.
        time: Which time.
    """

    at_most: float
    of: Literal["peer", "floor", "µs"]
    time: Time = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is compared.

    Attributes:
        group: Cases that are shown together.
        name: What is done.
        ours: Our side.
        peer: The peer's; None where it is not run.
        floor: The same physical work, bare; None where there is none to name.
        targets: What our side is to reach.
        outputs: What the two sides led to, by what was compared: proof that both did the work.
        calls: How many calls a turn has; None for as many as fill it.
    """

    group: str
    name: str
    ours: Side
    peer: Side | None = None
    floor: Side | None = None
    targets: Sequence[Target] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    calls: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One side's times for one call, in microseconds; medians, quartiles and best of the rounds."""

    cpu_us: float
    cpu_quartiles_us: tuple[float, float]
    cpu_best_us: float
    wall_us: float
    wall_quartiles_us: tuple[float, float]
    wall_best_us: float
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Our time over another side's: median and quartiles of the ratios of the rounds."""

    median: float
    quartiles: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A target, and what was reached; None where the other side was not run."""

    target: Target
    value: float | None
    met: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A case with its figures.

    Attributes:
        cpu_of: Our processor time over that of the other sides, by their names.
        wall_of: The same for the time on the wall.
    """

    group: str
    case: str
    ours: Figures
    peer: Figures | None
    floor: Figures | None
    cpu_of: Mapping[str, Ratio]
    wall_of: Mapping[str, Ratio]
    reached: Sequence[Reached]
    outputs: Mapping[str, str]

    def of(self, time_: Time) -> Mapping[str, Ratio]:
        """Return the ratios of one of the times."""
        return self.cpu_of if time_ == "cpu" else self.wall_of

    def limits(self, time_: Time, of: str) -> list[float]:
        """Return what is asked of one of the times, as a part of what."""
        targets = (one.target for one in self.reached)
        return [one.at_most for one in targets if (one.time, one.of) == (time_, of)]


def here(call: Callable[[], object]) -> Side:
    """Return the side that makes a call in this process."""

    def calls(number: int) -> Cost:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(number):
            call()
        return Cost(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - wall)

    return calls


def compare(
    cases: Sequence[Case], *, quick: bool, rounds: int = 21, block_s: float = 0.1
) -> list[Comparison]:
    """Measure the sides of every case in turns.

    Args:
        cases: What to measure.
        quick: Whether a rough figure will do: few and short rounds.
        rounds: How often each side has its turn.
        block_s: How long a turn is, in seconds on the wall; 0 for one call.
    """
    rounds, block_s = (min(rounds, 3), min(block_s, 0.01)) if quick else (rounds, block_s)
    return [_compared(case, rounds, block_s) for case in cases]


def _compared(case: Case, rounds: int, block_s: float) -> Comparison:
    sides = {"ours": case.ours, "peer": case.peer, "floor": case.floor}
    there = {name: side for name, side in sides.items() if side is not None}
    calls = {name: case.calls or _calls_in(block_s, side) for name, side in there.items()}
    costs: dict[str, list[Cost]] = {name: [] for name in there}
    for _ in range(rounds):
        for name, side in there.items():
            cost, count = side(calls[name]), calls[name]
            costs[name].append(Cost(cpu_s=cost.cpu_s / count, wall_s=cost.wall_s / count))
    ours = costs["ours"]
    figures = {name: _figures(found, calls[name] * rounds) for name, found in costs.items()}
    others = {name: found for name, found in costs.items() if name != "ours"}
    cpu_of = {name: _ratio(_cpu(ours), _cpu(found)) for name, found in others.items()}
    wall_of = {name: _ratio(_wall(ours), _wall(found)) for name, found in others.items()}
    mine = figures["ours"]
    values = {
        "cpu": {**_medians(cpu_of), "µs": mine.cpu_us},
        "wall": {**_medians(wall_of), "µs": mine.wall_us},
    }
    return Comparison(
        group=case.group,
        case=case.name,
        ours=mine,
        peer=figures.get("peer"),
        floor=figures.get("floor"),
        cpu_of=cpu_of,
        wall_of=wall_of,
        reached=[_reached(target, values[target.time].get(target.of)) for target in case.targets],
        outputs=case.outputs,
    )


def _calls_in(seconds: float, side: Side) -> int:
    """Return how many calls fill a turn; the calls that tell it warm the side up, too."""
    once = min(side(1).wall_s for _ in range(3 if seconds else 1))
    return max(1, min(_CALLS_AT_MOST, int(seconds / max(once, 1e-7))))


def _cpu(costs: Sequence[Cost]) -> list[float]:
    return [cost.cpu_s for cost in costs]


def _wall(costs: Sequence[Cost]) -> list[float]:
    return [cost.wall_s for cost in costs]


def _ratio(ours: Sequence[float], others: Sequence[float]) -> Ratio:
    pairs = zip(ours, others, strict=True)
    ranked = sorted(our / max(other, 1e-9) for our, other in pairs)
    return Ratio(median=statistics.median(ranked), quartiles=_quartiles(ranked))


def _medians(ratios: Mapping[str, Ratio]) -> Mapping[str, float]:
    return {name: ratio.median for name, ratio in ratios.items()}


def _figures(costs: Sequence[Cost], calls: int) -> Figures:
    cpu, wall = sorted(_cpu(costs)), sorted(_wall(costs))
    return Figures(
        cpu_us=statistics.median(cpu) * _MICRO,
        cpu_quartiles_us=_in_us(_quartiles(cpu)),
        cpu_best_us=cpu[0] * _MICRO,
        wall_us=statistics.median(wall) * _MICRO,
        wall_quartiles_us=_in_us(_quartiles(wall)),
        wall_best_us=wall[0] * _MICRO,
        calls=calls,
    )


def _quartiles(ranked: Sequence[float]) -> tuple[float, float]:
    last = len(ranked) - 1
    return ranked[round(last * 0.25)], ranked[round(last * 0.75)]


def _in_us(seconds: tuple[float, float]) -> tuple[float, float]:
    return seconds[0] * _MICRO, seconds[1] * _MICRO


def _reached(target: Target, value: float | None) -> Reached:
    met = None if value is None else value <= target.at_most
    return Reached(target=target, value=value, met=met)


def comparison_table(group: str, rows: Sequence[Comparison]) -> Table:
    """Return one group as a table that fits 80 columns: for each case CPU, then the wall."""
    result = Table(title=group, title_justify="left", box=None, pad_edge=False)
    result.add_column("case")
    for heading in ("ours", "peer", "floor", "of peer", "of floor"):
        result.add_column(heading, justify="right", no_wrap=True)
    result.add_column("target", no_wrap=True)
    times: tuple[Time, ...] = ("cpu", "wall")
    for row, time_ in itertools.product(rows, times):
        result.add_row(
            row.case if time_ == "cpu" else "  on the wall",
            ours(row, time_),
            "not run" if row.peer is None else microseconds(median(row.peer, time_)),
            "" if row.floor is None else microseconds(median(row.floor, time_)),
            *(ratio(row, time_, name) for name in ("peer", "floor")),
            "\n".join(_in_short(one) for one in row.reached if one.target.time == time_),
            style="" if time_ == "cpu" else "dim",
        )
    return result


def median(side: Figures, time_: Time) -> float:
    """Return one of a side's times, in microseconds."""
    return side.cpu_us if time_ == "cpu" else side.wall_us


def ours(row: Comparison, time_: Time) -> str:
    """Return one of our times, told from what is asked of it."""
    return apart(median(row.ours, time_), row.limits(time_, "µs"), microseconds)


def ratio(row: Comparison, time_: Time, name: str) -> str:
    """Return a ratio, told from what is asked of it; nothing where there is none."""
    found = row.of(time_).get(name)
    return "" if found is None else apart(found.median, row.limits(time_, name), part)


def said(one: Reached) -> str:
    """Return a target, and whether it was met."""
    most = valued(one.target, one.target.at_most)
    return f"<= {most} {'?' if one.met is None else 'met' if one.met else 'missed'}"


def valued(target: Target, number: float) -> str:
    """Return a number as what a target is about, told from it: a time, or a part of another."""
    show: Show = microseconds if target.of == "µs" else part
    text = apart(number, [target.at_most], show)
    return text if target.of == "µs" else f"{text} {target.of}"


def _in_short(one: Reached) -> str:
    return said(one).removeprefix("<= ").replace(" peer ", " ")
