import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from al_framework_onnx.nms import suppress


def run(xyxy, confidence, class_id, *, iou=0.5, max_detections=100):
    return suppress(
        np.array(xyxy, dtype=np.float64).reshape(-1, 4),
        np.array(confidence, dtype=np.float64),
        np.array(class_id, dtype=np.int64),
        iou=iou,
        max_detections=max_detections,
    ).tolist()


def brute_force(xyxy, confidence, class_id, iou):
    kept = []
    for row in sorted(range(len(confidence)), key=lambda row: (-confidence[row], row)):
        if all(
            class_id[row] != class_id[other] or overlap(xyxy[row], xyxy[other]) <= iou
            for other in kept
        ):
            kept.append(row)
    return kept


def overlap(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(0.0, width) * max(0.0, height)
    union = area(one) + area(other) - common
    return common / union if union else 0.0


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


@st.composite
def scenes(draw):
    n = draw(st.integers(0, 25))
    # Whole numbers, so that both sides of the comparison round alike.
    corner = draw(hnp.arrays(np.int64, (n, 2), elements=st.integers(0, 12)))
    size = draw(hnp.arrays(np.int64, (n, 2), elements=st.integers(1, 12)))
    confidence = draw(hnp.arrays(np.float64, n, elements=st.sampled_from([0.1, 0.3, 0.5, 0.9])))
    class_id = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 2)))
    return np.concatenate([corner, corner + size], axis=1), confidence, class_id


@given(scene=scenes(), iou=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
def test_rows_kept_are_those_of_the_definition(scene, iou):
    xyxy, confidence, class_id = scene

    assert brute_force(xyxy, confidence, class_id, iou) == run(xyxy, confidence, class_id, iou=iou)


@given(scene=scenes(), limit=st.integers(1, 5))
def test_a_limit_keeps_the_best_of_what_would_be_kept(scene, limit):
    assert run(*scene)[:limit] == run(*scene, max_detections=limit)


def test_nothing_comes_of_nothing():
    assert [] == run([], [], [])


def test_classes_do_not_suppress_each_other():
    assert [1, 0] == run([[0, 0, 4, 4], [0, 0, 4, 4]], [0.4, 0.6], [0, 1])


def test_an_overlap_of_exactly_the_threshold_stays():
    assert [0, 1] == run([[0, 0, 2, 4], [0, 0, 2, 2]], [0.9, 0.8], [0, 0], iou=0.5)


def test_of_equals_the_earlier_row_wins():
    assert [0] == run([[0, 0, 4, 4], [0, 0, 4, 4]], [0.5, 0.5], [0, 0])


def test_only_the_thousand_most_confident_boxes_are_looked_at():
    corner = np.arange(1200) * 10.0
    xyxy = np.stack([corner, corner, corner + 5, corner + 5], axis=1)
    confidence = np.linspace(0.1, 0.9, 1200)

    kept = run(xyxy, confidence, np.zeros(1200), max_detections=5000)

    assert list(range(1199, 199, -1)) == kept
