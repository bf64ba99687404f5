"""From an offer to an accepted datapoint: what is asked, read, said and remembered."""

import io
import json

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest

from al_framework.api import (
    Crop,
    Frame,
    FrameKey,
    Image,
    Target,
    Ticket,
    Unlabelled,
    Verdict,
)
from al_framework.api.codec import decision_from_dict
from al_framework.pipeline import engine as engine_module
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.offers import Ended
from al_framework.pipeline.spool import SeenFrame
from al_framework.testing import sample_detections, sample_frame, sample_jpeg

ONE_A_DAY = [LimitRule(period="daily", value=1)]


@pytest.fixture
def counted(monkeypatch):
    """Count pictures that are decoded and that are encoded or passed through."""
    counts = {"decoded": 0, "encoded": 0}
    load, encode = PIL.ImageFile.ImageFile.load, engine_module.encode_frame

    def counted_load(self):
        counts["decoded"] += bool(self.tile)
        return load(self)

    def counted_encode(*args):
        counts["encoded"] += 1
        return encode(*args)

    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", counted_load)
    monkeypatch.setattr(engine_module, "encode_frame", counted_encode)
    return counts


def large_jpeg():
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (3840, 2160), "grey").save(buffer, "JPEG")
    return buffer.getvalue()


def png():
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (64, 48), "grey").save(buffer, "PNG")
    return buffer.getvalue()


def test_a_rejected_4k_jpeg_is_neither_decoded_nor_encoded(world, no, counted, make_frame_key):
    engine = world.engine({"a": no})
    frame = Frame(frame_id="big", image=Image(large_jpeg()))
    offer = world.offer_one(engine, frame, key=make_frame_key(frame))

    assert "not_selected" == offer.status
    assert {"decoded": 0, "encoded": 0} == counted
    assert not frame.image.decoded


def test_the_counters_do_count(world, yes, counted):
    engine = world.engine({"a": yes})
    world.accept_one(engine, Frame(frame_id="f", image=Image(png())))

    assert {"decoded": 1, "encoded": 1} == counted


def test_a_limited_frame_is_never_encoded(world, yes, counted, frame, make_frame_key):
    engine = world.engine({"a": yes, "b": yes}, rules={"a": ONE_A_DAY, "b": ONE_A_DAY})
    for _ in range(2):
        world.accept_one(engine, frame)
    offer = world.offer_one(engine, frame, key=make_frame_key(frame))
    counts = world.tally.counts({})

    assert "limited" == offer.status
    assert ["a", "b"] == [datapoint.strategy for datapoint in world.spool.datapoints]
    assert 2 == counted["encoded"]
    assert (3, 3, 2, 1) == (counts.offered, counts.matched, counts.accepted, counts.limited)
    assert "limited" == offer.entry.outcome == offer.entry.detail["outcome"]
    assert ["a", "b"] == offer.entry.detail["matching"]


def test_a_datapoint_says_all_that_is_known(world, yes):
    engine = world.engine({"x": Verdict(match=False), "a": yes})
    crop = Crop(frame_id="whole", detection_id=None, left=1, top=2, width=64, height=48)
    frame = Frame(
        frame_id="cam/1",
        image=Image(sample_jpeg()),
        captured_at=5.0,
        source="cam",
        attributes={"site": "north"},
        parent=crop,
    )
    datapoint = world.accept_one(engine, frame, inference_id="request-1")
    [[candidate]] = world.spool.groups
    now = world.clock.time()

    assert {
        "frame_id": "cam/1",
        "image_size": (64, 48),
        "target": Target(),
        "source_size": (64, 48),
        "batch_name": "batch_1700000000",
        "tags": ("tag", "a", "sample/1"),
        "strategy": "a",
        "utility": 0.5,
        "probability": 1.0,
        "reason": "yes",
        "model_id": "sample/1",
        "inference_id": "request-1",
        "captured_at": 5.0,
        "decided_at": now,
        "attributes": {"site": "north"},
        "source": "cam",
        "parent": crop,
    } == {
        name: getattr(datapoint, name)
        for name in datapoint.__slots__
        if name not in ("item_id", "content_key", "image", "prediction", "decision")
    }
    assert candidate.item_id == datapoint.item_id
    assert candidate.image == datapoint.image
    assert sample_detections(1).xyxy.tolist() == datapoint.prediction.xyxy.tolist()
    assert ("selected", ("a",), "c0ffee", 7, now) == (
        datapoint.decision.outcome,
        datapoint.decision.matching,
        datapoint.decision.configuration_hash,
        datapoint.decision.seed,
        datapoint.decision.decided_at,
    )
    assert ["x", "a"] == [entry.strategy for entry in datapoint.decision.verdicts]


def test_the_callers_model_goes_before_the_predictions(world, yes, frame):
    assert "mine/2" == world.accept_one(world.engine({"a": yes}), frame, model_id="mine/2").model_id


def test_a_document_of_a_task_that_we_do_not_read_is_passed_on(world, yes, frame):
    engine = world.engine({"a": yes})
    said = Unlabelled(prediction_type="semantic-segmentation", document={"mask": "…"})
    [offer] = engine.offer(frame, said)
    candidate = engine.prepare(offer.pending)

    assert {"mask": "…"} == candidate.compose("a").prediction.document


@pytest.mark.parametrize(
    ("persist", "document"), [(False, sample_detections(1)), (True, Unlabelled())]
)
def test_no_prediction_goes_along_where_none_is_kept_or_there_is_none(
    world, yes, frame, persist, document
):
    engine = world.engine({"a": yes}, persist_predictions=persist)

    assert world.accept_one(engine, frame, document).prediction is None


def test_a_frame_of_the_library_gets_a_row_of_its_own(world, yes, no, frame, make_frame_key):
    engine = world.engine({"a": yes})
    plain = engine.prepare(world.offer_one(engine, frame).pending)
    known = engine.prepare(world.offer_one(engine, frame, key=make_frame_key(frame)).pending)
    rejected = world.offer_one(world.engine({"a": no}), frame)

    assert FrameKey(source="", frame_id="frame-1", size=0, mtime_ns=0) == plain.key
    assert make_frame_key(frame) == known.key
    assert rejected.entry is None


def test_a_rejected_frame_of_a_source_is_remembered_with_its_decision(
    world, no, frame, make_frame_key
):
    offer = world.offer_one(world.engine({"a": no}), frame, key=make_frame_key(frame))
    detail = json.loads(json.dumps(offer.entry.detail))

    assert ("not_selected", make_frame_key(frame), world.clock.time()) == (
        offer.entry.outcome,
        offer.entry.key,
        offer.entry.decided_at,
    )
    assert [("a", no, None)] == list(decision_from_dict(detail).verdicts)


def test_numpys_own_bool_in_a_verdict_can_be_remembered(world, frame, make_frame_key):
    answer = Verdict(match=np.array([0.5]).max() > 0.6)
    offer = world.offer_one(world.engine({"a": answer}), frame, key=make_frame_key(frame))

    assert json.loads(json.dumps(offer.entry.detail))["verdicts"][0]["match"] is False


def test_strategies_that_read_pixels_run_in_prepare_and_stand_in_order(world, yes, no, frame):
    asked = []

    def look(frame, _):
        asked.append(frame.image.pixels().shape)
        return yes

    pixels = {"needs_pixels": True}
    engine = world.engine({"a": (look, pixels), "b": no, "c": (look, pixels), "d": yes})
    offer = world.offer_one(engine, frame)

    assert [] == asked
    assert "pending" == offer.status

    engine.accept([engine.prepare(offer.pending)])
    decision = world.spool.datapoints[0].decision

    assert [(48, 64, 3)] * 2 == asked
    assert ["a", "b", "c", "d"] == [entry.strategy for entry in decision.verdicts]
    assert ("a", "c", "d") == decision.matching


@pytest.mark.parametrize("limited", [False, True])
def test_a_look_at_the_pixels_can_end_in_a_no(
    *, world, yes, no, frame, make_frame_key, counted, limited
):
    rules = {"a": [LimitRule(period="daily", value=0)]}
    engine = world.engine({"a": (yes if limited else no, {"needs_pixels": True})}, rules=rules)
    offer = engine.prepare(world.offer_one(engine, frame, key=make_frame_key(frame)).pending)
    status = "limited" if limited else "not_selected"

    assert isinstance(offer, Ended)
    assert status == offer.status == offer.entry.outcome
    assert 0 == counted["encoded"]
    assert 1 == getattr(world.tally.counts({}), status)
    assert 0 == world.unbalanced()


def test_crops_are_frames_of_their_own_and_their_parent_is_remembered_as_split(
    world, yes, crops, frame, make_frame_key
):
    engine = world.engine({"a": yes}, adapters=crops)
    offers = engine.offer(frame, {"left": {}, "right": {}}, key=make_frame_key(frame))

    assert ["pending", "pending", "split"] == [offer.status for offer in offers]
    assert ["frame-1#left", "frame-1#right"] == [o.pending.frame.frame_id for o in offers[:2]]
    assert [None, None] == [offer.pending.key for offer in offers[:2]]
    assert ("split", make_frame_key(frame), {"crops": ["frame-1#left", "frame-1#right"]}) == (
        offers[2].entry.outcome,
        offers[2].entry.key,
        offers[2].entry.detail,
    )
    assert 2 == world.tally.counts({}).offered


@pytest.mark.parametrize("piece", [{"bug": "oh"}, {"fault": "no box"}])
def test_a_crop_that_cannot_be_read_leaves_its_neighbours(world, yes, crops, frame, piece):
    engine = world.engine({"a": yes}, adapters=crops)
    offers = engine.offer(frame, {"left": {}, "middle": piece, "right": {}})

    assert ["pending", "invalid", "pending"] == [offer.status for offer in offers]
    assert "frame-1#middle" in world.reports[0][0]
    assert 3 == world.tally.counts({}).offered


def test_a_frame_without_crops_is_remembered_too(world, yes, crops, frame, make_frame_key):
    engine = world.engine({"a": yes}, adapters=crops)
    [offer] = engine.offer(frame, {}, key=make_frame_key(frame))

    assert ("split", {"crops": []}) == (offer.status, offer.entry.detail)
    assert [] == engine.offer(frame, {})
    assert 0 == world.tally.counts({}).offered


def test_a_frame_among_its_own_crops_keeps_its_key(world, yes, crops, frame, make_frame_key):
    engine = world.engine({"a": yes}, adapters=crops)
    offers = engine.offer(frame, {"itself": {}, "left": {}}, key=make_frame_key(frame))

    assert [make_frame_key(frame), None] == [offer.pending.key for offer in offers]


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("not_selected", "not_selected"),
        ("limited", "limited"),
        ("invalid", "invalid"),
        ("split", "not_selected"),
    ],
)
def test_a_ticket_says_what_became_of_an_offer(status, shown):
    ticket = Ended(status=status, reason="why").ticket("f")

    assert Ticket(status=shown, reason="why", frame_id="f") == ticket


def test_a_seen_frame_goes_to_the_spool_without_a_count(world, no, frame, make_frame_key):
    engine = world.engine({"a": no})
    entry = world.offer_one(engine, frame, key=make_frame_key(frame)).entry

    assert isinstance(entry, SeenFrame)
    assert [] == engine.accept([entry])
    assert [[entry]] == world.spool.groups


def test_an_empty_model_name_is_none(world, yes, frame):
    engine = world.engine({"a": yes})

    assert world.accept_one(engine, frame, Unlabelled(model_id=""), model_id="").model_id is None


def test_only_what_is_in_the_race_is_asked_to_be_kept(world, yes, no):
    asked = []

    def keep(frame, prediction):
        asked.append(frame.frame_id)
        return Frame(frame_id="copy", image=frame.image), prediction

    answer = lambda frame, _: yes if frame.frame_id == "yes" else no  # noqa: E731 - one line says it
    engine = world.engine({"a": answer})
    [out] = engine.offer(sample_frame("no"), sample_detections(1), keep=keep)
    [kept] = engine.offer(sample_frame("yes"), sample_detections(1), keep=keep)

    assert ["yes"] == asked
    assert (None, "copy") == (out.pending, kept.pending.frame.frame_id)


def test_what_cannot_be_kept_is_dropped_with_the_reason(world, yes):
    engine = world.engine({"a": yes})
    [offer] = engine.offer(sample_frame("f"), sample_detections(1), keep=lambda *_: "ring_full")

    assert ("dropped", "ring_full", None) == (offer.status, offer.reason, offer.pending)
    assert {"ring_full": 1} == world.tally.counts({}).dropped
    assert 0 == world.unbalanced()
