"""Cases of `encode`: a prediction and its type, and the text and kind of file of its annotation."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from al_framework_roboflow.annotation import AnnotationError, NoFormError, encode_prediction
from al_framework_roboflow.conformance.strategies import REFUSED, Refusal

MULTI_LABEL: Final = "multi-label-text"

DEVIATIONS: Final[Mapping[str, str]] = {
    REFUSED: "a class that is no text, or a classification that names no class, has no form of "
    "annotation, and neither has what JSON cannot express; that is said before the picture is "
    "uploaded, by Roboflow after it (D32)",
    MULTI_LABEL: "the predicted classes of a multi-label classification are sent as text, joined "
    "by commas; Roboflow uploads the picture and then fails (D10)",
}

Case: TypeAlias = Mapping[str, Any]


def answer(case: Case) -> list[str] | Refusal:
    """Return the annotation's text and the extension of its file.

    Args:
        case: ``prediction`` and ``prediction_type``.
    """
    for key, kind in (("prediction", Mapping), ("prediction_type", str)):
        if not isinstance(case[key], kind):
            return Refusal(place=key, message=f"{case[key]!r} is no {kind.__name__}")
    try:
        return list(encode_prediction(case["prediction"], case["prediction_type"]))
    except NoFormError as exc:
        return Refusal(place="prediction", message=str(exc))
    except AnnotationError as exc:
        return Refusal(place=f"prediction.{_field(case)}", message=str(exc))


def deviation(case: Case) -> str | None:
    """Return the name of the rule by which our answer may differ, a key of `DEVIATIONS`."""
    if isinstance(answer(case), Refusal):
        return REFUSED
    document = case["prediction"]
    is_text = "classification" in case["prediction_type"]
    return MULTI_LABEL if is_text and "top" not in document else None


def follows(name: str, case: Case, given: list[str] | Refusal) -> bool:
    """Tell whether an answer is the one that a deviation demands."""
    if name == REFUSED or isinstance(given, Refusal):
        return name == REFUSED and isinstance(given, Refusal)
    return given == [",".join(case["prediction"]["predicted_classes"]), "txt"]


def explains(name: str, _case: Case, expected: Any) -> bool:
    """Tell whether a recorded answer is what a deviation says of Roboflow."""
    return name == REFUSED or "error" in expected


def _field(case: Case) -> str:
    """Return which field of the prediction cannot be written."""
    if "classification" not in case["prediction_type"]:
        return "predictions"
    return "top" if "top" in case["prediction"] else "predicted_classes"
