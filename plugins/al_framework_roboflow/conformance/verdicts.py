"""The verdict on a case: equal, deviating by name, or failed."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from al_framework_roboflow.conformance.kinds import Kind
from al_framework_roboflow.conformance.reading import Failure, Vector
from al_framework_roboflow.conformance.strategies import REFUSED, Refusal

EQUAL: Final = "equal"


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the cases of one file.

    Attributes:
        equal: How many answers are Roboflow's.
        deviating: How many differ by a rule, by the name of that rule.
        refused: The places of what is refused, by how often, without the numbers of entries.
        failures: The others.
    """

    equal: int = 0
    deviating: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many there are."""
        return self.equal + self.deviating.total() + len(self.failures)


def tally(kind: Kind, vectors: Iterable[Vector | Failure]) -> Tally:
    """Judge every case of a file; a line that is no case has failed already."""
    counts = Tally()
    for vector in vectors:
        verdict = vector if isinstance(vector, Failure) else judge(kind, vector)
        if isinstance(verdict, Failure):
            counts.failures.append(verdict)
        elif verdict.name == EQUAL:
            counts.equal += 1
        else:
            counts.deviating[verdict.name] += 1
            counts.refused.update(verdict.places)
    return counts


class Verdict(NamedTuple):
    """What a case has come to, unless it failed.

    Attributes:
        name: `EQUAL`, or the name of the deviation that holds.
        places: Where it was refused, if it was.
    """

    name: str
    places: tuple[str, ...] = ()


def judge(kind: Kind, vector: Vector) -> Verdict | Failure:
    """Return the verdict on one case.

    An answer that equals the recorded one is equal, whatever the deviation says: a rule may differ
    and yet come to the same.
    """
    name, seen = None, None
    try:
        seen = kind.answer(vector.input)
        if seen == kind.comparable(vector.expected):
            return Verdict(EQUAL)
        name = kind.deviation(vector.input)
        if isinstance(seen, Refusal) and _is_error(vector.expected):
            name = REFUSED  # both refuse, each in its words
        if name is not None and _holds(kind, name, vector, seen):
            return Verdict(name, _places(kind, name, vector, seen))
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


def _places(kind: Kind, name: str, vector: Vector, seen: object) -> tuple[str, ...]:
    if name != REFUSED:
        return ()
    places = [seen.place] if isinstance(seen, Refusal) else kind.places(vector.input)
    return tuple(re.sub(r"\.?\d+", "", place) or "(the whole)" for place in places)


def _is_error(expected: object) -> bool:
    return isinstance(expected, Mapping) and "error" in expected
