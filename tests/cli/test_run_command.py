import json

import pytest

from al_framework.api import ComponentError
from al_framework.cli import run as run_module

UNSURE = (
    "{name: unsure, type: close_to_threshold, threshold: 0.5, epsilon: 0.2, probability: 1, "
    "limits: [{type: daily, value: 4}]}"
)
SOME = "{name: some, type: random, traffic_percentage: 0.3, limits: [{type: daily, value: 3}]}"

FAILING = """
from al_framework.api import Strategy, Verdict, hookimpl

class Failing(Strategy):
    type_name = "failing"

    def evaluate(self, frame, prediction):
        raise RuntimeError("no idea")

@hookimpl
def al_register_strategies():
    return [Failing]
"""

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

BROKEN_SOURCE = """
from al_framework.api import Source, hookimpl

class Torn(Source):
    type_name = "torn"

    def frames(self, skip):
        raise RuntimeError("the cable is out")
        yield

    def __len__(self):
        raise RuntimeError("the cable is out")

@hookimpl
def al_register_sources():
    return [Torn]
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


def test_faults_of_the_configuration_are_status_2(al, desk):
    desk.write(more="seeed: 4\n")
    result = al("run", "al.yaml")

    assert result.status == 2
    assert "line 12: seeed: unknown key, did you mean 'seed'?" in result.err


def test_a_configuration_without_a_source_is_status_2(al, desk):
    desk.write()
    text = (desk.directory / "al.yaml").read_text()
    (desk.directory / "al.yaml").write_text(
        text.replace("sources:\n  - {name: cam, type: directory, path: frames}\n", "")
    )
    result = al("run", "al.yaml")

    assert result.status == 2
    assert result.err.endswith(
        "Error: al.yaml names no source: add 'sources:', or use it from a program with "
        "al_framework.Collector\n"
    )


def test_a_strategy_that_is_switched_off_is_status_3_and_named(desk):
    desk.add_frames(25)
    desk.install("failing", FAILING)
    desk.write(
        strategies=("{name: all, type: random, traffic_percentage: 1}", "{name: f, type: failing}")
    )
    result = desk.call("run", "al.yaml")

    assert result.status == 3
    assert "f (switched off)" in result.out
    assert (
        "  - strategy 'f' (plugin 'failing') is switched off after 20 faults in a row; the last "
        "was RuntimeError: no idea: repair or update the plugin, or take the strategy out\n"
    ) in result.out
    assert len(desk.manifest()) == 25


def test_a_strategy_that_only_fails_is_status_1_in_a_short_run_too(desk):
    desk.add_frames(3)
    desk.install("failing", FAILING)
    desk.write(
        strategies=("{name: all, type: random, traffic_percentage: 1}", "{name: f, type: failing}")
    )
    result = desk.call("run", "al.yaml")

    assert result.status == 1
    assert (
        "\nfailed\n  - strategy 'f' failed on all of 3 frames that it was asked about: see below\n"
        "\nlook at\n  - strategy 'f' (plugin 'failing'): frame 'cam/000.jpg': RuntimeError: no idea"
    ) in result.out
    assert len(desk.manifest()) == 3


def test_a_strategy_that_is_never_asked_is_pointed_out(desk):
    desk.add_frames(3)
    desk.install(
        "failing", FAILING.replace("    def", "    tasks = frozenset({'detectoin'})\n\n    def")
    )
    desk.write(
        strategies=("{name: all, type: random, traffic_percentage: 1}", "{name: f, type: failing}")
    )
    result = desk.call("run", "al.yaml")

    assert result.status == 0
    assert (
        "\nlook at\n  - strategy 'f' was asked about none of 3 frames: it does not read predictions"
        " of their type; al plugins show TYPE lists those that it reads\n"
    ) in result.out


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


def test_a_source_that_breaks_off_is_status_1_and_named(desk):
    desk.add_frames(2)
    desk.install("torn", BROKEN_SOURCE)
    desk.write()
    text = (desk.directory / "al.yaml").read_text()
    (desk.directory / "al.yaml").write_text(
        text.replace("sources:\n", "sources:\n  - {name: belt, type: torn}\n")
    )
    result = desk.call("run", "al.yaml")

    assert result.status == 1
    assert (
        "failed\n  - source 'belt': it stopped with RuntimeError: the cable is out: repair that,"
        " then run again to go on\n" in result.out
    )
    assert len(desk.manifest()) == 2


def test_a_broken_plugin_leaves_the_run_working_and_is_named(desk):
    desk.add_frames(3)
    desk.install("broken", "raise ImportError('libcamera.so is missing')")
    desk.write()
    result = desk.call("run", "al.yaml")

    assert result.status == 0
    assert "look at\n  - plugin 'broken'" in result.out
    assert "libcamera.so is missing" in result.out
    assert len(desk.manifest()) == 3


def test_a_broken_plugin_ends_the_run_if_plugins_must_be_sound(desk):
    desk.add_frames(3)
    desk.install("broken", "raise ImportError('libcamera.so is missing')")
    desk.write()
    result = desk.call("--strict-plugins", "run", "al.yaml")

    assert result.status == 1
    assert result.err.startswith(
        "Error: 1 problem with the plugins\n  plugin 'broken' (al-broken 1.2): "
    )
    assert desk.manifest() == []


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


def test_a_second_ctrl_c_is_status_130(al, desk, monkeypatch):
    desk.add_frames(1)
    desk.write()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "_drive", interrupted)
    result = al("run", "al.yaml")

    assert result.status == 130
    assert result.err == ""


def test_an_error_of_the_spool_ends_the_run_with_its_numbers(al, desk, monkeypatch):
    from al_framework.api import SpoolError
    from al_framework.pipeline.engine import Engine

    def broken(self, entries, **_):
        raise SpoolError("spool '.al': the disk is gone")

    monkeypatch.setattr(Engine, "accept", broken)
    desk.add_frames(2)
    desk.write()
    result = al("run", "al.yaml", "--json")

    assert result.status == 1
    assert result.summary["failures"] == ["spool '.al': the disk is gone"]


def test_a_component_that_cannot_start_is_status_1(al, desk, monkeypatch):
    def failing(*_, **__):
        raise ComponentError("sink 'x' could not start", plugin="p", component="x")

    monkeypatch.setattr(run_module, "assemble", failing)
    desk.write()
    result = al("run", "al.yaml")

    assert (result.status, result.err) == (1, "Error: sink 'x' could not start\n")


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
