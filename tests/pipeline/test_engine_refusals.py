"""Whatever is wrong with a frame costs that frame alone, and is said."""

import numpy as np
import pytest

from al_framework.api import (
    Frame,
    Image,
    ImageError,
    Keypoints,
    SpoolError,
)
from al_framework.pipeline import engine as engine_module
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.testing import sample_frame, sample_jpeg


@pytest.mark.parametrize(
    ("document", "reason", "text", "remembered", "traceback"),
    [
        ({"fault": "no box"}, "invalid_prediction", "no box", True, False),
        (
            {"bug": "boom"},
            "failed",
            "adapter 'dicts' failed with RuntimeError: boom: repair or update its plugin",
            False,
            True,
        ),
        (
            {"answer": 5},
            "failed",
            (
                "adapter 'dicts' failed with TypeError: it returned an object of type 'int': "
                "return Detections, a Classification or Unlabelled: repair or update its plugin"
            ),
            False,
            True,
        ),
        (
            5,
            "invalid_prediction",
            "no adapter accepts a prediction of type 'builtins.int'; installed are 'dicts'",
            True,
            False,
        ),
    ],
)
def test_a_prediction_that_cannot_be_read_costs_its_frame_alone(
    *, world, yes, dicts, frame, make_frame_key, document, reason, text, remembered, traceback
):
    engine = world.engine({"a": yes}, adapters=dicts)
    offer = world.offer_one(engine, frame, document, key=make_frame_key(frame))
    [(report, exc)] = world.reports

    assert ("invalid", text) == (offer.status, offer.reason)
    assert {reason: 1} == world.tally.counts({}).dropped
    assert f"frame 'frame-1': {text}" == report
    assert traceback == (exc is not None)
    assert remembered == (offer.entry is not None)
    if remembered:
        assert (reason, {"error": text}) == (offer.entry.outcome, offer.entry.detail)
    assert 0 == world.unbalanced()


def test_what_is_not_finite_is_refused_before_a_strategy_sees_it(
    world, frame, nan_detections, make_frame_key
):
    asked = []
    engine = world.engine({"a": lambda *args: asked.append(args)})
    offer = world.offer_one(engine, frame, nan_detections, key=make_frame_key(frame))

    assert [] == asked
    assert "invalid_prediction" == offer.entry.outcome
    assert "row 0 of the prediction's confidence is nan, not finite" in offer.reason
    assert 0 == world.unbalanced()


def test_a_name_that_is_no_text_for_the_draw_costs_its_frame_alone(world, yes):
    offer = world.offer_one(world.engine({"a": yes}), sample_frame("caf\udce9.jpg"))

    assert "invalid" == offer.status
    assert offer.reason.startswith("UnicodeEncodeError: 'utf-8' codec can't encode character")
    assert {"failed": 1} == world.tally.counts({}).dropped
    assert 0 == world.unbalanced()


def test_limits_that_cannot_be_read_cost_the_frame_and_never_raise(world, yes, frame):
    class Broken(MemoryLedger):
        def peek(self, strategies, now):
            raise SpoolError("spool 'x': disk I/O error")

    offer = world.offer_one(world.engine({"a": yes}, ledger=Broken({}, scope="test")), frame)

    assert ("invalid", "SpoolError: spool 'x': disk I/O error") == (offer.status, offer.reason)
    assert {"failed": 1} == world.tally.counts({}).dropped
    assert 0 == world.unbalanced()


def keypoints(confidence):
    points = Keypoints(xy=np.array([[1.0, 2.0]]), confidence=np.array([confidence]))
    return {"keypoints": (points,)}


@pytest.mark.parametrize(
    ("changes", "frame_changes"),
    [
        (keypoints(np.nan), {}),
        (keypoints(np.inf), {}),
        ({}, {"attributes": {"temperature": float("nan")}}),
        ({}, {"attributes": {"camera": object()}}),
        ({}, {"captured_at": float("nan")}),
    ],
)
def test_metadata_that_json_cannot_express_cost_one_frame_only(
    *, world, yes, make_detections, make_frame_key, changes, frame_changes
):
    engine = world.engine({"a": yes})
    bad = Frame(frame_id="bad", image=Image(sample_jpeg()), **frame_changes)
    pending = world.offer_one(
        engine, bad, make_detections(**changes), key=make_frame_key(bad)
    ).pending
    offer = engine.prepare(pending)
    world.accept_one(engine, sample_frame("good"))

    assert "invalid" == offer.status
    assert offer.reason.startswith("its metadata cannot be written as JSON (")
    assert offer.reason.endswith("): look at its attributes, keypoints and embedding")
    assert "invalid_prediction" == offer.entry.outcome
    assert ["good"] == [datapoint.frame_id for datapoint in world.spool.datapoints]
    assert {"invalid_prediction": 1} == world.tally.counts({}).dropped
    assert 0 == world.unbalanced()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_embedding_that_is_not_finite_costs_one_frame_only(
    world, yes, frame, make_detections, value
):
    offer = world.offer_one(
        world.engine({"a": yes}), frame, make_detections(embedding=np.array([value, 1.0]))
    )

    assert "invalid" == offer.status
    assert "row 0 of the prediction's embedding is" in offer.reason


def test_a_broken_picture_is_found_when_it_is_encoded(world, yes, make_frame_key):
    engine = world.engine({"a": yes})
    bad = Frame(frame_id="bad", image=Image(sample_jpeg()[:-100]))
    offer = engine.prepare(world.offer_one(engine, bad, key=make_frame_key(bad)).pending)

    assert "invalid" == offer.status
    assert "the image is truncated: after" in offer.reason
    assert "invalid_image" == offer.entry.outcome
    assert {"invalid_image": 1} == world.tally.counts({}).dropped


def test_an_error_of_ours_while_encoding_is_not_remembered(
    world, yes, frame, make_frame_key, monkeypatch
):
    def crash(*_):
        raise MemoryError("out of it")

    monkeypatch.setattr(engine_module, "encode_frame", crash)
    engine = world.engine({"a": yes})
    offer = engine.prepare(world.offer_one(engine, frame, key=make_frame_key(frame)).pending)

    assert ("invalid", "MemoryError: out of it", None) == (offer.status, offer.reason, offer.entry)
    assert {"failed": 1} == world.tally.counts({}).dropped


def test_refusing_without_a_time_takes_the_clocks(world, no, frame, make_frame_key):
    engine = world.engine({"a": no})
    engine.tally.offer()
    offer = engine.refuse(frame, ImageError("bad"), key=make_frame_key(frame))

    assert world.clock.time() == offer.entry.decided_at
