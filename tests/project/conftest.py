"""Collectors, pictures and predictions of the tests that count what frames cost."""

import functools
import io
import threading

import numpy as np
import PIL.Image
import pytest

from al_framework import Collector
from al_framework.api import Detections
from al_framework.pipeline import engine as engine_module

LONG_S = 60.0
NOBODY_WANTS_SURE_CARS = [
    {"type": "close_to_threshold", "threshold": 0.4, "epsilon": 0.1, "probability": 1.0},
    {"type": "random", "traffic_percentage": 0.0},
    {"type": "detections_number_based", "more_than": 5000, "probability": 1.0},
    {"type": "classes_based", "selected_class_names": ["cat"], "probability": 1.0},
]
ALL = {"type": "random", "traffic_percentage": 1.0}
STRATEGIES = {
    "not_selected": NOBODY_WANTS_SURE_CARS,
    "limited": [{**ALL, "limits": [{"type": "daily", "value": 1}]}],
    "queued": [ALL],
}


@pytest.fixture
def collecting(tmp_path):
    """Open a collector whose frames end so, with other things in its configuration."""
    opened = []

    def open_one(status, *, max_image_size=None, max_batch_images=None, **others):
        strategies = [{**one, "name": f"s{n}"} for n, one in enumerate(STRATEGIES[status])]
        configuration = {
            "name": "guard",
            "adapter": {"type": "roboflow_response"},
            "active_learning": {
                "enabled": True,
                "persist_predictions": True,
                "sampling_strategies": strategies,
                "max_image_size": max_image_size,
                "batching_strategy": {
                    "batches_name_prefix": "b",
                    "recreation_interval": "never",
                    "max_batch_images": max_batch_images,
                },
            },
            "sinks": [{"type": "null"}],
            "spool": {"path": str(tmp_path / "spool"), "min_free_bytes": 0},
            **others,
        }
        collector = Collector.from_config(configuration)
        opened.append(collector)
        if status == "limited":
            assert collector.submit(np.zeros((48, 64, 3), np.uint8)).status == "queued"
            assert collector.flush(LONG_S)
        return collector

    yield open_one
    for collector in opened:
        collector.close(LONG_S)


@pytest.fixture
def held(collecting, monkeypatch):
    """Let what is taken wait in front of the encoder from now on; set, it goes on."""
    del collecting  # is closed after this, when the gate is open
    gate = threading.Event()
    gate.set()
    prepare = engine_module.Engine.prepare
    monkeypatch.setattr(
        engine_module.Engine,
        "prepare",
        lambda self, pending: gate.wait(LONG_S) and prepare(self, pending),
    )
    yield gate
    gate.set()


@pytest.fixture(scope="session")
def picture(tmp_path_factory):
    """Make a picture of a size: an array, a PIL image, a file by its path, or what a file holds."""

    @functools.cache
    def make(kind, size):
        width, height = size
        plain = PIL.Image.new("RGB", size, (10, 120, 60))
        if kind == "pil":
            return plain
        if kind == "array":
            return np.full((height, width, 3), 7, dtype=np.uint8)
        if kind == "path":
            path = tmp_path_factory.mktemp("pictures") / "one.jpg"
            plain.save(path)
            return path
        buffer = io.BytesIO()
        plain.save(buffer, kind)
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def prediction():
    """Make sure detections, in our types or as a model server answers them."""

    def make(form, size, rows):
        return {"typed": typed, "document": document}[form](size, rows)

    return make


def typed(size, rows):
    return Detections(
        xyxy=np.tile([1.0, 2.0, 30.0, 40.0], (rows, 1)),
        confidence=np.full(rows, 0.9),
        class_name=("car",) * rows,
        image_size=size,
        prediction_type="object-detection",
    )


def document(size, rows):
    one = {"x": 15.5, "y": 21.0, "width": 29.0, "height": 38.0, "confidence": 0.9, "class": "car"}
    return {
        "image": {"width": size[0], "height": size[1]},
        "predictions": [{**one, "class_id": 2, "detection_id": str(n)} for n in range(rows)],
    }
