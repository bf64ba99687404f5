"""Strategies are asked about a frame: draws, counts, faults and what they may see."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from al_framework.api import Classification, Options, Unlabelled, Verdict
from al_framework.pipeline.sampling import MAX_FAULTS_IN_A_ROW, StrategySlot
from al_framework.pipeline.selection import draw
from al_framework.pipeline.tally import Tally
from al_framework.testing import sample_detections, sample_frame


def evaluate(sampler, prediction=None, *, frame_id="frame-1", pixels=False):
    prediction = sample_detections() if prediction is None else prediction
    return sampler.evaluate(sample_frame(frame_id), prediction, pixels=pixels)


def crash(*_):
    raise RuntimeError("boom")


def test_each_verdict_has_the_draw_of_its_strategy_and_frame(world, yes, no):
    verdicts = evaluate(world.sampler(world.slot("a", yes), world.slot("b", no)))

    assert [("a", yes, draw(7, "a", "frame-1")), ("b", no, None)] == verdicts


def test_a_draw_does_not_depend_on_other_strategies_or_their_order(world, yes):
    alone = evaluate(world.sampler(world.slot("a", yes)))
    last = evaluate(
        world.sampler(world.slot("c", yes), world.slot("b", crash), world.slot("a", yes))
    )

    assert alone[0] == last[-1]


def test_counts_tell_asked_matched_and_selected_apart(world):
    sometimes = Verdict(match=True, probability=0.5)
    slot = world.slot(
        "a", lambda frame, _: sometimes if frame.frame_id != "no" else Verdict(match=False)
    )
    names = [f"frame-{n}" for n in range(20)]
    for name in (*names, "no"):
        evaluate(world.sampler(slot), frame_id=name)
    counts = slot.tally.counts()

    assert (21, 20) == (counts.evaluated, counts.matched)
    assert sum(draw(7, "a", name) < 0.5 for name in names) == counts.selected


def test_a_strategy_that_raises_is_counted_and_the_others_go_on(world, yes):
    slots = [world.slot("bad", crash), world.slot("good", yes)]
    verdicts = evaluate(world.sampler(*slots))
    bad = slots[0].tally.counts()

    assert ["good"] == [entry.strategy for entry in verdicts]
    assert (1, 1, 0) == (bad.evaluated, bad.failed, bad.matched)


def test_the_first_fault_alone_is_reported_with_its_traceback(world):
    sampler = world.sampler(world.slot("bad", crash))
    for n in range(3):
        evaluate(sampler, frame_id=f"frame-{n}")
    [(text, exc)] = world.reports

    assert (
        "strategy 'bad' (plugin 'plug'): frame 'frame-0': RuntimeError: boom: repair or update the "
        "plugin, or take the strategy out"
    ) == text
    assert isinstance(exc, RuntimeError)
    assert exc.__traceback__ is not None


def test_twenty_faults_in_a_row_switch_a_strategy_off_and_say_so(world):
    slot = world.slot("bad", crash)
    sampler = world.sampler(slot)
    for _ in range(MAX_FAULTS_IN_A_ROW - 1):
        evaluate(sampler)

    assert not slot.tally.disabled

    for _ in range(5):
        evaluate(sampler)

    assert slot.tally.disabled
    assert (20, 20) == (slot.tally.counts().failed, slot.tally.counts().evaluated)
    assert [
        (
            "strategy 'bad' (plugin 'plug'): frame 'frame-1': RuntimeError: boom: repair or update "
            "the plugin, or take the strategy out"
        ),
        (
            "strategy 'bad' (plugin 'plug') is switched off after 20 faults in a row; the last was "
            "RuntimeError: boom: repair or update the plugin, or take the strategy out"
        ),
    ] == [text for text, _ in world.reports]
    assert world.reports[1][1] is None


def test_a_success_in_between_starts_the_count_anew(world, yes):
    slot = world.slot("moody", lambda frame, _: yes if frame.frame_id == "good" else crash())
    sampler = world.sampler(slot)
    for _ in range(3):
        for _ in range(MAX_FAULTS_IN_A_ROW - 1):
            evaluate(sampler)
        evaluate(sampler, frame_id="good")

    assert not slot.tally.disabled
    assert 57 == slot.tally.counts().failed
    assert 1 == len(world.reports)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "TypeError: evaluate returned None: return a Verdict"),
        (True, "TypeError: evaluate returned True: return a Verdict"),
        (
            Verdict(match=True, probability=1.5),
            "ValueError: probability 1.5 is not between 0 and 1",
        ),
        (
            Verdict(match=True, probability=-0.1),
            "ValueError: probability -0.1 is not between 0 and 1",
        ),
        (
            Verdict(match=True, probability=float("nan")),
            "ValueError: probability nan is not between 0 and 1",
        ),
        (
            Verdict(match=False, utility=float("inf")),
            "ValueError: utility inf is not a finite number",
        ),
        (
            Verdict(match="no"),
            "TypeError: match 'no' is neither true nor false: give True or False",
        ),
        (
            Verdict(match=None),
            "TypeError: match None is neither true nor false: give True or False",
        ),
        (Verdict(match=True, utility="high"), "TypeError: must be real number, not str"),
    ],
)
def test_what_is_no_verdict_is_a_fault(world, answer, message):
    slot = world.slot("bad", lambda *_: answer)
    verdicts = evaluate(world.sampler(slot))

    assert [] == verdicts
    assert 1 == slot.tally.counts().failed
    remedy = "repair or update the plugin, or take the strategy out"
    assert [f"strategy 'bad' (plugin 'plug'): frame 'frame-1': {message}: {remedy}"] == [
        text for text, _ in world.reports
    ]


def test_numbers_of_numpy_in_a_verdict_become_plain_ones(world):
    scores = np.array([0.25, 0.75], dtype=np.float32)
    answer = Verdict(
        match=scores.max() > 0.5, utility=scores[0], probability=scores[1], reason=np.str_("why")
    )
    slot = world.slot("a", answer)
    [entry] = evaluate(world.sampler(slot))
    verdict = entry.verdict

    assert Verdict(match=True, utility=0.25, probability=0.75, reason="why") == verdict
    assert json.dumps([True, 0.25, 0.75, "why"]) == json.dumps(
        [verdict.match, verdict.utility, verdict.probability, verdict.reason]
    )
    assert 1 == slot.tally.counts().matched
    assert int is type(slot.tally.counts().matched)


def test_whole_numbers_in_a_verdict_stay_as_they_are(world):
    answer = Verdict(match=True, utility=3, probability=1)
    [entry] = evaluate(world.sampler(world.slot("a", answer)))

    assert answer is entry.verdict


CLASSES = Classification(class_name=("cat",), confidence=np.array([0.5]), image_size=(64, 48))


@pytest.mark.parametrize(
    ("tasks", "prediction", "asked"),
    [
        (None, sample_detections(), True),
        (None, Unlabelled(), True),
        (None, CLASSES, True),
        (frozenset({"object-detection"}), sample_detections(), True),
        (frozenset({"object-detection"}), CLASSES, False),
        (frozenset({"object-detection"}), Unlabelled(prediction_type="object-detection"), False),
        (frozenset(), sample_detections(), False),
    ],
)
def test_a_strategy_sees_the_types_it_reads_and_stubs_only_if_it_reads_all(
    world, yes, tasks, prediction, asked
):
    slot = world.slot("a", yes, tasks=tasks)
    verdicts = evaluate(world.sampler(slot), prediction)

    assert asked == bool(verdicts)
    assert (int(asked), int(not asked)) == (
        slot.tally.counts().evaluated,
        slot.tally.counts().not_eligible,
    )


def test_a_strategy_is_asked_about_what_the_configuration_says_of_it(world, yes):
    kind = type(world.slot("a", yes, tasks=frozenset({"classification"})).instance(""))
    slot = StrategySlot(
        "a",
        plugin="plug",
        strategy=kind,
        tasks=frozenset({"object-detection"}),
        build=lambda _: kind(Options(), None),
        tally=Tally(["a"]).strategy("a"),
    )

    assert evaluate(world.sampler(slot), sample_detections())
    assert not evaluate(world.sampler(slot), CLASSES)


def test_strategies_that_read_pixels_are_asked_apart_and_merged_in_order(world, yes, no):
    sampler = world.sampler(
        world.slot("a", yes, needs_pixels=True),
        world.slot("b", no),
        world.slot("c", yes, needs_pixels=True),
        world.slot("d", yes),
    )
    cheap, costly = evaluate(sampler), evaluate(sampler, pixels=True)

    assert sampler.has_pixel_strategies
    assert ["b", "d"] == [entry.strategy for entry in cheap]
    assert ["a", "c"] == [entry.strategy for entry in costly]
    assert ["a", "b", "c", "d"] == [e.strategy for e in sampler.merge(cheap, costly)]
    assert cheap == sampler.merge(cheap, [])
    assert cheap is not sampler.merge(cheap, [])


def test_without_strategies_that_read_pixels_a_sampler_says_so(world, yes):
    assert not world.sampler(world.slot("a", yes)).has_pixel_strategies


def test_a_strategy_cannot_write_to_what_others_and_the_label_will_see(world, yes):
    sample = sample_detections()
    before = sample.xyxy.copy()
    prediction = replace(sample, xyxy=sample.xyxy.copy(), confidence=sample.confidence.copy())

    def scribble(_, shown):
        shown.xyxy[:] = 0
        return yes

    slots = [world.slot("bad", scribble), world.slot("good", yes)]
    verdicts = evaluate(world.sampler(*slots), prediction)

    assert ["good"] == [entry.strategy for entry in verdicts]
    assert "assignment destination is read-only" in world.reports[0][0]
    assert np.array_equal(before, prediction.xyxy)
    assert prediction.xyxy.flags.writeable


def test_a_strategy_that_ends_the_program_is_a_fault_like_any_other(world, yes):
    def leave(*_):
        sys.exit(0)

    slots = [world.slot("bad", leave), world.slot("good", yes)]
    verdicts = evaluate(world.sampler(*slots))

    assert ["good"] == [entry.strategy for entry in verdicts]
    assert 1 == slots[0].tally.counts().failed


def test_a_slot_that_is_off_leaves_another_of_its_name_at_work(world, yes):
    old = world.slot("a", crash)
    for _ in range(MAX_FAULTS_IN_A_ROW):
        evaluate(world.sampler(old))
    new = world.slot("a", yes)
    new.tally = old.tally
    new.tally.disabled = False
    late = evaluate(world.sampler(old))

    assert late == []
    assert not new.tally.disabled
    assert [entry.strategy for entry in evaluate(world.sampler(new))] == ["a"]
