import json

import pytest
from click.testing import CliRunner

from al_framework.api import hookimpl
from al_framework.cli.doctor import doctor
from al_framework.host import PluginHost


class Hearing:
    @hookimpl
    def al_run_finished(self):
        """Hear it."""


class Idle:
    @hookimpl
    def al_register_sinks(self):
        return []


class Broken:
    pass


def run(plugins, *arguments, strict=False):
    host = PluginHost.without_discovery(plugins)
    settings = {"host": host, "strict_plugins": strict}
    return CliRunner().invoke(doctor, arguments, obj=settings, env={"COLUMNS": "80"})


def words(text):
    return " ".join(text.split())


def test_a_sound_installation_is_in_order():
    result = run({"good": Hearing()})

    assert result.exit_code == 0
    assert "ok plugin 'good' hears al_run_finished" in words(result.output)
    assert result.output.endswith("everything is in order\n")


@pytest.mark.parametrize(
    ("plugins", "strict", "status", "summary"),
    [
        ({"idle": Idle()}, False, 0, "0 errors, 1 warning"),
        ({"idle": Idle()}, True, 1, "0 errors, 1 warning"),
        ({"broken": Broken()}, False, 1, "1 error, 0 warnings"),
        ({"a": Broken(), "b": Broken(), "c": Idle(), "d": Idle()}, False, 1, "2 errors, 2 warn"),
    ],
)
def test_exit_status_follows_the_worst_finding(plugins, strict, status, summary):
    result = run(plugins, strict=strict)

    assert result.exit_code == status
    assert summary in result.output


def test_lines_fit_the_terminal():
    result = run({"broken": Broken(), "a_rather_long_name_for_a_plugin_of_ours": Broken()})

    assert max(map(len, result.output.splitlines())) <= 80
    assert "it registers no component: is @hookimpl missing?" in words(result.output)


def test_findings_can_be_had_as_json():
    result = run({"broken": Broken()}, "--json")
    findings = json.loads(result.output)["findings"]

    assert result.exit_code == 1
    assert findings[0]["subject"] == "python"
    assert findings[-1] == {
        "level": "error",
        "subject": "plugin 'broken'",
        "message": "it registers no component: is @hookimpl missing?",
    }


def test_without_an_injected_host_the_installed_plugins_are_found(monkeypatch):
    monkeypatch.setenv("AL_DISABLE_PLUGINS", "video")
    result = CliRunner().invoke(doctor, ["--json"])
    found = {f["subject"]: f["message"] for f in json.loads(result.output)["findings"]}

    assert found["plugin 'video'"].endswith("switched off by AL_DISABLE_PLUGINS")
