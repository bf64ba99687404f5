import dataclasses
import json

import numpy as np
import pytest

from al_framework.api import Classification, Detections, Keypoints, RleMask, Unlabelled
from al_framework.api.codec import datapoint_to_dict
from al_framework.pipeline.snapshot import snapshot
from al_framework.testing import sample_datapoint, sample_predictions


def as_json(prediction):
    return json.dumps(datapoint_to_dict(sample_datapoint(prediction=prediction))["prediction"])


def full_detections():
    return Detections(
        xyxy=np.array([[1.0, 2.0, 30.0, 40.0]]),
        confidence=np.array([0.5]),
        class_name=("cat",),
        image_size=(64, 48),
        class_id=np.array([3]),
        polygons=((np.array([[1.0, 1.0], [9.0, 1.0], [9.0, 9.0]]),),),
        masks=(RleMask(size=(64, 48), counts=(64 * 48,)),),
        keypoints=(
            Keypoints(
                xy=np.array([[5.0, 6.0]]),
                confidence=np.array([0.25]),
                class_name=("nose",),
                class_id=np.array([0]),
            ),
        ),
        data={"tracker_id": [7], "corners": [[1, 2]]},
        embedding=np.array([0.5, 0.25]),
        model_id="m/1",
        inference_id="i",
        document={"predictions": [{"x": 1.0}]},
    )


def scribble(prediction):
    """Change everything that can be changed in place."""
    for name in ("xyxy", "confidence", "class_id", "embedding"):
        array = getattr(prediction, name, None)
        if array is not None:
            array[:] += 1
    for rings in getattr(prediction, "polygons", None) or ():
        for ring in rings:
            ring[:] += 1
    for points in getattr(prediction, "keypoints", None) or ():
        for array in (points.xy, points.confidence, points.class_id):
            array[:] += 1
    if isinstance(prediction, Detections):
        prediction.data["tracker_id"][0] = 8
        prediction.data["corners"][0].append(3)
        prediction.data["late"] = [1]
    prediction.document["predictions"].append("late")


@pytest.mark.parametrize(
    "make",
    [
        full_detections,
        lambda: Classification(
            class_name=("cat",),
            confidence=np.array([0.5]),
            image_size=(64, 48),
            embedding=np.array([0.5]),
            document={"predictions": []},
        ),
        lambda: Unlabelled(prediction_type="x", document={"predictions": []}),
    ],
)
def test_what_the_caller_changes_later_does_not_show(make):
    given = make()
    before = as_json(given)
    kept = snapshot(given)
    scribble(given)

    assert before == as_json(kept)
    assert before != as_json(given)


@pytest.mark.parametrize("name", list(sample_predictions()))
def test_a_snapshot_says_the_same(name):
    prediction = sample_predictions()[name]
    kept = snapshot(prediction)

    assert as_json(prediction) == as_json(kept)
    assert type(prediction) is type(kept)
    assert prediction is not kept


def test_a_document_that_json_cannot_express_is_left_out():
    kept = snapshot(Unlabelled(document={"tensor": object()}))

    assert kept.document is None


def test_a_value_that_json_cannot_express_is_left_out_of_its_row_alone():
    given = dataclasses.replace(full_detections(), data={"thing": [object()], "tracker_id": [7]})
    kept = snapshot(given)

    assert {"thing": [None], "tracker_id": [7]} == dict(kept.data)
