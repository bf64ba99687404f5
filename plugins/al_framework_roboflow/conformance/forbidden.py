"""Cases of `forbidden`: whether an annotation must not be sent."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from al_framework_roboflow.annotation import is_annotation_forbidden
from al_framework_roboflow.conformance.strategies import REFUSED, Refusal

DEVIATIONS: Final[Mapping[str, str]] = {
    REFUSED: "the prediction's predictions are neither a list nor a mapping; Roboflow fails after "
    "the upload, unless it has no need to look at them (D32)",
}

Case: TypeAlias = Mapping[str, Any]


def answer(case: Case) -> bool | Refusal:
    """Tell whether no annotation is to be sent.

    Args:
        case: ``prediction``, ``persist_predictions`` and ``roboflow_image_id``.
    """
    document = case["prediction"]
    if not isinstance(document, Mapping):
        return Refusal(place="prediction", message=f"{document!r} is no mapping")
    entries = document.get("predictions", [])
    if not isinstance(entries, list | Mapping):
        message = f"{entries!r} is neither a list nor a mapping"
        return Refusal(place="prediction.predictions", message=message)
    return is_annotation_forbidden(document, case["persist_predictions"], case["roboflow_image_id"])


def deviation(case: Case) -> str | None:
    """Return the name of the rule by which our answer may differ, a key of `DEVIATIONS`."""
    return REFUSED if isinstance(answer(case), Refusal) else None
