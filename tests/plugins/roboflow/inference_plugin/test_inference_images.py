from types import SimpleNamespace

import numpy as np
import pytest

from al_framework_roboflow.inference_plugin.images import element_of, place_in_root, size_of


def metadata(name, left=0, top=0, width=40, height=30):
    return SimpleNamespace(
        parent_id=name,
        origin_coordinates=SimpleNamespace(
            left_top_x=left, left_top_y=top, origin_width=width, origin_height=height
        ),
    )


def image(parent, root=None, size=(30, 40)):
    return SimpleNamespace(
        numpy_image=np.zeros((*size, 3), np.uint8),
        parent_metadata=parent,
        workflow_root_ancestor_metadata=root or parent,
    )


def test_a_whole_picture_names_its_input_alone():
    whole = image(metadata("image"))
    element = element_of(whole)

    assert element == {"type": "numpy_object", "value": element["value"], "parent_id": "image"}
    assert element["value"] is whole.numpy_image
    assert size_of(whole) == (40, 30)
    assert place_in_root(whole) == (0, 0)


def test_a_crop_around_a_detection_is_called_after_it():
    crop = image(metadata("3f0c", 4, 5), metadata("image", 14, 15, 90, 80), size=(6, 8))

    assert element_of(crop)["parent_id"] == "3f0c"
    assert element_of(crop)["origin_coordinates"] == {
        "left_top_x": 4,
        "left_top_y": 5,
        "width": 8,
        "height": 6,
        "origin_image_size": {"height": 30, "width": 40},
    }
    assert place_in_root(crop) == (14, 15)


@pytest.mark.parametrize("name", ["absolute_static_crop.1b", "image_slicer.7d"])
def test_another_crop_is_called_after_the_input_and_states_no_size(name):
    element = element_of(image(metadata(name, 4, 5), metadata("image", 4, 5)))

    assert element["parent_id"] == "image"
    assert "width" not in element["origin_coordinates"]
