"""What was measured, kept: one JSON file for each question, as ``--json`` prints it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pydantic import TypeAdapter

from benchmarks.amounts import Amount
from benchmarks.comparing import Comparison
from benchmarks.latencies import Latency
from benchmarks.measuring import Row
from benchmarks.origin import Origin

DIRECTORY = Path(__file__).with_name("results")
Result: TypeAlias = Comparison | Amount | Latency | Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One question's answer.

    Attributes:
        question: The module that asked it.
        origin: Where the figures come from.
        rows: The figures.
    """

    question: str
    origin: Origin
    rows: Sequence[Result]


def read(directory: Path = DIRECTORY) -> Mapping[str, Measured]:
    """Return what is kept in a directory, by question.

    Raises:
        ValueError: A file is not what ``--json`` prints, has another question's name, or holds
            what was measured roughly.
    """
    measured = {}
    for path in sorted(directory.glob("*.json")):
        one = TypeAdapter(Measured).validate_json(path.read_bytes())
        if one.question != path.stem:
            raise ValueError(
                f"{path.name} answers {one.question!r}: call it {one.question}.json, or measure"
                f" {path.stem!r} again"
            )
        if one.origin.quick:
            raise ValueError(
                f"{path.name} was measured with --quick, and is not to be published: measure"
                f" {path.stem!r} again without it"
            )
        measured[one.question] = one
    return measured


def outcomes(rows: Sequence[Result]) -> list[str]:
    """Return what the rows of a group led to; what is the same for all of them, once."""
    outputs = [dict(row.outputs) if isinstance(row, Comparison | Latency) else {} for row in rows]
    first, *others = outputs
    same = {
        name: said
        for name, said in first.items()
        if others and all(one.get(name) == said for one in others)
    }
    cases = [(row.case, _without(same, one)) for row, one in zip(rows, outputs, strict=True)]
    return [
        f"{case}: " + "; ".join(f"{name}: {said}" for name, said in found.items())
        for case, found in (("all", same), *cases)
        if found
    ]


def _without(known: Mapping[str, str], outputs: Mapping[str, str]) -> Mapping[str, str]:
    return {name: said for name, said in outputs.items() if name not in known}
