"""A model's answer, of whatever kind, as a document of Roboflow's.

Steps read and write Roboflow's documents, while predictors answer with our own values, with
documents, or with response objects.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from al_framework.api import (
    Classification,
    Detections,
    ImageSize,
    PredictionError,
    Unlabelled,
)
from al_framework_roboflow.columns import document_of


def answer_document(answer: object, size: ImageSize) -> dict[str, Any]:
    """Return a new document that says what a model answered about one picture.

    Members that are null are left out, as Roboflow's steps do.

    Args:
        answer: A `Detections` or `Classification`, a response document, a response object with
            ``model_dump``, or a list of just one of them.
        size: ``(width, height)`` of the picture, for answers that do not state it.

    Raises:
        PredictionError: The answer is nothing of that.
    """
    if isinstance(answer, list | tuple) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, Detections | Classification | Unlabelled):
        document = answer.document
        # The source document repeats the model's digits; corners have been computed.
        if not isinstance(document, Mapping) or "predictions" not in document:
            document = _written(answer)
    elif isinstance(answer, Mapping):
        document = answer
    else:
        dump = getattr(answer, "model_dump", None)
        document = dump(by_alias=True, exclude_none=True) if callable(dump) else None
    if not isinstance(document, Mapping):
        raise PredictionError(
            f"an answer of type {type(answer).__name__!r} is no prediction: have the predictor "
            "return Detections, a Classification or a Roboflow response document"
        )
    copied: dict[str, Any] = copied_without_nulls(document)
    if not isinstance(copied.get("image"), Mapping):
        copied = {"image": {"width": size[0], "height": size[1]}} | copied
    return copied


def copied_without_nulls(value: Any) -> Any:
    """Return a copy of a document, down to the last list, without the members that are null.

    Numbers of numpy become plain ones, as in any document.
    """
    if isinstance(value, Mapping):
        return {k: copied_without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [copied_without_nulls(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def _written(answer: Detections | Classification | Unlabelled) -> dict[str, Any] | None:
    if isinstance(answer, Unlabelled):
        return None
    document = document_of(answer)
    if isinstance(answer, Classification) and "confidence" not in document:
        # Null, and left out with the others, where the class that wins is none of those listed.
        known = zip(answer.class_name, answer.confidence.tolist(), strict=True)
        document["confidence"] = dict(known).get(answer.top or "")
    return document
