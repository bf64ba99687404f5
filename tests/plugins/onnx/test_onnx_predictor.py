import hashlib
import io
import re
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

import al_framework_onnx
from al_framework.api import (
    AlFrameworkError,
    Detections,
    Frame,
    Image,
    ImageError,
    MissingExtraError,
    PredictionError,
)
from al_framework.testing.fakes import make_context, sample_pixels
from al_framework_onnx.predictor import OnnxPredictor


def make(tmp_path, **options):
    return OnnxPredictor(OnnxPredictor.Options(**options), make_context(tmp_path, name="model"))


def started(tmp_path, **options):
    predictor = make(tmp_path, **options)
    predictor.start()
    return predictor


def frame(value, frame_id="f"):
    return Frame(frame_id=frame_id, image=Image(value))


def yolo_answer(*rows):
    """Return an answer for a 32x32 input and two classes: centre, size, two scores a row."""
    answer = np.zeros((1, 6, 21), dtype=np.float32)
    answer[0, :, : len(rows)] = np.array(rows).T
    return answer


@pytest.fixture(scope="module")
def nanodet(nanodet_file):
    predictor = started(nanodet_file.parent, model=nanodet_file.name, decoder="nanodet")
    yield predictor
    predictor.close()


def best(detections, name):
    return max(
        (
            float(confidence)
            for confidence, own in zip(detections.confidence, detections.class_name, strict=True)
            if own == name
        ),
        default=0.0,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("coffee.png", {"cup": 0.53}),
        ("motorcycle_left.png", {"motorcycle": 0.79}),
        ("chelsea.png", {"person": 0.59, "cat": 0.40, "dog": 0.40}),
    ],
)
def test_nanodet_sees_in_real_pictures_what_it_is_known_to_see(nanodet, picture, name, expected):
    found = nanodet.predict(frame(picture(name)))

    assert isinstance(found, Detections)
    assert next(iter(expected)) == found.class_name[0]
    assert {key: best(found, key) for key in expected} == pytest.approx(expected, abs=0.05)


def test_boxes_of_a_real_picture_are_in_its_pixels(nanodet, picture):
    found = nanodet.predict(frame(picture("motorcycle_left.png")))

    assert (741, 500) == found.image_size
    assert found.xyxy[0].tolist() == pytest.approx([110, 75, 690, 450], abs=30)
    assert (found.xyxy >= 0).all()
    assert (found.xyxy <= np.tile(found.image_size, 2)).all()


def test_a_picture_is_seen_upright(nanodet, picture):
    buffer = io.BytesIO()
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    with PIL.Image.open(picture("motorcycle_left.png")) as stored:
        stored.transpose(PIL.Image.Transpose.ROTATE_90).save(buffer, "JPEG", exif=exif, quality=95)

    found = nanodet.predict(frame(buffer.getvalue()))

    assert (741, 500) == found.image_size
    assert found.class_name[0] == "motorcycle"


def test_a_prediction_is_complete(nanodet, nanodet_file, picture):
    found = nanodet.predict(frame(picture("coffee.png")))

    digest = hashlib.sha256(nanodet_file.read_bytes()).hexdigest()
    assert f"nanodet_416@{digest[:8]}" == found.model_id
    assert found.prediction_type == "object-detection"
    assert found.document is None
    assert found.confidence.dtype == found.xyxy.dtype == np.float64
    assert found.class_id.dtype == np.int64
    assert len(found) == len(found.xyxy) == len(found.confidence) == len(found.class_id)
    assert sorted(found.confidence, reverse=True) == found.confidence.tolist()
    assert found.confidence.min() >= 0.05


def test_threshold_and_count_are_options(nanodet_file, picture, tmp_path):
    low = started(tmp_path, model=str(nanodet_file), decoder="nanodet", max_detections=3)
    high = started(tmp_path, model=str(nanodet_file), decoder="nanodet", confidence=0.5, threads=1)

    assert 3 == len(low.predict(frame(picture("coins.png"))))
    assert high.predict(frame(picture("coins.png"))).confidence.min() >= 0.5


def test_a_picture_that_does_not_decode_is_an_image_error(nanodet):
    with pytest.raises(ImageError, match="the image is not a picture that can be read"):
        nanodet.predict(frame(b"this is text"))


def test_yolov8_from_file_to_detections(write_network, tmp_path):
    answer = yolo_answer(
        [16, 16, 16, 8, 0.9, 0.0],
        [16, 17, 16, 8, 0.6, 0.0],
        [16, 16, 16, 8, 0.0, 0.5],
        [30, 10, 10, 8, 0.0, 0.25],
        [16, 1, 8, 4, 0.0, 0.2],
        [8, 8, 4, 4, 0.01, 0.0],
    )
    write_network([answer], names={"names": "{0: 'car', 1: 'bus'}"})
    predictor = started(tmp_path, model="tiny.onnx", decoder="yolov8", model_id="yard/7")

    found = predictor.predict(frame(sample_pixels(64, 32)))

    # The second box doubles the first, the last lies in the padding, the fourth reaches outside.
    assert ("car", "bus", "bus") == found.class_name
    assert found.confidence.tolist() == pytest.approx([0.9, 0.5, 0.25])
    assert [[16.0, 8.0, 48.0, 24.0]] * 2 + [[50.0, 0.0, 64.0, 12.0]] == found.xyxy.tolist()
    assert (64, 32) == found.image_size
    assert found.model_id == "yard/7"


def test_overlap_is_an_option(write_network, tmp_path):
    answer = yolo_answer([16, 16, 16, 8, 0.9, 0.0], [16, 17, 16, 8, 0.6, 0.0])
    write_network([answer])
    predictor = started(tmp_path, model="tiny.onnx", decoder="yolov8", classes=["a", "b"], iou=0.95)

    assert 2 == len(predictor.predict(frame(sample_pixels(32, 32))))


def test_a_frame_without_objects_gives_an_empty_prediction(write_network, tmp_path):
    write_network([yolo_answer()])
    predictor = started(tmp_path, model="tiny.onnx", decoder="yolov8", classes=["a", "b"])

    found = predictor.predict(frame(sample_pixels(32, 32)))

    assert 0 == len(found)
    assert (0, 4) == found.xyxy.shape


def test_without_a_decoder_the_one_that_fits_is_taken(write_network, nanodet_file, tmp_path):
    write_network([yolo_answer([16, 16, 8, 8, 0.5, 0.0])])
    yolov8 = started(tmp_path, model="tiny.onnx", classes=["a", "b"])
    nanodet = started(tmp_path, model=str(nanodet_file))

    assert ("a",) == yolov8.predict(frame(sample_pixels(32, 32))).class_name
    assert nanodet.predict(frame(sample_pixels(32, 32))).model_id.startswith("nanodet_416@")


def test_a_model_of_half_precision_is_fed_half_floats(write_network, tmp_path):
    write_network([yolo_answer([16, 16, 8, 8, 0.5, 0.0])], input_type=10)
    predictor = started(tmp_path, model="tiny.onnx", decoder="yolov8", classes=["a", "b"])

    assert ("a",) == predictor.predict(frame(sample_pixels(32, 32))).class_name


def test_a_model_with_an_open_input_takes_the_size_given(write_network, tmp_path):
    write_network([yolo_answer()], input_shape=("batch", 3, "height", "width"))
    predictor = started(
        tmp_path, model="tiny.onnx", decoder="yolov8", classes=["a", "b"], input_size=[32, 32]
    )

    assert 0 == len(predictor.predict(frame(sample_pixels(32, 32))))


def test_numbers_that_are_not_finite_are_a_prediction_error(write_network, tmp_path):
    write_network([yolo_answer([np.nan, 16, 8, 8, 0.5, 0.0])])
    predictor = started(tmp_path, model="tiny.onnx", decoder="yolov8", classes=["a", "b"])

    with pytest.raises(
        PredictionError, match=r"the model 'tiny@\w{8}' answered frame 'x/1' with numbers that are"
    ) as caught:
        predictor.predict(frame(sample_pixels(32, 32), "x/1"))
    assert caught.value.frame_id == "x/1"


def test_classes_come_from_a_file_beside_the_configuration(write_network, tmp_path):
    write_network([yolo_answer([16, 16, 8, 8, 0.0, 0.5])])
    (tmp_path / "names.txt").write_text("car\n  lorry \n\n", encoding="utf-8")
    predictor = started(tmp_path, model="tiny.onnx", decoder="yolov8", classes="names.txt")

    assert ("lorry",) == predictor.predict(frame(sample_pixels(32, 32))).class_name


@pytest.mark.parametrize("names", ["", "[", "['car', 'bus']", "{1: 'car', 2: 'bus'}"])
def test_metadata_of_another_form_is_no_list_of_names(write_network, tmp_path, names):
    write_network([yolo_answer()], names={"names": names})

    with pytest.raises(AlFrameworkError, match="scores 2 classes and does not name them: give"):
        make(tmp_path, model="tiny.onnx", decoder="yolov8").start()


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["car"], "scores 2 classes, but 'classes' names 1: give one name for each class"),
        ("three.txt", r"scores 2 classes, but the file '.*three.txt' names 3: give one name"),
        ("none.txt", r"the file of class names '.*none.txt' cannot be read: No such file"),
        ("tiny.onnx", r"the file of class names '.*tiny.onnx' is not text in UTF-8: write one"),
        (None, "scores 2 classes, but its metadata names 1: give one name for each class"),
    ],
)
def test_classes_that_do_not_fit_the_model(write_network, tmp_path, classes, message):
    write_network([yolo_answer([0, 0, 0, 0, 0.7, 0.9])], names={"names": "{0: 'car'}"})
    (tmp_path / "three.txt").write_text("a\nb\nc", encoding="utf-8")

    with pytest.raises(AlFrameworkError, match=message):
        make(tmp_path, model="tiny.onnx", decoder="yolov8", classes=classes).start()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello, I am text", "is not an ONNX model: it starts with b'hello, I'; export the model"),
        (b"", "is not an ONNX model: it starts with b''; export the model"),
        (b"PK\x03\x04rest", "is a zip archive, as PyTorch writes: export the model to ONNX"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer, not the model"),
        (b"\x08\x08", "cannot be loaded: "),
    ],
)
def test_a_file_that_is_no_model_is_named(tmp_path, content, message):
    (tmp_path / "model.onnx").write_bytes(content)

    with pytest.raises(AlFrameworkError, match=f"model.onnx' {re.escape(message)}"):
        make(tmp_path, model="model.onnx", decoder="nanodet").start()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "nanodet.onnx",
            r"there is no model file '.*nanodet.onnx': did you mean 'nanodet_416.onnx'",
        ),
        ("other", r"there is no model file '.*other': did you mean 'nanodet_416.onnx'"),
        ("no/where.onnx", r"there is no model file '.*where.onnx': check 'model'"),
        (".", r"the model file '.*' cannot be read: Is a directory"),
    ],
)
def test_a_model_that_is_missing_is_named_with_the_nearest(tmp_path, model, message):
    (tmp_path / "nanodet_416.onnx").touch()
    (tmp_path / "notes.txt").touch()

    with pytest.raises(AlFrameworkError, match=message):
        make(tmp_path, model=model, decoder="nanodet").start()


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ("nanodet", "does not fit: decoder 'nanodet' reads.*but the outputs are 1x6x21: choose"),
        ("yolov8", "does not fit: decoder 'yolov8' reads.*but the outputs are 1x5: choose"),
        (None, "does not fit: decoder 'nanodet' reads.*; decoder 'yolov8' reads.*are 1x5: choose"),
    ],
)
def test_a_decoder_that_does_not_fit_is_found_before_the_first_frame(
    write_network, tmp_path, decoder, message
):
    answer = yolo_answer() if decoder == "nanodet" else np.zeros((1, 5), dtype=np.float32)
    write_network([answer])

    with pytest.raises(AlFrameworkError, match=message):
        make(tmp_path, model="tiny.onnx", decoder=decoder).start()


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 3), {}, "does not take one picture of 1 x 3 x height x width as floats: its inputs"),
        ((1, 32, 32, 3), {}, r"its inputs are picture tensor\(float\) \[1, 32, 32, 3\]"),
        ((4, 3, 32, 32), {}, "does not take one picture"),
        ((1, 3, "h", "w"), {}, "leaves the size of its input open: give 'input_size'"),
        (
            (1, 3, 32, 48),
            {"input_size": [32, 32]},
            "takes pictures of 48x32 pixels, not of 32x32: remove 'input_size'",
        ),
    ],
)
def test_an_input_that_does_not_fit(write_network, tmp_path, shape, options, message):
    write_network([yolo_answer()], input_shape=shape)

    with pytest.raises(AlFrameworkError, match=message):
        make(tmp_path, model="tiny.onnx", decoder="yolov8", **options).start()


def test_without_onnxruntime_one_sentence_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(
        MissingExtraError, match=r"'onnxruntime' is not installed: run pip install 'al-framework\["
    ):
        make(tmp_path, model="x.onnx", decoder="nanodet").start()


def test_asking_before_the_start_says_so(tmp_path):
    predictor = make(tmp_path, model="x.onnx", decoder="nanodet")

    with pytest.raises(AlFrameworkError, match="predictor 'model' was asked before its start"):
        predictor.predict(frame(sample_pixels()))


def test_close_is_safe_without_start_and_twice(write_network, tmp_path):
    make(tmp_path, model="x.onnx", decoder="nanodet").close()
    write_network([yolo_answer()])
    predictor = started(tmp_path, model="tiny.onnx", decoder="yolov8", classes=["a", "b"])

    predictor.close()
    predictor.close()


def test_the_default_threads_are_at_most_four_where_cores_cannot_be_asked_for(monkeypatch):
    from al_framework_onnx import network

    monkeypatch.delattr(network.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(network.os, "cpu_count", lambda: 64)

    assert network.default_threads() == 4


def test_the_plugin_announces_the_predictor_and_nothing_heavy_is_imported():
    assert [OnnxPredictor] == al_framework_onnx.al_register_predictors()
    code = (
        "import sys, al_framework_onnx.predictor;"
        "print(sorted({'onnxruntime', 'PIL'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


def test_every_option_is_described_and_none_warns():
    assert all(field.description for field in OnnxPredictor.Options.model_fields.values())
