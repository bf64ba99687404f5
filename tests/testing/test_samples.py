import numpy as np
import pytest

from al_framework.api import (
    Classification,
    Detections,
    Unlabelled,
    datapoint_from_dict,
    datapoint_to_dict,
)
from al_framework.testing._checks import prediction_fault, same, same_prediction
from al_framework.testing.samples import (
    sample_datapoint,
    sample_detections,
    sample_predictions,
    sample_summary,
)


def test_samples_of_every_kind_are_well_formed():
    samples = sample_predictions()

    assert {Detections, Classification, Unlabelled} == {type(s) for s in samples.values()}
    assert [None] * len(samples) == [prediction_fault(s) for s in samples.values()]


def test_samples_refuse_to_be_written_to():
    samples = sample_predictions()

    for array in (
        samples["detections"].xyxy,
        samples["polygons"].polygons[0][0],
        samples["keypoints"].keypoints[0].xy,
        samples["one class"].confidence,
        sample_detections().confidence,
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_sample_datapoints_differ_and_survive_the_codec():
    one, other = sample_datapoint(1), sample_datapoint(2, prediction=None, tags=("x",))

    assert one.item_id != other.item_id
    assert one.content_key != other.content_key
    assert (other.prediction, other.tags) == (None, ("x",))
    again = datapoint_from_dict(datapoint_to_dict(one), image=one.image)
    assert datapoint_to_dict(one) == datapoint_to_dict(again)


def test_the_counts_of_the_sample_summary_add_up():
    counts = sample_summary(delivered=3, sink="a").counts

    assert counts.offered == counts.accepted == counts.sinks["a"].delivered == 3


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (1, 1.0, False),
        (1, 1, True),
        ([1, {"a": (2,)}], [1, {"a": (2,)}], True),
        ([1], [1, 2], False),
        ({"a": 1}, {"b": 1}, False),
        (np.zeros(2), np.zeros(2), True),
        (np.zeros(2), np.zeros(3), False),
        (np.zeros(2), np.zeros(2, dtype=np.float32), False),
        (sample_detections(), sample_detections(), True),
        (sample_detections(), sample_detections(2), False),
    ],
)
def test_sameness_looks_inside(one, other, expected):
    assert expected == same(one, other)


def test_predictions_of_two_kinds_are_not_the_same():
    assert not same_prediction(sample_detections(), Unlabelled())


def test_malformed_arrays_are_named():
    found = Classification(class_name=("a",), confidence=np.ones(2), image_size=(1, 1))

    assert prediction_fault(found) == "confidence has the shape (2,): it has to be (1,)"
