"""Hand a prediction to strategies so that none can change what the others, or the label, will see.

Views, not copies: the caller's own arrays stay writable for the caller.
"""

from dataclasses import replace
from typing import Any

from al_framework.api import Detections, Keypoints, Prediction, Unlabelled
from al_framework.pipeline.glancing import Glance


def read_only(prediction: Prediction) -> Prediction:
    """Return the prediction with every array in it read-only; itself if its few arrays are so."""
    if isinstance(prediction, Unlabelled | Glance):  # a glance's only array is read-only
        return prediction
    if isinstance(prediction, Detections):
        polygons, keypoints = prediction.polygons, prediction.keypoints
        plain = not polygons and not keypoints and prediction.embedding is None
        if plain and not any(
            array.flags.writeable
            for array in (prediction.xyxy, prediction.confidence, prediction.class_id)
            if array is not None
        ):
            return prediction
        return replace(
            prediction,
            xyxy=_view(prediction.xyxy),
            confidence=_view(prediction.confidence),
            class_id=_view(prediction.class_id),
            embedding=_view(prediction.embedding),
            polygons=polygons and tuple(tuple(map(_view, rings)) for rings in polygons),
            keypoints=keypoints and tuple(map(_view_keypoints, keypoints)),
        )
    if not prediction.confidence.flags.writeable:
        return prediction
    return replace(
        prediction,
        confidence=_view(prediction.confidence),
        embedding=_view(prediction.embedding),
    )


def _view(array: Any) -> Any:
    if array is None:
        return None
    view = array.view()
    view.flags.writeable = False
    return view


def _view_keypoints(points: Keypoints) -> Keypoints:
    return replace(
        points,
        xy=_view(points.xy),
        confidence=_view(points.confidence),
        class_id=_view(points.class_id),
    )
