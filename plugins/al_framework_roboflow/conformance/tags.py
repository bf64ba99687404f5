"""Cases of `tags`: where tags come from, and those that a datapoint gets."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from al_framework.testing.rules import compose_tags, environment_tags
from al_framework_roboflow.conformance.strategies import REFUSED, Refusal

DEVIATIONS: Final[Mapping[str, str]] = {
    REFUSED: "tags that are no list of text, or a strategy that is not configured: Roboflow finds "
    "out when a picture is to be sent, or sends them as they are (D26)",
}

Case: TypeAlias = Mapping[str, Any]


def answer(case: Case) -> list[str] | Refusal:
    """Return the tags in order.

    Args:
        case: ``env_tags``, ``tags``, ``strategies``, ``sampling_strategy``,
            ``persist_predictions`` and ``model_id``.
    """
    for refusal in _refusals(case):
        return refusal
    composed = compose_tags(
        environment=_of_environment(case),
        configuration=_of_configuration(case),
        strategy=_of_strategy(case),
        model_id=case["model_id"],
        persist_predictions=bool(case["persist_predictions"]),
    )
    return list(composed)


def deviation(case: Case) -> str | None:
    """Return the name of the rule by which our answer may differ, a key of `DEVIATIONS`."""
    return REFUSED if any(True for _ in _refusals(case)) else None


def _refusals(case: Case) -> Iterator[Refusal]:
    """Yield what does not pass our validation, which sees types; a tag's letters are another's."""
    named = [] if case["env_tags"] is None else case["env_tags"]
    yield from _refused_tags("env_tags", named)
    yield from _refused_tags("tags", _of_configuration(case))
    if not isinstance(case["strategies"], list):
        yield Refusal(place="strategies", message=f"{case['strategies']!r} is no list")
        return
    for n, entry in enumerate(case["strategies"]):
        place = f"strategies[{n}]"
        if not isinstance(entry, Mapping):
            yield Refusal(place=place, message=f"{entry!r} is no mapping")
            return
        if not isinstance(entry.get("name"), str):
            yield Refusal(place=f"{place}.name", message=f"{entry.get('name')!r} is no text")
        yield from _refused_tags(f"{place}.tags", entry.get("tags", []))
    name = case["sampling_strategy"]
    if name not in [entry.get("name") for entry in case["strategies"]]:
        yield Refusal(place="sampling_strategy", message=f"there is no strategy {name!r}")
    if not isinstance(case["model_id"], str):
        yield Refusal(place="model_id", message=f"{case['model_id']!r} is no text")
    if _is_text(named) and list(_of_environment(case)) != named:
        message = f"{named!r} cannot stand in ACTIVE_LEARNING_TAGS"
        yield Refusal(place="env_tags", message=message)


def _refused_tags(place: str, given: object) -> Iterator[Refusal]:
    if not isinstance(given, list):
        yield Refusal(place=place, message=f"{given!r} is no list")
        return
    for n, tag in enumerate(given):
        if not isinstance(tag, str):
            yield Refusal(place=f"{place}[{n}]", message=f"{tag!r} is no text")


def _is_text(given: object) -> bool:
    return isinstance(given, list) and all(isinstance(tag, str) for tag in given)


def _of_environment(case: Case) -> Sequence[str]:
    named = case["env_tags"]
    return environment_tags({} if named is None else {"ACTIVE_LEARNING_TAGS": ",".join(named)})


def _of_configuration(case: Case) -> Any:
    return [] if case["tags"] == "absent" else case["tags"]


def _of_strategy(case: Case) -> Any:
    named = [one for one in case["strategies"] if one["name"] == case["sampling_strategy"]]
    return named[-1].get("tags", [])  # of two that have one name the last one's, as Roboflow does
