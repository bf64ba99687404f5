"""What is drawn into the thumbnails of the page, and labels that can be read."""

import re

import numpy as np
import pytest

from al_framework.api import Keypoints, RleMask
from al_framework_local.page.labels import Label, placed
from al_framework_local.page.palette import Palette


def test_polygons_masks_and_keypoints_are_drawn(page, boxes):
    mask = np.zeros((48, 64), dtype=bool)
    mask[10:20, 10:30] = True
    ring = np.array([[0.0, 0.0], [64.0, 0.0], [64.0, 48.0]])
    text = page(
        boxes((0, 0, 64, 48, 0.4, "kite"), polygons=((ring, np.zeros((0, 2))),)),
        boxes((10, 10, 30, 20, 0.4, "blob"), masks=(RleMask.from_array(mask),)),
        boxes((0, 0, 9, 9, 0.4, "cat"), keypoints=(Keypoints(xy=np.array([[32.0, 24.0]])),)),
    )

    assert '<path d="M0.0 0.0 360.0 0.0 360.0 270.0Z" fill-rule="evenodd"/>' in text
    assert 'd="M56.2 56.2 168.8 56.2 168.8 112.5 56.2 112.5Z"' in text
    assert '<circle cx="180.0" cy="135.0" r="3"/>' in text


def test_a_picture_of_another_shape_is_centred(page, boxes):
    text = page(boxes((0, 0, 48, 96, 0.4, "cat")), image_size=(48, 96))

    assert '<image x="112.5" y="0.0" width="135.0" height="270.0"' in text
    assert 'd="M112.5 0.0H247.5V270.0H112.5Z"' in text


def test_labels_never_overlap_and_stay_in_the_frame():
    rng = np.random.default_rng(2)
    labels = [
        Label(name="dog", score=0.5, box=(x, y, x + 40, y + 40))
        for x, y in rng.uniform(-20, 340, (60, 2))
    ]
    rectangles = [
        tuple(float(v) for v in re.findall(r'(?:x|y|width|height)="([-\d.]+)"', text)[:4])
        for text in placed(labels, Palette({}), width=360, height=270)
    ]

    assert len(rectangles) == 12
    for i, (x, y, width, height) in enumerate(rectangles):
        assert x >= 0
        assert y >= 0
        assert x + width <= 360.1
        assert y + height <= 270.1
        for x2, y2, width2, height2 in rectangles[:i]:
            apart = (
                x + width <= x2 + 0.11
                or x2 + width2 <= x + 0.11
                or y + height <= y2 + 0.11
                or y2 + height2 <= y + 0.11
            )
            assert apart


def test_classes_beyond_the_colours_differ_by_their_lines():
    palette = Palette({f"c{i:02}": 1 for i in range(21)})
    looks = {(palette.color(f"c{i:02}"), palette.dash(f"c{i:02}")) for i in range(21)}

    assert len(looks) == 21
    assert palette.color("never seen") == palette.color("c00")


def contrast(one: str, other: str) -> float:
    def luminance(color: str) -> float:
        digits = color[1:] if len(color) == 7 else "".join(c * 2 for c in color[1:])
        linear = [
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
            for c in (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("place", range(7))
def test_labels_are_readable_on_every_colour(place):
    palette = Palette({f"c{i}": 1 for i in range(7)})

    assert contrast(palette.color(f"c{place}"), palette.ink(f"c{place}")) >= 4.5
