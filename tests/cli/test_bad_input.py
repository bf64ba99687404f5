"""Every row of the list of bad input, as a user meets it: a status and a clear message."""

import dataclasses
import re
import struct
import zlib
from collections.abc import Callable

import pytest

from al_framework.testing import sample_jpeg

BOX = {"x": 32, "y": 24, "width": 20, "height": 16, "class": "cat", "confidence": 0.5}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One bad input.

    Attributes:
        arrange: Spoils a directory that is fine.
        status: Exit status of `al run`.
        message: What it prints, with ``{dir}`` for the directory.
        checked: Whether `al check` finds it, too, with status 2 and the same text.
        dropped: The counter of a frame that is lost, while the others are collected.
    """

    arrange: Callable[..., None]
    status: int
    message: str
    checked: bool = False
    dropped: str = ""


def replace(desk, old, new):
    path = desk.directory / "al.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def no_file(desk):
    (desk.directory / "al.yaml").unlink()


def no_mapping(desk):
    (desk.directory / "al.yaml").write_text("- type: directory\n")


def unknown_key(desk):
    replace(desk, "sinks:", "sink:")


def unknown_option(desk):
    replace(desk, "path: frames", "path: frames, recursiv: false")


def unknown_type(desk):
    replace(desk, "type: random", "type: randum")


def out_of_range(desk):
    replace(desk, "traffic_percentage: 1", "traffic_percentage: 1.5")


def same_name(desk):
    replace(
        desk,
        "  batching_strategy",
        "    - {name: all, type: random, traffic_percentage: 1}\n  batching_strategy",
    )


def no_secret(desk):
    replace(desk, "path: collected", "path: '${AL_TEST_NOWHERE}'")


def no_directory(desk):
    desk.frames.rename(desk.directory / "framez")


def empty_directory(desk):
    for path in desk.frames.iterdir():
        path.unlink()


def file_instead_of_directory(desk):
    empty_directory(desk)
    desk.frames.rmdir()
    desk.frames.write_text("text")


def truncated(desk):
    (desk.frames / "bad.jpg").write_bytes(sample_jpeg()[:-500])


def bomb(desk):
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk
    (desk.frames / "bad.png").write_bytes(png + struct.pack(">I", zlib.crc32(chunk)))


def text_file(desk):
    (desk.frames / "bad.jpg").write_text("Dear all,\n")


def empty_file(desk):
    (desk.frames / "bad.jpg").write_bytes(b"")


def bad_prediction(predictions):
    def arrange(desk):
        desk.add_frame("bad", seed=99)
        desk.predict("bad", predictions)

    return arrange


def prediction_of_another_picture(desk):
    desk.add_frame("bad", seed=99)
    (desk.frames / "bad.json").write_text(
        '{"image": {"width": 1920, "height": 1080}, "predictions": []}'
    )


def prediction_that_is_no_json(desk):
    desk.add_frame("bad", seed=99)
    (desk.frames / "bad.json").write_text("{")


def predictor(desk, model):
    replace(desk, "sinks:", f"predictor: {{type: onnx, model: {model}}}\nsinks:")


def no_model(desk):
    predictor(desk, "modle.onnx")
    (desk.directory / "model.onnx").write_bytes(b"x")


def no_onnx(desk):
    predictor(desk, "model.onnx")
    (desk.directory / "model.onnx").write_bytes(b"GIF89a and so on")


def file_instead_of_output(desk):
    (desk.directory / "collected").write_text("text")


def file_in_the_way_of_the_output(desk):
    replace(desk, "path: collected", "path: results/today")
    (desk.directory / "results").write_text("text")


def file_instead_of_spool(desk):
    (desk.directory / ".al").write_text("text")


CASES = {
    "no file": Case(
        arrange=no_file,
        status=2,
        message="al.yaml: 1 fault in the configuration\n"
        "  does not exist: run `al init` to write a first configuration",
        checked=True,
    ),
    "not a mapping": Case(
        arrange=no_mapping,
        status=2,
        message="is a list, not a mapping: begin with lines such as `sinks:`",
        checked=True,
    ),
    "unknown key": Case(
        arrange=unknown_key,
        status=2,
        message="line 10: sink: unknown key, did you mean 'sinks'?",
        checked=True,
    ),
    "unknown option": Case(
        arrange=unknown_option,
        status=2,
        message="line 3: sources[0].recursiv: unknown key, did you mean 'recursive'?",
        checked=True,
    ),
    "unknown type": Case(
        arrange=unknown_type,
        status=2,
        message="line 8: active_learning.sampling_strategies[0].type: there is no strategy type "
        "'randum'",
        checked=True,
    ),
    "option out of range": Case(
        arrange=out_of_range,
        status=2,
        message="line 8: active_learning.sampling_strategies[0].traffic_percentage: should be "
        "at most 1, not 1.5 (strategy type 'random', plugin 'roboflow')",
        checked=True,
    ),
    "duplicate strategy name": Case(
        arrange=same_name,
        status=2,
        message="line 9: active_learning.sampling_strategies[1].name: the name 'all' is taken by "
        "active_learning.sampling_strategies[0]: give each its own",
        checked=True,
    ),
    "missing secret": Case(
        arrange=no_secret,
        status=2,
        message="line 11: sinks[0].path: the environment variable AL_TEST_NOWHERE is not set",
        checked=True,
    ),
    "source directory missing": Case(
        arrange=no_directory,
        status=1,
        message="Error: source 'cam' (plugin 'local') could not start: the directory "
        "'{dir}/frames' does not exist: did you mean 'framez'",
    ),
    "source directory empty": Case(
        arrange=empty_directory,
        status=1,
        message="Error: source 'cam' (plugin 'local') could not start: no file in '{dir}/frames' "
        "matches '*.jpg', '*.jpeg', '*.png', '*.webp', '*.bmp', '*.tif', '*.tiff': it is empty: "
        "correct path or put pictures there",
    ),
    "source directory is a file": Case(
        arrange=file_instead_of_directory,
        status=1,
        message="Error: source 'cam' (plugin 'local') could not start: '{dir}/frames' is a file, "
        "not a directory: set path to the directory that holds it",
    ),
    "truncated picture": Case(
        arrange=truncated,
        status=0,
        message="  - frame 'cam/bad.jpg': the image '{dir}/frames/bad.jpg' is truncated: after ",
        dropped="invalid_image",
    ),
    "bomb": Case(
        arrange=bomb,
        status=0,
        message="  - frame 'cam/bad.png': the image '{dir}/frames/bad.png' is 20000x20000 pixels, "
        "more than the 50000000 we decode",
        dropped="invalid_image",
    ),
    "text file named .jpg": Case(
        arrange=text_file,
        status=0,
        message="  - frame 'cam/bad.jpg': the image '{dir}/frames/bad.jpg' is not a picture that "
        "can be read (JPEG, PNG, WEBP, BMP, TIFF): it starts with b'Dear all",
        dropped="invalid_image",
    ),
    "empty picture": Case(
        arrange=empty_file,
        status=0,
        message="  - frame 'cam/bad.jpg': the image '{dir}/frames/bad.jpg' is empty: it "
        "holds no bytes",
        dropped="invalid_image",
    ),
    "prediction with NaN": Case(
        arrange=bad_prediction([{**BOX, "confidence": float("nan")}]),
        status=0,
        message="  - frame 'cam/bad.jpg': the prediction '{dir}/frames/bad.json' is not usable "
        "JSON: it holds NaN, which is no finite number",
        dropped="invalid_prediction",
    ),
    "prediction with infinity": Case(
        arrange=bad_prediction([{**BOX, "x": float("inf")}]),
        status=0,
        message="  - frame 'cam/bad.jpg': the prediction '{dir}/frames/bad.json' is not usable "
        "JSON: it holds Infinity, which is no finite number",
        dropped="invalid_prediction",
    ),
    "box outside the picture": Case(
        arrange=bad_prediction([BOX, {**BOX, "x": 700}]),
        status=0,
        message="  - frame 'cam/bad.jpg': row 1 of the prediction has the box [690.0, 16.0, 710.0, "
        "32.0] ('cat'), wholly outside the picture of 64x48 pixels: pass pixels of this picture, "
        "neither normalised coordinates nor those of another one",
        dropped="invalid_prediction",
    ),
    "prediction of another picture": Case(
        arrange=prediction_of_another_picture,
        status=0,
        message="  - frame 'cam/bad.jpg': the prediction refers to a picture of 1920x1080 pixels, "
        "but this one is 64x48: pass the prediction that was made on this picture, in its pixels",
        dropped="invalid_prediction",
    ),
    "prediction that is no JSON": Case(
        arrange=prediction_that_is_no_json,
        status=0,
        message="  - frame 'cam/bad.jpg': the prediction '{dir}/frames/bad.json' is not usable "
        "JSON: ",
        dropped="invalid_prediction",
    ),
    "model file missing": Case(
        arrange=no_model,
        status=1,
        message="Error: predictor 'onnx' (plugin 'onnx') could not start: there is no model file "
        "'{dir}/modle.onnx': did you mean 'model.onnx'",
    ),
    "model is not ONNX": Case(
        arrange=no_onnx,
        status=1,
        message="Error: predictor 'onnx' (plugin 'onnx') could not start: the model file "
        "'{dir}/model.onnx' is not an ONNX model: it starts with b'GIF89a a'; export the model to "
        "ONNX",
    ),
    "output is a file": Case(
        arrange=file_instead_of_output,
        status=1,
        message="Error: sink 'directory' (plugin 'local') could not start: the directory "
        "'{dir}/collected' cannot be ",
    ),
    "output below a file": Case(
        arrange=file_in_the_way_of_the_output,
        status=1,
        message="Error: sink 'directory' (plugin 'local') could not start: the directory "
        "'{dir}/results/today' cannot be created: '{dir}/results",
    ),
    "spool below a file": Case(
        arrange=file_instead_of_spool,
        status=1,
        message="Error: spool '{dir}/.al/line': [Errno 20] Not a directory: '{dir}/.al/line'; "
        "check that the directory exists, is writable, and lies on a healthy local disk",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_gets_a_clear_message(al, fine, name):
    case = CASES[name]
    case.arrange(fine)
    result = al("run", "al.yaml")

    assert result.status == case.status, result
    assert case.message.replace("{dir}", str(fine.directory)) in result.out + result.err
    if case.dropped:
        assert fine.collected() == ["cam/000.jpg", "cam/001.jpg"]
        assert re.search(
            rf"^dropped +1 +{case.dropped.replace('_', ' ')}", result.out, re.MULTILINE
        )
    else:
        assert fine.manifest() == []


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.checked])
def test_check_finds_what_can_be_known_without_running(al, fine, name):
    case = CASES[name]
    case.arrange(fine)
    result = al("check", "al.yaml")

    assert result.status == 2
    assert case.message in result.err


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.dropped])
def test_a_bad_frame_is_explained_and_not_tried_again(al, fine, name):
    CASES[name].arrange(fine)
    al("run", "al.yaml")
    again = al("run", "al.yaml", "--json").summary["counts"]
    bad = next(path for path in fine.frames.glob("bad.*") if path.suffix != ".json")
    explained = al("explain", bad.name).out

    assert (again["offered"], again["skipped"]) == (0, 3)
    assert f"cam/{bad.name}  {CASES[name].dropped}, decided " in explained


def test_many_bad_frames_are_counted_and_the_first_twenty_named(al, fine):
    for number in range(30):
        (fine.frames / f"bad{number}.jpg").write_bytes(b"text")
    result = al("run", "al.yaml", "--json")

    assert result.status == 0
    assert result.summary["counts"]["dropped"] == {"invalid_image": 30}
    assert len(result.summary["problems"]) == 21
    assert result.summary["problems"][-1] == "… and 10 more like these"
    assert fine.collected() == ["cam/000.jpg", "cam/001.jpg"]
