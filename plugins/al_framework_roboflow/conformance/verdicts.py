"""The verdict on a case: equal, deviating by name, or failed."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from al_framework_roboflow.conformance.kinds import Kind
from al_framework_roboflow.conformance.reading import Vector
from al_framework_roboflow.conformance.strategies import REFUSED, Refusal

EQUAL: Final = "equal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A case whose answer is neither Roboflow's nor one that a deviation demands.

    Attributes:
        id: Of the case.
        line: Of the file.
        expected: What Roboflow answered.
        seen: What we answer, or the exception that was raised.
        deviation: Which deviation the input names, or None.
    """

    id: str
    line: int
    expected: object
    seen: object
    deviation: str | None


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the cases of one file.

    Attributes:
        equal: How many answers are Roboflow's.
        deviating: How many differ by a rule, by the name of that rule.
        failures: The others.
    """

    equal: int = 0
    deviating: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many there are."""
        return self.equal + self.deviating.total() + len(self.failures)


def tally(kind: Kind, vectors: Iterable[Vector]) -> Tally:
    """Judge every case of a file."""
    counts = Tally()
    for vector in vectors:
        verdict = judge(kind, vector)
        if isinstance(verdict, Failure):
            counts.failures.append(verdict)
        elif verdict == EQUAL:
            counts.equal += 1
        else:
            counts.deviating[verdict] += 1
    return counts


def judge(kind: Kind, vector: Vector) -> str | Failure:
    """Return `EQUAL`, the name of the deviation that holds, or the failure.

    An answer that equals the recorded one is equal, whatever the deviation says: a rule may differ
    and yet come to the same.
    """
    name, seen = None, None
    try:
        seen = kind.answer(vector.input)
        if seen == kind.comparable(vector.expected):
            return EQUAL
        name = kind.deviation(vector.input)
        if isinstance(seen, Refusal) and _is_error(vector.expected):
            name = REFUSED  # both refuse, each in its words
        if name is not None and _holds(kind, name, vector, seen):
            return name
    except Exception as exc:  # noqa: BLE001 - one case that breaks our rules must not hide the others
        seen = f"{type(exc).__name__}: {exc}"
    return Failure(
        id=vector.id,
        line=vector.line,
        expected=vector.expected,
        seen=plain(seen),
        deviation=name,
    )


def plain(answer: object) -> Any:
    """Return an answer as JSON can show it."""
    if isinstance(answer, Refusal):
        return {"refused": asdict(answer)}
    return json.loads(json.dumps(answer, default=repr))


def _holds(kind: Kind, name: str, vector: Vector, seen: object) -> bool:
    """Tell whether both answers are what the deviation says of them."""
    return (
        name in kind.deviations
        and kind.follows(name, vector.input, seen)
        and kind.explains(name, vector.input, vector.expected)
    )


def _is_error(expected: object) -> bool:
    return isinstance(expected, Mapping) and "error" in expected
