"""What must not creep in again, counted: no test here looks at a clock.

`python -m benchmarks` tells what frames cost; this is what keeps it so, in every run of the tests.
What it counts cannot differ from run to run: calls of the interpreter, bytes that are asked for,
pictures that are decoded and encoded, requests, connections. Two more of the kind need tools of
their own: system calls and locks in tests/delivery/test_hot_path.py, round trips per credit in
tests/pipeline/limits/test_redis_ledger.py.
"""

import functools
import io
import sys
import threading
import tracemalloc

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest

from al_framework import Collector
from al_framework.api import Detections
from al_framework.api.image import Image
from al_framework.pipeline import engine as engine_module
from al_framework_roboflow.server import Project, State, Workspace, running_server

VGA, UHD = (640, 480), (3840, 2160)
PICTURES = ["jpeg", "array", "pil"]
WARM_UP = 5  # the first calls import, and fill what later ones find filled
LONG_S = 60.0
FEW_BYTES = 64 * 1024  # what a frame may ask for that is not taken; one of 4K has 25 MB of pixels
STRATEGIES = [
    {"type": "close_to_threshold", "threshold": 0.4, "epsilon": 0.1, "probability": 1.0},
    {"type": "random", "traffic_percentage": 0.0},
    {"type": "detections_number_based", "more_than": 5000, "probability": 1.0},
    {"type": "classes_based", "selected_class_names": ["cat"], "probability": 1.0},
]
ALL = {"type": "random", "traffic_percentage": 1.0}


@pytest.fixture
def collecting(tmp_path):
    """Open a collector with these strategies, and other things in its configuration."""
    opened = []

    def open_one(strategies=STRATEGIES, *, batching=None, **others):
        named = [{"name": f"s{n}", **strategy} for n, strategy in enumerate(strategies)]
        configuration = {
            "name": "guard",
            "adapter": {"type": "roboflow_response"},
            "active_learning": {
                "enabled": True,
                "persist_predictions": True,
                "sampling_strategies": named,
                "batching_strategy": {
                    "batches_name_prefix": "b",
                    "recreation_interval": "never",
                    **(batching or {}),
                },
            },
            "sinks": [{"type": "null"}],
            "spool": {"path": str(tmp_path / "spool"), "min_free_bytes": 0},
            **others,
        }
        opened.append(Collector.from_config(configuration))
        return opened[-1]

    yield open_one
    for collector in opened:
        collector.close(LONG_S)


@pytest.fixture
def held(collecting, monkeypatch):
    """Let what was taken wait in front of the encoder until the end."""
    del collecting  # is closed after this, when the gate is open
    gate = threading.Event()
    prepare = engine_module.Engine.prepare
    monkeypatch.setattr(
        engine_module.Engine,
        "prepare",
        lambda self, pending: gate.wait(LONG_S) and prepare(self, pending),
    )
    yield
    gate.set()


@pytest.fixture
def pixel_work(monkeypatch):
    """Count what is done to pixels, at our own seams and in Pillow."""
    counts = {"made": 0, "decoded": 0, "encoded": 0, "saved": 0}

    def count(owner, name, key, when=lambda *_: True):
        plain = getattr(owner, name)

        @functools.wraps(plain)
        def counted(*args, **kwargs):
            counts[key] += when(*args)
            return plain(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    count(Image, "_make_pixels", "made")
    count(PIL.ImageFile.ImageFile, "load", "decoded", lambda picture: bool(picture.tile))
    count(engine_module, "encode_frame", "encoded")
    count(PIL.Image.Image, "save", "saved")
    return counts


@functools.cache
def picture(kind, size):
    width, height = size
    plain = PIL.Image.new("RGB", size, (10, 120, 60))
    if kind == "pil":
        return plain
    if kind == "array":
        return np.full((height, width, 3), 7, dtype=np.uint8)
    buffer = io.BytesIO()
    plain.save(buffer, "JPEG")
    return buffer.getvalue()


def typed(size, rows):
    """Return sure detections, as a program has them that speaks our types."""
    return Detections(
        xyxy=np.tile([1.0, 2.0, 30.0, 40.0], (rows, 1)),
        confidence=np.full(rows, 0.9),
        class_name=("car",) * rows,
        image_size=size,
        prediction_type="object-detection",
    )


def document(size, rows):
    """Return the same as a model server answers it."""
    one = {"x": 15.5, "y": 21.0, "width": 29.0, "height": 38.0, "confidence": 0.9, "class": "car"}
    return {
        "image": {"width": size[0], "height": size[1]},
        "predictions": [{**one, "class_id": 2, "detection_id": str(n)} for n in range(rows)],
    }


PREDICTIONS = {"typed": typed, "document": document}


def submit_warm(collector, image, prediction, status):
    for _ in range(WARM_UP):
        assert collector.submit(image, prediction).status == status


def calls_of(collector, image, prediction):
    """Return how many functions `submit` calls, in Python and in C."""
    submit_warm(collector, image, prediction, "not_selected")
    counted = 0

    def count(_frame, event, _argument):
        nonlocal counted
        counted += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        collector.submit(image, prediction)
    finally:
        sys.setprofile(None)
    return counted


def bytes_of(collector, image, prediction, **options):
    """Return how many bytes `submit` asks for at most at a time, and its ticket."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        ticket = collector.submit(image, prediction, **options)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return most - before, ticket


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("form", PREDICTIONS)
def test_a_frame_that_nobody_wants_costs_the_same_whatever_its_picture(collecting, kind, form):
    collector, make = collecting(), PREDICTIONS[form]
    calls = {size: calls_of(collector, picture(kind, size), make(size, 10)) for size in (VGA, UHD)}

    assert calls[VGA] == calls[UHD]
    assert calls[UHD] <= 200  # whoever raises this slows down the loop of everybody's model


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("status", ["not_selected", "limited"])
def test_a_frame_that_is_not_taken_has_its_pixels_left_alone(collecting, pixel_work, kind, status):
    once = [{**ALL, "limits": [{"type": "daily", "value": 1}]}]
    collector = collecting(once if status == "limited" else STRATEGIES)
    collector.submit(picture(kind, VGA), document(VGA, 10))  # spends the limit, where there is one
    collector.flush(LONG_S)
    image, prediction = picture(kind, UHD), document(UHD, 10)
    pixel_work.update(dict.fromkeys(pixel_work, 0))
    submit_warm(collector, image, prediction, status)
    most, ticket = bytes_of(collector, image, prediction)

    assert ticket.status == status
    assert {"made": 0, "decoded": 0, "encoded": 0, "saved": 0} == pixel_work
    assert most < FEW_BYTES


def test_the_counters_count(collecting, pixel_work):
    buffer = io.BytesIO()
    picture("pil", VGA).save(buffer, "PNG")
    pixel_work.update(dict.fromkeys(pixel_work, 0))
    collector = collecting([ALL])
    collector.submit(buffer.getvalue(), document(VGA, 1))
    collector.flush(LONG_S)

    assert pixel_work["encoded"] == 1
    assert pixel_work["decoded"] >= 1


def test_typed_detections_cost_the_same_however_many_they_are(collecting):
    collector, image = collecting(), picture("jpeg", VGA)
    few, many = (calls_of(collector, image, typed(VGA, rows)) for rows in (100, 1000))

    assert few == many


def test_detections_of_a_document_cost_little_each(collecting):
    collector, image = collecting(), picture("jpeg", VGA)
    few, many = (calls_of(collector, image, document(VGA, rows)) for rows in (100, 1000))

    assert (many - few) / 900 <= 2.1


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize(
    ("kind", "options", "copies"),
    [("jpeg", {}, 0), ("array", {}, 1), ("array", {"owned": True}, 0)],
    ids=["jpeg", "array", "owned array"],
)
def test_a_frame_that_is_taken_is_copied_once_at_most(collecting, kind, options, copies):
    collector, image = collecting([ALL]), picture(kind, UHD)
    for _ in range(WARM_UP):
        collector.submit(picture(kind, VGA), document(VGA, 10), **options)
    most, ticket = bytes_of(collector, image, document(UHD, 10), **options)
    size = image.nbytes if kind == "array" else len(image)

    assert ticket.status == "queued"
    assert copies * size <= most < copies * size + FEW_BYTES


def test_a_file_is_read_into_no_more_memory_than_it_needs(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(picture("jpeg", VGA))
    Image(path).encoded  # noqa: B018 - the first one imports
    tracemalloc.start()
    data = Image(path).encoded
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 2 * len(data) + FEW_BYTES


@pytest.mark.parametrize("batching", [{}, {"max_batch_images": 1000}], ids=["no bound", "bound"])
def test_a_datapoint_is_two_requests_on_connections_that_stay(collecting, batching):
    frames, workers = 24, 2
    with running_server(State(workspaces=[Workspace("ws", [Project("ds")])])) as server:
        sink = {"type": "roboflow", "project": "ds", "api_key": "key", "api_url": server.url}
        collector = collecting(
            [ALL], batching=batching, sinks=[sink], delivery={"workers": workers}
        )
        for n in range(frames):
            image = np.full((48, 64, 3), n, dtype=np.uint8)
            assert collector.submit(image, document((64, 48), 2)).status == "queued"
        collector.close(LONG_S)
        asked = [entry for entry in server.requests() if entry["endpoint"]]
    kinds = [entry["endpoint"] for entry in asked]

    assert sum(one.delivered for one in collector.stats().sinks.values()) == frames
    assert kinds.count("upload") == kinds.count("annotate") == frames
    # Whose project it is, and how large its batch: asked a few times a minute, not for each frame.
    assert len(kinds) - 2 * frames <= 6
    assert len({entry["client_port"] for entry in asked}) <= workers + 1
