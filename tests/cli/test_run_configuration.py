"""`al run` and `al check` where the configuration comes from a server."""

import json
import re
import signal
import threading

import pytest
from click.testing import CliRunner

import al_framework_local
import al_framework_roboflow
from al_framework.api import ConfigurationProvider, ProvidedConfiguration, hookimpl
from al_framework.cli.check import check
from al_framework.cli.explain import explain
from al_framework.cli.run import run
from al_framework.host.plugins import PluginHost

DOCUMENT = {
    "enabled": True,
    "persist_predictions": True,
    "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1}],
    "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "never"},
}
FILE = """\
name: line
sources: [{name: cam, type: directory, path: frames}]
configuration: {type: scripted, name: cloud}
sinks: [{type: directory, path: collected}]
"""
WHO = "configuration provider 'cloud'"
HANGING = """
import threading
from al_framework.api import ConfigurationProvider, hookimpl

class Hanging(ConfigurationProvider):
    type_name = "scripted"

    def fetch(self):
        threading.Event().wait()

@hookimpl
def al_register_configuration_providers():
    return [Hanging]
"""


class Plugin:
    def __init__(self):
        self.answer = ProvidedConfiguration(document=DOCUMENT)
        self.hangs = threading.Event()
        self.hangs.set()
        plugin = self

        class Scripted(ConfigurationProvider):
            type_name = "scripted"
            identity = "me"

            def fetch(self):
                plugin.hangs.wait(60.0)
                if isinstance(plugin.answer, Exception):
                    raise plugin.answer
                return plugin.answer

        self.classes = [Scripted]

    @hookimpl
    def al_register_configuration_providers(self):
        return self.classes


@pytest.fixture
def plugin():
    plugin = Plugin()
    yield plugin
    plugin.hangs.set()


@pytest.fixture
def call(desk, plugin):
    desk.add_frames(3)
    (desk.directory / "al.yaml").write_text(FILE)
    host = PluginHost.without_discovery(
        {"local": al_framework_local, "roboflow": al_framework_roboflow, "fake": plugin}
    )

    def invoke(command, *arguments):
        return CliRunner().invoke(
            command, arguments, obj={"host": host}, catch_exceptions=False, env={"COLUMNS": "200"}
        )

    return invoke


def test_the_first_document_is_waited_for_and_said(call, desk):
    result = call(run, "al.yaml")
    lines = result.stdout.splitlines()

    assert result.exit_code == 0
    assert lines[0] == f"waiting up to 30 s for {WHO}"
    assert lines[1].startswith("line (run ")
    assert re.fullmatch(f"{WHO}: document [0-9a-f]{{16}}", lines[2])
    assert len(desk.pictures()) == 3


def test_quietly_nothing_is_said_of_waiting(call):
    assert call(run, "al.yaml", "-q").stdout.startswith("line (run ")


def test_without_a_document_nothing_is_collected_and_the_status_is_1(call, plugin, desk):
    plugin.hangs.clear()
    result = call(run, "al.yaml", "--wait-for-configuration", "0.02")

    assert result.exit_code == 1
    assert (
        f"  - {WHO}: no document within 0.02 s: nothing was collected; look after its server and "
        "its key, or wait longer with --wait-for-configuration"
    ) in result.stdout.splitlines()
    assert f"{WHO}: no document\n" in result.stdout
    assert "seen      0" in result.stdout
    assert desk.manifest() == []


def test_the_reason_is_said_where_there_is_one(call, plugin):
    plugin.answer = OSError(111, "Connection refused")
    result = call(run, "al.yaml", "--wait-for-configuration", "0.5", "--json")
    said = json.loads(result.stdout)

    assert result.exit_code == 1
    assert said["failures"] == [
        (
            f"{WHO}: no document within 0.5 s ([Errno 111] Connection refused): nothing was "
            "collected; look after its server and its key, or wait longer with "
            "--wait-for-configuration"
        )
    ]
    assert said["configuration"] == f"{WHO}: no document"
    assert "waiting up to 0.5 s" in result.stderr


def test_a_document_that_cannot_be_used_is_not_waited_for(call, plugin):
    plugin.answer = ProvidedConfiguration(document={**DOCUMENT, "tags": 5})
    result = call(run, "al.yaml")

    assert result.exit_code == 1
    assert f"{WHO}: its document cannot be used (the document of {WHO}: 1 fault" in result.stdout
    assert "tags: should be a list, not 5" in result.stdout


@pytest.mark.parametrize("error", [None, OSError(111, "Connection refused")])
def test_with_a_kept_document_it_goes_on_and_says_with_which(call, plugin, desk, error):
    first = call(run, "al.yaml")
    digest = re.search("document ([0-9a-f]{16})", first.stdout)[1]
    desk.add_frame("new", seed=9)
    plugin.answer = error
    if error is None:
        plugin.hangs.clear()
    result = call(run, "al.yaml", "--wait-for-configuration", "0.02" if error is None else "30")
    because = "" if error is None else " ([Errno 111] Connection refused)"
    text = f"{WHO} has not answered{because}: going on with document {digest}, kept from 20"
    lines = result.stdout.splitlines()

    assert result.exit_code == 0
    assert lines[1].startswith(text)
    assert any(line.startswith(f"  - {text}") for line in lines)
    assert any(line.startswith(f"{WHO}: document {digest}, kept from 20") for line in lines)
    assert "cam/new.jpg" in desk.collected()


def test_a_collection_that_the_server_switches_off_is_said_and_frames_come_again(
    call, plugin, desk
):
    plugin.answer = ProvidedConfiguration(document=None, reason="no access")
    result = call(run, "al.yaml")
    plugin.answer = ProvidedConfiguration(document=DOCUMENT)
    later = call(run, "al.yaml", "--json")

    assert result.exit_code == 0
    assert "collection is off: no access" in result.stdout.splitlines()
    assert f"  - {WHO}: collection is off: no access" in result.stdout.splitlines()
    assert "3 not selected + 0 limited + 0 accepted" in result.stdout
    assert not any("is off" in problem for problem in json.loads(later.stdout)["problems"])
    assert json.loads(later.stdout)["counts"]["accepted"] == 3


def test_what_was_left_out_is_counted(call, plugin):
    plugin.answer = ProvidedConfiguration(document={**DOCUMENT, "season": "dry", "x": 1})
    result = call(run, "al.yaml")

    assert ", 2 unknown entries of it left out\n" in result.stdout
    assert "  - configuration provider 'cloud': season: unknown key" in result.stdout


def test_a_dry_run_asks_too_and_writes_nothing(call, desk):
    before = desk.listing()
    result = call(run, "al.yaml", "--dry-run")

    assert result.exit_code == 0
    assert "3 accepted" in result.stdout
    assert desk.listing() == before


def test_checking_asks_nobody_and_says_where_the_document_comes_from(call, plugin):
    plugin.hangs.clear()
    result = call(check, "al.yaml")

    assert result.exit_code == 0
    assert "document    of a server, by cloud: scripted (plugin fake)" in result.stdout
    assert "it is fetched when this runs, and was not looked at now" in result.stdout
    assert "strategies" not in result.stdout


def test_checking_finds_faults_in_what_the_provider_is_told(call, desk):
    (desk.directory / "al.yaml").write_text(FILE.replace("name: cloud", "colour: red"))
    result = call(check, "al.yaml")

    assert result.exit_code == 2
    assert "configuration.colour: unknown key" in result.stderr


def test_explaining_needs_no_document(call):
    call(run, "al.yaml")
    result = call(explain, "000.jpg")

    assert result.exit_code == 0
    assert "all (paid)" in result.stdout


def test_ctrl_c_ends_the_wait(desk):
    desk.add_frames(1)
    desk.install("hanging", HANGING)
    (desk.directory / "al.yaml").write_text(FILE)
    process = desk.spawn("run", "al.yaml")
    waiting = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert waiting == "waiting up to 30 s for configuration provider 'cloud'\n"
    assert process.returncode == 130, err
    assert "interrupted after" in out
