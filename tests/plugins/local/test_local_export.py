import contextlib
import errno
import io
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from al_framework.api import Classification, Detections, Keypoints, RleMask, Unlabelled
from al_framework.testing.fakes import FakeCheckpoint
from al_framework_local.commands import export

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # supervision says that OpenCV is not installed
    sv = pytest.importorskip("supervision")
pycocotools_coco = pytest.importorskip("pycocotools.coco")

SIZE = (64, 48)
THIRD = 1 / 3


def boxes(*rows: tuple[float, float, float, float, float, str], **more: object) -> Detections:
    return Detections(
        xyxy=np.array([row[:4] for row in rows], dtype=np.float64).reshape(-1, 4),
        confidence=np.array([row[4] for row in rows], dtype=np.float64),
        class_name=tuple(row[5] for row in rows),
        image_size=SIZE,
        **more,
    )


def ellipse(*, hole: bool = False) -> RleMask:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    distance = ((x - 30) / 20) ** 2 + ((y - 24) / 15) ** 2
    return RleMask.from_array((distance < 1) & ((distance > 0.2) if hole else True))


def run(base: Path, *arguments: str) -> Result:
    return CliRunner().invoke(export, [str(base / "collected"), *arguments])


def load_coco(output: Path) -> "pycocotools_coco.COCO":
    with contextlib.redirect_stdout(io.StringIO()):
        return pycocotools_coco.COCO(str(output / "annotations.json"))


def mask_of(coco: "pycocotools_coco.COCO", annotation: dict[str, object]) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pycocotools does not know NumPy 2's __array__ yet
        return coco.annToMask(annotation).astype(bool)


@pytest.fixture
def collect(sink, datapoint):
    """Collect one picture per prediction; answer their file names."""

    def collect(*predictions: object, **changes: object) -> list[str]:
        return [
            sink.deliver(datapoint(number, prediction, **changes), FakeCheckpoint()).remote_id
            for number, prediction in enumerate(predictions)
        ]

    return collect


def test_coco_boxes_come_back_digit_for_digit_with_their_scores(tmp_path, collect):
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


def test_supervision_reads_coco_boxes(tmp_path, collect):
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


def test_coco_polygons_come_back(tmp_path, collect):
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


def test_coco_masks_come_back_pixel_for_pixel(tmp_path, collect):
    mask = ellipse(hole=True)
    names = collect(
        boxes((10, 9, 50, 39, 0.5, "ring"), (0, 0, 9, 9, 0.5, "box"), masks=(mask, None))
    )
    run(tmp_path, "--format", "coco")
    output = tmp_path / "collected" / "coco"
    coco = load_coco(output)
    ring, box = coco.loadAnns([1, 2])
    dataset = sv.DetectionDataset.from_coco(
        str(output / "images"), str(output / "annotations.json"), force_masks=True
    )

    assert np.array_equal(mask.to_array(), mask_of(coco, ring))
    assert mask.to_array().sum() == ring["area"]
    assert (box["segmentation"], box["area"], ring["iscrowd"]) == ([], 81, 0)
    assert np.array_equal(
        mask.to_array(), dataset.annotations[next(iter(dataset.annotations))].mask[0]
    )
    assert names


def test_coco_keypoints_come_back_under_their_names(tmp_path, collect):
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


def load_yolo(output: Path, **options: object) -> dict[str, "sv.Detections"]:
    dataset = sv.DetectionDataset.from_yolo(
        str(output / "images"), str(output / "labels"), str(output / "data.yaml"), **options
    )
    return {Path(path).name: detections for path, _, detections in dataset}


def test_supervision_reads_yolo_boxes_clipped_to_the_picture(tmp_path, collect):
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


def test_supervision_reads_yolo_polygons_and_masks(tmp_path, collect):
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
            masks=(ellipse(hole=True), None),
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
    assert overlap(loaded[names[1]].mask[0], ellipse(hole=True).to_array()) > 0.8
    assert overlap(loaded[names[2]].mask[0], square) > 0.8
    np.testing.assert_allclose(loaded[names[0]].xyxy[0], [10, 0, 50, 40], atol=1e-4)


def test_yolo_pose_has_one_list_of_keypoints(tmp_path, collect):
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


def test_a_classification_among_yolo_boxes_is_left_out_and_named(tmp_path, collect):
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


def test_a_collection_without_any_class_is_exported(tmp_path, collect):
    collect(boxes())
    for format_ in ("coco", "yolo"):
        assert run(tmp_path, "--format", format_).exit_code == 0

    assert "names: {}\n" in (tmp_path / "collected" / "yolo" / "data.yaml").read_text()
    assert len(load_yolo(tmp_path / "collected" / "yolo")) == 1


def test_hostile_class_names_stay_text(tmp_path, collect):
    collect(boxes((0, 0, 9, 9, 0.5, "a\nnc: 7"), (0, 0, 9, 9, 0.5, "\udc80")))
    for format_ in ("coco", "yolo"):
        assert run(tmp_path, "--format", format_).exit_code == 0

    text = (tmp_path / "collected" / "yolo" / "data.yaml").read_text()
    assert '  0: "a\ufffdnc: 7"\n  1: "\ufffd"\n' in text
    coco = load_coco(tmp_path / "collected" / "coco")
    assert [c["name"] for c in coco.loadCats([1, 2])] == ["a\ufffdnc: 7", "\ufffd"]


def edit(base: Path, change: object) -> None:
    path = base / "collected" / "manifest.jsonl"
    line = json.loads(path.read_text().splitlines()[0])
    change(line)
    path.write_text(path.read_text() + json.dumps(line) + "\n")


def put(*places: str, value: object):
    def change(line: dict[str, object]) -> None:
        line["file"] = "images/again.jpg"
        for place in places[:-1]:
            line = line[place]
        line[places[-1]] = value

    return change


CORRUPT = [
    (put("file", value="../../etc/passwd"), "its file '../../etc/passwd' is no picture in images/"),
    (put("file", value="images/.x.jpg"), "its file 'images/.x.jpg' is no picture in images/"),
    (put("file", value=7), "its file 7 is no picture in images/"),
    (put("strategy", value=None), None),
    (put("decision", value=None), "the values are no datapoint: TypeError"),
    (put("image_size", value=[0, 5]), "its image size is (0, 5)"),
    (
        put("prediction", "confidence", value=[]),
        "its detections name 1 classes, but other columns differ",
    ),
    (
        put("prediction", "masks", value=[{"size": [2, 2], "counts": [1, 1]}]),
        "the runs of one of its masks do not add up to the mask's size",
    ),
    (
        put("prediction", "masks", value=[{"size": [2, 2], "counts": [5, -1]}]),
        "the runs of one of its masks do not add up to the mask's size",
    ),
    (
        put(
            "prediction",
            "keypoints",
            value=[{"xy": [], "confidence": None, "class_name": ["a"], "class_id": None}],
        ),
        "one of its objects has not as many keypoints as names of them",
    ),
    (
        put(
            "prediction",
            value={
                "kind": "classification",
                "prediction_type": "",
                "image_size": [1, 1],
                "model_id": None,
                "inference_id": None,
                "document": None,
                "confidence": [],
                "class_name": ["a"],
                "embedding": None,
                "top": None,
                "top_confidence": None,
                "predicted": None,
            },
        ),
        "its classification has not as many scores as classes",
    ),
    (put("file", value="images/away.jpg"), "its picture 'images/away.jpg' is not there any more"),
    (put("file", value="images/link.jpg"), "its picture 'images/link.jpg' is not there any more"),
]


@pytest.mark.parametrize(("change", "fault"), CORRUPT)
def test_a_corrupt_line_is_named_and_left_out(tmp_path, collect, change, fault):
    collect(boxes((0, 0, 9, 9, 0.5, "cat")))
    images = tmp_path / "collected" / "images"
    (images / "again.jpg").write_bytes(b"x")
    (images / "link.jpg").symlink_to("/etc/hostname")
    edit(tmp_path, change)
    result = run(tmp_path, "--format", "coco")

    if fault is None:
        assert result.stdout.startswith("2 pictures, 2 labels, 1 class: ")
        return
    assert result.exit_code == 1
    assert f"manifest.jsonl, line 2: {fault}" in result.stderr
    assert result.stdout.startswith("1 picture, 1 label, 1 class: ")
    assert len(load_coco(tmp_path / "collected" / "coco").getAnnIds()) == 1


def test_lines_that_are_no_records_are_named_and_left_out(tmp_path, collect):
    collect(boxes((0, 0, 9, 9, 0.5, "cat")))
    path = tmp_path / "collected" / "manifest.jsonl"
    good = path.read_text()
    path.write_text(f"nonsense\n[1]\n{good}{good}\n{good[:50]}")
    result = run(tmp_path, "--format", "yolo")

    assert result.exit_code == 1
    first, second, third, fourth, fifth = result.stderr.splitlines()
    assert "line 1: Expecting value" in first
    assert "line 2: it holds 'list', not a datapoint" in second
    assert "line 4: it repeats the picture 'images/img_0-" in third
    assert "line 5: Expecting value" in fourth
    assert "line 6 (not written completely): " in fifth
    assert len(load_yolo(tmp_path / "collected" / "yolo")) == 1


def test_what_is_appended_during_the_export_is_not_in_it(tmp_path, collect, sink, datapoint):
    from al_framework_local.records import Collection

    collect(boxes())
    collection = Collection(tmp_path / "collected")
    sink.deliver(datapoint(9), FakeCheckpoint())

    assert len(list(collection.scan())) == len(list(collection.records())) == len(collection) == 1


@pytest.mark.parametrize("place", ["nothing", "file"])
def test_a_directory_without_manifest_is_named(tmp_path, place):
    (tmp_path / "file").write_bytes(b"x")
    result = CliRunner().invoke(export, [str(tmp_path / place), "--format", "coco"])

    assert result.exit_code == 1
    assert (
        f"Error: '{tmp_path / place}' holds no manifest.jsonl: "
        "name a directory that a sink of type 'directory' has written\n"
    ) == result.stderr


def test_an_empty_manifest_is_named_and_nothing_is_written(tmp_path, sink):
    del sink
    result = run(tmp_path, "--format", "coco")

    assert result.exit_code == 1
    assert "manifest.jsonl' lists no usable picture: nothing to export\n" in result.stderr
    assert not (tmp_path / "collected" / "coco").exists()


def test_a_manifest_of_corrupt_lines_only_lists_them(tmp_path, sink):
    del sink
    (tmp_path / "collected" / "manifest.jsonl").write_text("x\n")
    result = run(tmp_path, "--format", "coco")

    assert result.exit_code == 1
    assert "nothing to export\n  " in result.stderr
    assert "line 1: Expecting value" in result.stderr


def test_an_earlier_export_is_replaced_by_force_only(tmp_path, collect, sink, datapoint):
    collect(boxes((0, 0, 9, 9, 0.5, "cat")))
    output = tmp_path / "out" / "set"
    arguments = ("--format", "coco", "--output", str(output))
    assert run(tmp_path, *arguments).exit_code == 0
    sink.deliver(datapoint(9), FakeCheckpoint())
    refused = run(tmp_path, *arguments)

    assert refused.exit_code == 1
    assert (
        f"Error: '{output}' holds an export already: "
        "choose another --output, or replace it with --force\n"
    ) == refused.stderr
    assert len(load_coco(output).getImgIds()) == 1
    assert run(tmp_path, *arguments, "--force").exit_code == 0
    assert len(load_coco(output).getImgIds()) == 2
    assert [output] == list(output.parent.iterdir())


@pytest.mark.parametrize("name", ["thesis.docx", "images"])
def test_a_directory_that_no_export_wrote_is_never_replaced(tmp_path, collect, name):
    collect(boxes())
    (tmp_path / "mine" / name).mkdir(parents=True)
    arguments = ("--format", "yolo", "--force", "--output", str(tmp_path / "mine"))
    result = run(tmp_path, *arguments)

    assert result.exit_code == 1
    assert f"mine' holds '{name}', which no export writes: choose another --output" in result.stderr
    assert (tmp_path / "mine" / name).is_dir()


def test_an_export_to_which_somebody_added_is_never_replaced(tmp_path, collect):
    collect(boxes())
    run(tmp_path, "--format", "yolo")
    (tmp_path / "collected" / "yolo" / "notes.txt").write_text("mine")
    result = run(tmp_path, "--format", "yolo", "--force")

    assert "holds 'notes.txt', which no export writes" in result.stderr


def test_a_file_in_place_of_the_output_is_named(tmp_path, collect):
    collect(boxes())
    (tmp_path / "out").write_text("x")
    result = run(tmp_path, "--format", "yolo", "--output", str(tmp_path / "out"))

    assert f"Error: '{tmp_path / 'out'}' is a file: choose another --output\n" == result.stderr


def test_an_empty_output_directory_is_used(tmp_path, collect):
    collect(boxes())
    (tmp_path / "out").mkdir()

    assert run(tmp_path, "--format", "yolo", "--output", str(tmp_path / "out")).exit_code == 0
    assert (tmp_path / "out" / "data.yaml").is_file()


def test_a_failed_export_leaves_the_earlier_one(tmp_path, collect, monkeypatch):
    collect(boxes((0, 0, 9, 9, 0.5, "cat")))
    run(tmp_path, "--format", "coco")

    def fail(*_args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("al_framework_local.coco.link_or_copy", fail)
    result = run(tmp_path, "--format", "coco", "--force")

    assert result.exit_code == 1
    assert "Error: the export to '" in result.stderr
    assert "/coco' failed: [Errno 28] No space left on device\n" in result.stderr
    assert len(load_coco(tmp_path / "collected" / "coco").getAnnIds()) == 1
    assert not list((tmp_path / "collected").glob(".*partial*"))


def test_an_export_that_cannot_be_put_in_place_leaves_the_earlier_one(
    tmp_path, collect, monkeypatch
):
    collect(boxes((0, 0, 9, 9, 0.5, "cat")))
    run(tmp_path, "--format", "coco")
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial") and not path.name.endswith(".old.partial"):
            raise OSError(errno.EIO, "no luck")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    result = run(tmp_path, "--format", "coco", "--force")

    assert result.exit_code == 1
    assert len(load_coco(tmp_path / "collected" / "coco").getAnnIds()) == 1


def test_pictures_are_copied_where_they_cannot_be_linked(tmp_path, collect, monkeypatch):
    (name,) = collect(boxes())

    def fail(*_args: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", fail)
    run(tmp_path, "--format", "coco")
    original = tmp_path / "collected" / "images" / name
    copy = tmp_path / "collected" / "coco" / "images" / name

    assert original.read_bytes() == copy.read_bytes()
    assert original.stat().st_ino != copy.stat().st_ino


def test_the_format_is_required():
    result = CliRunner().invoke(export, ["somewhere"])

    assert result.exit_code == 2
    assert "Missing option '--format'" in result.stderr
