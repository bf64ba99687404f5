"""Images and predictions of a step are paired by position into elements."""

import json
from pathlib import Path

import numpy as np
import pytest

from al_framework_roboflow.elements import RawElement, paired, read_element

BOX = json.loads(Path(__file__).with_name("box.json").read_text())


def array(width=100, height=50):
    return np.zeros((height, width, 3), dtype=np.uint8)


def test_an_element_carries_everything():
    pixels = array()
    raw = RawElement(
        image={
            "type": "numpy_object",
            "value": pixels,
            "parent_id": "image",
            "origin_coordinates": {"left_top_x": 4, "left_top_y": 2},
        },
        prediction=[BOX],
        prediction_type="object-detection",
    )

    element = read_element(raw)

    assert element.image is pixels
    assert element.prediction["predictions"] == [BOX]
    assert element.prediction_type == "object-detection"
    assert element.parent.left == 4
    assert element.attributes == {}


def test_one_image_is_one_element_even_with_a_list_of_entries():
    [element] = paired("a.png", [BOX, BOX], None)

    assert element.prediction == [BOX, BOX]
    assert paired("a.png", [BOX], ["ocr"])[0].prediction_type == "ocr"


def test_a_batch_pairs_by_position():
    elements = paired(["a", "b"], ([BOX], []), "object-detection")

    assert [(e.image, e.prediction, e.prediction_type) for e in elements] == [
        ("a", [BOX], "object-detection"),
        ("b", [], "object-detection"),
    ]
    assert [e.prediction_type for e in paired(["a", "b"], None, ["ocr", None])] == ["ocr", None]
    assert paired([], [], None) == []


@pytest.mark.parametrize(
    ("images", "predictions", "kind", "good", "message"),
    [
        (["a", "b"], [[]], None, 1, "there are 2 images, 1 predictions: this position"),
        (["a"], [[], [], []], None, 1, "there are 1 images, 3 predictions: this position"),
        (
            ["a", "b"],
            [[], []],
            ["ocr"],
            1,
            (
                "there are 2 images, 2 predictions and 1 prediction types: this position is not "
                "filled by all of them; pass as many of each"
            ),
        ),
    ],
)
def test_positions_that_are_not_filled_are_refused_and_the_others_kept(
    images, predictions, kind, good, message
):
    elements = paired(images, predictions, kind)

    assert [not e.problem for e in elements] == [i < good for i in range(len(elements))]
    assert len(elements) == max(len(images), len(predictions))
    assert message in elements[-1].problem


def test_one_prediction_for_a_batch_is_refused():
    elements = paired(["a", "b"], "cat", None)

    assert [e.problem for e in elements] == [
        (
            "'predictions' is one value of type 'str' for a batch of 2 images: pass a list with "
            "one for each"
        )
    ] * 2
