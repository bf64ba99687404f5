"""What a ticket says of a frame, and what the counts say of all of them."""

import json
import math
import threading
from pathlib import Path
from typing import Any

import pytest

from al_framework import Collector
from al_framework.api import (
    ConfigurationError,
    Frame,
    PredictionAdapter,
    Unlabelled,
)
from al_framework.pipeline.engine import Engine
from al_framework.testing import sample_jpeg, sample_pixels

LONG_S = 60.0
ALL = {"name": "all", "type": "random", "traffic_percentage": 1.0}
NONE = {"name": "none", "type": "random", "traffic_percentage": 0.0}
UNSURE = {
    "name": "unsure",
    "type": "close_to_threshold",
    "threshold": 0.5,
    "epsilon": 0.1,
    "probability": 1.0,
}
GATED = {"name": "gated", "type": "gated"}


class Crops(PredictionAdapter):
    """Makes a crop of every name in a list."""

    type_name = "crops"

    def accepts(self, document):
        return isinstance(document, list) and all(type(one) is str for one in document)

    def split(self, document: Any, *, frame):
        for name in document:
            yield Frame(frame_id=name, image=frame.image), name

    def adapt(self, document, *, frame, prediction_type):
        return Unlabelled(prediction_type="crop")


def test_a_frame_that_no_strategy_takes_is_not_selected_at_once(collect):
    collector = collect(NONE)
    ticket = collector.submit(sample_jpeg())

    assert (ticket.status, ticket.item_id) == ("not_selected", None)
    assert collector.stats().not_selected == 1


def test_a_frame_that_is_taken_is_queued(collect, plugin, settle):
    plugin.gate.clear()
    collector = collect(GATED)
    ticket = collector.submit(sample_jpeg())
    queued = collector.stats().queued
    plugin.gate.set()
    settle(collector)

    assert (ticket.status, ticket.item_id, queued) == ("queued", None, 1)
    assert collector.stats().accepted == 1


def test_a_caller_may_wait_until_a_frame_is_accepted(collect, manifest, settle):
    collector = collect()
    ticket = collector.submit(sample_jpeg(), wait_accepted_s=LONG_S)
    settle(collector)

    assert ticket.status == "accepted"
    assert [line["item_id"] for line in manifest()] == [ticket.item_id]


@pytest.mark.parametrize("wait", [0, -1.0, math.nan])
def test_a_wait_that_is_none_returns_at_once(collect, plugin, wait):
    plugin.gate.clear()
    collector = collect(GATED)

    assert collector.submit(sample_jpeg(), wait_accepted_s=wait).status == "queued"


def test_a_wait_without_end_is_fine(collect):
    assert collect().submit(sample_jpeg(), wait_accepted_s=math.inf).status == "accepted"


def test_a_spent_limit_is_limited_at_once(collect):
    collector = collect({**ALL, "limits": [{"type": "daily", "value": 1}]})
    first = collector.submit(sample_jpeg(seed=1), wait_accepted_s=LONG_S)
    second = collector.submit(sample_jpeg(seed=2))

    assert (first.status, second.status) == ("accepted", "limited")
    assert collector.stats().limited == 1


def test_a_limit_that_is_spent_meanwhile_is_limited_at_the_end(collect, plugin, settle):
    plugin.gate.clear()
    gated = {"name": "g", "type": "gated", "limits": [{"type": "daily", "value": 1}]}
    collector = collect(gated)
    tickets = [collector.submit(sample_jpeg(seed=number)).status for number in range(2)]
    plugin.gate.set()
    settle(collector)

    assert tickets == ["queued", "queued"]
    assert (collector.stats().accepted, collector.stats().limited) == (1, 1)


@pytest.mark.parametrize(
    ("prediction", "reason"),
    [
        (object(), "no adapter accepts a prediction of type 'builtins.object'; installed are "),
        (17, "no adapter accepts a prediction of type 'builtins.int'; installed are "),
    ],
)
def test_what_is_no_prediction_is_invalid(collect, prediction, reason, check_sums):
    collector = collect()
    ticket = collector.submit(sample_jpeg(), prediction)

    assert ticket.status == "invalid"
    assert reason in ticket.reason
    check_sums(collector.stats())


def test_a_prediction_with_nan_is_invalid(collect, make_box):
    ticket = collect().submit(sample_jpeg(), make_box(math.nan))

    assert ticket.status == "invalid"
    assert "not finite" in ticket.reason


def test_a_full_ring_drops_and_says_so(collect, plugin, settle, check_sums):
    plugin.gate.clear()
    collector = collect(GATED)
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


def test_frames_are_named_by_the_run_and_a_number(collect, manifest, settle):
    collector = collect()
    run_id = collector._assembly.run.run_id
    tickets = [collector.submit(sample_jpeg(seed=n), wait_accepted_s=LONG_S) for n in range(3)]
    settle(collector)

    assert [ticket.frame_id for ticket in tickets] == [f"{run_id}-{n}" for n in (1, 2, 3)]
    assert {line["frame_id"] for line in manifest()} == {f"{run_id}-{n}" for n in (1, 2, 3)}


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
def test_a_caller_may_name_a_frame(collect, given, name, manifest, settle):
    collector = collect()
    ticket = collector.submit(sample_jpeg(), frame_id=given, wait_accepted_s=LONG_S)
    settle(collector)

    assert (ticket.status, ticket.frame_id) == ("accepted", name)
    assert manifest()[0]["frame_id"] == name


def test_what_is_known_of_a_frame_is_kept_as_text(collect, manifest, settle, make_box):
    given: Any = {"camera": 4, 7: 1.5}
    collector = collect()
    collector.submit(
        sample_jpeg(),
        make_box(),
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
    collector = collect(adapter={"type": "crops"}, components=(Crops,))
    ticket = collector.submit(sample_jpeg(), crops, wait_accepted_s=LONG_S)

    assert ticket.status == status
    assert collector.stats().offered == offered
    assert (ticket.reason == "the prediction holds no crops") is (not crops)


def test_an_engine_that_raises_costs_one_frame(collect, monkeypatch, check_sums):
    collector = collect()

    def broken(self, *_, **__):
        self.tally.offer()
        raise RuntimeError("a bug")

    monkeypatch.setattr(Engine, "offer", broken)
    ticket = collector.submit(sample_jpeg())

    assert (ticket.status, ticket.reason) == ("invalid", "RuntimeError: a bug")
    check_sums(collector.stats())


def test_the_numbers_add_up_while_many_threads_submit(collect, settle, check_sums, make_box):
    collector = collect({**ALL, "traffic_percentage": 0.5}, UNSURE)
    images: list[Any] = [sample_jpeg(seed=1), b"text", None, sample_pixels()]

    def work():
        for number in range(40):
            collector.submit(images[number % 4], make_box(0.45) if number % 3 else None)
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


@pytest.mark.parametrize("kind", ["mapping", "json", "path"])
def test_a_configuration_is_a_mapping_or_a_file(tmp_path, monkeypatch, kind, document):
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


def test_a_model_named_by_a_number_is_named_by_its_text(collect, manifest):
    collector = collect()
    collector.submit(sample_jpeg(), model_id=3, inference_id=7, captured_at=12)
    collector.close()

    (line,) = manifest()
    assert (line["model_id"], line["inference_id"], line["captured_at"]) == ("3", "7", 12.0)
