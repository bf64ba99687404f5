import io
import json
import threading

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al_framework.api import (
    Crop,
    Frame,
    FrameKey,
    Image,
    ImageError,
    Keypoints,
    Options,
    PredictionAdapter,
    PredictionError,
    SpoolError,
    SpoolFullError,
    Target,
    Ticket,
    Unlabelled,
    Verdict,
)
from al_framework.api.codec import decision_from_dict
from al_framework.pipeline import engine as engine_module
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.offers import Ended
from al_framework.pipeline.spool import Acceptance, Candidate, SeenFrame
from al_framework.testing import sample_detections, sample_frame, sample_jpeg

ONE_A_DAY = [LimitRule(period="daily", value=1)]


class Dicts(PredictionAdapter):
    """Reads dictionaries: one detection, or what is wrong with them."""

    type_name = "dicts"

    def accepts(self, document):
        return isinstance(document, dict)

    def adapt(self, document, *, frame, prediction_type):
        if "bug" in document:
            raise RuntimeError(document["bug"])
        if "fault" in document:
            raise PredictionError(document["fault"])
        return document.get("answer", sample_detections(1))


class Crops(Dicts):
    def split(self, document, *, frame):
        for name, piece in document.items():
            if name == "itself":
                yield frame, piece
                continue
            crop = Crop(
                frame_id=frame.frame_id, detection_id=name, left=0, top=0, width=9, height=9
            )
            yield (
                Frame(frame_id=f"{frame.frame_id}#{name}", image=frame.image, parent=crop),
                piece,
            )


@pytest.fixture
def dicts(context):
    return [("dicts", Dicts(Options(), context))]


@pytest.fixture
def crops(context):
    return [("crops", Crops(Options(), context))]


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


def offer_one(engine, frame, document=None, **known):
    [offer] = engine.offer(frame, sample_detections(1) if document is None else document, **known)
    return offer


def accept_one(world, engine, frame, document=None, **known):
    """Take a frame all the way and return its datapoint."""
    candidate = engine.prepare(offer_one(engine, frame, document, **known).pending)
    engine.accept([candidate])
    return world.spool.datapoints[-1]


def test_a_rejected_4k_jpeg_is_neither_decoded_nor_encoded(world, no, counted, make_frame_key):
    engine = world.engine({"a": no})
    frame = Frame(frame_id="big", image=Image(large_jpeg()))
    offer = offer_one(engine, frame, key=make_frame_key(frame))

    assert "not_selected" == offer.status
    assert {"decoded": 0, "encoded": 0} == counted
    assert not frame.image.decoded


def test_the_counters_do_count(world, yes, counted):
    engine = world.engine({"a": yes})
    accept_one(world, engine, Frame(frame_id="f", image=Image(png())))

    assert {"decoded": 1, "encoded": 1} == counted


def test_a_limited_frame_is_never_encoded(world, yes, counted, frame, make_frame_key):
    engine = world.engine({"a": yes, "b": yes}, rules={"a": ONE_A_DAY, "b": ONE_A_DAY})
    for _ in range(2):
        accept_one(world, engine, frame)
    offer = offer_one(engine, frame, key=make_frame_key(frame))
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
    datapoint = accept_one(world, engine, frame, inference_id="request-1")
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
    assert (
        "mine/2" == accept_one(world, world.engine({"a": yes}), frame, model_id="mine/2").model_id
    )


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

    assert accept_one(world, engine, frame, document).prediction is None


def test_a_frame_of_the_library_gets_a_row_of_its_own(world, yes, no, frame, make_frame_key):
    engine = world.engine({"a": yes})
    plain = engine.prepare(offer_one(engine, frame).pending)
    known = engine.prepare(offer_one(engine, frame, key=make_frame_key(frame)).pending)
    rejected = offer_one(world.engine({"a": no}), frame)

    assert FrameKey(source="", frame_id="frame-1", size=0, mtime_ns=0) == plain.key
    assert make_frame_key(frame) == known.key
    assert rejected.entry is None


def test_a_rejected_frame_of_a_source_is_remembered_with_its_decision(
    world, no, frame, make_frame_key
):
    offer = offer_one(world.engine({"a": no}), frame, key=make_frame_key(frame))
    detail = json.loads(json.dumps(offer.entry.detail))

    assert ("not_selected", make_frame_key(frame), world.clock.time()) == (
        offer.entry.outcome,
        offer.entry.key,
        offer.entry.decided_at,
    )
    assert [("a", no, None)] == list(decision_from_dict(detail).verdicts)


def test_numpys_own_bool_in_a_verdict_can_be_remembered(world, frame, make_frame_key):
    answer = Verdict(match=np.array([0.5]).max() > 0.6)
    offer = offer_one(world.engine({"a": answer}), frame, key=make_frame_key(frame))

    assert json.loads(json.dumps(offer.entry.detail))["verdicts"][0]["match"] is False


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
    offer = offer_one(engine, frame, document, key=make_frame_key(frame))
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
    offer = offer_one(engine, frame, nan_detections, key=make_frame_key(frame))

    assert [] == asked
    assert "invalid_prediction" == offer.entry.outcome
    assert "row 0 of the prediction's confidence is nan, not finite" in offer.reason
    assert 0 == world.unbalanced()


def test_a_name_that_is_no_text_for_the_draw_costs_its_frame_alone(world, yes):
    offer = offer_one(world.engine({"a": yes}), sample_frame("caf\udce9.jpg"))

    assert "invalid" == offer.status
    assert offer.reason.startswith("UnicodeEncodeError: 'utf-8' codec can't encode character")
    assert {"failed": 1} == world.tally.counts({}).dropped
    assert 0 == world.unbalanced()


def test_limits_that_cannot_be_read_cost_the_frame_and_never_raise(world, yes, frame):
    class Broken(MemoryLedger):
        def peek(self, strategies, now):
            raise SpoolError("spool 'x': disk I/O error")

    offer = offer_one(world.engine({"a": yes}, ledger=Broken({}, scope="test")), frame)

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
    pending = offer_one(engine, bad, make_detections(**changes), key=make_frame_key(bad)).pending
    offer = engine.prepare(pending)
    accept_one(world, engine, sample_frame("good"))

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
    offer = offer_one(
        world.engine({"a": yes}), frame, make_detections(embedding=np.array([value, 1.0]))
    )

    assert "invalid" == offer.status
    assert "row 0 of the prediction's embedding is" in offer.reason


def test_a_broken_picture_is_found_when_it_is_encoded(world, yes, make_frame_key):
    engine = world.engine({"a": yes})
    bad = Frame(frame_id="bad", image=Image(sample_jpeg()[:-100]))
    offer = engine.prepare(offer_one(engine, bad, key=make_frame_key(bad)).pending)

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
    offer = engine.prepare(offer_one(engine, frame, key=make_frame_key(frame)).pending)

    assert ("invalid", "MemoryError: out of it", None) == (offer.status, offer.reason, offer.entry)
    assert {"failed": 1} == world.tally.counts({}).dropped


def test_refusing_without_a_time_takes_the_clocks(world, no, frame, make_frame_key):
    engine = world.engine({"a": no})
    engine.tally.offer()
    offer = engine.refuse(frame, ImageError("bad"), key=make_frame_key(frame))

    assert world.clock.time() == offer.entry.decided_at


def test_strategies_that_read_pixels_run_in_prepare_and_stand_in_order(world, yes, no, frame):
    asked = []

    def look(frame, _):
        asked.append(frame.image.pixels().shape)
        return yes

    pixels = {"needs_pixels": True}
    engine = world.engine({"a": (look, pixels), "b": no, "c": (look, pixels), "d": yes})
    offer = offer_one(engine, frame)

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
    offer = engine.prepare(offer_one(engine, frame, key=make_frame_key(frame)).pending)
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


def test_accepting_counts_each_answer(world, yes, frame, monkeypatch):
    engine = world.engine({"a": yes})
    candidates = [engine.prepare(offer_one(engine, frame).pending) for _ in range(3)]
    answers = [
        Acceptance(item_id="1", status="accepted", strategy="a"),
        Acceptance(item_id="2", status="limited"),
        Acceptance(item_id="3", status="batch_full"),
    ]
    monkeypatch.setattr(world.spool, "accept", lambda _: answers)

    assert answers == engine.accept(candidates)

    counts = world.tally.counts({})

    assert (1, 1, {"batch_full": 1}, 0) == (
        counts.accepted,
        counts.limited,
        counts.dropped,
        counts.queued,
    )
    assert 1 == counts.strategies["a"].paid


def test_a_full_spool_counts_nothing(world, yes, frame):
    engine = world.engine({"a": yes})
    candidate = engine.prepare(offer_one(engine, frame).pending)
    world.spool.errors = [SpoolFullError("full")]

    with pytest.raises(SpoolFullError, match=r"^full$"):
        engine.accept([candidate])

    assert 1 == world.tally.counts({}).queued


KINDS = ("yes", "no", "maybe", "nan", "broken", "garbage", "crops")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.sampled_from(KINDS)),
        st.tuples(st.just("prepare"), st.integers(0, 9)),
        st.tuples(st.just("accept"), st.integers(1, 5)),
        st.tuples(st.just("full"), st.just(0)),
        st.tuples(st.just("ring_full"), st.integers(0, 9)),
    ),
    max_size=40,
)
PICTURES = {kind: sample_jpeg() for kind in KINDS} | {"broken": sample_jpeg()[:500]}


def document_for(kind, nan):
    return {"nan": nan, "garbage": 5, "crops": {"left": {}, "right": {}}}.get(
        kind, sample_detections(1)
    )


@settings(deadline=None, derandomize=True, max_examples=60)
@given(steps=STEPS, pixels=st.booleans())
def test_counts_add_up_after_any_interleaving(world_type, context, nan_detections, steps, pixels):
    world = world_type()

    def decide(frame, _):
        match = frame.frame_id.startswith(("yes", "crops", "broken", "maybe"))
        return Verdict(match=match, probability=0.5 if frame.frame_id.startswith("maybe") else 1.0)

    engine = world.engine(
        {"a": decide, "b": (decide, {"needs_pixels": pixels})},
        rules={
            "a": [LimitRule(period="daily", value=3)],
            "b": [LimitRule(period="daily", value=2)],
        },
        adapters=[("crops", Crops(Options(), context))],
    )
    pending, prepared = [], []
    for number, (step, value) in enumerate(steps):
        if step == "offer":
            frame = Frame(frame_id=f"{value}-{number}", image=Image(PICTURES[value]))
            offers = engine.offer(frame, document_for(value, nan_detections))
            pending += [offer.pending for offer in offers if offer.pending is not None]
        elif step == "prepare" and pending:
            made = engine.prepare(pending.pop(value % len(pending)))
            prepared += [made] if isinstance(made, Candidate) else []
        elif step == "accept":
            engine.accept(prepared[:value])
            del prepared[:value]
        elif step == "full" and prepared:
            world.spool.errors = [SpoolFullError("full")]
            with pytest.raises(SpoolFullError, match="full"):
                engine.accept(prepared)
        elif step == "ring_full" and pending:
            pending.pop(value % len(pending))
            engine.tally.drop("ring_full")

        assert 0 == world.unbalanced()
        assert len(pending) + len(prepared) == world.tally.counts({}).queued
    assert 5 >= world.tally.counts({}).accepted


def test_counts_add_up_with_eight_threads(world, context, nan_detections):
    def decide(frame, _):
        return Verdict(match=not frame.frame_id.startswith("no"))

    engine = world.engine(
        {"a": decide},
        rules={"a": [LimitRule(period="daily", value=100)]},
        adapters=[("crops", Crops(Options(), context))],
    )
    accepting = threading.Lock()

    def work(thread):
        for number in range(70):
            kind = KINDS[number % len(KINDS)]
            frame = Frame(frame_id=f"{kind}-{thread}-{number}", image=Image(PICTURES[kind]))
            for offer in engine.offer(frame, document_for(kind, nan_detections)):
                made = offer if offer.pending is None else engine.prepare(offer.pending)
                if isinstance(made, Candidate):
                    with accepting:
                        engine.accept([made])

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    counts = world.tally.counts({})

    assert 0 == world.unbalanced()
    assert (8 * 80, 0, 100) == (counts.offered, counts.queued, counts.accepted)
    assert 8 * 10 == counts.not_selected
    assert {"invalid_prediction", "invalid_image"} == set(counts.dropped)


def test_a_seen_frame_goes_to_the_spool_without_a_count(world, no, frame, make_frame_key):
    engine = world.engine({"a": no})
    entry = offer_one(engine, frame, key=make_frame_key(frame)).entry

    assert isinstance(entry, SeenFrame)
    assert [] == engine.accept([entry])
    assert [[entry]] == world.spool.groups


def test_an_empty_model_name_is_none(world, yes, frame):
    engine = world.engine({"a": yes})

    assert accept_one(world, engine, frame, Unlabelled(model_id=""), model_id="").model_id is None


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
