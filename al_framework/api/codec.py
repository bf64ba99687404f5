"""Write a datapoint as JSON values and read it back, digit for digit.

The spool, the manifest of a directory and any sink that ships metadata use the same form, so what
one of them wrote another can read. Doubles survive exactly: JSON repeats Python's shortest digits.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from al_framework.api.predictions import (
    Classification,
    Detections,
    Floats,
    Keypoints,
    Prediction,
    RleMask,
    Unlabelled,
)
from al_framework.api.types import (
    Crop,
    Datapoint,
    Decision,
    StrategyVerdict,
    Target,
    Verdict,
)

_PLAIN = (
    "item_id",
    "frame_id",
    "content_key",
    "batch_name",
    "strategy",
    "utility",
    "probability",
    "reason",
    "model_id",
    "inference_id",
    "captured_at",
    "decided_at",
    "source",
)
_MAX_DEPTH = 32
_AS_THEY_ARE = frozenset((str, int, bool, type(None)))


def datapoint_to_dict(datapoint: Datapoint) -> dict[str, Any]:
    """Return everything but the picture as JSON values.

    A source document that JSON cannot express (a framework's own object, NaN, nesting deeper than
    32) is left out; numpy scalars and arrays in it become numbers and lists.
    """
    parent = datapoint.parent
    return {
        **{name: getattr(datapoint, name) for name in _PLAIN},
        "image_size": list(datapoint.image_size),
        "source_size": list(datapoint.source_size),
        "tags": list(datapoint.tags),
        "attributes": dict(datapoint.attributes),
        "parent": None if parent is None else {k: getattr(parent, k) for k in Crop.__slots__},
        "prediction": _prediction_to_dict(datapoint.prediction),
        "decision": decision_to_dict(datapoint.decision),
        "target": {k: getattr(datapoint.target, k) for k in Target.__slots__},
    }


def datapoint_from_dict(values: Mapping[str, Any], *, image: bytes) -> Datapoint:
    """Return the datapoint that `datapoint_to_dict` wrote, with its picture.

    Raises:
        ValueError: A field is missing or of another form.
    """
    try:
        parent = values["parent"]
        return Datapoint(
            **{name: values[name] for name in _PLAIN},
            image=image,
            image_size=_size(values["image_size"]),
            source_size=_size(values["source_size"]),
            tags=tuple(values["tags"]),
            attributes=dict(values["attributes"]),
            parent=None if parent is None else Crop(**parent),
            prediction=_prediction_from_dict(values["prediction"]),
            decision=decision_from_dict(values["decision"]),
            target=Target(**values.get("target", {})),  # spools of version 0.1 have none
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"the values are no datapoint: {type(exc).__name__}: {exc}") from exc


def decision_to_dict(decision: Decision) -> dict[str, Any]:
    """Return a decision as JSON values."""
    return {
        "frame_id": decision.frame_id,
        "decided_at": decision.decided_at,
        "seed": decision.seed,
        "verdicts": [
            {
                "strategy": entry.strategy,
                "match": entry.verdict.match,
                "utility": entry.verdict.utility,
                "probability": entry.verdict.probability,
                "reason": entry.verdict.reason,
                "u": entry.u,
            }
            for entry in decision.verdicts
        ],
        "matching": list(decision.matching),
        "outcome": decision.outcome,
        "configuration_hash": decision.configuration_hash,
    }


def decision_from_dict(values: Mapping[str, Any]) -> Decision:
    """Return the decision that `decision_to_dict` wrote.

    Raises:
        KeyError: A field is missing.
        TypeError: A field is of another form.
    """
    verdicts = tuple(
        StrategyVerdict(
            entry["strategy"],
            Verdict(
                match=entry["match"],
                utility=entry["utility"],
                probability=entry["probability"],
                reason=entry["reason"],
            ),
            entry["u"],
        )
        for entry in values["verdicts"]
    )
    return Decision(
        frame_id=values["frame_id"],
        decided_at=values["decided_at"],
        seed=values["seed"],
        verdicts=verdicts,
        matching=tuple(values["matching"]),
        outcome=values["outcome"],
        configuration_hash=values["configuration_hash"],
    )


def _prediction_to_dict(prediction: Prediction | None) -> dict[str, Any] | None:
    if prediction is None:
        return None
    common: dict[str, Any] = {
        "prediction_type": prediction.prediction_type,
        "image_size": None if prediction.image_size is None else list(prediction.image_size),
        "model_id": prediction.model_id,
        "inference_id": prediction.inference_id,
        "document": json_values(prediction.document),
    }
    if isinstance(prediction, Unlabelled):
        return {"kind": "unlabelled", **common}
    common["confidence"] = prediction.confidence.tolist()
    common["class_name"] = list(prediction.class_name)
    common["embedding"] = _to_list(prediction.embedding)
    if isinstance(prediction, Classification):
        predicted = prediction.predicted
        return {
            "kind": "classification",
            **common,
            "top": prediction.top,
            "top_confidence": prediction.top_confidence,
            "predicted": None if predicted is None else list(predicted),
        }
    return {"kind": "detections", **common, **_rows_to_dict(prediction)}


def _rows_to_dict(detections: Detections) -> dict[str, Any]:
    polygons, masks, keypoints = detections.polygons, detections.masks, detections.keypoints
    return {
        "xyxy": detections.xyxy.tolist(),
        "class_id": _to_list(detections.class_id),
        "polygons": None if polygons is None else [[r.tolist() for r in row] for row in polygons],
        "masks": None
        if masks is None
        else [m and {"size": list(m.size), "counts": list(m.counts)} for m in masks],
        "keypoints": None
        if keypoints is None
        else [
            {
                "xy": points.xy.tolist(),
                "confidence": _to_list(points.confidence),
                "class_name": list(points.class_name),
                "class_id": _to_list(points.class_id),
            }
            for points in keypoints
        ],
        "data": {
            key: [json_values(value) for value in column] for key, column in detections.data.items()
        },
    }


def _prediction_from_dict(values: Mapping[str, Any] | None) -> Prediction | None:
    if values is None:
        return None
    size = values["image_size"]
    common: dict[str, Any] = {
        "prediction_type": values["prediction_type"],
        "image_size": None if size is None else _size(size),
        "model_id": values["model_id"],
        "inference_id": values["inference_id"],
        "document": values["document"],
    }
    kind = values["kind"]
    if kind == "unlabelled":
        return Unlabelled(**common)
    common["confidence"] = _floats(values["confidence"], (-1,))
    common["class_name"] = tuple(values["class_name"])
    common["embedding"] = _optional_floats(values["embedding"])
    if kind == "classification":
        predicted = values["predicted"]
        return Classification(
            **common,
            top=values["top"],
            top_confidence=values["top_confidence"],
            predicted=None if predicted is None else tuple(predicted),
        )
    if kind != "detections":
        raise KeyError(kind)
    return Detections(**common, **_rows_from_dict(values))


def _rows_from_dict(values: Mapping[str, Any]) -> dict[str, Any]:
    polygons, masks, keypoints = values["polygons"], values["masks"], values["keypoints"]
    return {
        "xyxy": _floats(values["xyxy"], (-1, 4)),
        "class_id": _optional_ints(values["class_id"]),
        "polygons": None
        if polygons is None
        else tuple(tuple(_floats(ring, (-1, 2)) for ring in row) for row in polygons),
        "masks": None
        if masks is None
        else tuple(
            None if m is None else RleMask(size=_size(m["size"]), counts=tuple(m["counts"]))
            for m in masks
        ),
        "keypoints": None
        if keypoints is None
        else tuple(
            Keypoints(
                xy=_floats(points["xy"], (-1, 2)),
                confidence=_optional_floats(points["confidence"]),
                class_name=tuple(points["class_name"]),
                class_id=_optional_ints(points["class_id"]),
            )
            for points in keypoints
        ),
        "data": dict(values["data"]),
    }


def json_values(value: object, *, depth: int = 0) -> Any:
    """Return the value made of JSON's types only, or None where JSON cannot express it."""
    try:
        return _json_values(value, depth)
    except _NotJsonError:
        return None


class _NotJsonError(Exception):
    pass


def _json_values(value: object, depth: int) -> Any:
    # The model's thread waits for it: a call for each of a document's numbers would be most of it.
    if type(value) is dict and depth < _MAX_DEPTH:
        return {
            key if type(key) is str else _key(key): one
            if (kind := type(one)) in _AS_THEY_ARE or (kind is float and math.isfinite(one))
            else _json_values(one, depth + 1)
            for key, one in value.items()
        }
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _NotJsonError
        return float(value)
    if depth >= _MAX_DEPTH:
        raise _NotJsonError
    if isinstance(value, Mapping):
        return {_key(k): _json_values(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json_values(v, depth + 1) for v in value]
    if isinstance(value, np.generic | np.ndarray):
        return _json_values(value.tolist(), depth + 1)
    raise _NotJsonError


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise _NotJsonError
    return key


def _to_list(array: Any) -> Any:
    return None if array is None else array.tolist()


def _floats(values: object, shape: tuple[int, ...]) -> Floats:
    return np.asarray(values, dtype=np.float64).reshape(shape)


def _optional_floats(values: object) -> Floats | None:
    return None if values is None else _floats(values, (-1,))


def _optional_ints(values: object) -> Any:
    return None if values is None else np.asarray(values, dtype=np.int64)


def _size(values: Any) -> tuple[int, int]:
    width, height = values
    return cast("int", width), cast("int", height)
