"""The page of figures is made from what was measured, and from nothing else."""

import dataclasses
import io
import json

import pytest
from rich.console import Console

from benchmarks import page, results, targets
from benchmarks.__main__ import table
from benchmarks.amounts import Amount
from benchmarks.comparing import Case, Cost, Target, compare
from benchmarks.latencies import Bound, Latency
from benchmarks.measuring import Row
from benchmarks.origin import Origin

ORIGIN = Origin(
    commit="abc1234",
    uncommitted=False,
    date="2026-11-23 14:05",
    quick=False,
    machine={"cpu": "a processor"},
    versions={"python": "3.11.7", "peer": "inference-cpu 1.8.3"},
    load="0.10, 0.20, 0.30",
)
SLOTS = "before\n<!-- figures: {} -->\nold\n<!-- end of figures -->\nafter\n"
LATENCY = {"p50_us": 1.0, "p99_us": 2.0, "max_us": 3.0, "calls": 4, "ratio": 5.0}


def side(cpu_us):
    """Return a side that always costs the same, twice as much on the wall."""
    return lambda number: Cost(cpu_s=cpu_us * number / 1e6, wall_s=2 * cpu_us * number / 1e6)


def comparison(**changes):
    given = {"ours": side(10.0), "peer": side(40.0), "floor": side(5.0), **changes}
    case = Case(**({"group": "a group", "name": "a case"} | given))
    [found] = compare([case], quick=True, block_s=0)
    return found


def as_json(*rows, question="asked", **changes):
    """Return what `--json` prints."""
    about = dataclasses.replace(ORIGIN, **changes)
    measured = results.Measured(question=question, origin=about, rows=rows)
    return json.dumps(dataclasses.asdict(measured))


@pytest.fixture
def kept(tmp_path):
    """Keep rows as `--json` prints them, and return them as they are read again."""

    def keep(*rows, question="asked", **changes):
        (tmp_path / f"{question}.json").write_text(as_json(*rows, question=question, **changes))
        return results.read(tmp_path)

    return keep


def filled(what, measured, reasons=()):
    return page.filled(SLOTS.format(what), measured, dict(reasons))


# What is kept


@pytest.mark.parametrize(
    "row",
    [
        comparison(targets=[Target(0.5, "peer"), Target(20.0, "µs", "wall")], outputs={"a": "b"}),
        comparison(peer=None, floor=None, targets=[Target(0.5, "peer")]),
        Amount(group="g", case="c", unit="MB", ours=1.0, at_most=2.0),
        Latency(group="g", case="c", bounds=[Bound("p50", 2.0)], outputs={"a": "b"}, **LATENCY),
        Row(group="g", case="c", median_us=1.0, best_us=2.0, worst_us=3.0, calls=4, ratio=5.0),
    ],
    ids=["comparison", "comparison without a peer", "amount", "latency", "row"],
)
def test_what_is_printed_is_read_again_as_it_was(kept, row):
    measured = kept(row)["asked"]
    [found] = measured.rows

    assert ORIGIN == measured.origin
    assert type(found) is type(row)
    # Sequences may come back as another kind of them.
    assert json.dumps(dataclasses.asdict(row)) == json.dumps(dataclasses.asdict(found))


def test_a_result_under_another_name_is_refused(tmp_path):
    (tmp_path / "two.json").write_text(as_json(question="one"))

    with pytest.raises(ValueError, match=r"two\.json answers 'one': call it one\.json, or"):
        results.read(tmp_path)


def test_rough_figures_are_not_read(kept):
    message = r"asked\.json was measured with --quick, and is not to be published: measure 'asked'"

    with pytest.raises(ValueError, match=message):
        kept(quick=True)


# The page's head


def test_what_comes_from_one_state_is_said_once(kept):
    kept(question="limits", date="2026-11-22 10:00")
    measured = kept(question="burst")
    text = page.filled(
        SLOTS.format("origin") + SLOTS.format("limits") + SLOTS.format("burst"), measured, {}
    )

    assert (
        "- All: measured 2026-11-22 10:00 to 2026-11-23 14:05 UTC, of the code of commit `abc1234`,"
        " on: cpu a processor, python 3.11.7, peer inference-cpu 1.8.3." in text
    )
    assert "Commit `abc1234`, 2026-11-22 10:00 UTC, load before: 0.10, 0.20, 0.30." in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"commit": "def5678"}, "of the code of commit `def5678`, on"),
        ({"uncommitted": True}, "commit `abc1234` **with changes that are in no commit**, on"),
        ({"versions": {"python": "3.13.1"}}, "python 3.13.1."),
    ],
)
def test_what_comes_from_several_is_said_plainly(kept, changes, said):
    kept(question="limits")
    measured = kept(question="burst", **changes)
    text = page.filled(
        SLOTS.format("origin") + SLOTS.format("limits") + SLOTS.format("burst"), measured, {}
    )

    assert "**These figures do not all come from the same state:**" in text
    assert "- `limits`: measured 2026-11-23 14:05 UTC, of the code of commit `abc1234`, on" in text
    assert "- `burst`: measured 2026-11-23 14:05 UTC, " in text
    assert said in text


# Its tables


def test_a_comparison_is_shown_with_its_ratios_targets_and_outputs(kept):
    row = comparison(
        targets=[Target(0.5, "peer"), Target(1.5, "floor"), Target(30.0, "µs", "wall")],
        outputs={"bytes": "12 and 12"},
    )
    text = filled("asked", kept(row))

    assert text.startswith("before\n<!-- figures: asked -->\n\nCommit `abc1234`, ")
    assert text.endswith("\n\n<!-- end of figures -->\nafter\n")
    assert "old" not in text
    assert "**a group**" in text
    assert (
        "| a case | cpu | 10 µs ± 0% | 40 µs ± 0% | 5 µs ± 0% | 0.25 x (0.25 to 0.25) "
        "| 2.00 x (2.00 to 2.00) | <= 0.50 x peer met; <= 1.50 x floor missed |" in text
    )
    assert "|  | wall | 20 µs ± 0% | 80 µs ± 0% | 10 µs ± 0% |" in text
    assert "<= 30 µs met |" in text
    assert "- a case: bytes: 12 and 12" in text


def test_a_small_ratio_begins_with_the_greater_part(kept):
    turns = iter([1.0, 50.0, 52.0, 54.0])

    def peer(number):
        return Cost(cpu_s=(cost := 10.0 * next(turns) * number / 1e6), wall_s=cost)

    text = filled("asked", kept(comparison(peer=peer)))

    assert "| 1/52 (1/50 to 1/54) |" in text


def test_what_a_whole_group_led_to_is_said_once(kept):
    rows = [
        comparison(name=name, outputs={"decision": "limited", "bytes": size})
        for name, size in (("one", "12"), ("two", "13"))
    ]
    other = Latency(group="g", case="c", outputs={"granted": "7"}, **LATENCY)
    text = filled("asked", kept(*rows, other))

    assert "- all: decision: limited\n- one: bytes: 12\n- two: bytes: 13\n" in text
    assert "- c: granted: 7\n" in text


@pytest.mark.parametrize(
    ("peer", "said"), [("not run (no interpreter)", "not run"), ("inference-cpu 1.8.3", "-")]
)
def test_a_side_that_is_missing_is_not_made_up(kept, peer, said):
    rows = [
        comparison(peer=None, floor=None, targets=[Target(0.5, "peer")]),
        Amount(group="g", case="size", unit="MB", ours=1.0, floor=3.0),
    ]
    measured = kept(*rows, versions={"peer": peer})
    text = filled("asked", measured)

    assert f"| a case | cpu | 10 µs ± 0% | {said} | - |  |  | <= 0.50 x peer ? |" in text
    assert f"| size | 1 MB | {said} | 3 MB |\n" in text
    assert "| a group | a case | <= 0.50 x peer, cpu | not run | ? |" in filled("targets", measured)


def test_what_nobody_else_does_has_no_columns_for_others(kept):
    row = Amount(group="g", case="all", unit="s", ours=7.06, at_most=60.0, compared=False)
    text = filled("asked", kept(row))
    columns = [column.header for column in table("g", [row]).columns]

    assert "| case | measured | to reach |" in text
    assert "| all | 7.1 s | <= 60.0 s met |" in text
    assert columns == ["case", "measured", "target"]


def test_nothing_is_asked_of_a_group_without_targets(kept):
    text = filled("asked", kept(Latency(group="g", case="c", **LATENCY)))

    assert "| case | p50 | p99 | max | p99 better |\n" in text
    assert "| c | 1 µs | 2 µs | 3 µs | 5.0 x |\n" in text


# What was to be reached


def test_calls_that_were_cut_short_are_told_where_that_was_looked_at(kept):
    rows = [Latency(group="g", case="c", interrupted=share, **LATENCY) for share in (0.0, 0.25)]
    text = filled("asked", kept(*rows))

    assert "| case | p50 | p99 | max | cut short | p99 better |\n" in text
    assert "| 3 µs | 25% | 5.0 x |\n" in text
    assert "| 3 µs | 0% | 5.0 x |\n" in text


def test_everything_that_was_to_be_reached_is_told_missed_or_not(kept):
    measured = kept(
        comparison(targets=[Target(0.1, "peer"), Target(0.5, "peer")]),
        Amount(group="g", case="size", unit="MB", ours=160.0, at_most=150.0),
        Amount(group="g", case="PSNR", unit="dB", ours=37.96, at_least=38.0),
        Amount(group="g", case="modules", unit="modules", ours=1.0),
    )
    text = filled("targets", measured)

    assert "| a group | a case | <= 0.10 x peer, cpu | 0.25 x peer | **missed** |" in text
    assert "| a group | a case | <= 0.50 x peer, cpu | 0.25 x peer | met |" in text
    assert "| g | size | <= 150 MB | 160 MB | **missed** |" in text
    assert "| g | PSNR | >= 38.0 dB | 37.96 dB | **missed** |" in text
    assert "modules" not in text


def test_a_latency_is_bounded_above_and_its_ratio_below(kept):
    bounds = [Bound("p50", 5.0), Bound("p99", 1.5), Bound("ratio", 20.0), Bound("ratio", 4.0)]
    measured = kept(Latency(group="g", case="c", bounds=bounds, **LATENCY))
    text = filled("targets", measured)

    assert "| g | c | p50 <= 5 µs | 1 µs | met |" in text
    assert "| g | c | p99 <= 1.5 µs | 2 µs | **missed** |" in text
    assert "| g | c | p99 better >= 20 x | 5.0 x | **missed** |" in text
    assert "| g | c | p99 better >= 4 x | 5.0 x | met |" in text
    assert (
        "| c | 1 µs | 2 µs | 3 µs | 5.0 x "
        "| p50 <= 5 µs met; p99 <= 1.5 µs missed; >= 20 x missed; >= 4 x met |"
        in filled("asked", measured)
    )


def test_a_table_of_latencies_fits_80_columns():
    bounds = [Bound("p50", 0.9), Bound("p99", 50.0), Bound("ratio", 20.0)]
    case = "within submit: array, taken, and its prediction copied"
    console = Console(file=io.StringIO(), width=80)
    console.print(table("g", [Latency(group="g", case=case, bounds=bounds, **LATENCY)]))
    text = console.file.getvalue()

    assert "p50 <= 0.9 µs missed" in text
    assert "p99 <= 50 µs met" in text
    assert ">= 20 x missed" in text


@pytest.mark.parametrize(
    ("bounds", "ours", "met", "asked"),
    [
        ({}, 40.0, None, ""),
        ({"at_most": 40.0}, 40.0, True, "<= 40.0 dB"),
        ({"at_most": 39.0}, 40.0, False, "<= 39.0 dB"),
        ({"at_least": 40.0}, 40.0, True, ">= 40.0 dB"),
        ({"at_least": 41.0}, 40.0, False, ">= 41.0 dB"),
        ({"at_most": 41.0, "at_least": 39.0}, 40.0, True, "<= 41.0 dB and >= 39.0 dB"),
    ],
)
def test_an_amount_is_bounded_on_either_side(bounds, ours, met, asked):
    row = Amount(group="g", case="c", unit="dB", ours=ours, **bounds)

    assert met is row.met
    assert asked == row.asked


def test_what_was_not_measured_has_no_figure(kept):
    other = kept(comparison(), question="other")

    for what in ("asked", "targets", "origin"):
        text = page.filled(SLOTS.format(what), other, {})
        assert "*Not measured: no result of this question is kept.*" in text


def test_a_question_with_targets_and_without_a_result_stays_in_the_table(kept):
    slots = "".join(map(SLOTS.format, ("targets", "limit_spent", "credits", "start_up")))
    # Its Redis server was missing, so nothing that was to be reached was measured.
    text = page.filled(slots, kept(question="credits"), {})

    assert "| `limit_spent` |  |  | not measured | ? |" in text
    assert "| `credits` |  |  | not measured | ? |" in text
    assert "| `start_up` |" not in text


# Why not

MISSED = Amount(group="g", case="size", unit="MB", ours=160.0, at_most=150.0)
KEY = "g / size / <= 150 MB"


def test_a_reason_stands_beside_what_is_missed(kept):
    text = filled("targets", kept(MISSED), {"asked": {KEY: "it is [big](#size)"}})

    assert "| g | size | <= 150 MB | 160 MB | **missed**: it is [big](#size) |" in text


@pytest.mark.parametrize("reasons", [{}, {"asked": {KEY: " "}}, {"other": {KEY: "it is big"}}])
def test_a_target_that_is_missed_wants_a_reason(kept, reasons):
    [fault, *_] = targets.faults(kept(MISSED).values(), reasons)

    assert f'add to reasons.toml, under [asked]: "{KEY}" = "why 160 MB"' == fault


def test_a_reason_wants_a_target_that_is_missed(kept):
    reasons = {"asked": {KEY: "it is big", "another": "it was big"}}
    faults = targets.faults(kept(MISSED).values(), reasons)

    assert ['remove from reasons.toml, under [asked]: "another", which is not missed'] == faults


def test_reasons_are_read_as_they_are_written(tmp_path):
    (tmp_path / "reasons.toml").write_text(f'[asked]\n"{KEY}" = "it is big"\n')

    assert {"asked": {KEY: "it is big"}} == targets.read(tmp_path / "reasons.toml")
