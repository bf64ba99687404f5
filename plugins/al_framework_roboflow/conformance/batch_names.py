"""Cases of `batch_names`: a prefix, an interval and a local time, and what the batch is called."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from al_framework.testing.rules import dated_name
from al_framework_roboflow.conformance.strategies import REFUSED, Refusal

DEVIATIONS: Final[Mapping[str, str]] = {
    REFUSED: "the prefix is no text, or the interval none of the four; Roboflow takes any prefix "
    "and writes None into the name (D26)",
}

Case: TypeAlias = Mapping[str, Any]


def answer(case: Case) -> str | Refusal:
    """Return the batch's name.

    Args:
        case: ``batches_name_prefix``, ``recreation_interval`` and ``local_now``.
    """
    prefix, interval = case["batches_name_prefix"], case["recreation_interval"]
    if not isinstance(prefix, str):
        return Refusal(place="batches_name_prefix", message=f"{prefix!r} is no text")
    today = datetime.fromisoformat(case["local_now"]).date()
    try:
        return dated_name(prefix, interval, today)
    except ValueError as exc:
        return Refusal(place="recreation_interval", message=str(exc))


def deviation(case: Case) -> str | None:
    """Return the name of the rule by which our answer may differ, a key of `DEVIATIONS`."""
    intervals = ("never", "daily", "weekly", "monthly")
    if isinstance(case["batches_name_prefix"], str) and case["recreation_interval"] in intervals:
        return None
    return REFUSED
