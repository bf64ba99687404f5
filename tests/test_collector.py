import io
import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import al_framework_adapters
import al_framework_local
import al_framework_roboflow
from al_framework import Collector
from al_framework.api import (
    ConfigurationError,
    Detections,
    Frame,
    Image,
    PredictionAdapter,
    Receipt,
    Sink,
    Strategy,
    TransientSinkError,
    Unlabelled,
    Verdict,
    hookimpl,
)
from al_framework.assembly import assemble
from al_framework.collector import RING_DEADLINE_S
from al_framework.config.loading import load_configuration, read_document
from al_framework.host.plugins import PluginHost
from al_framework.pipeline.delivery.batch_looks import FIRST_LOOK_S
from al_framework.pipeline.engine import Engine
from al_framework.testing import sample_jpeg, sample_pixels

# As good as for ever; what is waited for comes within milliseconds.
LONG_S = 60.0


class Plugin:
    """A sink that can be away, a gate in front of the encoder, and an adapter for crops."""

    def __init__(self):
        self.away = False
        self.gate = threading.Event()
        self.gate.set()
        self.delivered: list[str] = []
        plugin = self

        class Flaky(Sink):
            type_name = "flaky"

            def deliver(self, datapoint, checkpoint):
                if plugin.away:
                    raise TransientSinkError("the line is dead", retry_after_s=0.01)
                plugin.delivered.append(datapoint.frame_id)
                return Receipt(status="created")

        class Gated(Strategy):
            type_name = "gated"
            needs_pixels = True

            def evaluate(self, frame, prediction):
                plugin.gate.wait(LONG_S)
                return Verdict(match=True)

        class Crops(PredictionAdapter):
            type_name = "crops"

            def accepts(self, document):
                return isinstance(document, list) and all(type(one) is str for one in document)

            def split(self, document, *, frame):
                for name in document:
                    yield Frame(frame_id=name, image=frame.image), name

            def adapt(self, document, *, frame, prediction_type):
                return Unlabelled(prediction_type="crop")

        self.classes = ([Flaky], [Gated], [Crops])

    @hookimpl
    def al_register_sinks(self):
        return self.classes[0]

    @hookimpl
    def al_register_strategies(self):
        return self.classes[1]

    @hookimpl
    def al_register_prediction_adapters(self):
        return self.classes[2]


@pytest.fixture
def plugin():
    return Plugin()


ALL = {"name": "all", "type": "random", "traffic_percentage": 1.0}
NONE = {"name": "none", "type": "random", "traffic_percentage": 0.0}
UNSURE = {
    "name": "unsure",
    "type": "close_to_threshold",
    "threshold": 0.5,
    "epsilon": 0.1,
    "probability": 1.0,
}


def document(*strategies, sinks=None, **more):
    return {
        "name": "line",
        "active_learning": {
            "enabled": True,
            "persist_predictions": True,
            "sampling_strategies": list(strategies),
            "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
        },
        "sinks": sinks or [{"type": "directory", "path": "collected", "page": False}],
        **more,
    }


@pytest.fixture
def collect(tmp_path, plugin, monkeypatch):
    """A factory of collectors that see our own plugins only."""
    monkeypatch.chdir(tmp_path)
    made = []

    def make(*strategies, **keywords):
        host = PluginHost.without_discovery(
            {
                "adapters": al_framework_adapters,
                "local": al_framework_local,
                "roboflow": al_framework_roboflow,
                "own": plugin,
            }
        )
        text = document(*(strategies or (ALL,)), **keywords)
        configuration = load_configuration(read_document(text), host, environ={})
        collector = Collector(assemble(configuration, host, environ={}))
        made.append(collector)
        return collector

    yield make
    plugin.gate.set()
    for collector in made:
        collector.close()


def manifest(directory=Path()):
    path = directory / "collected" / "manifest.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def settle(collector):
    """Wait until everything is accepted and delivered."""
    assert collector.flush(LONG_S)
    assert collector._assembly.delivery.drain(LONG_S)


def check_sums(counts):
    assert counts.offered == (
        counts.not_selected
        + counts.limited
        + counts.accepted
        + counts.queued
        + sum(counts.dropped.values())
    )
    for sink in counts.sinks.values():
        assert sink.accepted + sink.recovered == (
            sink.delivered + sink.pending + sink.dead + sink.evicted
        )


def box(confidence=0.5):
    return Detections(
        xyxy=np.array([[1.0, 2.0, 30.0, 40.0]]),
        confidence=np.array([confidence]),
        class_name=("cat",),
        class_id=np.array([0]),
        image_size=(64, 48),
    )


def test_a_frame_that_no_strategy_takes_is_not_selected_at_once(collect):
    collector = collect(NONE)
    ticket = collector.submit(sample_jpeg())

    assert (ticket.status, ticket.item_id) == ("not_selected", None)
    assert collector.stats().not_selected == 1


def test_a_frame_that_is_taken_is_queued(collect, plugin):
    plugin.gate.clear()
    collector = collect({"name": "g", "type": "gated"})
    ticket = collector.submit(sample_jpeg())
    queued = collector.stats().queued
    plugin.gate.set()
    settle(collector)

    assert (ticket.status, ticket.item_id, queued) == ("queued", None, 1)
    assert collector.stats().accepted == 1


def test_a_caller_may_wait_until_a_frame_is_accepted(collect):
    collector = collect()
    ticket = collector.submit(sample_jpeg(), wait_accepted_s=LONG_S)
    settle(collector)

    assert ticket.status == "accepted"
    assert [line["item_id"] for line in manifest()] == [ticket.item_id]


@pytest.mark.parametrize("wait", [0, -1.0, math.nan])
def test_a_wait_that_is_none_returns_at_once(collect, plugin, wait):
    plugin.gate.clear()
    collector = collect({"name": "g", "type": "gated"})

    assert collector.submit(sample_jpeg(), wait_accepted_s=wait).status == "queued"


def test_a_wait_without_end_is_fine(collect):
    assert collect().submit(sample_jpeg(), wait_accepted_s=math.inf).status == "accepted"


def test_a_spent_limit_is_limited_at_once(collect):
    collector = collect({**ALL, "limits": [{"type": "daily", "value": 1}]})
    first = collector.submit(sample_jpeg(seed=1), wait_accepted_s=LONG_S)
    second = collector.submit(sample_jpeg(seed=2))

    assert (first.status, second.status) == ("accepted", "limited")
    assert collector.stats().limited == 1


def test_a_limit_that_is_spent_meanwhile_is_limited_at_the_end(collect, plugin):
    plugin.gate.clear()
    gated = {"name": "g", "type": "gated", "limits": [{"type": "daily", "value": 1}]}
    collector = collect(gated)
    tickets = [collector.submit(sample_jpeg(seed=number)).status for number in range(2)]
    plugin.gate.set()
    settle(collector)

    assert tickets == ["queued", "queued"]
    assert (collector.stats().accepted, collector.stats().limited) == (1, 1)


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


@pytest.mark.parametrize(
    ("prediction", "reason"),
    [
        (object(), "no adapter accepts a prediction of type 'builtins.object'; installed are "),
        (17, "no adapter accepts a prediction of type 'builtins.int'; installed are "),
    ],
)
def test_what_is_no_prediction_is_invalid(collect, prediction, reason):
    collector = collect()
    ticket = collector.submit(sample_jpeg(), prediction)

    assert ticket.status == "invalid"
    assert reason in ticket.reason
    check_sums(collector.stats())


def test_a_prediction_with_nan_is_invalid(collect):
    ticket = collect().submit(sample_jpeg(), box(math.nan))

    assert ticket.status == "invalid"
    assert "not finite" in ticket.reason


def test_a_full_ring_drops_and_says_so(collect, plugin):
    plugin.gate.clear()
    collector = collect({"name": "g", "type": "gated"})
    reasons = {collector.submit(sample_jpeg()).reason for _ in range(200)}
    dropped = dict(collector.stats().dropped)
    plugin.gate.set()
    settle(collector)

    assert reasons == {"", "ring_full"}
    assert set(dropped) == {"ring_full"}
    check_sums(collector.stats())


def test_a_full_spool_drops_and_says_so(collect, plugin):
    plugin.away = True
    collector = collect(sinks=[{"type": "flaky"}], spool={"max_items": 1})
    first = collector.submit(sample_jpeg(seed=1), wait_accepted_s=LONG_S)
    second = collector.submit(sample_jpeg(seed=2), wait_accepted_s=LONG_S)

    assert (first.status, second.status) == ("accepted", "dropped")
    assert collector.stats().dropped == {"spool_full": 1}
    assert "max_items" in second.reason


def test_frames_are_named_by_the_run_and_a_number(collect):
    collector = collect()
    run_id = collector._assembly.run.run_id
    tickets = [collector.submit(sample_jpeg(seed=n), wait_accepted_s=LONG_S) for n in range(3)]
    settle(collector)

    assert [ticket.frame_id for ticket in tickets] == [f"{run_id}-{n}" for n in (1, 2, 3)]
    assert [line["frame_id"] for line in manifest()] == [f"{run_id}-{n}" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("camera 1/17", "camera 1/17"),
        ("", ""),
        (17, "17"),
        (Path("a/b.jpg"), "a/b.jpg"),
        ("caf\udce9.jpg", "caf\\udce9.jpg"),
        ("straße\0", "straße\0"),
    ],
)
def test_a_caller_may_name_a_frame(collect, given, name):
    collector = collect()
    ticket = collector.submit(sample_jpeg(), frame_id=given, wait_accepted_s=LONG_S)
    settle(collector)

    assert (ticket.status, ticket.frame_id) == ("accepted", name)
    assert manifest()[0]["frame_id"] == name


class Hostile:
    """Raises whatever is asked of it."""

    def __getattr__(self, name):
        if name.startswith("_repr_"):  # hypothesis looks for it to print an example
            raise AttributeError(name)
        raise RuntimeError(name)

    def __repr__(self):
        return "Hostile()"

    def __str__(self):
        raise RuntimeError("str")

    __bool__ = __len__ = __iter__ = __float__ = __str__

    def __hash__(self):
        raise RuntimeError("hash")

    def __eq__(self, other):
        raise RuntimeError("eq")


def test_a_name_that_is_none_is_replaced(collect):
    collector = collect()
    named: Any = Hostile()
    ticket = collector.submit(sample_jpeg(), frame_id=named, wait_accepted_s=LONG_S)

    assert ticket.status == "accepted"
    assert ticket.frame_id.startswith(collector._assembly.run.run_id)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8)  # lone surrogates, too
    | st.binary(max_size=64)
    | st.builds(Hostile)
    | st.sampled_from([object, len, ..., np.float32(1), np.array([1, 2])])
)
KEYS = st.sampled_from(["predictions", "image", "width", "x", "class", "top", "is_stub", "a"])
THINGS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
IMAGES = st.sampled_from([sample_jpeg(), sample_jpeg()[:300], sample_pixels()]) | THINGS
ARRAYS = st.sampled_from(
    [np.zeros(0), np.zeros(1), np.zeros((1, 4)), np.full((1, 4), np.nan), np.zeros((2, 4), "f4")]
)
PREDICTIONS = THINGS | st.builds(
    Detections,
    xyxy=ARRAYS | THINGS,
    confidence=ARRAYS | THINGS,
    class_name=st.sampled_from([(), ("cat",), None]),
    class_id=ARRAYS | THINGS,
    image_size=st.sampled_from([(64, 48), (0, 0), None, "x"]),
    prediction_type=THINGS,
    data=st.sampled_from([{}, {"a": [1]}, {"a": [object()]}, None]),
    document=THINGS,
)
OTHERS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            "frame_id",
            "captured_at",
            "prediction_type",
            "model_id",
            "inference_id",
            "attributes",
            "color",
            "owned",
        ),
        THINGS,
    ),
)


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(image=IMAGES, prediction=PREDICTIONS, others=OTHERS)
def test_submit_never_raises(shared, image, prediction, others):
    ticket = shared.submit(image, prediction, **others)

    assert ticket.status in {"queued", "not_selected", "limited", "invalid", "dropped"}
    assert isinstance(ticket.frame_id, str)


@pytest.fixture
def shared(collect):
    """One collector for many examples; afterwards it must still work and its numbers add up."""
    collector = collect(ALL, UNSURE)
    yield collector
    settle(collector)
    counts = collector.stats()
    check_sums(counts)
    assert counts.queued == 0
    assert "spool_error" not in counts.dropped
    assert collector.submit(sample_jpeg(seed=77), wait_accepted_s=LONG_S).status == "accepted"


def rgb(path):
    with PIL.Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "path", "str", "pil", "bgr", "rgb"])
def test_every_kind_of_image_arrives_with_its_colours(collect, tmp_path, kind):
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


def test_what_the_caller_changes_after_the_call_changes_nothing(collect, plugin):
    plugin.gate.clear()
    collector = collect({"name": "g", "type": "gated"})
    pixels = sample_pixels()
    buffer = bytearray(sample_jpeg(seed=5))
    held = box(0.25)
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


def test_an_array_that_is_ours_is_not_copied(collect, plugin):
    plugin.gate.clear()
    collector = collect({"name": "g", "type": "gated"})
    pixels = sample_pixels()
    collector.submit(pixels, owned=True, frame_id="ours")
    pixels[:] = 0
    plugin.gate.set()
    settle(collector)

    assert rgb(Path("collected") / manifest()[0]["file"]).max() < 8


def test_what_is_known_of_a_frame_is_kept_as_text(collect):
    given: Any = {"camera": 4, 7: 1.5}
    collector = collect()
    collector.submit(
        sample_jpeg(),
        box(),
        captured_at=12.5,
        attributes=given,
        model_id="cats/3",
        inference_id="i-9",
        wait_accepted_s=LONG_S,
    )
    settle(collector)
    (line,) = manifest()

    assert line["attributes"] == {"camera": "4", "7": "1.5"}
    assert (line["captured_at"], line["model_id"], line["inference_id"]) == (12.5, "cats/3", "i-9")


def test_the_task_is_the_callers_word(collect):
    collector = collect(UNSURE)
    answer = {"predictions": [], "image": {"width": 64, "height": 48}}
    collector.submit(sample_jpeg(), answer, prediction_type="somethings-else")

    assert collector.stats().strategies["unsure"].not_eligible == 1


@pytest.mark.parametrize(
    ("crops", "status", "offered"),
    [([], "not_selected", 0), (["a"], "accepted", 1), (["a", "b"], "accepted", 2)],
)
def test_crops_are_one_submission(collect, crops, status, offered):
    collector = collect(adapter={"type": "crops"})
    ticket = collector.submit(sample_jpeg(), crops, wait_accepted_s=LONG_S)

    assert ticket.status == status
    assert collector.stats().offered == offered
    assert (ticket.reason == "the prediction holds no crops") is (not crops)


def test_a_picture_that_does_not_load_is_invalid(collect):
    broken = PIL.Image.open(io.BytesIO(sample_jpeg()[:-400]))
    ticket = collect().submit(broken, wait_accepted_s=LONG_S)

    assert ticket.status == "invalid"


def test_an_engine_that_raises_costs_one_frame(collect, monkeypatch):
    collector = collect()

    def broken(self, *_, **__):
        self.tally.offer()
        raise RuntimeError("a bug")

    monkeypatch.setattr(Engine, "offer", broken)
    ticket = collector.submit(sample_jpeg())

    assert (ticket.status, ticket.reason) == ("invalid", "RuntimeError: a bug")
    check_sums(collector.stats())


def test_flush_waits_until_everything_is_settled(collect, plugin):
    plugin.gate.clear()
    collector = collect({"name": "g", "type": "gated"})
    for number in range(5):
        collector.submit(sample_jpeg(seed=number))
    too_early = collector.flush(0.0)
    plugin.gate.set()

    assert too_early is False
    assert collector.flush() is True
    assert collector.stats().accepted == 5


def test_flush_does_not_wait_for_a_thread_that_is_gone(collect, plugin):
    collector = collect()
    collector._handoff.close(LONG_S)
    collector._engine.tally.offer()

    assert collector.flush() is False


def test_close_writes_everything_and_may_be_called_twice(collect):
    collector = collect()
    for number in range(30):
        collector.submit(sample_jpeg(seed=number), frame_id=f"f{number}")
    collector.close(LONG_S)
    collector.close()
    counts = collector.stats()

    check_sums(counts)
    assert (counts.accepted, counts.queued) == (30, 0)
    sink = counts.sinks["directory"]
    assert sink.delivered + sink.pending == 30


def test_after_the_end_frames_are_dropped(collect):
    collector = collect()
    collector.close()
    ticket = collector.submit(sample_jpeg(), frame_id="late")

    assert (ticket.status, ticket.reason, ticket.frame_id) == ("dropped", "shutdown", "late")
    assert collector.stats().dropped == {"shutdown": 1}
    check_sums(collector.stats())


@pytest.mark.parametrize("deadline", [math.inf, 0, -1.0])
def test_any_deadline_is_fine(collect, deadline):
    collector = collect()
    collector.close(deadline)

    assert collector.submit(sample_jpeg()).reason == "shutdown"


def test_a_context_manager_closes(collect):
    with collect() as collector:
        collector.submit(sample_jpeg(), frame_id="f")

    assert collector.submit(sample_jpeg()).reason == "shutdown"
    assert collector.stats().accepted == 1


def test_the_numbers_add_up_while_many_threads_submit(collect):
    collector = collect({**ALL, "traffic_percentage": 0.5}, UNSURE)
    images: list[Any] = [sample_jpeg(seed=1), b"text", None, sample_pixels()]

    def work():
        for number in range(40):
            collector.submit(images[number % 4], box(0.45) if number % 3 else None)
            check_sums(collector.stats())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle(collector)
    counts = collector.stats()

    check_sums(counts)
    assert (counts.offered, counts.queued) == (160, 0)
    assert counts.dropped["invalid_image"] >= 40


def test_a_second_collector_delivers_what_the_first_one_left(collect, plugin):
    plugin.away = True
    first = collect(sinks=[{"type": "flaky"}])
    for number in range(3):
        first.submit(sample_jpeg(seed=number), frame_id=f"f{number}", wait_accepted_s=LONG_S)
    first.close(0.0)
    plugin.away = False
    second = collect(sinks=[{"type": "flaky"}])
    settle(second)
    counts = second.stats().sinks["flaky"]

    assert first.stats().sinks["flaky"].pending == 3
    assert sorted(plugin.delivered) == ["f0", "f1", "f2"]
    assert (counts.recovered, counts.delivered, counts.pending) == (3, 3, 0)


@pytest.mark.parametrize("kind", ["mapping", "json", "path"])
def test_a_configuration_is_a_mapping_or_a_file(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    given = document(ALL, sinks=[{"type": "null"}])
    file = tmp_path / "al.json"
    file.write_text(json.dumps(given))
    with Collector.from_config({"mapping": given, "json": str(file), "path": file}[kind]) as one:
        ticket = one.submit(sample_jpeg(), wait_accepted_s=LONG_S)

    assert ticket.status == "accepted"
    assert (tmp_path / ".al" / "line" / "spool.db").is_file()


def test_a_faulty_configuration_is_refused_at_once(tmp_path):
    with pytest.raises(ConfigurationError, match="1 fault in the configuration"):
        Collector.from_config(tmp_path / "nowhere.yaml")


PROGRAM = """
import sys
from al_framework import Collector
from al_framework.testing import sample_jpeg

collector = Collector.from_config("al.json")
for number in range(5):
    collector.submit(sample_jpeg(seed=number), frame_id=f"f{number}")
"""


def test_a_program_that_forgets_to_close_loses_nothing(tmp_path):
    (tmp_path / "al.json").write_text(json.dumps(document(ALL)))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )
    with Collector.from_config(tmp_path / "al.json") as collector:
        settle(collector)

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(line["frame_id"] for line in manifest(tmp_path)) == [f"f{n}" for n in range(5)]


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


@pytest.mark.parametrize(
    ("keywords", "reason"),
    [
        ({"color": "RGB"}, "the colour order 'RGB' is unknown: choose 'bgr' or 'rgb'"),
        ({"wait_accepted_s": "a"}, "wait_accepted_s is 'a': pass seconds, such as 1.5, or None"),
        ({"wait_accepted_s": True}, "wait_accepted_s is True: pass seconds, such as 1.5"),
        ({"captured_at": "now"}, "captured_at is 'now': pass UTC epoch seconds"),
        ({"captured_at": math.nan}, "captured_at is nan: pass UTC epoch seconds"),
    ],
)
def test_what_is_known_of_a_frame_is_checked_at_once(collect, keywords, reason):
    ticket = collect().submit(sample_pixels(), **keywords)

    assert ticket.status == "invalid"
    assert reason in ticket.reason


def test_a_model_named_by_a_number_is_named_by_its_text(collect):
    collector = collect()
    collector.submit(sample_jpeg(), model_id=3, inference_id=7, captured_at=12)
    collector.close()

    (line,) = manifest()
    assert (line["model_id"], line["inference_id"], line["captured_at"]) == ("3", "7", 12.0)


def test_closing_never_raises_and_says_what_is_wrong(collect, tmp_path, caplog):
    collector = collect()
    (database,) = tmp_path.rglob("spool.db")
    database.unlink()
    collector.close()

    assert "the collector could not be closed properly: spool '" in caplog.text


def test_closing_says_what_is_still_to_be_delivered(collect, plugin, caplog):
    collector = collect(sinks=[{"type": "flaky"}])
    plugin.away = True
    assert collector.submit(sample_jpeg(), wait_accepted_s=LONG_S).status == "accepted"
    collector.close(0.0)

    assert "sink 'flaky': 1 still to be delivered, safe in the spool" in caplog.text


FORKED = """
import os, sys
from al_framework import Collector
from al_framework.testing import sample_jpeg

collector = Collector.from_config("al.json")
collector.submit(sample_jpeg(seed=1), wait_accepted_s=60)
child = os.fork()
if child == 0:
    ticket = collector.submit(sample_jpeg(seed=2), frame_id="child", wait_accepted_s=60)
    counts = collector.stats()
    collector.close()
    os._exit(0 if (ticket.status, counts.offered, counts.accepted) == ("accepted", 1, 1) else 9)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
collector.close()
sys.exit(status)
"""


def test_a_forked_child_collects_on_its_own(tmp_path):
    (tmp_path / "al.json").write_text(json.dumps(document(ALL)))
    command = [sys.executable, "-c", FORKED]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert len(manifest(tmp_path)) == 2


def test_closing_at_once_writes_down_what_is_queued(collect):
    collector = collect()
    for seed in range(5):
        assert collector.submit(sample_jpeg(seed=seed)).status == "queued"
    collector.close(0.0)
    counts = collector.stats()

    assert (counts.accepted, counts.queued, counts.dropped) == (5, 0, {})


def test_the_end_waits_for_longer_than_a_sink_may_take_to_tell_the_size_of_a_batch():
    """Else a short program would lose the frames behind a server that does not answer."""
    assert RING_DEADLINE_S >= FIRST_LOOK_S + 1.0
