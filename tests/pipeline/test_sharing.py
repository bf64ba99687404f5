from dataclasses import fields

import numpy as np
import pytest

from al_framework.api import Classification, Detections, Keypoints, Unlabelled
from al_framework.pipeline.sharing import read_only

FULL = Detections(
    xyxy=np.array([[1.0, 2.0, 3.0, 4.0]]),
    confidence=np.array([0.5]),
    class_name=("cat",),
    image_size=(10, 10),
    class_id=np.array([3]),
    polygons=((np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),),),
    keypoints=(Keypoints(xy=np.array([[1.0, 2.0]]), confidence=np.array([0.5])),),
    embedding=np.array([1.0]),
)
CLASSES = Classification(
    class_name=("a",), confidence=np.array([0.5]), image_size=(1, 1), embedding=np.array([1.0])
)
PLAIN = Detections(
    xyxy=np.array([[1.0, 2.0, 3.0, 4.0]]),
    confidence=np.array([0.5]),
    class_name=("cat",),
    image_size=(10, 10),
    class_id=np.array([3]),
)


def arrays(value):
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from arrays(one)
    elif hasattr(value, "__dataclass_fields__"):
        for field in fields(value):
            yield from arrays(getattr(value, field.name))


@pytest.mark.parametrize("prediction", [FULL, CLASSES])
def test_every_array_is_read_only_and_the_callers_is_not(prediction):
    shown = read_only(prediction)

    pairs = list(zip(arrays(prediction), arrays(shown), strict=True))
    assert len(pairs) == (7 if prediction is FULL else 2)
    for own, view in pairs:
        assert np.shares_memory(own, view)
        assert own.flags.writeable
        assert not view.flags.writeable


@pytest.mark.parametrize("prediction", [PLAIN, CLASSES])
def test_what_is_read_only_already_is_shown_as_it_is(prediction):
    shown = read_only(prediction)

    assert read_only(shown) is shown


def test_without_labels_there_is_nothing_to_protect():
    nothing = Unlabelled()

    assert read_only(nothing) is nothing


def test_parts_that_are_not_there_stay_away():
    plain = Detections(
        xyxy=np.zeros((0, 4)), confidence=np.zeros(0), class_name=(), image_size=(1, 1)
    )
    shown = read_only(plain)

    assert (shown.polygons, shown.keypoints, shown.class_id, shown.embedding) == (None,) * 4
