"""Accepted frames: what is compared is made, and compared with what it should be."""

import numpy as np
import pytest

from benchmarks import accepted_frame, frames
from benchmarks.accepted_frame import FULL_HD, SMALL, TAKES_ALL, Setting
from benchmarks.collecting import collector

SIZE = (96, 72)
DOCUMENT = frames.document(TAKES_ALL, max_image_size=(36, 48), jpeg_compression_level=95)
ANSWER = frames.response(SIZE)


def test_every_kind_of_frame_is_measured_and_every_target_is_of_4k():
    asked = list(accepted_frame.settings())

    assert len({(one.group, one.name) for one in asked}) == len(asked)
    assert {(one.jpeg, one.limit) for one in asked if one.targets} == {
        (True, None),
        (True, FULL_HD),
        (False, FULL_HD),
    }
    assert {one.size for one in asked if one.targets} == {"4K"}
    assert {None, FULL_HD, SMALL} == {one.limit for one in asked}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("jpeg", [False, True])
def test_both_ways_take_what_is_submitted(jpeg, fast):
    picture = frames.photograph(SIZE) if jpeg else frames.pixels(SIZE)

    cost = accepted_frame._dry(DOCUMENT, picture, ANSWER, fast=fast)(2)
    with collector(DOCUMENT) as opened:
        accepted_frame._through_the_spool(opened, picture, ANSWER, fast=fast)(6)
        [sink] = opened.stats().sinks.values()

    assert cost.cpu_s > 0
    assert 6 == sink.delivered


@pytest.mark.parametrize("fast", [False, True])
def test_the_floor_makes_a_picture_of_the_same_size(fast):
    setting = Setting(size="4K", limit=FULL_HD, jpeg=False, fast=fast)

    with accepted_frame.codec(fast=fast):
        ours = accepted_frame._stored(frames.pixels(SIZE), ANSWER, DOCUMENT)
    bare = accepted_frame.floor(setting, frames.pixels(SIZE), (48, 36))()

    assert isinstance(bare, bytes)
    assert (48, 36) == accepted_frame._size(ours) == accepted_frame._size(bare)
    assert "48x36, " in accepted_frame._described(ours, SIZE)


def test_what_was_not_changed_is_called_the_same():
    said = accepted_frame._described(frames.photograph(SIZE), SIZE)

    assert said.endswith(" bytes, the same pixels")


def test_the_reference_averages_areas_by_their_share():
    pixels = np.array([[[0], [60], [120]]], np.uint8)

    assert [[[20.0], [100.0]]] == accepted_frame.area_average(pixels, (2, 1)).tolist()
    assert [[[60.0]]] == accepted_frame.area_average(pixels, (1, 1)).tolist()


def test_noise_of_one_step_has_48_decibels():
    pixels = np.full((4, 4, 3), 100, np.uint8)

    assert 48.13 == pytest.approx(accepted_frame.psnr(pixels, pixels + 1.0), abs=0.01)
