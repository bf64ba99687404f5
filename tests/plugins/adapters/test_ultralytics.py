"""Tested with doubles: the shapes were recorded from ultralytics 8.4.190 on all five tasks."""

from types import SimpleNamespace

import numpy as np
import pytest

from al_framework.api import Classification, Detections, Options, PredictionError, Unlabelled
from al_framework.testing import make_context, sample_frame
from al_framework.testing.contracts import AdapterContract
from al_framework_adapters.supervision import SupervisionAdapter
from al_framework_adapters.ultralytics import UltralyticsAdapter
from al_framework_roboflow.response import RoboflowResponse

NAMES = {0: "person", 1: "cup"}
XYXY = [[1.5, 2, 30, 40], [3, 4, 70, 45]]


class Tensor:
    """A float32 tensor on some device: numpy() alone refuses, as torch does."""

    def __init__(self, values, *, on_cpu=False):
        self._values = np.asarray(values, dtype=np.float32)
        self._on_cpu = on_cpu

    def __len__(self):
        return len(self._values)

    def __eq__(self, other):
        return bool((self._values == other._values).all())

    __hash__ = None

    def cpu(self):
        return Tensor(self._values, on_cpu=True)

    def numpy(self):
        if not self._on_cpu:
            raise TypeError("can't convert a tensor of a device to numpy")
        return self._values


def results(**parts):
    empty = dict.fromkeys(("boxes", "masks", "keypoints", "probs", "obb"))
    return SimpleNamespace(**{"names": NAMES, "orig_shape": (48, 64), **empty, **parts})


def boxes(count=2, **more):
    return SimpleNamespace(
        **{
            "xyxy": Tensor(np.reshape(XYXY[:count], (-1, 4))),
            "conf": Tensor([0.9, 0.1][:count]),
            "cls": Tensor([0.0, 1.0][:count]),
            "id": None,
            **more,
        }
    )


MASKS = SimpleNamespace(
    data=Tensor(np.zeros((2, 32, 32))),
    xy=[np.array([[1, 2], [30, 2], [30, 40.5]], dtype=np.float32), np.empty((0, 2))],
)
POSE = SimpleNamespace(xy=Tensor(np.ones((2, 17, 2))), conf=Tensor(np.full((2, 17), 0.5)))
PROBS = SimpleNamespace(data=Tensor([0.25, 0.75]), top1=1)
OBB = SimpleNamespace(
    xywhr=Tensor([[20, 20, 10, 4, 0], [20, 20, 10, 4, np.pi / 2]]),
    conf=Tensor([0.9, 0.1]),
    cls=Tensor([0, 1]),
    id=Tensor([7, 8]),
)
RESULTS = (
    results(boxes=boxes()),
    results(boxes=boxes(0)),
    results(boxes=boxes(), masks=MASKS),
    results(boxes=boxes(), keypoints=POSE),
    results(probs=PROBS),
    results(obb=OBB),
    results(),
)


class TestUltralyticsContract(AdapterContract):
    component = UltralyticsAdapter

    def documents(self):
        return RESULTS

    def broken_documents(self):
        return (
            results(boxes=boxes(xyxy=Tensor([[np.nan] * 4] * 2))),
            results(boxes=boxes(conf=Tensor([0.5]))),
        )

    def foreign_documents(self):
        return (*super().foreign_documents(), {"predictions": []}, [results()])


@pytest.fixture
def adapt(tmp_path):
    adapter = UltralyticsAdapter(Options(), make_context(tmp_path, name="yolo"))

    def adapt(given, prediction_type=None):
        return adapter.adapt(given, frame=sample_frame(), prediction_type=prediction_type)

    return adapt


@pytest.mark.parametrize("document", [*RESULTS, {"predictions": []}], ids=type)
def test_each_object_is_accepted_by_one_adapter_alone(tmp_path, document):
    kinds = (SupervisionAdapter, UltralyticsAdapter, RoboflowResponse)
    accepting = [k for k in kinds if k(Options(), make_context(tmp_path)).accepts(document)]

    assert len(accepting) == 1


def test_boxes_become_exact_doubles_with_names(adapt):
    found = adapt(results(boxes=boxes(id=Tensor([4, 9]))))

    assert isinstance(found, Detections)
    assert found.xyxy.tolist() == XYXY
    assert found.confidence.tolist() == [float(np.float32(0.9)), float(np.float32(0.1))]
    assert found.class_name == ("person", "cup")
    assert found.class_id.tolist() == [0, 1]
    assert dict(found.data) == {"tracker_id": [4, 9]}
    assert found.image_size == (64, 48)
    assert found.prediction_type == "object-detection"


def test_arrays_are_read_like_tensors(adapt):
    given = boxes(xyxy=np.array(XYXY), conf=np.array([0.9, 0.1]), cls=np.array([0.0, 1.0]))

    assert adapt(results(boxes=given)).confidence.tolist() == [0.9, 0.1]


def test_masks_become_polygons(adapt):
    found = adapt(results(boxes=boxes(), masks=MASKS))

    assert found.prediction_type == "instance-segmentation"
    assert found.polygons[0][0].tolist() == [[1, 2], [30, 2], [30, 40.5]]
    assert found.polygons[1] == ()


def test_poses_become_keypoints(adapt):
    found = adapt(results(boxes=boxes(), keypoints=POSE))
    unscored = adapt(
        results(boxes=boxes(), keypoints=SimpleNamespace(xy=POSE.xy, conf=None)), "my-pose"
    )

    assert found.prediction_type == "keypoint-detection"
    assert found.keypoints[1].xy.shape == (17, 2)
    assert found.keypoints[1].confidence.tolist() == [0.5] * 17
    assert unscored.keypoints[0].confidence is None
    assert unscored.prediction_type == "my-pose"


def test_no_poses_are_no_keypoints(adapt):
    odd = SimpleNamespace(xy=Tensor(np.zeros((1, 0, 2))), conf=None)

    assert adapt(results(boxes=boxes(0), keypoints=odd)).keypoints == ()


def test_probabilities_become_classes(adapt):
    found = adapt(results(probs=PROBS))

    assert isinstance(found, Classification)
    assert (found.class_name, found.top, found.top_confidence) == (("person", "cup"), "cup", 0.75)


def test_rotated_boxes_become_polygons_in_upright_boxes(adapt):
    found = adapt(results(obb=OBB))

    assert found.xyxy[0].tolist() == [15, 18, 25, 22]
    assert found.xyxy[1].tolist() == pytest.approx([18, 15, 22, 25], abs=1e-5)
    assert found.polygons[0][0].tolist() == [[25, 22], [25, 18], [15, 18], [15, 22]]
    assert dict(found.data) == {"tracker_id": [7, 8]}


def test_a_result_without_any_part_is_unlabelled(adapt):
    found = adapt(results(), "semantic")

    assert isinstance(found, Unlabelled)
    assert (found.prediction_type, found.image_size) == ("semantic", (64, 48))


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["a", "b"], ("a", "b")), (["a"], ("a", "1")), ({1: "b"}, ("0", "b"))],
)
def test_unnamed_classes_keep_their_number(adapt, names, expected):
    assert expected == adapt(results(boxes=boxes(), names=names)).class_name


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            [results()],
            r"an object of type 'list' is no Results of ultralytics \(pass one entry of the list\)",
        ),
        (3, "an object of type 'int' is no Results of ultralytics: choose another adapter"),
        (
            results(boxes=boxes(conf=Tensor([0.5]))),
            r"conf has the shape \(1,\): it has to be \(2,\), -1 meaning any",
        ),
        (
            results(boxes=boxes(cls=Tensor([0, np.nan]))),
            r"cls\[1\] is nan: it has to be finite",
        ),
        (
            results(probs=SimpleNamespace(data=Tensor([0.5]), top1=4)),
            "probs.top1 is 4: there are 1 classes",
        ),
        (
            results(boxes=boxes(1), masks=MASKS),
            "masks.xy has 2 entries: it has to have one for each of 1 boxes",
        ),
    ],
)
def test_unusable_results_are_named(adapt, given, message):
    with pytest.raises(PredictionError, match=f"^adapter 'yolo': {message}") as caught:
        adapt(given)

    assert caught.value.frame_id == "frame-1"
