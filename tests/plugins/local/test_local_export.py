"""What an export does with lines it cannot read, and what it never replaces."""

import contextlib
import errno
import io
import json
import os
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from al_framework.testing.fakes import FakeCheckpoint
from al_framework_local.commands import export

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # supervision says that OpenCV is not installed
    sv = pytest.importorskip("supervision")


pycocotools_coco = pytest.importorskip("pycocotools.coco")


def run(base: Path, *arguments: str) -> Result:
    return CliRunner().invoke(export, [str(base / "collected"), *arguments])


def load_coco(output: Path) -> "pycocotools_coco.COCO":
    with contextlib.redirect_stdout(io.StringIO()):
        return pycocotools_coco.COCO(str(output / "annotations.json"))


def load_yolo(output: Path, **options: object) -> dict[str, "sv.Detections"]:
    dataset = sv.DetectionDataset.from_yolo(
        str(output / "images"), str(output / "labels"), str(output / "data.yaml"), **options
    )
    return {Path(path).name: detections for path, _, detections in dataset}


def test_a_collection_without_any_class_is_exported(tmp_path, collect, boxes):
    collect(boxes())
    for format_ in ("coco", "yolo"):
        assert run(tmp_path, "--format", format_).exit_code == 0

    assert "names: {}\n" in (tmp_path / "collected" / "yolo" / "data.yaml").read_text()
    assert len(load_yolo(tmp_path / "collected" / "yolo")) == 1


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
def test_a_corrupt_line_is_named_and_left_out(tmp_path, collect, change, fault, boxes):
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


def test_lines_that_are_no_records_are_named_and_left_out(tmp_path, collect, boxes):
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


def test_what_is_appended_during_the_export_is_not_in_it(tmp_path, collect, sink, datapoint, boxes):
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


def test_an_earlier_export_is_replaced_by_force_only(tmp_path, collect, sink, datapoint, boxes):
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
def test_a_directory_that_no_export_wrote_is_never_replaced(tmp_path, collect, name, boxes):
    collect(boxes())
    (tmp_path / "mine" / name).mkdir(parents=True)
    arguments = ("--format", "yolo", "--force", "--output", str(tmp_path / "mine"))
    result = run(tmp_path, *arguments)

    assert result.exit_code == 1
    assert f"mine' holds '{name}', which no export writes: choose another --output" in result.stderr
    assert (tmp_path / "mine" / name).is_dir()


def test_an_export_to_which_somebody_added_is_never_replaced(tmp_path, collect, boxes):
    collect(boxes())
    run(tmp_path, "--format", "yolo")
    (tmp_path / "collected" / "yolo" / "notes.txt").write_text("mine")
    result = run(tmp_path, "--format", "yolo", "--force")

    assert "holds 'notes.txt', which no export writes" in result.stderr


def test_a_file_in_place_of_the_output_is_named(tmp_path, collect, boxes):
    collect(boxes())
    (tmp_path / "out").write_text("x")
    result = run(tmp_path, "--format", "yolo", "--output", str(tmp_path / "out"))

    assert f"Error: '{tmp_path / 'out'}' is a file: choose another --output\n" == result.stderr


def test_an_empty_output_directory_is_used(tmp_path, collect, boxes):
    collect(boxes())
    (tmp_path / "out").mkdir()

    assert run(tmp_path, "--format", "yolo", "--output", str(tmp_path / "out")).exit_code == 0
    assert (tmp_path / "out" / "data.yaml").is_file()


def test_a_failed_export_leaves_the_earlier_one(tmp_path, collect, monkeypatch, boxes):
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
    tmp_path, collect, monkeypatch, boxes
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


def test_pictures_are_copied_where_they_cannot_be_linked(tmp_path, collect, monkeypatch, boxes):
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
