"""How figures are made and shown; nothing here depends on how fast anything is."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from benchmarks.comparing import (
    Case,
    Cost,
    Ratio,
    Target,
    compare,
    comparison_table,
    here,
)
from benchmarks.showing import apart, microseconds, part, times


def side(*cpu_us):
    """Return a side whose turns cost so much a call, one after the other, and twice on the wall."""
    turns = iter(cpu_us)
    last = [0.0]

    def calls(number):
        last[0] = next(turns, last[0])
        return Cost(cpu_s=last[0] * number / 1e6, wall_s=2 * last[0] * number / 1e6)

    return calls


def found(case, **options):
    [result] = compare([case], **({"quick": False, "rounds": 3, "block_s": 0} | options))
    return result


CASE = Case(group="frames", name="one", ours=side(10.0))


def test_a_side_here_makes_as_many_calls_as_it_is_told_to():
    calls = []
    cost = here(lambda: calls.append(1))(7)

    assert 7 == len(calls)
    assert cost.cpu_s >= 0
    assert cost.wall_s > 0


def test_medians_quartiles_and_the_best_of_the_rounds_are_kept():
    # The first turn finds out how many calls fill a block, and is not counted.
    figures = found(replace(CASE, ours=side(99.0, 30.0, 10.0, 20.0))).ours

    assert (20.0, 10.0) == pytest.approx((figures.cpu_us, figures.cpu_best_us))
    assert (40.0, 20.0) == pytest.approx((figures.wall_us, figures.wall_best_us))
    assert 3 == figures.calls


def test_a_ratio_is_made_within_a_round_and_keeps_its_spread():
    # In the second round the machine was ten times as busy, for both sides alike.
    mine = side(0.0, 16.0, 160.0, 16.0, 16.0, 16.0)
    theirs = side(0.0, 64.0, 640.0, 32.0, 32.0, 128.0)
    result = found(replace(CASE, ours=mine, peer=theirs), rounds=5)

    expected = {"peer": Ratio(median=0.25, quartiles=(0.25, 0.5))}
    assert expected == result.cpu_of == result.wall_of


def test_sides_have_their_turns_one_after_the_other():
    turns = []

    def noting(name):
        def calls(number):
            turns.append(name)
            return Cost(cpu_s=number / 1e6, wall_s=number / 1e6)

        return calls

    names = ("ours", "peer", "floor")
    found(Case(group="g", name="n", **{name: noting(name) for name in names}))

    assert ["ours", "peer", "floor"] * 4 == turns


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [
        (Target(0.25, "peer"), 0.25, True),
        (Target(0.2, "peer"), 0.25, False),
        (Target(2.0, "floor"), 2.0, True),
        (Target(15.0, "µs"), 10.0, True),
        (Target(15.0, "µs", "wall"), 20.0, False),
    ],
)
def test_a_target_is_met_or_missed(target, value, met):
    case = replace(CASE, ours=side(10.0), peer=side(40.0), floor=side(5.0), targets=[target])
    [reached] = found(case).reached

    assert value == pytest.approx(reached.value)
    assert met is reached.met


def test_without_a_peer_a_target_is_open_and_the_column_says_so():
    case = replace(CASE, ours=side(10.0), targets=[Target(0.1, "peer")])
    result = found(case)
    text = shown(result)

    assert [(None, None)] == [(one.value, one.met) for one in result.reached]
    assert "not run" in text
    assert "0.10 x ?" in text


def shown(*results):
    console = Console(file=io.StringIO(), width=80)
    console.print(comparison_table("frames", results))
    return console.file.getvalue()


def test_a_table_fits_80_columns_and_shows_both_times():
    targets = [Target(1 / 1000, "peer"), Target(1.25, "floor", "wall")]
    given = {"ours": side(10.0), "peer": side(34_700.0), "floor": side(5.0)}
    text = shown(found(Case(group="g", name="1000 detections", targets=targets, **given)))
    [cpu, wall] = [line.split() for line in text.splitlines()[2:]]

    assert ["10", "µs", "34.7", "ms", "5", "µs", "1/3,470", "2.00", "x"] == cpu[2:11]
    assert ["1/1,000", "met"] == cpu[11:]
    assert ["1.25", "x", "floor", "missed"] == wall[-4:]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5 µs"), (999.0, "999 µs"), (999.7, "1 ms"), (1500.0, "1.5 ms"), (2e6, "2 s")],
)
def test_a_time_has_a_unit_that_suits_it(value, text):
    assert text == microseconds(value)


@pytest.mark.parametrize(("ratio", "text"), [(1.25, "1.25 x"), (0.1, "0.10 x"), (0.001, "1/1,000")])
def test_a_small_ratio_is_one_part_in_so_many(ratio, text):
    assert text == part(ratio)


@pytest.mark.parametrize(
    ("ratio", "text"), [(1250.1, "1,250.1 x"), (0.96, "1.0 x"), (0.5, "0.50 x"), (0.001, "1/1,000")]
)
def test_what_is_worse_is_a_part(ratio, text):
    assert text == times(ratio)


@pytest.mark.parametrize(
    ("value", "limit", "show", "text"),
    [
        (4.998, 5.0, microseconds, "4.998 µs"),
        (4.9, 5.0, microseconds, "4.9 µs"),
        (5.0, 5.0, microseconds, "5 µs"),
        (5.0000001, 5.0, microseconds, "5 µs"),  # digits have an end
        (1 / 299.8, 1 / 300, part, "1/299.8"),
        (1 / 299.98, 1 / 300, part, "1/299.98"),
        (1.0004, 1.0, part, "1.0004 x"),
        (19.96, 20.0, times, "19.96 x"),
    ],
)
def test_a_value_is_told_from_its_limit(value, limit, show, text):
    assert text == apart(value, [limit], show)


def test_a_table_tells_a_value_from_its_limit():
    targets = [Target(5.0, "µs"), Target(1 / 300, "peer")]
    text = shown(found(replace(CASE, ours=side(4.998), peer=side(1499.0), targets=targets)))

    assert "4.998 µs" in text
    assert "1/299.9" in text
