"""Read the classes and confidences of a detection document, and nothing else: for every frame.

Only the usual form is read here: one response, a list of entries. Whatever is unusual, or wrong,
is left to the reader of whole documents, which knows the other forms and finds the faults.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from al_framework.api import Scores
from al_framework_roboflow.rle import MASK_KEYS
from al_framework_roboflow.tasks import DETECTION_TASKS

Floats = npt.NDArray[np.float64]

_NOTHING = np.empty(0)
_NOTHING.setflags(write=False)
_OTHER_SHAPES = frozenset({"points", "keypoints", *MASK_KEYS})


def read_scores(document: object, prediction_type: str | None) -> Scores | None:
    """Return what a document scores, or None where the whole of it has to be read to know."""
    if type(document) is not dict:
        return None
    entries, task = document.get("predictions"), prediction_type
    stated = document.get("prediction_type")  # a list where these are the columns of a step
    if type(entries) is not list or document.get("is_stub") or isinstance(stated, list):
        return None
    if task is None:
        task = _task(document, entries)
    if task not in DETECTION_TASKS:
        return None
    try:
        names, confidence = _columns(entries)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return None
    model_id, inference_id = document.get("model_id"), document.get("inference_id")
    return Scores(
        names,
        confidence,
        task,
        model_id if isinstance(model_id, str) else None,
        inference_id if isinstance(inference_id, str) else None,
    )


def _columns(entries: Sequence[Any]) -> tuple[tuple[str, ...], Floats]:
    """Return classes and confidences; raise whatever it may be if they are not what they should."""
    if not entries:
        return (), _NOTHING
    values = [entry["confidence"] for entry in entries]
    names = tuple([entry["class"] for entry in entries])
    "".join(names)  # refuses what is no text
    # sum() refuses what numpy would quietly read: "0.5", None. NaN and infinities survive it.
    if not math.isfinite(sum(values)):
        raise ValueError
    confidence = np.array(values, dtype=np.float64)
    confidence.flags.writeable = False
    return names, confidence


def _task(document: Mapping[str, Any], entries: Sequence[Any]) -> str | None:
    """Return the task that a document states, or shows by the form of all its entries."""
    stated = document.get("prediction_type")
    if stated is not None:
        return stated if isinstance(stated, str) else None
    if "top" in document or "predicted_classes" in document:
        return None
    if entries:
        if type(entries[0]) is not dict:
            return None
        keys = entries[0].keys()
        # Outlines or keypoints in any of them would make it another task.
        alike = all(type(entry) is dict and entry.keys() == keys for entry in entries)
        if not alike or not _OTHER_SHAPES.isdisjoint(keys):
            return None
    return "object-detection"
