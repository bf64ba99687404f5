"""What was measured, kept: one JSON file for each question, as ``--json`` prints it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pydantic import TypeAdapter

from benchmarks.amounts import Amount
from benchmarks.comparing import Comparison
from benchmarks.latencies import Latency
from benchmarks.measuring import Row

DIRECTORY = Path(__file__).with_name("results")
Result: TypeAlias = Comparison | Amount | Latency | Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One question's answer.

    Attributes:
        question: The module that asked it.
        machine: What the figures were measured on.
        rows: The figures.
    """

    question: str
    machine: Mapping[str, str]
    rows: list[Result]


def read(directory: Path = DIRECTORY) -> Mapping[str, Measured]:
    """Return what is kept in a directory, by question.

    Raises:
        ValueError: A file is not what ``--json`` prints, or has another question's name.
    """
    measured = {}
    for path in sorted(directory.glob("*.json")):
        one = TypeAdapter(Measured).validate_json(path.read_bytes())
        if one.question != path.stem:
            raise ValueError(
                f"{path.name} answers {one.question!r}: call it {one.question}.json, or measure"
                f" {path.stem!r} again"
            )
        measured[one.question] = one
    return measured
