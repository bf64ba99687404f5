import warnings

import numpy as np
import pytest

import al_framework_adapters
from al_framework.api import Classification, Detections, Options, PredictionError, RleMask
from al_framework.testing import make_context, sample_frame
from al_framework.testing.contracts import AdapterContract
from al_framework_adapters.supervision import SupervisionAdapter
from al_framework_adapters.ultralytics import UltralyticsAdapter
from al_framework_roboflow.response import RoboflowResponse

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns where OpenCV is missing
    import supervision as sv
    from supervision.detection.compact_mask import CompactMask

XYXY = np.array([[1.25, 2, 30, 40], [3, 4, 50.1, 45]], dtype=np.float32)
CONFIDENCE = np.array([0.9, 0.1], dtype=np.float32)
XY = np.array([[[1, 2], [30, 40], [0, 0]], [[0, 0], [0, 0], [0, 0]]], dtype=np.float32)


def masks():
    dense = np.zeros((2, 48, 64), dtype=bool)
    dense[0, 2:40, 1:30] = True
    dense[1, 4:45, 3:50] = True
    return dense


def detections(**parts):
    return sv.Detections(
        **{
            "xyxy": XYXY,
            "confidence": CONFIDENCE,
            "class_id": np.array([0, 7]),
            "data": {"class_name": np.array(["cup", "dog"]), "area": [3, 4]},
            **parts,
        }
    )


class Changed:
    """An object of a version that checked less."""

    def __init__(self, given, **changes):
        self.__dict__.update({**vars(given), **changes})


class TestSupervisionContract(AdapterContract):
    component = SupervisionAdapter

    def documents(self):
        return (
            sv.Detections.empty(),
            detections(),
            detections(mask=masks(), tracker_id=np.array([3, 4])),
            sv.KeyPoints.empty(),
            sv.KeyPoints(xy=XY, keypoint_confidence=np.ones((2, 3), dtype=np.float32)),
            sv.Classifications(class_id=np.array([0, 4]), confidence=CONFIDENCE),
            sv.Classifications(class_id=np.array([], dtype=int)),
        )

    def broken_documents(self):
        return (
            Changed(detections(), xyxy=XYXY * np.nan),
            Changed(detections(), confidence=CONFIDENCE * np.inf),
        )

    def foreign_documents(self):
        return (*super().foreign_documents(), {"predictions": []}, {"class_id": 1}, Detections)


@pytest.fixture
def adapt(tmp_path):
    adapter = SupervisionAdapter(Options(), make_context(tmp_path, name="sv"))

    def adapt(given, prediction_type=None):
        return adapter.adapt(given, frame=sample_frame(), prediction_type=prediction_type)

    return adapt


def test_the_plugin_registers_its_adapters():
    registered = al_framework_adapters.al_register_prediction_adapters()

    assert [SupervisionAdapter, UltralyticsAdapter] == registered


def test_detections_become_exact_doubles(adapt):
    given = detections(tracker_id=np.array([5, 6]))

    found = adapt(given)

    assert XYXY.astype(np.float64).tolist() == found.xyxy.tolist()
    assert CONFIDENCE.astype(np.float64).tolist() == found.confidence.tolist()
    assert found.class_name == ("cup", "dog")
    assert found.class_id.tolist() == [0, 7]
    assert dict(found.data) == {"area": [3, 4], "tracker_id": [5, 6]}
    assert found.image_size == (64, 48)
    assert found.prediction_type == "object-detection"
    assert found.document is given


@pytest.mark.parametrize("compact", [False, True])
def test_masks_are_run_length_encoded(adapt, compact):
    dense = masks()
    given = CompactMask.from_dense(dense, XYXY, image_shape=(48, 64)) if compact else dense

    found = adapt(detections(mask=given))

    assert tuple(RleMask.from_array(mask) for mask in dense) == found.masks
    assert found.prediction_type == "instance-segmentation"


def test_the_class_id_stands_for_a_missing_name(adapt):
    assert adapt(detections(data={})).class_name == ("0", "7")
    assert adapt(detections(data={}, class_id=None)).class_name == ("object", "object")


def test_objects_without_confidence_count_as_certain(adapt):
    assert adapt(detections(confidence=None)).confidence.tolist() == [1.0, 1.0]


def test_an_empty_result_is_an_empty_prediction(adapt):
    found = adapt(sv.Detections.empty())

    assert len(found) == 0
    assert found.xyxy.shape == (0, 4)


def test_keypoints_get_a_box_around_those_that_were_found(adapt):
    scores = np.array([[0.9, 0.3, 0], [0, 0, 0]], dtype=np.float32)

    found = adapt(sv.KeyPoints(xy=XY, keypoint_confidence=scores, class_id=np.array([0, 0])))

    assert found.xyxy.tolist() == [[1, 2, 30, 40], [0, 0, 0, 0]]
    assert found.confidence.tolist() == pytest.approx([0.4, 0.0])
    assert found.keypoints[0].xy.tolist() == [[1, 2], [30, 40], [0, 0]]
    assert found.keypoints[0].confidence.tolist() == pytest.approx([0.9, 0.3, 0])
    assert found.prediction_type == "keypoint-detection"


def test_the_confidence_of_the_whole_comes_before_that_of_the_points(adapt):
    found = adapt(
        sv.KeyPoints(
            xy=XY,
            detection_confidence=CONFIDENCE,
            visible=np.array([[True, False, False], [True, True, True]]),
        )
    )

    assert CONFIDENCE.astype(np.float64).tolist() == found.confidence.tolist()
    assert found.xyxy.tolist() == [[1, 2, 1, 2], [0, 0, 0, 0]]
    assert found.keypoints[0].confidence is None


def test_keypoints_of_older_versions_are_read(adapt):
    class Older:
        xy = XY
        class_id = None
        confidence = np.full((2, 3), 0.5)
        data = {}

    found = adapt(Older())

    assert found.keypoints[1].confidence.tolist() == [0.5, 0.5, 0.5]
    assert found.confidence.tolist() == [0.5, 0.5]


def test_the_most_confident_class_is_the_top_one(adapt):
    found = adapt(sv.Classifications(class_id=np.array([3, 4]), confidence=CONFIDENCE[::-1].copy()))

    assert isinstance(found, Classification)
    assert (found.class_name, found.top) == (("3", "4"), "4")
    assert found.top_confidence == float(np.float32(0.9))


def test_no_classes_are_no_top_class(adapt):
    found = adapt(sv.Classifications(class_id=np.array([], dtype=int)))

    assert (found.top, found.predicted) == (None, ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"xyxy": np.zeros((2, 5))}, r"xyxy has the shape \(2, 5\): it has to be \(-1, 4\)"),
        ({"xyxy": np.full((2, 4), np.nan)}, r"xyxy\[0, 0\] is nan: it has to be finite"),
        ({"xyxy": [["a"] * 4]}, "xyxy does not hold numbers: could not convert"),
        ({"confidence": np.ones(3)}, r"confidence has the shape \(3,\): it has to be \(2,\)"),
        ({"class_id": np.array([0.5, 1])}, r"class_id holds \[0.5, 1.0\]: it has to be whole"),
        ({"mask": np.ones((2, 3))}, r"mask\[0\] has the shape \(3,\): it has to be \(h, w\)"),
        ({"data": {"a": [1]}}, r"data\['a'\] has 1 entries: it has to have one for each of 2"),
    ],
)
def test_unusable_parts_are_named(adapt, changes, message):
    with pytest.raises(PredictionError, match=f"^adapter 'sv': {message}") as caught:
        adapt(Changed(detections(), **changes))

    assert caught.value.frame_id == "frame-1"


def test_other_objects_are_refused(adapt):
    with pytest.raises(
        PredictionError,
        match=r"^adapter 'sv': an object of type 'int' is no sv.Detections, sv.KeyPoints or "
        r"sv.Classifications: choose another adapter$",
    ):
        adapt(3)


@pytest.mark.parametrize("document", TestSupervisionContract().documents(), ids=type)
def test_each_object_is_accepted_by_one_adapter_alone(tmp_path, document):
    kinds = (SupervisionAdapter, UltralyticsAdapter, RoboflowResponse)
    accepting = [k for k in kinds if k(Options(), make_context(tmp_path)).accepts(document)]

    assert accepting == [SupervisionAdapter]
