"""Measure our side, the peer's and the floor in turns, and set them beside each other.

A ratio is made within a round, where the machine was as busy for one side as for the other, and
the median of the rounds is reported. Processor time counts all threads of a process; the clock on
the wall stands beside it.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rich.table import Table

_CALLS_AT_MOST = 20_000
_MICRO, _MILLI = 1e6, 1e3
_SMALL = 0.095  # below this a ratio reads better as one part in so many


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
    time: Literal["cpu", "wall"] = "cpu"


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
    cpu_of: Mapping[str, float]
    wall_of: Mapping[str, float]
    reached: Sequence[Reached]
    outputs: Mapping[str, str]


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
        "cpu": {**cpu_of, "µs": mine.cpu_us},
        "wall": {**wall_of, "µs": mine.wall_us},
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


def _ratio(ours: Sequence[float], others: Sequence[float]) -> float:
    pairs = zip(ours, others, strict=True)
    return statistics.median(our / max(other, 1e-9) for our, other in pairs)


def _figures(costs: Sequence[Cost], calls: int) -> Figures:
    cpu, wall = sorted(_cpu(costs)), sorted(_wall(costs))
    return Figures(
        cpu_us=statistics.median(cpu) * _MICRO,
        cpu_quartiles_us=_quartiles(cpu),
        cpu_best_us=cpu[0] * _MICRO,
        wall_us=statistics.median(wall) * _MICRO,
        wall_quartiles_us=_quartiles(wall),
        wall_best_us=wall[0] * _MICRO,
        calls=calls,
    )


def _quartiles(ranked: Sequence[float]) -> tuple[float, float]:
    last = len(ranked) - 1
    return ranked[round(last * 0.25)] * _MICRO, ranked[round(last * 0.75)] * _MICRO


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
    for row in rows:
        for time_, of in (("cpu", row.cpu_of), ("wall", row.wall_of)):
            result.add_row(
                row.case if time_ == "cpu" else "  on the wall",
                _shown(row.ours, time_),
                "not run" if row.peer is None else _shown(row.peer, time_),
                "" if row.floor is None else _shown(row.floor, time_),
                *(part(of[name]) if name in of else "" for name in ("peer", "floor")),
                "\n".join(_in_short(one) for one in row.reached if one.target.time == time_),
                style="" if time_ == "cpu" else "dim",
            )
    return result


def microseconds(value: float) -> str:
    """Return a time with a unit that suits it."""
    if value < _MILLI:
        return f"{value:.3g} µs"
    return f"{value / _MILLI:.3g} ms" if value < _MICRO else f"{value / _MICRO:.3g} s"


def part(ratio: float) -> str:
    """Return a ratio as ``1.2 x``, or as ``1/830`` where it is small."""
    return f"{ratio:.2f} x" if ratio > _SMALL else f"1/{1 / max(ratio, 1e-9):,.0f}"


def said(one: Reached) -> str:
    """Return a target, and whether it was met."""
    most = valued(one.target, one.target.at_most)
    return f"<= {most} {'?' if one.met is None else 'met' if one.met else 'missed'}"


def valued(target: Target, number: float) -> str:
    """Return a number as what a target is about: a time, or a part of another side."""
    return microseconds(number) if target.of == "µs" else f"{part(number)} {target.of}"


def _in_short(one: Reached) -> str:
    return said(one).removeprefix("<= ").replace(" peer ", " ")


def _shown(side: Figures, time_: str) -> str:
    return microseconds(side.cpu_us if time_ == "cpu" else side.wall_us)
