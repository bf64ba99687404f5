"""What steps of two generations really answered (shared/wire/old*.json), read by our adapters."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from al_framework.api import Classification, Detections, Frame, Image, Options
from al_framework.testing import make_context, sample_pixels
from al_framework_roboflow.crops import RoboflowCrops
from al_framework_roboflow.response import RoboflowResponse

WIRE = Path(__file__).resolve().parents[2].parent / "shared" / "wire"
FILES = sorted(WIRE.glob("old[12]_*.json"))
FRAME = Frame(frame_id="f", image=Image(sample_pixels(200, 100)))

pytestmark = pytest.mark.skipif(not FILES, reason="the recordings are not part of this checkout")


def steps():
    """Yield the file and what one step of it answered for all images."""
    for path in FILES:
        outcome = json.loads(path.read_text(encoding="utf-8"))["outcome"]
        returned = outcome.get("returned")
        outputs = returned.get("step_outputs", {}) if isinstance(returned, dict) else {}
        for output in outputs.values():
            yield path.stem, output


def per_image():
    """Yield the document of every image of every model and transformation."""
    for name, output in steps():
        if isinstance(output, list):
            yield from ((name, one) for one in output)
        elif isinstance(output.get("prediction_type"), list):
            for index in range(len(output["prediction_type"])):
                yield name, {key: column[index] for key, column in output.items()}


def test_every_recorded_prediction_is_read(tmp_path):
    adapter = RoboflowResponse(Options(), make_context(tmp_path))
    seen = Counter()
    for name, document in per_image():
        assert adapter.accepts(document), name
        found = adapter.adapt(document, frame=FRAME, prediction_type=None)
        seen[name[:4], type(found).__name__, found.prediction_type] += 1
        if isinstance(found, Detections):
            assert len(document["predictions"]) == len(found)
            assert [entry["class"] for entry in document["predictions"]] == list(found.class_name)
        else:
            assert isinstance(found, Classification)
            assert document.get("top") == found.top

    assert {(name, kind, task) for name, kind, task in seen} >= {
        (generation, kind, task)
        for generation in ("old1", "old2")
        for kind, task in (
            ("Detections", "object-detection"),
            ("Detections", "keypoint-detection"),
            ("Detections", "instance-segmentation"),
            ("Classification", "classification"),
        )
    }


def test_the_columns_of_one_image_are_read_whole(tmp_path):
    adapter = RoboflowResponse(Options(), make_context(tmp_path))
    read = 0
    for _, output in steps():
        kinds = output.get("prediction_type") if isinstance(output, dict) else None
        if isinstance(kinds, list) and len(kinds) == 1:
            found = adapter.adapt(output, frame=FRAME, prediction_type=None)
            assert kinds == [found.prediction_type]
            read += 1

    assert read > 10


def test_every_recorded_crop_lies_where_it_was_cut(tmp_path):
    adapter = RoboflowCrops(Options(), make_context(tmp_path))
    seen = Counter()
    for name, output in steps():
        crops = output.get("crops") if isinstance(output, dict) else None
        for crop in crops or []:
            height, width = map(int, re.findall(r"\d+", crop["value"])[:2])
            given = {**crop, "value": np.zeros((height, width, 3), np.uint8)}
            [(frame, _)] = adapter.split({"crops": [given]}, frame=FRAME)
            place, origin = frame.parent, crop["origin_coordinates"]
            seen[name[:4], place.detection_id is not None] += 1

            assert (place.width, place.height) == (width, height)
            assert 0 <= place.left <= 200 - width
            assert 0 <= place.top <= 100 - height
            if "left_top_x" in origin:
                assert (origin["left_top_x"], origin["left_top_y"]) == (place.left, place.top)
            else:
                assert abs(place.left + width / 2 - origin["center_x"]) <= 1
                assert abs(place.top + height / 2 - origin["center_y"]) <= 1
            assert frame.attributes["origin_image_size"] == "200x100"

    assert {("old1", True), ("old1", False), ("old2", True), ("old2", False)} == set(seen)
