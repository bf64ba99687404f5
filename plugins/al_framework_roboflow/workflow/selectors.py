"""``$inputs.name`` and ``$steps.name.field``: how a workflow document refers to values."""

import re
from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

_INPUT = re.compile(r"\$inputs\.([^.$]+)")
_OUTPUT = re.compile(r"\$steps\.([^.$]+)\.([^.$]+)")
EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class InputSelector:
    """Refers to an input of the workflow.

    Attributes:
        name: Name of the input.
    """

    name: str


@dataclass(frozen=True, slots=True)
class OutputSelector:
    """Refers to one output of a step.

    Attributes:
        step: Name of the step.
        field: Name of its output, or `EVERYTHING`.
    """

    step: str
    field: str

    def __str__(self) -> str:
        """Return the selector as it is written."""
        return f"$steps.{self.step}.{self.field}"


Selector: TypeAlias = InputSelector | OutputSelector


def is_selector(value: object) -> TypeGuard[str]:
    """Tell whether a value means to be a selector."""
    return isinstance(value, str) and value.startswith("$")


def parse_selector(text: str) -> Selector:
    """Return what a selector refers to.

    Raises:
        ValueError: It has neither of the two forms.
    """
    if match := _INPUT.fullmatch(text):
        return InputSelector(match[1])
    if match := _OUTPUT.fullmatch(text):
        return OutputSelector(match[1], match[2])
    raise ValueError(
        f"{text!r} is no selector: write $inputs.<name> or $steps.<step name>.<output>"
    )
