"""What ends or spoils a run is named, with the exit status that says how bad it is."""

from al_framework.api import ComponentError
from al_framework.cli import run as run_module

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
