import math

import numpy as np
import pytest

from al_framework_onnx.decoding import OutputMismatchError
from al_framework_onnx.nanodet import NanoDet
from al_framework_onnx.yolov8 import YoloV8

NANODET_SHAPES = [(1, 16, 3), (1, 4, 44), (1, 4, 3), (1, 1, 3), (1, 16, 44), (1, 1, 44)]


def logit(p):
    return math.log(p / (1 - p))


def nanodet_outputs(*, empty=0.0):
    """Return answers for a 32x32 input: one object in the cell (2, 1) of stride 8."""
    outputs = [np.full(shape, empty, dtype=np.float32) for shape in NANODET_SHAPES]
    distribution = np.full((4, 11), -1000.0, dtype=np.float32)
    for side, distance in enumerate((1, 0, 0, 2)):
        distribution[side, distance] = 0.0
    outputs[4][0, 6] = distribution.ravel()
    return outputs


def test_nanodet_finds_its_outputs_by_shape_and_counts_the_classes():
    assert NanoDet((32, 32)).bind(NANODET_SHAPES) == 3


def test_nanodet_reads_the_expected_distance_from_the_cell_centre():
    decoder = NanoDet((32, 32))
    decoder.bind(NANODET_SHAPES)
    outputs = nanodet_outputs()
    outputs[0][0, 6, 1] = 0.75

    found = decoder.decode(outputs, (64, 96), 0.05)

    # Centre (20, 12); left 8, top 0, right 0, bottom 16; doubled and tripled to the picture.
    assert [[24.0, 36.0, 40.0, 84.0]] == found.xyxy.tolist()
    assert [0.75] == found.confidence.tolist()
    assert [1] == found.class_id.tolist()
    assert found.xyxy.dtype == found.confidence.dtype == np.float64
    assert found.class_id.dtype == np.int64


def test_nanodet_spreads_a_distance_over_neighbouring_bins():
    decoder = NanoDet((32, 32))
    decoder.bind(NANODET_SHAPES)
    outputs = nanodet_outputs()
    outputs[0][0, 6, 0] = 0.5
    outputs[4][0, 6, 0:2] = 0.0

    found = decoder.decode(outputs, (32, 32), 0.05)

    assert found.xyxy[0].tolist() == pytest.approx([16.0, 12.0, 20.0, 28.0])


def test_nanodet_takes_the_sigmoid_of_logits():
    decoder = NanoDet((32, 32))
    decoder.bind(NANODET_SHAPES)
    outputs = nanodet_outputs(empty=-1000.0)
    outputs[0][0, 6] = [logit(0.25), -1000.0, logit(0.625)]

    found = decoder.decode(outputs, (32, 32), 0.05)

    assert [0, 2] == found.class_id.tolist()
    assert found.confidence.tolist() == pytest.approx([0.25, 0.625])


def test_nanodet_reports_every_class_of_a_cell_from_the_threshold_on():
    decoder = NanoDet((32, 32))
    decoder.bind(NANODET_SHAPES)
    outputs = nanodet_outputs()
    outputs[3][0, 0] = [0.5, 0.25, 0.125]

    found = decoder.decode(outputs, (32, 32), 0.25)

    assert [0, 1] == found.class_id.tolist()


def test_nanodet_finds_nothing_in_nothing():
    decoder = NanoDet((32, 32))
    decoder.bind(NANODET_SHAPES)

    found = decoder.decode(nanodet_outputs(), (32, 32), 0.05)

    assert (0, 4) == found.xyxy.shape
    assert (0,) == found.confidence.shape == found.class_id.shape


def test_nanodet_wants_bgr_normalised_as_in_training():
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[:] = (104, 116, 124)

    tensor = NanoDet((32, 16)).prepare(pixels)

    assert (1, 3, 16, 32) == tensor.shape
    assert np.float32 == tensor.dtype
    assert tensor[0, :, 0, 0].tolist() == pytest.approx(
        [(104 - 103.53) / 57.375, (116 - 116.28) / 57.12, (124 - 123.675) / 58.395], abs=1e-5
    )


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 84, 21)],
        [(1, 16, 44), (1, 16, 44)],
        [(1, 16, 32), (1, 16, 44)],
        [(1, 16, 3), (1, 17, 44)],
        [(2, 16, 3), (2, 16, 44)],
        [*NANODET_SHAPES, (1, 9, 3)],
        [],
    ],
)
def test_outputs_that_are_not_nanodets_are_refused_and_shown(shapes):
    with pytest.raises(OutputMismatchError, match=r"decoder 'nanodet' reads.* the outputs are"):
        NanoDet((32, 32)).bind(shapes)


def yolo_output(rows, *, classes=2, cells=21):
    output = np.zeros((1, 4 + classes, cells), dtype=np.float32)
    for cell, row in rows.items():
        output[0, :, cell] = row
    return output


def test_yolov8_counts_its_classes():
    assert YoloV8((32, 32)).bind([(1, 6, 21)]) == 2
    assert YoloV8((640, 640)).bind([(1, 84, 8400)]) == 80


def test_yolov8_undoes_the_letterbox_of_a_wide_picture():
    output = yolo_output({3: [16, 16, 8, 4, 0.25, 0.75]})

    found = YoloV8((32, 32)).decode([output], (64, 32), 0.05)

    # Half the size, with 8 rows of grey above and below.
    assert [[24.0, 12.0, 40.0, 20.0]] == found.xyxy.tolist()
    assert [0.75] == found.confidence.tolist()
    assert [1] == found.class_id.tolist()
    assert found.xyxy.dtype == found.confidence.dtype == np.float64


def test_yolov8_undoes_the_letterbox_of_a_tall_picture():
    output = yolo_output({0: [16, 16, 8, 4, 0.5, 0.0], 20: [16, 16, 8, 4, 0.04, 0.0]})

    found = YoloV8((32, 32)).decode([output], (16, 32), 0.05)

    assert [[4.0, 14.0, 12.0, 18.0]] == found.xyxy.tolist()
    assert [0] == found.class_id.tolist()


def test_yolov8_fits_the_picture_in_rgb_and_pads_with_grey():
    pixels = np.zeros((16, 32, 3), dtype=np.uint8)
    pixels[:] = (0, 51, 255)

    tensor = YoloV8((32, 32)).prepare(pixels)

    assert (1, 3, 32, 32) == tensor.shape
    assert np.float32 == tensor.dtype
    assert tensor[0, :, 16, 16].tolist() == pytest.approx([1.0, 0.2, 0.0])
    padded = np.flatnonzero((tensor[0, 0] == np.float32(114) / np.float32(255)).all(axis=1))
    assert [*range(8), *range(24, 32)] == padded.tolist()


def test_yolov8_gives_the_odd_row_of_padding_to_the_bottom():
    tensor = YoloV8((32, 32)).prepare(np.full((31, 32, 3), 255, dtype=np.uint8))

    assert [31] == np.flatnonzero((tensor[0, 0] != 1).all(axis=1)).tolist()


@pytest.mark.parametrize(
    "shapes", [[(1, 21, 6)], [(1, 300, 6)], [(1, 4, 21)], [(1, 6, 21), (1, 32, 8, 8)], [(1, 6)], []]
)
def test_outputs_that_are_not_yolov8s_are_refused_and_shown(shapes):
    with pytest.raises(OutputMismatchError, match=r"decoder 'yolov8' reads one output of 1 x "):
        YoloV8((32, 32)).bind(shapes)
