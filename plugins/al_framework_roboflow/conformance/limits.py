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
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from al_framework.testing.rules import Credit, LimitsSimulator
from al_framework_roboflow.conformance.strategies import Refusal

REFUSED: Final = "refused-by-validation"
BACKWARDS: Final = "clock-backwards"

DEVIATIONS: Final[Mapping[str, str]] = {
    REFUSED: "a limit is not a whole number above zero, or of no period that there is; Roboflow "
    "finds out when it counts (D26)",
    BACKWARDS: "the clock was set back, from one minute or hour to another of the same number; "
    "Roboflow's minutes bear no hour and its hours no date, so it takes them for one, we do not",
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
    moments = [_moment(op) for op in ops]
    pairs = itertools.combinations(moments, 2)
    return BACKWARDS if any(_confused(*pair) for pair in pairs) else None


def _replay(ops: Sequence[_Op]) -> Iterator[Credit | None]:
    """Yield the credit that each operation has taken."""
    simulator = LimitsSimulator()
    paid: dict[tuple[str, str], list[Credit]] = {}
    for op in ops:
        scope = f"{op.get('ws', 'ws')}/{op.get('proj', 'proj')}"
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


def _confused(earlier: float, later: float) -> bool:
    """Tell whether the clock went back to a window that Roboflow takes for the earlier one."""
    if later >= earlier:
        return False
    minutes, hours = (abs(earlier // length - later // length) for length in (60, 3600))
    return (minutes > 0 and minutes % 60 == 0) or (hours > 0 and hours % 24 == 0)
