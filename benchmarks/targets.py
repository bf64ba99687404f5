"""What was to be reached, whether it was, and why not.

The reasons stand in `benchmarks/reasons.toml`, by question, for those that are missed: no others.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pydantic import TypeAdapter

from benchmarks import amounts, comparing
from benchmarks.amounts import Amount
from benchmarks.comparing import Comparison
from benchmarks.latencies import Bound, Latency
from benchmarks.measuring import Row
from benchmarks.results import Measured, Result
from benchmarks.showing import apart, microseconds, times

REASONS = Path(__file__).with_name("reasons.toml")
# Why a target is missed, by question and by `Line.key`.
Reasons: TypeAlias = Mapping[str, Mapping[str, str]]
_ASKS = re.compile(r"\b(?:Target|Bound)\(|\bat_(?:most|least)=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that was to be reached.

    Attributes:
        question: Whose it is.
        group: The group of the row.
        case: Its case.
        target: What was to be reached.
        reached: What was.
        met: Whether that is enough; None where the other side was not run.
    """

    question: str
    group: str
    case: str
    target: str
    reached: str
    met: bool | None

    @property
    def key(self) -> str:
        """What a reason for it is kept under, beside the question."""
        return f"{self.group} / {self.case} / {self.target}"


def lines(measured: Iterable[Measured]) -> Iterator[Line]:
    """Yield everything that was to be reached."""
    for one in measured:
        for row in one.rows:
            for target, reached, met in _of(row):
                yield Line(
                    question=one.question,
                    group=row.group,
                    case=row.case,
                    target=target,
                    reached=reached,
                    met=met,
                )


def read(path: Path = REASONS) -> Reasons:
    """Return the reasons that are kept."""
    return TypeAdapter(Reasons).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))


def faults(measured: Iterable[Measured], reasons: Reasons) -> list[str]:
    """Return what is to be done until every target that is missed has a reason, and no other."""
    missed = {(one.question, one.key): one for one in lines(measured) if one.met is False}
    known = {(question, key): why for question, of in reasons.items() for key, why in of.items()}
    return [
        *(
            f'add to {REASONS.name}, under [{question}]: "{key}" = "why {one.reached}"'
            for (question, key), one in missed.items()
            if not known.get((question, key), "").strip()
        ),
        *(
            f'remove from {REASONS.name}, under [{question}]: "{key}", which is not missed'
            for question, key in known
            if (question, key) not in missed
        ),
    ]


def asking(questions: Iterable[str]) -> list[str]:
    """Return which questions ask for something, by their text: importing them takes seconds."""
    texts = {one: Path(__file__).with_name(f"{one}.py") for one in questions}
    return [one for one, path in texts.items() if _ASKS.search(path.read_text(encoding="utf-8"))]


def _of(row: Result) -> Iterator[tuple[str, str, bool | None]]:
    """Yield what a row is to reach, what it has reached, and whether that is enough."""
    if isinstance(row, Row):
        return
    if isinstance(row, Amount):
        if row.asked:
            yield row.asked, amounts.ours(row), row.met
    elif isinstance(row, Latency):
        for bound in row.bounds:
            yield *_bounded(bound, row.value(bound)), row.is_met(bound)
    else:
        yield from _compared(row)


def _compared(row: Comparison) -> Iterator[tuple[str, str, bool | None]]:
    for one in row.reached:
        most = comparing.valued(one.target, one.target.at_most)
        reached = "not run" if one.value is None else comparing.valued(one.target, one.value)
        yield f"<= {most}, {one.target.time}", reached, one.met


def _bounded(bound: Bound, value: float) -> tuple[str, str]:
    if bound.of == "ratio":
        return f"p99 better >= {bound.limit:g} x", apart(value, [bound.limit], times)
    return (
        f"{bound.of} <= {microseconds(bound.limit)}",
        apart(value, [bound.limit], microseconds),
    )
