"""The page of figures is made from what was measured, and from nothing else."""

import dataclasses
import json

import pytest

from benchmarks import page, results
from benchmarks.__main__ import QUESTIONS, table
from benchmarks.amounts import Amount
from benchmarks.comparing import Case, Cost, Target, compare
from benchmarks.latencies import Bound, Latency
from benchmarks.measuring import Row

MACHINE = {"cpu": "a processor", "peer": "inference-cpu 1.8.3"}
SLOTS = "before\n<!-- figures: {} -->\nold\n<!-- end of figures -->\nafter\n"


def side(cpu_us):
    """Return a side that always costs the same, twice as much on the wall."""
    return lambda number: Cost(cpu_s=cpu_us * number / 1e6, wall_s=2 * cpu_us * number / 1e6)


def comparison(**changes):
    given = {"ours": side(10.0), "peer": side(40.0), "floor": side(5.0), **changes}
    [found] = compare([Case(group="a group", name="a case", **given)], quick=True, block_s=0)
    return found


@pytest.fixture
def kept(tmp_path):
    """Keep rows as `--json` prints them, and return them as they are read again."""

    def keep(*rows, question="asked", machine=MACHINE):
        found = [dataclasses.asdict(row) for row in rows]
        text = json.dumps({"question": question, "machine": machine, "rows": found})
        (tmp_path / f"{question}.json").write_text(text)
        return results.read(tmp_path)

    return keep


def test_the_page_says_what_is_kept():
    text = page.PAGE.read_text(encoding="utf-8")

    assert page.filled(text, results.read()) == text, "run python -m benchmarks.page"


def test_every_question_has_its_place_on_the_page():
    asked = page.asked(page.PAGE.read_text(encoding="utf-8"))

    assert sorted(asked) == sorted(QUESTIONS)


def test_every_result_that_is_kept_is_of_a_question():
    assert set(results.read()) <= set(QUESTIONS)


@pytest.mark.parametrize(
    "row",
    [
        comparison(targets=[Target(0.5, "peer"), Target(20.0, "µs", "wall")], outputs={"a": "b"}),
        comparison(peer=None, floor=None, targets=[Target(0.5, "peer")]),
        Amount(group="g", case="c", unit="MB", ours=1.0, at_most=2.0),
        Latency(group="g", case="c", p50_us=1.0, p99_us=2.0, max_us=3.0, calls=4, ratio=5.0),
        Row(group="g", case="c", median_us=1.0, best_us=2.0, worst_us=3.0, calls=4, ratio=5.0),
    ],
    ids=["comparison", "comparison without a peer", "amount", "latency", "row"],
)
def test_what_is_printed_is_read_again_as_it_was(kept, row):
    [found] = kept(row)["asked"].rows

    assert type(found) is type(row)
    # Sequences may come back as another kind of them.
    assert json.dumps(dataclasses.asdict(row)) == json.dumps(dataclasses.asdict(found))


def test_a_comparison_is_shown_with_its_machine_ratios_targets_and_outputs(kept):
    row = comparison(
        targets=[Target(0.5, "peer"), Target(1.5, "floor"), Target(30.0, "µs", "wall")],
        outputs={"bytes": "12 and 12"},
    )
    text = page.filled(SLOTS.format("asked"), kept(row))

    assert text.startswith("before\n<!-- figures: asked -->\n\nMeasured on: cpu a processor, peer ")
    assert text.endswith("\n\n<!-- end of figures -->\nafter\n")
    assert "old" not in text
    assert "**a group**" in text
    assert (
        "| a case | cpu | 10 µs ± 0% | 40 µs ± 0% | 5 µs ± 0% | 0.25 x | 2.00 x "
        "| <= 0.50 x peer met; <= 1.50 x floor missed |" in text
    )
    assert "|  | wall | 20 µs ± 0% | 80 µs ± 0% | 10 µs ± 0% |" in text
    assert "<= 30 µs met |" in text
    assert "- a case: bytes: 12 and 12" in text


@pytest.mark.parametrize(
    ("peer", "said"), [("not run (no interpreter)", "not run"), ("inference-cpu 1.8.3", "-")]
)
def test_a_side_that_is_missing_is_not_made_up(kept, peer, said):
    rows = [
        comparison(peer=None, floor=None, targets=[Target(0.5, "peer")]),
        Amount(group="g", case="size", unit="MB", ours=1.0, floor=3.0),
    ]
    measured = kept(*rows, machine={"peer": peer})
    text = page.filled(SLOTS.format("asked"), measured)

    assert f"| a case | cpu | 10 µs ± 0% | {said} | - |  |  | <= 0.50 x peer ? |" in text
    assert f"| size | 1 MB | {said} | 3 MB |  |" in text
    targets = page.filled(SLOTS.format("targets"), measured)
    assert "| a group | a case | at most 0.50 x peer, cpu | not run | ? |" in targets


def test_what_nobody_else_does_has_no_columns_for_others(kept):
    row = Amount(group="g", case="all", unit="s", ours=7.06, at_most=60.0, compared=False)
    text = page.filled(SLOTS.format("asked"), kept(row))
    columns = [column.header for column in table("g", [row]).columns]

    assert "| case | measured | to reach |" in text
    assert "| all | 7.1 s | <= 60.0 s met |" in text
    assert columns == ["case", "measured", "target"]


def test_everything_that_was_to_be_reached_is_told_missed_or_not(kept):
    measured = kept(
        comparison(targets=[Target(0.1, "peer"), Target(0.5, "peer")]),
        Amount(group="g", case="size", unit="MB", ours=160.0, at_most=150.0),
        Amount(group="g", case="modules", unit="modules", ours=1.0),
    )
    text = page.filled(SLOTS.format("targets"), measured)

    assert "| a group | a case | at most 0.10 x peer, cpu | 0.25 x peer | **missed** |" in text
    assert "| a group | a case | at most 0.50 x peer, cpu | 0.25 x peer | met |" in text
    assert "| g | size | at most 150 MB | 160 MB | **missed** |" in text
    assert "modules" not in text


def test_a_latency_is_bounded_above_and_its_ratio_below(kept):
    bounds = [Bound("p50", 5.0), Bound("p99", 1.5), Bound("ratio", 20.0), Bound("ratio", 4.0)]
    times = {"p50_us": 1.0, "p99_us": 2.0, "max_us": 3.0}
    row = Latency(group="g", case="c", calls=4, ratio=5.0, bounds=bounds, **times)
    text = page.filled(SLOTS.format("targets"), kept(row))

    assert "| g | c | p50 at most 5 µs | 1 µs | met |" in text
    assert "| g | c | p99 at most 1.5 µs | 2 µs | **missed** |" in text
    assert "| g | c | p99 at least 20 x better | 5.0 x | **missed** |" in text
    assert "| g | c | p99 at least 4 x better | 5.0 x | met |" in text


def test_what_was_not_measured_has_no_figure(kept):
    other = kept(comparison(), question="other")

    for what in ("asked", "targets"):
        text = page.filled(SLOTS.format(what), other)
        assert "*Not measured: no result of this question is kept.*" in text


def test_a_result_under_another_name_is_refused(tmp_path):
    text = json.dumps({"question": "one", "machine": {}, "rows": []})
    (tmp_path / "two.json").write_text(text)

    with pytest.raises(ValueError, match=r"two\.json answers 'one': call it one\.json, or"):
        results.read(tmp_path)
