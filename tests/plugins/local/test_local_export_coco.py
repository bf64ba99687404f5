"""An export as COCO comes back through pycocotools as it was collected."""

import contextlib
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from al_framework.api import Classification, Keypoints, Unlabelled
from al_framework_local.commands import export

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # supervision says that OpenCV is not installed
    sv = pytest.importorskip("supervision")


pycocotools_coco = pytest.importorskip("pycocotools.coco")
SIZE = (64, 48)
THIRD = 1 / 3


def run(base: Path, *arguments: str) -> Result:
    return CliRunner().invoke(export, [str(base / "collected"), *arguments])


def load_coco(output: Path) -> "pycocotools_coco.COCO":
    with contextlib.redirect_stdout(io.StringIO()):
        return pycocotools_coco.COCO(str(output / "annotations.json"))


def mask_of(coco: "pycocotools_coco.COCO", annotation: dict[str, object]) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pycocotools does not know NumPy 2's __array__ yet
        return coco.annToMask(annotation).astype(bool)


def test_coco_boxes_come_back_digit_for_digit_with_their_scores(tmp_path, collect, boxes):
    first = boxes((THIRD, 2.5, 30.1, 40.7, 0.1 + 0.2, "dog"), (1, 2, 3, 4, 0.9, "cat"))
    names = collect(first, boxes((5, 6, 60, 47, THIRD, "cat")), boxes(), None)
    result = run(tmp_path, "--format", "coco")
    output = tmp_path / "collected" / "coco"

    assert f"4 pictures, 3 labels, 2 classes: {output}\n" == result.stdout
    assert result.exit_code == 0
    coco = load_coco(output)
    assert [(c["id"], c["name"]) for c in coco.loadCats([1, 2])] == [(1, "dog"), (2, "cat")]
    assert names == [image["file_name"] for image in coco.loadImgs([1, 2, 3, 4])]
    annotations = coco.loadAnns([1, 2, 3])
    assert [annotation["score"] for annotation in annotations] == [0.1 + 0.2, 0.9, THIRD]
    assert annotations[0]["bbox"] == [THIRD, 2.5, 30.1 - THIRD, 40.7 - 2.5]
    assert [annotation["image_id"] for annotation in annotations] == [1, 1, 2]
    assert all(annotation["area"] > 0 for annotation in annotations)
    assert (output / "images" / names[0]).stat().st_ino == (
        tmp_path / "collected" / "images" / names[0]
    ).stat().st_ino


def test_supervision_reads_coco_boxes(tmp_path, collect, boxes):
    found = boxes((THIRD, 2.5, 30.1, 40.7, 0.3, "dog"), (1, 2, 3, 4, 0.9, "cat"))
    names = collect(found, boxes())
    run(tmp_path, "--format", "coco")
    output = tmp_path / "collected" / "coco"
    dataset = sv.DetectionDataset.from_coco(
        str(output / "images"), str(output / "annotations.json")
    )

    assert dataset.classes == ["dog", "cat"]
    by_name = {Path(path).name: detections for path, _, detections in dataset}
    assert set(names) == set(by_name)
    np.testing.assert_allclose(by_name[names[0]].xyxy, found.xyxy, rtol=1e-6)
    assert by_name[names[0]].class_id.tolist() == [0, 1]
    assert len(by_name[names[1]]) == 0


def test_coco_polygons_come_back(tmp_path, collect, boxes):
    triangle = np.array([[10.25, THIRD], [50.5, 5.0], [30.0, 40.125]])
    square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    line = np.array([[0.0, 0.0], [9.0, 9.0]])
    collect(
        boxes(
            (10, 0, 51, 41, 0.5, "kite"),
            (0, 0, 9, 9, 0.4, "line"),
            polygons=((triangle, square), (line,)),
        )
    )
    run(tmp_path, "--format", "coco")
    coco = load_coco(tmp_path / "collected" / "coco")
    kite, straight = coco.loadAnns([1, 2])

    assert [triangle.ravel().tolist(), square.ravel().tolist()] == kite["segmentation"]
    x, y = triangle.T
    expected = abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2 + 16
    assert kite["area"] == pytest.approx(expected, rel=1e-12)
    assert mask_of(coco, kite).sum() == pytest.approx(expected, rel=0.1)
    assert straight["segmentation"] == []


def test_coco_masks_come_back_pixel_for_pixel(tmp_path, collect, boxes, ring):
    names = collect(
        boxes((10, 9, 50, 39, 0.5, "ring"), (0, 0, 9, 9, 0.5, "box"), masks=(ring, None))
    )
    run(tmp_path, "--format", "coco")
    output = tmp_path / "collected" / "coco"
    coco = load_coco(output)
    first, box = coco.loadAnns([1, 2])
    dataset = sv.DetectionDataset.from_coco(
        str(output / "images"), str(output / "annotations.json"), force_masks=True
    )

    assert np.array_equal(ring.to_array(), mask_of(coco, first))
    assert ring.to_array().sum() == first["area"]
    assert (box["segmentation"], box["area"], first["iscrowd"]) == ([], 81, 0)
    assert np.array_equal(
        ring.to_array(), dataset.annotations[next(iter(dataset.annotations))].mask[0]
    )
    assert names


def test_coco_keypoints_come_back_under_their_names(tmp_path, collect, boxes):
    whole = Keypoints(
        xy=np.array([[1.5, 2.5], [THIRD, 4.0]]),
        confidence=np.array([0.5, 0.25]),
        class_name=("nose", "tail"),
    )
    part = Keypoints(xy=np.array([[7.0, 8.0]]), class_name=("tail",))
    unnamed = Keypoints(xy=np.array([[1.0, 1.0], [2.0, 2.0]]))
    none = Keypoints(xy=np.zeros((0, 2)), confidence=np.zeros(0))
    collect(
        boxes((0, 0, 9, 9, 0.5, "cat"), (1, 1, 9, 9, 0.5, "hand"), keypoints=(whole, unnamed)),
        boxes((0, 0, 9, 9, 0.5, "cat"), (0, 0, 9, 9, 0.4, "cat"), keypoints=(part, none)),
        boxes((0, 0, 9, 9, 0.5, "box")),
    )
    run(tmp_path, "--format", "coco")
    coco = load_coco(tmp_path / "collected" / "coco")
    cat, hand, box = coco.loadCats([1, 2, 3])
    first, second, third, fourth, fifth = coco.loadAnns([1, 2, 3, 4, 5])

    assert (cat["keypoints"], hand["keypoints"]) == (["nose", "tail"], ["0", "1"])
    assert "keypoints" not in box
    assert "keypoints" not in fifth
    assert first["keypoints"] == [1.5, 2.5, 2, THIRD, 4.0, 2]
    assert first["keypoint_scores"] == [0.5, 0.25]
    assert second["num_keypoints"] == 2
    assert (third["keypoints"], third["num_keypoints"]) == ([0, 0, 0, 7, 8, 2], 1)
    assert (fourth["keypoints"], fourth["num_keypoints"]) == ([0] * 6, 0)


def test_coco_classifications_stand_on_the_image(tmp_path, collect):
    names, scores = ("cat", "dog", "cow"), np.array([THIRD, 0.5, 0.1])
    collect(
        Classification(
            class_name=names, confidence=scores, image_size=SIZE, top="dog", top_confidence=0.51
        ),
        Classification(
            class_name=names, confidence=scores, image_size=SIZE, predicted=("cat", "dog")
        ),
        Classification(class_name=names, confidence=scores, image_size=SIZE, top="cow"),
        Unlabelled(),
    )
    run(tmp_path, "--format", "coco")
    coco = load_coco(tmp_path / "collected" / "coco")
    images = coco.loadImgs([1, 2, 3, 4])

    assert [c["name"] for c in coco.loadCats([1, 2, 3])] == ["dog", "cat", "cow"]
    assert coco.getAnnIds() == []
    assert images[0]["labels"] == [{"category_id": 1, "score": 0.51}]
    assert images[0]["class_scores"] == {"cat": THIRD, "dog": 0.5, "cow": 0.1}
    assert images[1]["labels"] == [
        {"category_id": 2, "score": THIRD},
        {"category_id": 1, "score": 0.5},
    ]
    assert images[2]["labels"] == [{"category_id": 3, "score": 0.1}]
    assert "labels" not in images[3]


def test_hostile_class_names_stay_text(tmp_path, collect, boxes):
    collect(boxes((0, 0, 9, 9, 0.5, "a\nnc: 7"), (0, 0, 9, 9, 0.5, "\udc80")))
    for format_ in ("coco", "yolo"):
        assert run(tmp_path, "--format", format_).exit_code == 0

    text = (tmp_path / "collected" / "yolo" / "data.yaml").read_text()
    assert '  0: "a\ufffdnc: 7"\n  1: "\ufffd"\n' in text
    coco = load_coco(tmp_path / "collected" / "coco")
    assert [c["name"] for c in coco.loadCats([1, 2])] == ["a\ufffdnc: 7", "\ufffd"]
