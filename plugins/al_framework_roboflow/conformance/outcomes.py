"""What a recorded reply means, and what Roboflow makes of a prediction that it scales."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

Reply: TypeAlias = Mapping[str, Any]
Outcome: TypeAlias = Literal["stored", "nameless", "again", "refused"]

WELL: Final[Reply] = {"json": {"success": True, "id": "some"}}

_SAME = 1e-5  # Roboflow leaves a prediction alone whose factor is nearer to one
_PASSING = frozenset({401, 402, 403, 404, 407, 408, 423, 425, 429})  # waited for, or for a person
_NEVER = frozenset({501, 505})
_CONFLICT = 409
_DETECTIONS = ("object-detection", "instance-segmentation", "keypoint-detection")
_LOOKED_AT: Final[Mapping[str, tuple[str, ...]]] = {
    "close_to_threshold": (*_DETECTIONS, "classification"),
    "classes_based": ("classification",),
    "detections_number_based": _DETECTIONS,
}


def upload_outcome(reply: Reply) -> Outcome:
    """Return what an answer to an upload means to us."""
    body = _body(reply)
    if _is_passing(reply):
        return "again"
    if _status(reply) != 200 and not is_duplicate(reply):
        return "refused"
    if not body.get("success") and not is_duplicate(reply):
        return "again"
    return "stored" if body.get("id") else "nameless"


def annotation_outcome(reply: Reply) -> Outcome:
    """Return what an answer to an annotation means to us."""
    body = _body(reply)
    if _is_passing(reply):
        return "again"
    if _status(reply) == 200:
        return "stored" if body.get("success") and "error" not in body else "again"
    return "stored" if _status(reply) == _CONFLICT else "refused"


def is_duplicate(reply: Reply) -> bool:
    """Tell whether an answer to an upload says that the picture is there already."""
    return bool(_body(reply).get("duplicate")) or _status(reply) == _CONFLICT


def is_success_to_roboflow(reply: Reply) -> bool:
    """Tell whether Roboflow goes on to the annotation after such an answer to an upload."""
    body = _body(reply)
    good = bool(body.get("success")) and body.get("id") is not None  # an empty id is one to it
    return good and _status(reply) == 200 and not body.get("duplicate")


def blind_to(strategies: Sequence[Mapping[str, Any]], kind: str) -> list[str]:
    """Return which strategies of Roboflow take a frame with a prediction that cannot be read.

    Its random strategy looks at no prediction, and so finds no fault in any. One that does look
    fails, and then the frame is lost to all.
    """
    if any(kind in _LOOKED_AT.get(one["type"], ()) for one in strategies):
        return []
    return [one["name"] for one in strategies if one.get("traffic_percentage")]


def as_roboflow_sends(document: Mapping[str, Any], factor: float, kind: str) -> dict[str, Any]:
    """Return a prediction as Roboflow sends it: divided by one factor, or its size alone."""
    divided: dict[str, Any] = json.loads(json.dumps(document))
    if abs(factor - 1) < _SAME:
        return divided
    if "image" in divided:
        image = divided["image"]
        divided["image"] = {side: round(image[side] / factor) for side in ("width", "height")}
    if "is_stub" in divided or kind not in {"object-detection", "instance-segmentation"}:
        return divided
    for entry in divided.get("predictions") or ():
        points = entry["points"] if kind == "instance-segmentation" else ()
        for moved in (entry, *points):
            for key in {"x", "y", "width", "height"} & moved.keys():
                moved[key] /= factor
    return divided


def _status(reply: Reply) -> int:
    """Return the status, 0 where there is no answer."""
    return 0 if "raise" in reply else int(reply.get("status", 200))


def _body(reply: Reply) -> Mapping[str, Any]:
    body = reply.get("json")
    return body if isinstance(body, Mapping) else {}


def _is_passing(reply: Reply) -> bool:
    status = _status(reply)
    if status in {0, *_PASSING} or 300 <= status < 400:
        return True
    return status >= 500 and status not in _NEVER
