"""The kinds of vector files, each with the rules that answer its cases."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, TypeAlias

from al_framework_roboflow.conformance import (
    batch_accounting,
    batch_names,
    config,
    downscale,
    e2e,
    encode,
    forbidden,
    limits,
    rescale,
    strategies,
    tags,
)
from al_framework_roboflow.conformance.strategies import REFUSED, Refusal

Case: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How the cases of one kind of file are answered.

    Attributes:
        answer: Our answer to an input.
        deviation: The name of the rule by which it may differ, from the input alone, or None.
        deviations: Every such name, with the reason.
        follows: Tells, of a deviation, an input and our answer, whether the answer is the one that
            the deviation demands.
        explains: Tells, of a deviation, an input and the recorded answer, whether the answer is
            one that Roboflow gives by what the deviation says of it.
        comparable: Brings a recorded answer into the form of ours.
        places: Of an input that is refused without a `Refusal`: the places.
    """

    answer: Callable[[Case], object]
    deviation: Callable[[Case], str | None]
    deviations: Mapping[str, str]
    follows: Callable[[str, Case, Any], bool]
    explains: Callable[[str, Case, Any], bool]
    comparable: Callable[[Any], object]
    places: Callable[[Case], Sequence[str]]


def _kind(
    module: ModuleType,
    *,
    follows: Callable[[str, Case, Any], bool] | None = None,
    explains: Callable[[str, Case, Any], bool] | None = None,
    comparable: Callable[[Any], object] | None = None,
    places: Callable[[Case], Sequence[str]] = lambda _case: (),
) -> Kind:
    return Kind(
        answer=module.answer,
        deviation=module.deviation,
        deviations=module.DEVIATIONS,
        follows=_follows if follows is None else follows,
        explains=_explains if explains is None else explains,
        comparable=_as_it_is if comparable is None else comparable,
        places=places,
    )


def _as_it_is(expected: object) -> object:
    return expected


def _follows(name: str, _case: Case, answer: object) -> bool:
    """A refusal names its place, and only what is to be refused is refused."""
    if isinstance(answer, Refusal):
        return name == REFUSED and bool(answer.place)
    return name != REFUSED


def _explains(_name: str, _case: Case, _expected: object) -> bool:
    """Whatever Roboflow has answered: there is no rule of it here."""
    return True


def _follows_in_config(name: str, _case: Case, answer: Mapping[str, Mapping[str, Any]]) -> bool:
    return (name != REFUSED) or any(one["outcome"] == "error" for one in answer.values())


KINDS: Final[Mapping[str, Kind]] = {
    "strategies": _kind(strategies),
    "batch_names": _kind(batch_names),
    "limits": _kind(limits, explains=limits.explains),
    "downscale": _kind(downscale, follows=downscale.follows, explains=downscale.explains),
    "rescale": _kind(rescale, follows=rescale.follows, explains=rescale.explains),
    "encode": _kind(encode, follows=encode.follows, explains=encode.explains),
    "tags": _kind(tags),
    "forbidden": _kind(forbidden),
    "batch_accounting": _kind(
        batch_accounting, follows=batch_accounting.follows, explains=batch_accounting.explains
    ),
    "config": _kind(
        config,
        follows=_follows_in_config,
        comparable=config.comparable,
        places=config.refusals,
    ),
    "e2e": _kind(
        e2e,
        follows=e2e.follows,
        explains=e2e.explains,
        comparable=e2e.comparable,
        places=config.refusals,
    ),
}
"""By the name of the file, without ``.jsonl``, in the order in which they are reported."""
