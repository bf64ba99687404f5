"""Accepted frames: what is compared is made, and compared with what it should be."""

import json

import numpy as np
import pytest

from benchmarks import accepted_frame, dry_run, frames, stored
from benchmarks.accepted_frame import FULL_HD, SMALL, TAKES_ALL, Setting
from benchmarks.collecting import collector
from benchmarks.dry_run import DryRun
from benchmarks.stored import Stored

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

    cost = DryRun(DOCUMENT, picture, ANSWER, fast=fast)(2)
    with collector(DOCUMENT) as opened:
        accepted_frame._through_the_spool(opened, picture, ANSWER, fast=fast)(6)
        [sink] = opened.stats().sinks.values()

    assert cost.cpu_s > 0
    assert 6 == sink.delivered


@pytest.mark.parametrize("fast", [False, True])
def test_the_floor_makes_a_picture_of_the_same_size(fast):
    setting = Setting(size="4K", limit=FULL_HD, jpeg=False, fast=fast)

    ours = Stored.of(DryRun(DOCUMENT, frames.pixels(SIZE), ANSWER, fast=fast).image(), SIZE)
    bare = accepted_frame.floor(setting, frames.pixels(SIZE), (48, 36))()

    assert isinstance(bare, bytes)
    assert (48, 36) == ours.size == Stored.of(bare, SIZE).size
    assert "48x36, " in str(ours)


def test_what_was_not_changed_is_called_the_same():
    said = str(Stored.of(frames.photograph(SIZE), SIZE))

    assert said.endswith(" bytes, the same pixels")


def test_a_picture_is_at_most_as_good_as_what_it_should_be_is_as_a_jpeg():
    ours = Stored.of(DryRun(DOCUMENT, frames.pixels(SIZE), ANSWER, fast=False).image(), SIZE)

    assert ours.psnr_db == pytest.approx(stored.ceiling_db(SIZE, (48, 36)), abs=1)


def test_requests_are_made_and_not_sent(monkeypatch):
    sent = []

    def note(client, method, url, *, body, **others):
        whole = b"".join(body) if isinstance(body, tuple) else body
        sent.append((method, url.partition("?")[0].rpartition("dataset/")[2], whole))
        return answered(client, method, url)

    answered = dry_run._answered
    monkeypatch.setattr(dry_run, "_answered", note)
    dry = DryRun(DOCUMENT, frames.photograph(SIZE), ANSWER, fast=False)
    dry(1)

    (upload, annotate) = sent
    assert ("POST", "benchmark/upload") == upload[:2]
    assert ("POST", "benchmark/annotate/benchmark") == annotate[:2]
    assert dry.image() in upload[2]
    assert {"predictions", "image"} <= json.loads(annotate[2]).keys()


def test_the_reference_averages_areas_by_their_share():
    pixels = np.array([[[0], [60], [120]]], np.uint8)

    assert [[[20.0], [100.0]]] == stored.area_average(pixels, (2, 1)).tolist()
    assert [[[60.0]]] == stored.area_average(pixels, (1, 1)).tolist()


def test_noise_of_one_step_has_48_decibels():
    pixels = np.full((4, 4, 3), 100, np.uint8)

    assert 48.13 == pytest.approx(stored.psnr(pixels, pixels + 1.0), abs=0.01)
