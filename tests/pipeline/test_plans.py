"""What an engine does without a plan, with one that is off, and with pictures sent lately."""

from dataclasses import replace

import pytest

from al_framework.api import Frame, Image, SpoolFullError, Target
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.recent import RecentImages
from al_framework.pipeline.spool import Acceptance, Candidate
from al_framework.testing import sample_jpeg


def offer(engine, frame, **more):
    [found] = engine.offer(frame, None, **more)
    return found


def prepared(engine, frame):
    return engine.prepare(offer(engine, frame).pending)


@pytest.fixture
def frame():
    return Frame(frame_id="f", image=Image(sample_jpeg()))


@pytest.fixture
def recent(world):
    return RecentImages(world.clock)


def test_without_a_plan_a_frame_is_dropped_unread(world, yes, make_frame_key):
    engine = world.engine({"a": yes})
    engine.plan = None
    frame = Frame(frame_id="f", image=Image(b"never looked at"))
    found = offer(engine, frame, key=make_frame_key(frame))

    assert (found.status, found.reason, found.entry) == ("dropped", "no_configuration", None)
    assert found.ticket("f").reason == "no_configuration"
    assert world.tally.counts({}).dropped == {"no_configuration": 1}
    assert world.unbalanced() == 0


def test_a_plan_that_is_off_selects_nothing_and_remembers_nothing(world, yes, make_frame_key):
    engine = world.engine({"a": yes})
    engine.plan = replace(engine.plan, off="the owner says so")
    frame = Frame(frame_id="f", image=Image(b"never looked at"))
    found = offer(engine, frame, key=make_frame_key(frame))

    assert (found.status, found.reason, found.entry) == ("not_selected", "the owner says so", None)
    assert world.tally.counts({}).not_selected == 1
    assert world.tally.counts({}).strategies["a"].evaluated == 0
    assert world.unbalanced() == 0


def test_a_frame_is_finished_by_the_plan_that_it_was_offered_under(world, yes, frame):
    engine = world.engine({"a": yes})
    old = engine.plan
    pending = offer(engine, frame).pending
    rules = replace(
        old.rules,
        batch_name=lambda _: "new",
        tags=lambda *_: ("new",),
        max_batch_images=3,
        target=Target(project="new"),
    )
    engine.plan = replace(old, rules=rules, configuration_hash="new")
    before, after = engine.prepare(pending), prepared(engine, frame)
    datapoints = [candidate.compose("a") for candidate in (before, after)]

    assert [d.tags for d in datapoints] == [("tag", "a", "None"), ("new",)]
    assert [d.decision.configuration_hash for d in datapoints] == ["c0ffee", "new"]
    assert [d.target for d in datapoints] == [Target(), Target(project="new")]
    assert [c.batch_name == "new" for c in (before, after)] == [False, True]
    assert [c.max_batch_images for c in (before, after)] == [None, 3]
    assert [c.target for c in (before, after)] == [Target(), Target(project="new")]


def test_strategies_that_read_pixels_are_those_of_the_frames_own_plan(world, yes, no, frame):
    engine = world.engine({"a": (yes, {"needs_pixels": True})})
    pending = offer(engine, frame).pending
    engine.plan = world.engine({"b": (no, {"needs_pixels": True})}).plan

    assert engine.prepare(pending).matching == ("a",)


def test_the_same_picture_is_sent_once_to_a_dataset(world, yes, frame, recent):
    first, second = (world.engine({"a": yes}, recent=recent) for _ in range(2))
    taken = prepared(first, frame)
    again = prepared(second, replace(frame, frame_id="g"))
    second.plan = replace(second.plan, dataset="elsewhere")

    assert isinstance(taken, Candidate)
    assert (again.status, again.reason) == ("dropped", "recently_sent")
    assert world.tally.counts({}).dropped == {"recently_sent": 1}
    assert world.unbalanced() == 0
    assert isinstance(prepared(second, frame), Candidate)


def test_a_picture_that_was_sent_is_not_sent_again_within_the_window(world, yes, frame, recent):
    engine = world.engine({"a": yes}, recent=recent)
    engine.accept([prepared(engine, frame)])
    again = prepared(engine, frame)
    world.clock.advance(600.0)

    assert again.reason == "recently_sent"
    assert isinstance(prepared(engine, frame), Candidate)


@pytest.mark.parametrize("end", ["limited", "batch_full", "lost"])
def test_a_picture_that_was_not_taken_may_come_again(
    world, yes, frame, recent, monkeypatch, *, end
):
    engine = world.engine({"a": yes}, recent=recent)
    candidate = prepared(engine, frame)
    if end == "lost":
        engine.lose([candidate], "spool_full")
    else:
        refusal = [Acceptance(item_id=candidate.item_id, status=end)]
        monkeypatch.setattr(world.spool, "accept", lambda _: refusal)
        engine.accept([candidate])
    counts = world.tally.counts({})

    assert isinstance(prepared(engine, frame), Candidate)
    assert (counts.limited, counts.dropped) == {
        "limited": (1, {}),
        "batch_full": (0, {"batch_full": 1}),
        "lost": (0, {"spool_full": 1}),
    }[end]


def test_while_the_spool_is_full_the_picture_stays_claimed(world, yes, frame, recent):
    engine = world.engine({"a": yes}, recent=recent)
    candidate = prepared(engine, frame)
    world.spool.errors.append(SpoolFullError("full"))
    with pytest.raises(SpoolFullError):
        engine.accept([candidate])
    between = prepared(engine, frame)
    [result] = engine.accept([candidate])

    assert between.reason == "recently_sent"
    assert result.status == "accepted"


def test_a_frame_that_cannot_be_used_claims_nothing(world, yes, recent):
    engine = world.engine({"a": yes}, recent=recent)
    torn = Frame(frame_id="f", image=Image(sample_jpeg()[:200]))
    refused = prepared(engine, torn)

    assert refused.status == "invalid"
    assert len(recent) == 0


def test_a_limited_frame_claims_nothing(world, yes, frame, recent):
    rules = {"a": [LimitRule(period="daily", value=1)]}
    engine = world.engine({"a": yes}, rules=rules, recent=recent)
    engine.accept([prepared(engine, frame)])
    other = Frame(frame_id="g", image=Image(sample_jpeg(seed=1)))

    assert offer(engine, other).status == "limited"
    assert len(recent) == 1
