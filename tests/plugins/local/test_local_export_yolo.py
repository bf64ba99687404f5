"""An export as YOLO comes back through supervision, and what that format cannot say is named."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from al_framework.api import Classification, Keypoints, RleMask
from al_framework_local.commands import export

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # supervision says that OpenCV is not installed
    sv = pytest.importorskip("supervision")


SIZE = (64, 48)
THIRD = 1 / 3


def run(base: Path, *arguments: str) -> Result:
    return CliRunner().invoke(export, [str(base / "collected"), *arguments])


def load_yolo(output: Path, **options: object) -> dict[str, "sv.Detections"]:
    dataset = sv.DetectionDataset.from_yolo(
        str(output / "images"), str(output / "labels"), str(output / "data.yaml"), **options
    )
    return {Path(path).name: detections for path, _, detections in dataset}


def test_supervision_reads_yolo_boxes_clipped_to_the_picture(tmp_path, collect, boxes):
    found = boxes((THIRD, 2.5, 30.1, 40.7, 0.3, "dog"), (-1, 2, 3, 48.5, 0.9, "a: 'b' \"c\" 日"))
    names = collect(found, boxes(), None)
    result = run(tmp_path, "--format", "yolo")
    output = tmp_path / "collected" / "yolo"
    dataset = sv.DetectionDataset.from_yolo(
        str(output / "images"), str(output / "labels"), str(output / "data.yaml")
    )
    loaded = load_yolo(output)

    assert f"3 pictures, 2 labels, 2 classes: {output}\n" == result.stdout
    assert dataset.classes == ["dog", "a: 'b' \"c\" 日"]
    expected = np.array([[THIRD, 2.5, 30.1, 40.7], [0, 2, 3, 48]])
    np.testing.assert_allclose(loaded[names[0]].xyxy, expected, rtol=1e-5, atol=1e-5)
    assert loaded[names[0]].class_id.tolist() == [0, 1]
    assert [len(loaded[name]) for name in names[1:]] == [0, 0]
    labels = {path.name for path in (output / "labels").iterdir()}
    assert {Path(name).with_suffix(".txt").name for name in names[:2]} == labels


def test_supervision_reads_yolo_polygons_and_masks(tmp_path, collect, boxes, ring):
    triangle = np.array([[10.0, 0.0], [50.0, 5.0], [30.0, 40.0]])
    parts = (
        np.array([[2.0, 2], [20, 2], [20, 20], [2, 20]]),
        np.array([[40.0, 30], [60, 30], [60, 44], [40, 44]]),
    )
    names = collect(
        boxes(
            (10, 0, 50, 40, 0.5, "kite"), (2, 2, 60, 44, 0.4, "two"), polygons=((triangle,), parts)
        ),
        boxes(
            (10, 9, 50, 39, 0.5, "ring"),
            (4, 4, 14, 14, 0.5, "box"),
            masks=(ring, None),
        ),
        boxes((4, 4, 14, 14, 0.5, "box"), masks=(RleMask(size=SIZE, counts=(64 * 48,)),)),
    )
    run(tmp_path, "--format", "yolo")
    loaded = load_yolo(tmp_path / "collected" / "yolo")

    def overlap(mask: np.ndarray, expected: np.ndarray) -> float:
        return float((mask & expected).sum() / (mask | expected).sum())

    two = np.zeros((48, 64), dtype=bool)
    two[2:20, 2:20] = two[30:44, 40:60] = True
    square = np.zeros((48, 64), dtype=bool)
    square[4:14, 4:14] = True
    assert overlap(loaded[names[0]].mask[1], two) > 0.8
    assert overlap(loaded[names[1]].mask[1], square) > 0.8
    assert overlap(loaded[names[1]].mask[0], ring.to_array()) > 0.8
    assert overlap(loaded[names[2]].mask[0], square) > 0.8
    np.testing.assert_allclose(loaded[names[0]].xyxy[0], [10, 0, 50, 40], atol=1e-4)


def test_yolo_pose_has_one_list_of_keypoints(tmp_path, collect, boxes):
    points = Keypoints(xy=np.array([[32.0, 12.0], [16.0, 24.0]]), class_name=("nose", "tail"))
    tail = Keypoints(xy=np.array([[64.0, 48.0]]), class_name=("tail",))
    names = collect(
        boxes((0, 0, 32, 24, 0.5, "cat"), keypoints=(points,)),
        boxes((0, 0, 32, 24, 0.5, "cat"), keypoints=(tail,)),
        boxes((0, 0, 32, 24, 0.5, "dog")),
    )
    run(tmp_path, "--format", "yolo")
    output = tmp_path / "collected" / "yolo"
    labels = [(output / "labels" / name).with_suffix(".txt").read_text().split() for name in names]

    assert "kpt_shape: [2, 3]\n" in (output / "data.yaml").read_text()
    box = ["0.25", "0.25", "0.5", "0.5"]
    assert ["0", *box, "0.5", "0.25", "2", "0.25", "0.5", "2"] == labels[0]
    assert ["0", *box, "0", "0", "0", "1.0", "1.0", "2"] == labels[1]
    assert ["1", *box, *["0"] * 6] == labels[2]
    np.testing.assert_allclose(load_yolo(output)[names[0]].xyxy, [[0, 0, 32, 24]], atol=1e-4)


def test_supervision_reads_yolo_classes_as_directories(tmp_path, collect):
    def top(name: str) -> Classification:
        return Classification(
            class_name=(name,), confidence=np.array([0.5]), image_size=SIZE, top=name
        )

    several = Classification(
        class_name=("cat", "dog"),
        confidence=np.array([0.5, 0.6]),
        image_size=SIZE,
        predicted=("cat", "dog"),
    )
    collect(top("cat"), top("../Cat"), top("cat"), several, None, top("CAT"))
    result = run(tmp_path, "--format", "yolo")
    output = tmp_path / "collected" / "yolo"
    dataset = sv.ClassificationDataset.from_folder_structure(str(output / "train"))

    assert result.exit_code == 1
    assert result.stdout.startswith("4 pictures, 4 labels, 4 classes: ")
    assert set(dataset.classes) == {"cat", "Cat-1", "CAT-3"}
    assert len(dataset) == 4
    assert len(list((output / "train" / "cat").iterdir())) == 2
    faults = result.stderr.splitlines()
    assert len(faults) == 2
    assert all(
        "it has not exactly one class: YOLO has no place for it, it is left out, "
        "--format coco keeps it" in fault
        for fault in faults
    )


def test_a_classification_among_yolo_boxes_is_left_out_and_named(tmp_path, collect, boxes):
    label = Classification(
        class_name=("cat",), confidence=np.array([0.5]), image_size=SIZE, top="cat"
    )
    names = collect(boxes((0, 0, 32, 24, 0.5, "cat")), label)
    result = run(tmp_path, "--format", "yolo")

    assert result.exit_code == 1
    assert (
        f"left out: images/{names[1]}: a classification has no place among YOLO boxes: "
        "it is left out, --format coco keeps it\n"
    ) == result.stderr
    assert [names[0]] == list(load_yolo(tmp_path / "collected" / "yolo"))
