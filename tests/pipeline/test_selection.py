from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al_framework.api import StrategyVerdict, Verdict
from al_framework.pipeline.selection import draw, first_match

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**64 - 1), strategy=NAMES, frame_id=NAMES)
def test_draw_is_the_published_formula(seed, strategy, frame_id):
    u = (
        int.from_bytes(
            blake2b(f"{seed}\0{strategy}\0{frame_id}".encode(), digest_size=8).digest(), "big"
        )
        >> 11
    ) * 2**-53

    assert u == draw(seed, strategy, frame_id)
    assert 0 <= u < 1


def test_draw_never_changes_between_versions():
    assert 0.12880712536628025 == draw(7, "hard_examples", "cam/000001.jpg")


def test_draws_of_strategies_seeds_and_frames_are_unrelated():
    draws = {
        draw(seed, strategy, frame_id)
        for seed in (1, 2)
        for strategy in ("a", "b")
        for frame_id in ("f", "g")
    }

    assert 8 == len(draws)


def test_draws_are_uniform():
    draws = [draw(7, "a", f"frame-{n}") for n in range(10_000)]

    assert 0.5 == pytest.approx(sum(draws) / len(draws), abs=0.01)
    assert 0.1 == pytest.approx(sum(u < 0.1 for u in draws) / len(draws), abs=0.01)


@pytest.mark.parametrize(
    ("entries", "matching", "outcome"),
    [
        ([], (), "not_selected"),
        ([("a", False, 1.0, None)], (), "not_selected"),
        ([("a", True, 0.5, 0.4)], ("a",), "selected"),
        ([("a", True, 0.5, 0.5)], (), "not_selected"),
        ([("a", True, 0.0, 0.0)], (), "not_selected"),
        ([("a", True, 1.0, 0.9), ("b", False, 1.0, None), ("c", True, 1.0, 0.1)], ("a", "c"), None),
    ],
)
def test_every_strategy_that_matches_and_draws_below_its_chance_takes_the_frame(
    entries, matching, outcome
):
    verdicts = [
        StrategyVerdict(name, Verdict(match=match, probability=probability), u)
        for name, match, probability, u in entries
    ]
    decision = first_match(
        verdicts, frame_id="f", decided_at=5.0, seed=7, configuration_hash="c0ffee"
    )

    assert matching == decision.matching
    assert (outcome or "selected") == decision.outcome
    assert tuple(verdicts) == decision.verdicts
    assert ("f", 5.0, 7, "c0ffee") == (
        decision.frame_id,
        decision.decided_at,
        decision.seed,
        decision.configuration_hash,
    )
