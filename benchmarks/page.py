"""Put what was measured into docs/performance.md: ``python -m benchmarks.page``.

The words of that page are written by hand; its tables stand between comments, and are made here
from `benchmarks/results/*.json`: ``<!-- figures: QUESTION -->`` for one question's,
``<!-- figures: targets -->`` for everything that was to be reached.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from benchmarks import amounts, comparing, results
from benchmarks.amounts import Amount
from benchmarks.comparing import Comparison, Figures, microseconds, part
from benchmarks.latencies import Bound, Latency
from benchmarks.measuring import Row
from benchmarks.results import Measured, Result

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
TARGETS = "targets"
_FIGURES = re.compile(
    r"(<!-- figures: (?P<what>\w+) -->\n).*?(?=<!-- end of figures -->)", re.DOTALL
)
_NOTHING = "*Not measured: no result of this question is kept.*"
_NOT_RUN, _NONE = "not run", "-"


def main() -> None:
    """Bring the page up to date."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(text, results.read()), encoding="utf-8")


def filled(text: str, measured: Mapping[str, Measured]) -> str:
    """Return a page with these figures in place of those that it has."""

    def figures(match: re.Match[str]) -> str:
        parts = _targets(measured) if match["what"] == TARGETS else _answer(match["what"], measured)
        return "\n\n".join([match[1].rstrip(), *parts, ""])

    return _FIGURES.sub(figures, text)


def asked(text: str) -> list[str]:
    """Return which questions' figures a page wants."""
    return [match["what"] for match in _FIGURES.finditer(text) if match["what"] != TARGETS]


def _answer(question: str, measured: Mapping[str, Measured]) -> Iterable[str]:
    if question not in measured:
        return [_NOTHING]
    one = measured[question]
    machine = ", ".join(f"{name} {value}" for name, value in one.machine.items())
    # A side that is missing though the peer was there has no counterpart of the case.
    no_peer = _NOT_RUN if one.machine.get("peer", _NOT_RUN).startswith(_NOT_RUN) else _NONE
    return [f"Measured on: {machine}.", *_tables(one.rows, no_peer)]


def _tables(rows: Sequence[Result], no_peer: str) -> Iterable[str]:
    for group, members in itertools.groupby(rows, key=lambda row: row.group):
        of_group = list(members)
        yield f"**{group}**"
        yield _table(of_group, no_peer)
        outputs = [
            f"- {row.case}: {name}: {said}"
            for row in of_group
            if isinstance(row, Comparison)
            for name, said in row.outputs.items()
        ]
        if outputs:
            yield "\n".join(outputs)


def _table(rows: Sequence[Result], no_peer: str) -> str:
    alone = [row for row in rows if isinstance(row, Amount) and not row.compared]
    if len(alone) == len(rows):
        lines = [
            (row.case, amounts.shown(row.ours, row.unit), amounts.target(row)) for row in alone
        ]
        return _markdown(("case", "measured", "to reach"), lines)
    headings = {
        Comparison: ("case", "time", "ours", "peer", "floor", "of peer", "of floor", "to reach"),
        Amount: ("case", "ours", "peer", "floor", "to reach"),
        Latency: ("case", "p50", "p99", "max", "cut short", "p99 better"),
        Row: ("case", "median", "best to worst", "cheaper"),
    }
    return _markdown(
        headings[type(rows[0])], [line for row in rows for line in _lines(row, no_peer)]
    )


def _lines(row: Result, no_peer: str) -> list[tuple[str, ...]]:
    if isinstance(row, Comparison):
        return [_comparison(row, "cpu", no_peer), _comparison(row, "wall", no_peer)]
    if isinstance(row, Amount):
        peer = no_peer if row.peer is None else amounts.shown(row.peer, row.unit)
        floor = _NONE if row.floor is None else amounts.shown(row.floor, row.unit)
        return [(row.case, amounts.shown(row.ours, row.unit), peer, floor, amounts.target(row))]
    if isinstance(row, Latency):
        times = (microseconds(one) for one in (row.p50_us, row.p99_us, row.max_us))
        return [(row.case, *times, f"{row.interrupted:.0%}", f"{row.ratio:,.1f} x")]
    spread = f"{microseconds(row.best_us)} to {microseconds(row.worst_us)}"
    return [(row.case, microseconds(row.median_us), spread, f"{row.ratio:,.1f} x")]


def _comparison(row: Comparison, time: Literal["cpu", "wall"], no_peer: str) -> tuple[str, ...]:
    of = row.cpu_of if time == "cpu" else row.wall_of
    return (
        row.case if time == "cpu" else "",
        time,
        _shown(row.ours, time),
        no_peer if row.peer is None else _shown(row.peer, time),
        _NONE if row.floor is None else _shown(row.floor, time),
        *(part(of[name]) if name in of else "" for name in ("peer", "floor")),
        "; ".join(comparing.said(one) for one in row.reached if one.target.time == time),
    )


def _shown(side: Figures, time: Literal["cpu", "wall"]) -> str:
    """Return a median, and half of the distance between the quartiles."""
    median, (low, high) = (
        (side.cpu_us, side.cpu_quartiles_us)
        if time == "cpu"
        else (side.wall_us, side.wall_quartiles_us)
    )
    return f"{microseconds(median)} ± {(high - low) / 2 / median:.0%}"


def _targets(measured: Mapping[str, Measured]) -> Iterable[str]:
    lines = [
        line
        for one in measured.values()
        for row in one.rows
        if not isinstance(row, Row)
        for line in _reached(row)
    ]
    if not lines:
        return [_NOTHING]
    headings = ("what", "case", "to reach", "reached", "")
    return [_markdown(headings, lines)]


def _reached(row: Comparison | Amount | Latency) -> list[tuple[str, ...]]:
    if isinstance(row, Latency):
        return [
            (row.group, row.case, *_bounded(one, row.value(one)), _verdict(met=row.is_met(one)))
            for one in row.bounds
        ]
    if isinstance(row, Amount):
        if row.at_most is None:
            return []
        most, ours = (amounts.shown(one, row.unit) for one in (row.at_most, row.ours))
        return [(row.group, row.case, f"at most {most}", ours, _verdict(met=row.met))]
    return [
        (
            row.group,
            row.case,
            f"at most {comparing.valued(one.target, one.target.at_most)}, {one.target.time}",
            _NOT_RUN if one.value is None else comparing.valued(one.target, one.value),
            _verdict(met=one.met),
        )
        for one in row.reached
    ]


def _bounded(bound: Bound, value: float) -> tuple[str, str]:
    if bound.of == "ratio":
        return f"p99 at least {bound.limit:g} x better", f"{value:,.1f} x"
    return f"{bound.of} at most {microseconds(bound.limit)}", microseconds(value)


def _verdict(*, met: bool | None) -> str:
    return "?" if met is None else "met" if met else "**missed**"


def _markdown(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    # A bar would end the cell.
    rows = [headings, ["---"] * len(headings), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)


if __name__ == "__main__":
    main()
