"""The command `al run`: what it collects, counts and prints."""

import json

import pytest

from al_framework.cli import run as run_module

UNSURE = (
    "{name: unsure, type: close_to_threshold, threshold: 0.5, epsilon: 0.2, probability: 1, "
    "limits: [{type: daily, value: 4}]}"
)
SOME = "{name: some, type: random, traffic_percentage: 0.3, limits: [{type: daily, value: 3}]}"
REFUSING = """
from al_framework.api import PermanentSinkError, Sink, hookimpl

class Refusing(Sink):
    type_name = "refusing"

    def deliver(self, datapoint, checkpoint):
        raise PermanentSinkError("it wants no cats")

@hookimpl
def al_register_sinks():
    return [Refusing]
"""


def check_sums(counts):
    assert counts["offered"] == (
        counts["not_selected"]
        + counts["limited"]
        + counts["accepted"]
        + counts["queued"]
        + sum(counts["dropped"].values())
    )
    for sink in counts["sinks"].values():
        assert sink["accepted"] + sink["recovered"] == (
            sink["delivered"] + sink["pending"] + sink["dead"] + sink["evicted"]
        )
        assert sink["accepted"] == counts["accepted"]


def test_the_numbers_of_the_funnel_add_up(al, desk, still_clock):
    desk.add_frames(40, confidence=lambda number: number / 40)
    (desk.frames / "000.jpg").write_bytes(b"no picture at all")
    desk.write(strategies=(UNSURE, SOME), more="seed: 1\n")
    result = al("run", "al.yaml", "--json")
    counts = result.summary["counts"]

    assert result.status == 0, result.err
    check_sums(counts)
    assert counts["offered"] == 40
    assert counts["dropped"] == {"invalid_image": 1}
    assert counts["strategies"]["unsure"]["evaluated"] == 39
    assert counts["strategies"]["unsure"]["matched"] == 16  # 13/40 to 28/40
    assert counts["strategies"]["unsure"]["paid"] == 4
    assert counts["strategies"]["some"]["paid"] == 3
    assert counts["accepted"] == 7
    assert counts["matched"] == counts["accepted"] + counts["limited"]
    assert counts["limited"] > 0
    assert counts["sinks"]["directory"]["delivered"] == 7
    assert len(desk.manifest()) == len(desk.pictures()) == 7


def test_a_run_in_which_no_frame_could_be_looked_at_has_failed(al, desk, still_clock):
    desk.add_frames(2, confidence=lambda number: 0.5)
    (desk.frames / "000.jpg").write_bytes(b"no picture at all")
    desk.predict("001", [{"confidence": float("nan")}])
    desk.write(strategies=(UNSURE,))
    result = al("run", "al.yaml", "--json")

    assert result.status == 1
    assert result.summary["failures"] == [
        "none of 2 frames could be looked at (1 invalid_image, 1 invalid_prediction): see below"
    ]


def test_a_person_reads_the_same_numbers(al, desk, still_clock):
    desk.add_frames(5, confidence=lambda number: 0.5)
    (desk.frames / "004.jpg").write_bytes(b"no picture at all")
    desk.predict("003", [{"confidence": float("nan")}])
    desk.write(strategies=(UNSURE.replace("value: 4", "value: 2"),))
    result = al("run", "al.yaml")
    rows = [" ".join(line.split()) for line in result.out.splitlines()]

    assert result.status == 0
    assert rows[0].startswith("line (run ")
    assert rows[0].endswith(") finished in 0.0 s")
    assert rows[1:14] == [
        "seen 5 = 0 not selected + 1 limited + 2 accepted + 2 dropped",
        "matched 3 taken by at least one strategy",
        "limited 1 every taker's limit was spent",
        "accepted 2",
        "dropped 1 invalid image",
        "dropped 1 invalid prediction",
        "",
        "strategy asked wanted drawn paid not eligible failed",
        "unsure 3 3 3 2 0 0",
        "",
        "sink delivered duplicates pending dead",
        "directory 2 0 0 0",
        f"directory: {desk.directory / 'collected'}",
    ]
    assert rows[15] == "look at"
    assert rows[16].startswith("- frame 'cam/003.jpg': ")
    assert rows[17].startswith("- frame 'cam/004.jpg': the image ")
    assert len(rows) == 18
    assert result.err == ""


def test_a_second_run_adds_nothing(al, desk):
    desk.add_frames(6)
    desk.write()
    first = al("run", "al.yaml", "--json")
    before = (desk.manifest(), desk.pictures())
    second = al("run", "al.yaml", "--json")

    assert (first.status, second.status) == (0, 0)
    assert first.summary["counts"]["accepted"] == 6
    assert second.summary["counts"]["offered"] == 0
    assert second.summary["counts"]["skipped"] == 6
    assert (desk.manifest(), desk.pictures()) == before
    assert "an earlier run has dealt with them" in al("run", "al.yaml").out


def test_again_offers_again_and_the_sink_knows_the_pictures(al, desk):
    desk.add_frames(6)
    desk.write()
    al("run", "al.yaml")
    before = desk.manifest()
    counts = al("run", "al.yaml", "--again", "--json").summary["counts"]

    assert (counts["offered"], counts["accepted"], counts["skipped"]) == (6, 6, 0)
    assert counts["sinks"]["directory"]["delivered"] == 6
    assert counts["sinks"]["directory"]["duplicates"] == 6
    assert desk.manifest() == before


def test_a_changed_picture_is_offered_again(al, desk):
    desk.add_frames(3)
    desk.write()
    al("run", "al.yaml")
    desk.add_frame("001", seed=99)
    counts = al("run", "al.yaml", "--json").summary["counts"]

    assert (counts["offered"], counts["skipped"]) == (1, 2)
    assert desk.collected() == ["cam/000.jpg", "cam/001.jpg", "cam/001.jpg", "cam/002.jpg"]


def test_a_dry_run_shows_the_funnel_and_writes_nothing(al, desk, still_clock):
    desk.add_frames(9, confidence=lambda number: 0.5)
    desk.write(strategies=(UNSURE,))
    before = desk.listing()
    result = al("run", "al.yaml", "--dry-run", "--json")
    shown = al("run", "al.yaml", "--dry-run")
    counts = result.summary["counts"]

    assert desk.listing() == before
    assert (result.status, shown.status) == (0, 0)
    assert (counts["offered"], counts["accepted"], counts["limited"]) == (9, 4, 5)
    assert counts["sinks"] == {}
    assert "line (dry run, nothing written) finished in" in shown.out
    assert "would be delivered" in shown.out


def test_a_dry_run_between_two_runs_looks_at_everything_and_changes_nothing(al, desk):
    desk.add_frames(4)
    desk.write()
    al("run", "al.yaml")
    before = desk.listing()
    counts = al("run", "al.yaml", "--dry-run", "--json").summary["counts"]

    assert desk.listing() == before
    assert (counts["offered"], counts["skipped"]) == (4, 0)


def test_datapoints_that_a_sink_gives_up_are_status_1(desk):
    desk.add_frames(2)
    desk.install("refusing", REFUSING)
    desk.write(more="  - {name: picky, type: refusing}\n")
    result = desk.call("run", "al.yaml", "--json")
    counts = result.summary["counts"]

    assert result.status == 1
    check_sums(counts)
    assert counts["sinks"]["picky"]["dead"] == 2
    assert counts["sinks"]["directory"]["delivered"] == 2


def test_progress_is_drawn_on_a_terminal_only(al, desk, monkeypatch):
    desk.add_frames(20)
    desk.write()
    piped = al("run", "al.yaml", "--again").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    drawn = al("run", "al.yaml", "--again").out
    quiet = al("run", "al.yaml", "--again", "--quiet").out

    assert piped.startswith("line (run ")
    assert "20/20" in drawn
    assert "accepted" in drawn
    assert "delivering" in drawn
    assert "20/20" not in quiet


def test_the_progress_of_a_dry_run_has_no_deliveries(al, desk, monkeypatch):
    desk.add_frames(2)
    desk.write()
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert "delivering" not in al("run", "al.yaml", "--dry-run").out


def test_a_full_spool_waits_for_room_and_then_gives_up(al, desk, monkeypatch):
    monkeypatch.setattr(run_module, "STALLED_S", 0.0)
    desk.add_frames(40)
    desk.write(more="spool: {max_items: 1}\n")
    result = al("run", "al.yaml", "--json")
    counts = result.summary["counts"]

    assert result.status == 1
    check_sums(counts)
    assert counts["dropped"]["spool_full"] > 0
    assert any("spool" in failure for failure in result.summary["failures"])


@pytest.mark.parametrize("option", ["--json", "--quiet"])
def test_the_summary_names_the_run_and_its_problems(al, desk, option):
    desk.add_frames(1)
    (desk.frames / "bad.jpg").write_bytes(b"text")
    desk.write()
    out = al("run", "al.yaml", option).out

    assert "frame 'cam/bad.jpg'" in (json.loads(out)["problems"][0] if option == "--json" else out)


def test_collection_that_is_switched_off_reads_nothing(al, desk):
    desk.add_frames(2)
    desk.write()
    text = (desk.directory / "al.yaml").read_text().replace("enabled: true", "enabled: false")
    (desk.directory / "al.yaml").write_text(text)
    result = al("run", "al.yaml")

    assert result.status == 2
    assert "al.yaml: active_learning.enabled is false: there is nothing to do" in result.err


def test_a_run_with_nothing_new_says_how_to_look_again(al, desk):
    desk.add_frames(2)
    desk.write()
    first, second = al("run", "al.yaml"), al("run", "al.yaml")

    hint = "nothing new to look at; al run --again offers every frame once more"
    assert hint not in first.out
    assert hint in second.out
