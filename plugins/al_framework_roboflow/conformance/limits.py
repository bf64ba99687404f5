"""Conformance of the limits: who pays for each of a series of datapoints.

A recorded return names a strategy and not a datapoint; it is taken to mean the latest one that
strategy has paid for. Roboflow gives the credit to the windows of the return, we to those it was
taken from (D22). For the latest datapoint the two never differ: where its windows have ended, those
of the return hold nothing that could be given back.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from al_framework.testing.rules import Credit, LimitsSimulator
from al_framework_roboflow.conformance.strategies import Refusal

REFUSED: Final = "refused-by-validation"
BACKWARDS: Final = "clock-backwards"

DEVIATIONS: Final[Mapping[str, str]] = {
    REFUSED: "a limit is not a whole number above zero, or of no period that there is; Roboflow "
    "finds out when it counts (D26)",
    BACKWARDS: "the clock was set back; Roboflow's minutes bear no hour and its hours no date, so "
    "that it may take two for one, and credits go to the windows of their return, which are then "
    "not those that they were taken from (D22); ours are windows of time, and keep their credits",
}

_LIMIT: TypeAdapter[tuple[str, int]] = TypeAdapter(
    tuple[Literal["minutely", "hourly", "daily"], Annotated[int, Field(gt=0)]]
)
_Op: TypeAlias = Mapping[str, Any]
Case: TypeAlias = Mapping[str, Any]


def answer(case: Case) -> list[str | None] | Refusal:
    """Return who pays at each operation; None where nobody does, and for each return.

    Args:
        case: ``ops``.
    """
    for refusal in _refusals(case["ops"]):
        return refusal
    return [None if credit is None else credit.strategy for credit in _replay(case["ops"])]


def deviation(case: Case) -> str | None:
    """Return the name of the rule by which our answer may differ, a key of `DEVIATIONS`."""
    ops = case["ops"]
    if any(True for _ in _refusals(ops)):
        return REFUSED
    pairs = itertools.pairwise(_moment(op) for op in ops)
    return BACKWARDS if any(later < earlier for earlier, later in pairs) else None


def explains(name: str, case: Case, expected: object) -> bool:
    """Tell whether recorded answers are those of Roboflow's way to count."""
    return name == REFUSED or expected == list(_RoboflowsCounts().answers(case["ops"]))


def _replay(ops: Sequence[_Op]) -> Iterator[Credit | None]:
    """Yield the credit that each operation has taken."""
    simulator = LimitsSimulator()
    paid: dict[tuple[str, str], list[Credit]] = {}
    for op in ops:
        scope = _scope(op)
        if op["op"] == "return":
            held = paid.get((scope, op["strategy"]))
            if held:
                simulator.give_back(held.pop())
            yield None
            continue
        matching = {
            name: [(period, int(value)) for period, value in limits]
            for name, limits in op["matching"]
        }
        credit = simulator.take(matching, at=_moment(op), scope=scope)
        if credit is not None:
            paid.setdefault((scope, credit.strategy), []).append(credit)
        yield credit


def _refusals(ops: Sequence[_Op]) -> Iterator[Refusal]:
    """Yield what is wrong with limits; they are read as the loader does, strictly, as JSON."""
    for n, op in enumerate(ops):
        for m, (_, limits) in enumerate(op.get("matching", ())):
            for k, limit in enumerate(limits):
                try:
                    _LIMIT.validate_json(json.dumps([_whole(v) for v in limit]), strict=True)
                except ValidationError as exc:
                    yield Refusal(
                        place=f"ops[{n}].matching[{m}].limits[{k}]",
                        message=exc.errors(include_url=False)[0]["msg"],
                    )


def _whole(value: object) -> object:
    """Return 5.0 as 5: JSON has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _moment(op: _Op) -> float:
    return datetime.fromisoformat(op["t"]).replace(tzinfo=UTC).timestamp()


class _RoboflowsCounts:
    """Windows that are known by the number of their minute or hour, and forgotten after a while."""

    _FORGOTTEN_AFTER_S: ClassVar = {"minutely": 120, "hourly": 7200, "daily": 90000}

    def __init__(self) -> None:
        self._counts: dict[tuple[object, ...], tuple[int, float]] = {}

    def answers(self, ops: Sequence[_Op]) -> Iterator[str | None]:
        for op in ops:
            if op["op"] == "return":
                self._add(op, op["strategy"], -1)
                yield None
                continue
            paying = next(
                (name for name, limits in op["matching"] if self._fits(op, name, limits)), None
            )
            if paying is not None:
                self._add(op, paying, 1)
            yield paying

    def _fits(self, op: _Op, name: str, limits: Sequence[tuple[str, int]]) -> bool:
        return all((self._count(op, name, period) or 0) < most for period, most in limits)

    def _add(self, op: _Op, name: str, more: int) -> None:
        for period, seconds in self._FORGOTTEN_AFTER_S.items():
            count = self._count(op, name, period)
            if count is None and more < 0:
                continue  # nothing is known of that window
            kept = max((count or 0) + more, 0), _moment(op) + seconds
            self._counts[_window(op, name, period)] = kept

    def _count(self, op: _Op, name: str, period: str) -> int | None:
        count, until = self._counts.get(_window(op, name, period), (0, float("-inf")))
        return None if until < _moment(op) else count


def _window(op: _Op, name: str, period: str) -> tuple[object, ...]:
    at = datetime.fromisoformat(op["t"])
    number = {"minutely": at.minute, "hourly": at.hour, "daily": at.date()}[period]
    return _scope(op), name, period, number


def _scope(op: _Op) -> str:
    return f"{op.get('ws', 'ws')}/{op.get('proj', 'proj')}"
