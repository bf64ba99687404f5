"""Every frame that was offered is counted once, whatever becomes of it and on whichever thread."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al_framework.api import (
    Frame,
    Image,
    SpoolFullError,
    Verdict,
)
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.spool import Acceptance, Candidate
from al_framework.testing import sample_detections, sample_jpeg


def test_accepting_counts_each_answer(world, yes, frame, monkeypatch):
    engine = world.engine({"a": yes})
    candidates = [engine.prepare(world.offer_one(engine, frame).pending) for _ in range(3)]
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
    candidate = engine.prepare(world.offer_one(engine, frame).pending)
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
def test_counts_add_up_after_any_interleaving(world_type, crops, nan_detections, steps, pixels):
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
        adapters=crops,
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


def test_counts_add_up_with_eight_threads(world, crops, nan_detections):
    def decide(frame, _):
        return Verdict(match=not frame.frame_id.startswith("no"))

    engine = world.engine(
        {"a": decide},
        rules={"a": [LimitRule(period="daily", value=100)]},
        adapters=crops,
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
