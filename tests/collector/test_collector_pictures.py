"""Every kind of picture arrives as it was when it was handed over, or is refused."""

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from al_framework.api import (
    Image,
)
from al_framework.testing import sample_jpeg, sample_pixels

LONG_S = 60.0
GATED = {"name": "gated", "type": "gated"}


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (None, "an image of type 'NoneType' cannot be read"),
        (object(), "an image of type 'object' cannot be read"),
        (np.zeros((4, 4), dtype=np.float32), "float32"),
        (np.zeros((2, 2, 2, 2), dtype=np.uint8), "(2, 2, 2, 2)"),
        ("iVBORw0KGgo" * 1000, "a text of 11000 characters, 'iVBORw0KGgoiVBORw0KG'…, is no path"),
        ("https://a.b/c.jpg", "'https://a.b/c.jpg' is an address: fetch it and pass the bytes"),
    ],
)
def test_what_is_no_image_is_invalid_at_once(collect, image, reason):
    collector = collect()
    ticket = collector.submit(image)

    assert ticket.status == "invalid"
    assert reason in ticket.reason
    assert collector.stats().dropped == {"invalid_image": 1}


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "it holds no bytes"),
        (b"text", "is not a picture that can be read"),
        ("nowhere.jpg", "nowhere.jpg"),
    ],
)
def test_bytes_that_are_no_picture_are_invalid_to_who_waits(collect, image, reason):
    collector = collect()
    ticket = collector.submit(image, wait_accepted_s=LONG_S)

    assert ticket.status == "invalid"
    assert reason in ticket.reason
    assert collector.stats().dropped == {"invalid_image": 1}


def rgb(path):
    with PIL.Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "path", "str", "pil", "bgr", "rgb"])
def test_every_kind_of_image_arrives_with_its_colours(collect, tmp_path, kind, manifest, settle):
    pixels = np.zeros((48, 64, 3), dtype=np.uint8)
    pixels[:, :, 2] = 250  # red, as OpenCV has it
    red = PIL.Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1]))
    buffer = io.BytesIO()
    red.save(buffer, "JPEG", quality=95)
    file = tmp_path / "red.jpg"
    file.write_bytes(buffer.getvalue())
    images: dict[str, Any] = {
        "bytes": buffer.getvalue(),
        "bytearray": bytearray(buffer.getvalue()),
        "path": file,
        "str": str(file),
        "pil": red,
        "bgr": pixels,
        "rgb": pixels[:, :, ::-1],
    }
    collector = collect()
    color = "rgb" if kind == "rgb" else "bgr"
    ticket = collector.submit(images[kind], color=color, wait_accepted_s=LONG_S)
    settle(collector)
    stored = rgb(Path("collected") / manifest()[0]["file"])

    assert ticket.status == "accepted"
    assert stored.shape == (48, 64, 3)
    assert np.abs(stored - [250, 0, 0]).max() < 8


def test_what_the_caller_changes_after_the_call_changes_nothing(
    collect, plugin, manifest, settle, make_box
):
    plugin.gate.clear()
    collector = collect(GATED)
    pixels = sample_pixels()
    buffer = bytearray(sample_jpeg(seed=5))
    held = make_box(0.25)
    answer = {
        "image": {"width": 64, "height": 48},
        "predictions": [
            {"x": 20, "y": 20, "width": 10, "height": 10, "confidence": 0.5, "class": "cat"}
        ],
    }
    attributes = {"camera": "north"}
    original = pixels.copy()
    collector.submit(pixels, held, frame_id="array", attributes=attributes)
    collector.submit(buffer, answer, frame_id="bytes")
    pixels[:] = 0
    buffer[:] = b"x" * len(buffer)
    held.xyxy[:] = 7.0
    held.confidence[:] = 0.75
    answer["predictions"][0]["class"] = "dog"
    answer["predictions"].clear()
    attributes["camera"] = "south"
    plugin.gate.set()
    settle(collector)
    lines = {line["frame_id"]: line for line in manifest()}

    array = lines["array"]
    assert array["prediction"]["confidence"] == [0.25]
    assert array["prediction"]["xyxy"] == [[1.0, 2.0, 30.0, 40.0]]
    assert array["attributes"] == {"camera": "north"}
    stored = rgb(Path("collected") / array["file"])
    assert np.abs(stored - original[:, :, ::-1]).mean() < 4
    assert lines["bytes"]["prediction"]["class_name"] == ["cat"]
    assert lines["bytes"]["prediction"]["document"]["predictions"][0]["class"] == "cat"
    assert (Path("collected") / lines["bytes"]["file"]).read_bytes()[:2] == b"\xff\xd8"


def test_an_array_that_is_ours_is_not_copied(collect, plugin, manifest, settle):
    plugin.gate.clear()
    collector = collect(GATED)
    pixels = sample_pixels()
    collector.submit(pixels, owned=True, frame_id="ours")
    pixels[:] = 0
    plugin.gate.set()
    settle(collector)

    assert rgb(Path("collected") / manifest()[0]["file"]).max() < 8


def test_a_picture_that_does_not_load_is_invalid(collect):
    broken = PIL.Image.open(io.BytesIO(sample_jpeg()[:-400]))
    ticket = collect().submit(broken, wait_accepted_s=LONG_S)

    assert ticket.status == "invalid"


def test_an_image_given_as_a_path_is_read_by_the_other_thread(collect, tmp_path, monkeypatch):
    file = tmp_path / "one.jpg"
    file.write_bytes(sample_jpeg())
    readers = []
    real = Image.encoded.fget
    assert real is not None

    def noting(self):
        readers.append(threading.current_thread().name)
        return real(self)

    monkeypatch.setattr(Image, "encoded", property(noting))
    collector = collect()
    collector.submit(file, wait_accepted_s=LONG_S)

    assert set(readers) == {"al-spool"}
