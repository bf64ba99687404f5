"""Put what was measured into docs/performance.md: ``python -m benchmarks.page``.

The words of that page are written by hand; its tables stand between comments, and are made here
from `benchmarks/results/*.json`: ``<!-- figures: QUESTION -->`` for one question's,
``<!-- figures: targets -->`` for everything that was to be reached, and
``<!-- figures: origin -->`` for where they all come from.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks import amounts, comparing, latencies, results, targets
from benchmarks.amounts import Amount
from benchmarks.comparing import Comparison, Figures, Ratio, Time
from benchmarks.latencies import Latency
from benchmarks.measuring import Row
from benchmarks.origin import Origin
from benchmarks.results import Measured, Result
from benchmarks.showing import SMALL, microseconds, part, times
from benchmarks.targets import Reasons

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
TARGETS, ORIGIN = "targets", "origin"
_FIGURES = re.compile(
    r"(<!-- figures: (?P<what>\w+) -->\n).*?(?=<!-- end of figures -->)", re.DOTALL
)
_NOTHING = "*Not measured: no result of this question is kept.*"
_NOT_RUN, _NONE = "not run", "-"
_OPTIONAL = {"cut short", "to reach"}  # columns that are left out where nothing would stand in them


def main() -> None:
    """Bring the page up to date."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(text, results.read(), targets.read()), encoding="utf-8")


def filled(text: str, measured: Mapping[str, Measured], reasons: Reasons) -> str:
    """Return a page with these figures in place of those that it has.

    Args:
        text: The page.
        measured: The figures, by question.
        reasons: Why targets are missed.
    """
    questions = asked(text)

    def figures(match: re.Match[str]) -> str:
        if match["what"] == TARGETS:
            parts = _targets(measured, reasons, questions)
        elif match["what"] == ORIGIN:
            parts = _origin([measured[one] for one in questions if one in measured])
        else:
            parts = _answer(measured.get(match["what"]))
        return "\n\n".join([match[1].rstrip(), *parts, ""])

    return _FIGURES.sub(figures, text)


def asked(text: str) -> list[str]:
    """Return which questions' figures a page wants."""
    return [
        match["what"] for match in _FIGURES.finditer(text) if match["what"] not in {TARGETS, ORIGIN}
    ]


def _origin(measured: Sequence[Measured]) -> Iterator[str]:
    """Yield where the figures come from; what differs is said, by question."""
    states: dict[str, list[Measured]] = {}
    for one in measured:
        states.setdefault(_state(one.origin), []).append(one)
    if not states:
        yield _NOTHING
    if len(states) > 1:
        yield "**These figures do not all come from the same state:**"
    for state, members in states.items():
        dates = sorted(one.origin.date for one in members)
        when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
        who = "All" if len(states) == 1 else ", ".join(f"`{one.question}`" for one in members)
        yield f"- {who}: measured {when} UTC, {state}"


def _state(origin: Origin) -> str:
    dirty = " **with changes that are in no commit**" if origin.uncommitted else ""
    facts = [f"{name} {value}" for name, value in {**origin.machine, **origin.versions}.items()]
    return f"of the code of commit `{origin.commit}`{dirty}, on: {', '.join(facts)}."


def _answer(measured: Measured | None) -> Iterator[str]:
    if measured is None:
        yield _NOTHING
        return
    origin = measured.origin
    yield f"Commit `{origin.commit}`, {origin.date} UTC, load before: {origin.load}."
    # A side that is missing though the peer was there has no counterpart of the case.
    no_peer = _NOT_RUN if origin.versions.get("peer", _NOT_RUN).startswith(_NOT_RUN) else _NONE
    for group, members in itertools.groupby(measured.rows, key=lambda row: row.group):
        of_group = list(members)
        yield f"**{group}**"
        yield _table(of_group, no_peer)
        if outcomes := results.outcomes(of_group):
            yield "\n".join(f"- {one}" for one in outcomes)


def _table(rows: Sequence[Result], no_peer: str) -> str:
    columns = [
        (heading, *cells)
        for heading, *cells in zip(*_columns(rows, no_peer), strict=True)
        if heading not in _OPTIONAL or any(cells)
    ]
    headings, *lines = zip(*columns, strict=True)
    return _markdown(headings, lines)


def _columns(rows: Sequence[Result], no_peer: str) -> Iterator[tuple[str, ...]]:
    """Yield the headings of a group's table, then its lines."""
    first = rows[0]
    if isinstance(first, Comparison):
        yield ("case", "time", "ours", "peer", "floor", "of peer", "of floor", "to reach")
    elif isinstance(first, Latency):
        yield ("case", "p50", "p99", "max", "cut short", "p99 better", "to reach")
    elif isinstance(first, Row):
        yield ("case", "median", "best to worst", "cheaper")
    elif first.compared:
        yield ("case", "ours", "peer", "floor", "to reach")
    else:
        yield ("case", "measured", "to reach")
    for row in rows:
        yield from _lines(row, no_peer)


def _lines(row: Result, no_peer: str) -> list[tuple[str, ...]]:
    if isinstance(row, Comparison):
        return [_comparison(row, "cpu", no_peer), _comparison(row, "wall", no_peer)]
    if isinstance(row, Amount):
        return [_amount(row, no_peer)]
    if isinstance(row, Latency):
        to_reach = "; ".join(latencies.said(row, bound) for bound in row.bounds)
        return [(row.case, *latencies.figures(row), to_reach)]
    spread = f"{microseconds(row.best_us)} to {microseconds(row.worst_us)}"
    return [(row.case, microseconds(row.median_us), spread, times(row.ratio))]


def _amount(row: Amount, no_peer: str) -> tuple[str, ...]:
    if not row.compared:
        return (row.case, amounts.ours(row), amounts.target(row))
    peer = no_peer if row.peer is None else amounts.shown(row.peer, row.unit)
    floor = _NONE if row.floor is None else amounts.shown(row.floor, row.unit)
    return (row.case, amounts.ours(row), peer, floor, amounts.target(row))


def _comparison(row: Comparison, time: Time, no_peer: str) -> tuple[str, ...]:
    return (
        row.case if time == "cpu" else "",
        time,
        f"{comparing.ours(row, time)} {_spread(row.ours, time)}",
        no_peer if row.peer is None else _shown(row.peer, time),
        _NONE if row.floor is None else _shown(row.floor, time),
        *(_ratio(row, time, name) for name in ("peer", "floor")),
        "; ".join(comparing.said(one) for one in row.reached if one.target.time == time),
    )


def _shown(side: Figures, time: Time) -> str:
    return f"{microseconds(comparing.median(side, time))} {_spread(side, time)}"


def _spread(side: Figures, time: Time) -> str:
    """Return half of the distance between the quartiles."""
    low, high = side.cpu_quartiles_us if time == "cpu" else side.wall_quartiles_us
    return f"± {(high - low) / 2 / comparing.median(side, time):.0%}"


def _ratio(row: Comparison, time: Time, name: str) -> str:
    """Return the median of a ratio, and its quartiles."""
    found: Ratio | None = row.of(time).get(name)
    if found is None:
        return ""
    low, high = found.quartiles
    if found.median < SMALL:  # 1/51 to 1/55 reads better than the other way round
        low, high = high, low
    return f"{comparing.ratio(row, time, name)} ({_bare(low)} to {_bare(high)})"


def _bare(ratio: float) -> str:
    return part(ratio).removesuffix(" x")


def _targets(
    measured: Mapping[str, Measured], reasons: Reasons, questions: Sequence[str]
) -> Iterator[str]:
    kept = {one: measured[one] for one in (*questions, *measured) if one in measured}
    found = list(targets.lines(kept.values()))
    lines = [
        (one.group, one.case, one.target, one.reached, _verdict(one, reasons)) for one in found
    ]
    told = {one.question for one in found}
    missing = [one for one in targets.asking(questions) if one not in told]
    lines += [(f"`{one}`", "", "", "not measured", "?") for one in missing]
    yield _markdown(("what", "case", "to reach", "reached", ""), lines) if lines else _NOTHING


def _verdict(line: targets.Line, reasons: Reasons) -> str:
    if line.met is None:
        return "?"
    if line.met:
        return "met"
    why = reasons.get(line.question, {}).get(line.key)
    return f"**missed**: {why}" if why else "**missed**"


def _markdown(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    # A bar would end the cell.
    rows = [headings, ["---"] * len(headings), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)


if __name__ == "__main__":
    main()
