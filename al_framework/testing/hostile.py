"""Predictions and datapoints that hurt: each is one that the engine lets through."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from al_framework.api import (
    Classification,
    Datapoint,
    Detections,
    Keypoints,
    Prediction,
    RleMask,
    Unlabelled,
)
from al_framework.testing.samples import freeze, sample_datapoint, sample_detections

__all__ = ["hostile_datapoints", "hostile_predictions"]

_SIZE = (64, 48)
_NAMES = {
    "empty": "",
    "long": "x" * 1000,
    "leads out": "../../../escaped",
    "leads out on Windows": "..\\..\\escaped",
    "device": "NUL.jpg",
    "hidden": ".htaccess",
    "option": "-rf",
    "null byte": "a\0b",
    "newlines": "a\nb\r\nc: d",
    "terminal": "\x1b[2J\x1b]0;owned\x07",
    "right to left": "img\u202egpj.exe",
    "markup": "<script>alert(1)</script>",
    "quoted": "a\"b'c`d;--",
    "formula": "=1+1",
    "percent": "%2e%2e%2f%s%n{0}",
    "shell": "$(touch escaped)`touch escaped`",
    "emoji": "🙈" * 20,
}


def hostile_predictions() -> Mapping[str, Prediction]:
    """Return predictions of every kind that the engine shows to strategies, by what is wrong.

    Arrays have the right type and shape, and scores, boxes and embeddings are finite: the engine
    refuses others. All else is what models and callers have been seen to give: boxes without area,
    inverted or outside the picture, scores outside 0 to 1, names of any characters, empty outlines,
    points that are not finite, masks that do not add up.
    """
    boxes = np.array(
        [
            [5.0, 5.0, 5.0, 5.0],
            [30.0, 20.0, 10.0, 5.0],
            [-500.0, -500.0, -400.0, -400.0],
            [0.0, 0.0, 1e9, 1e9],
            [0.1 + 0.2, 1e-300, 0.3, 5e-324],
        ]
    )
    scores = np.array([0.0, 1.0, -0.5, 1.5, 5e-324])
    names = ("cup",) * 5
    found = Detections(xyxy=boxes, confidence=scores, class_name=names, image_size=_SIZE)
    points = np.array([[np.nan, np.inf], [1e300, -1e300]])
    bad_points = Keypoints(xy=points, confidence=np.array([np.nan]))
    bad_mask = RleMask(size=(2, 2), counts=(1, -1, 99))
    segmented = dataclasses.replace(found, prediction_type="instance-segmentation")
    posed = dataclasses.replace(found, prediction_type="keypoint-detection")
    texts = tuple(_NAMES.values())
    classes = Classification(
        class_name=texts,
        confidence=np.full(len(texts), 1 / len(texts)),
        image_size=_SIZE,
        top=texts[0],
    )
    flat = np.zeros(3)
    samples: dict[str, Prediction] = {
        "boxes": found,
        "equal rows": dataclasses.replace(
            sample_detections(5), confidence=np.full(5, 0.5), xyxy=np.ones((5, 4))
        ),
        "names": dataclasses.replace(sample_detections(len(texts)), class_name=texts),
        "ids out of range": dataclasses.replace(
            found, class_id=np.array([-1, 0, 2**62, -(2**62), 7])
        ),
        "one pixel": dataclasses.replace(found, image_size=(1, 1)),
        "rows that say nothing": dataclasses.replace(found, data={"detection_id": (None,) * 5}),
        "outlines": dataclasses.replace(
            segmented, polygons=((), (np.empty((0, 2)),), (points,), (points[:1],), ())
        ),
        "masks": dataclasses.replace(segmented, masks=(bad_mask, None, None, None, bad_mask)),
        "poses": dataclasses.replace(
            posed, keypoints=(bad_points, *(Keypoints(xy=np.empty((0, 2))),) * 4)
        ),
        "an embedding of nothing": dataclasses.replace(sample_detections(1), embedding=np.empty(0)),
        "class names": classes,
        "no score above zero": dataclasses.replace(
            classes, class_name=("a", "b", "c"), confidence=flat, top="a", top_confidence=0.0
        ),
        "scores that are no chances": dataclasses.replace(
            classes,
            class_name=("a", "b", "c"),
            confidence=np.array([-3.0, 12.5, 1e100]),
            top="nobody",
            top_confidence=-1.0,
        ),
        "the same class twice": dataclasses.replace(
            classes, class_name=("a", "a"), confidence=np.array([0.5, 0.5]), predicted=("a", "a")
        ),
        "a type that nobody knows": Unlabelled(
            prediction_type=_NAMES["newlines"], document={"a": [None, _NAMES["long"]]}
        ),
    }
    return {name: freeze(sample) for name, sample in samples.items()}


def hostile_datapoints() -> Mapping[str, Datapoint]:
    """Return datapoints whose names lead out of directories, break quotes or fill lines.

    The names are those of frame, class, attributes and model, which callers choose. `item_id` and
    `content_key` are the engine's, and always plain.
    """
    return {
        name: sample_datapoint(
            number,
            frame_id=text,
            attributes={text: text},
            model_id=text,
            reason=text,
            prediction=dataclasses.replace(sample_detections(1), class_name=(text,)),
        )
        for number, (name, text) in enumerate(_NAMES.items())
    }
