"""Painted rectangles: wherever the stored picture shows one, its annotation says so."""

import copy
import io
import json
import threading

import numpy as np
import pytest
from PIL import Image, ImageDraw

from al_framework import Collector
from al_framework.api import RleMask
from al_framework_roboflow.masks import compress_counts
from al_framework_roboflow.rle import read_mask
from al_framework_roboflow.server.running import running_server
from al_framework_roboflow.server.state import Project, State, Workspace

COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
KEY = "keyaaaa"
# How a picture has to lie in the file for its EXIF orientation to set it upright.
LAID = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
HANG_S = 30.0


def rectangles(width, height):
    """Three, one of them in the corner: left, top, right, bottom."""
    shares = ((0.1, 0.2, 0.3, 0.6), (0.5, 0.1, 0.95, 0.3), (0.6, 0.7, 1.0, 1.0))
    sides = np.array((width, height, width, height))
    return [tuple(np.rint(sides * one).astype(int).tolist()) for one in shares]


def painted(width, height):
    picture = Image.new("RGB", (width, height))
    for (left, top, right, bottom), color in zip(rectangles(width, height), COLORS, strict=True):
        ImageDraw.Draw(picture).rectangle((left, top, right - 1, bottom - 1), fill=color)
    return picture


def described(width, height, *, as_text):
    entries = []
    for left, top, right, bottom in rectangles(width, height):
        mask = np.zeros((height, width), np.bool_)
        mask[top:bottom, left:right] = True
        runs = RleMask.from_array(mask).counts
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        middle = {"x": (left + right) / 2, "y": (top + bottom) / 2}
        entries.append(
            {
                **middle,
                "width": float(right - left),
                "height": float(bottom - top),
                "confidence": 0.5,
                "class": "a",
                "points": [{"x": float(x), "y": float(y)} for x, y in corners],
                "keypoints": [{**middle, "confidence": 0.4, "class_id": 0, "class": "m"}],
                "rle": {
                    "size": [height, width],
                    "counts": compress_counts(runs) if as_text else list(runs),
                },
            }
        )
    return {"image": {"width": width, "height": height}, "predictions": entries}


def encoded(picture, kind, **options):
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return data.getvalue()


def turned(orientation):
    def form(picture):
        laid = LAID[orientation]
        exif = Image.Exif()
        exif[0x0112] = orientation
        lying = picture if laid is None else picture.transpose(laid)
        return encoded(lying, "JPEG", quality=95, exif=exif)

    return form


def bgr(picture):
    return np.asarray(picture)[:, :, ::-1].copy()


def delivered(image, document, size, directory):
    """Return the stored picture and the annotation that went with it."""
    state = State(workspaces=[Workspace("ws", [Project("p")])], api_keys={KEY: "ws"})
    rules = {
        "enabled": True,
        "persist_predictions": True,
        "max_image_size": size,
        "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1.0}],
        "batching_strategy": {"batches_name_prefix": "b", "recreation_interval": "never"},
    }
    with running_server(state) as server:
        configuration = {
            "name": "drawing",
            "adapter": {"type": "roboflow_response"},
            "spool": {"path": str(directory / "spool")},
            "sinks": [{"type": "roboflow", "project": "p", "api_key": KEY, "api_url": server.url}],
            "active_learning": rules,
        }
        with Collector.from_config(configuration) as collector:
            collector.submit(image, document, prediction_type="instance-segmentation")
            pause = threading.Event()
            for _ in range(int(HANG_S / 0.01)):
                if collector.stats().sinks["roboflow"].delivered:
                    break
                pause.wait(0.01)
        [stored] = state.workspaces[0].projects[0].images.values()
        picture = Image.open(io.BytesIO(server.image(stored.id)))
        return picture, json.loads(stored.annotations[0].body)


@pytest.mark.parametrize(
    ("width", "height", "size", "form"),
    [
        (4000, 3000, [1200, 1200], bgr),
        (1023, 767, [201, 333], lambda picture: picture),
        (1023, 767, [201, 333], lambda picture: encoded(picture, "PNG")),
        (301, 200, None, bgr),
        (301, 200, None, turned(6)),
        *((603, 401, [150, 150], turned(orientation)) for orientation in LAID),
    ],
)
def test_every_coordinate_lies_on_what_was_painted(tmp_path, width, height, size, form):
    document = described(width, height, as_text=width % 2 == 0)
    before = copy.deepcopy(document)

    picture, sent = delivered(form(painted(width, height)), document, size, tmp_path)

    assert document == before
    assert sent["image"] == {"width": picture.width, "height": picture.height}
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    for entry, color in zip(sent["predictions"], COLORS, strict=True):
        shown = np.abs(pixels - color).sum(axis=2) < 200
        rows, columns = np.nonzero(shown)
        edges = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        x, y, half = entry["x"], entry["y"], (entry["width"] / 2, entry["height"] / 2)
        box = np.array([x - half[0], y - half[1], x + half[0], y + half[1]])
        points = np.array([(point["x"], point["y"]) for point in entry["points"]])
        ring = np.concatenate((points.min(axis=0), points.max(axis=0)))
        mask = read_mask(entry["rle"]).to_array()
        # One pixel each way: JPEG blurs edges, which need not fall between two pixels.
        assert np.abs(box - edges).max() < 1.5
        assert np.abs(ring - edges).max() < 1.5
        assert (mask & shown).sum() / (mask | shown).sum() > 0.85
        assert shown[int(entry["keypoints"][0]["y"]), int(entry["keypoints"][0]["x"])]


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(4000, 5, (100, 1)), (5, 4000, (1, 100)), (1, 1, (1, 1))]
)
def test_a_picture_of_one_pixel_a_side_arrives_with_its_box(tmp_path, width, height, expected):
    box = {"x": width / 2, "y": height / 2, "width": float(width), "height": float(height)}
    document = {
        "image": {"width": width, "height": height},
        "predictions": [{**box, "confidence": 0.5, "class": "a"}],
    }

    picture, sent = delivered(
        np.zeros((height, width, 3), np.uint8), document, [100, 100], tmp_path
    )

    assert picture.size == expected
    [entry] = sent["predictions"]
    assert (entry["width"], entry["height"]) == pytest.approx(expected)
    assert (entry["x"], entry["y"]) == pytest.approx((expected[0] / 2, expected[1] / 2))


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("size", [None, [100, 100]])
def test_a_prediction_of_a_smaller_copy_is_carried_to_the_stored_picture(tmp_path, size, wrapped):
    stated = {"width": 64, "height": 48}
    entry = {"x": 32.0, "y": 24.0, "width": 64.0, "height": 48.0, "confidence": 0.5, "class": "a"}
    document = {"image": [stated] if wrapped else stated, "predictions": [entry]}

    picture, sent = delivered(np.zeros((480, 640, 3), np.uint8), document, size, tmp_path)

    assert sent["image"] == {"width": picture.width, "height": picture.height}
    [moved] = sent["predictions"]
    assert (moved["width"], moved["height"]) == (picture.width, picture.height)
    assert (moved["x"], moved["y"]) == (picture.width / 2, picture.height / 2)
