"""Cases of `tags`: where tags come from, and those that a datapoint gets."""

from collections.abc import Iterator, Mapping
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
    named = case["env_tags"]
    environ = {} if named is None else {"ACTIVE_LEARNING_TAGS": ",".join(named)}
    composed = compose_tags(
        environment=environment_tags(environ),
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
    lists = {"env_tags": case["env_tags"] or (), "tags": _of_configuration(case)}
    for n, entry in enumerate(case["strategies"]):
        if not isinstance(entry, Mapping):
            yield Refusal(place=f"strategies[{n}]", message=f"{entry!r} is no mapping")
            return
        lists[f"strategies[{n}].tags"] = entry.get("tags", ())
    for place, given in lists.items():
        if not isinstance(given, list | tuple):
            yield Refusal(place=place, message=f"{given!r} is no list")
            continue
        for n, tag in enumerate(given):
            if not isinstance(tag, str):
                yield Refusal(place=f"{place}[{n}]", message=f"{tag!r} is no text")
    name = case["sampling_strategy"]
    if name not in [entry.get("name") for entry in case["strategies"]]:
        yield Refusal(place="sampling_strategy", message=f"there is no strategy {name!r}")
    if not isinstance(case["model_id"], str):
        yield Refusal(place="model_id", message=f"{case['model_id']!r} is no text")


def _of_configuration(case: Case) -> Any:
    return () if case["tags"] == "absent" else case["tags"]


def _of_strategy(case: Case) -> Any:
    named = [one for one in case["strategies"] if one.get("name") == case["sampling_strategy"]]
    return named[-1].get("tags", ())  # of two that have one name the last one's, as Roboflow does
