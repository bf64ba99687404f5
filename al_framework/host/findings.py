"""What a look at the installation finds, one thing at a time."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from packaging.requirements import Requirement

Level: TypeAlias = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: ``ok``; ``warning``: it works, with something left out; ``error``: it does not.
        subject: What was looked at: ``python``, ``numpy``, ``plugin 'entropy'``.
        message: What was seen and, unless it is ok, what to do.
    """

    level: Level
    subject: str
    message: str


def misfit(wanted: Requirement, present: str | None) -> str | None:
    """Return what is wrong with the version that is installed, or None if it will do.

    Args:
        wanted: What is needed.
        present: The version that is there; None if there is none.
    """
    install = f"run pip install '{wanted.name}{wanted.specifier}'"
    if present is None:
        return f"it is not installed: {install}"
    if not wanted.specifier.contains(present, prereleases=True):
        return f"{present} is installed, {wanted.specifier} is needed: {install}"
    return None
