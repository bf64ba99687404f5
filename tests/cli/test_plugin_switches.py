"""Which plugins a command works with: the configuration's section, and the environment."""

import json
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import click
import pytest

from al_framework.api import PluginLoadError
from al_framework.cli._host import discover_host
from al_framework.cli.plugins import plugins

OFF = "plugins: {disable: [video], only: [local, roboflow, video]}\n"
BROKEN = "plugins: {disable: [video]\n"


@dataclass
class Wishes:
    only: tuple[str, ...] | None = None
    disable: tuple[str, ...] = ()
    require: tuple[str, ...] = ()


@pytest.fixture
def broken_installation(monkeypatch):
    points = [EntryPoint(name="dead", value="no_such_module_here", group="al_framework")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)


def context(**settings):
    return click.Context(plugins, obj=settings)


def test_strict_plugins_makes_a_broken_plugin_an_error(broken_installation):
    with pytest.raises(PluginLoadError, match="the import of 'no_such_module_here' failed"):
        discover_host(None, context(strict_plugins=True))


def test_who_shows_the_problems_gets_them_even_if_strict(broken_installation):
    host = discover_host(None, context(strict_plugins=True), show_problems=True)

    assert [record.state for record in host.records] == ["failed"]


def test_the_configurations_wishes_reach_discovery(broken_installation):
    host = discover_host(Wishes(disable=("dead",)), context())

    assert [record.switched_off_by for record in host.records] == ["plugins.disable"]
    with pytest.raises(PluginLoadError, match=r"'no-such-dist' is not installed"):
        discover_host(Wishes(require=("no-such-dist",)), context())


def states(outcome):
    return {each["name"]: each["switched_off_by"] for each in outcome.summary["plugins"]}


@pytest.mark.parametrize(
    ("file", "arguments"),
    [("al.yaml", ()), ("line.yaml", ("-c", "line.yaml"))],
)
def test_the_list_follows_the_configuration(al, desk, file, arguments):
    (desk.directory / file).write_text(OFF)
    listed = states(al("plugins", *arguments, "--json"))

    assert listed["local"] is None
    assert listed["video"] == "plugins.disable"
    assert listed["webhook"] == "plugins.only"


def test_a_type_of_a_plugin_that_is_off_is_not_shown(al, desk):
    (desk.directory / "al.yaml").write_text(OFF)

    assert al("plugins", "show", "webhook").status == 1
    assert al("plugins", "show", "directory").status == 0


def test_the_environment_comes_on_top(al, desk, monkeypatch):
    (desk.directory / "al.yaml").write_text(OFF)
    monkeypatch.setenv("AL_DISABLE_PLUGINS", "roboflow, video")
    listed = states(al("plugins", "--json"))

    assert listed["roboflow"] == listed["video"] == "AL_DISABLE_PLUGINS"


@pytest.mark.parametrize("command", [("plugins",), ("plugins", "show", "webhook"), ("schema",)])
def test_a_broken_default_file_is_told_and_left_out(al, desk, command):
    (desk.directory / "al.yaml").write_text(BROKEN)
    result = al(*command)

    assert result.status == 0
    assert result.err.startswith(
        "Warning: its plugins section is left out: al.yaml: 1 fault in the configuration\n"
    )


@pytest.mark.parametrize("command", ["plugins", "schema"])
def test_a_broken_file_that_is_named_is_an_error(al, desk, command):
    (desk.directory / "line.yaml").write_text(BROKEN)
    result = al(command, "-c", "line.yaml")

    assert result.status == 2
    assert result.err.startswith("Error: line.yaml: 1 fault in the configuration\n")


def test_a_plugin_that_is_required_and_missing_is_a_problem_beside_what_is_there(al, desk):
    (desk.directory / "al.yaml").write_text("plugins: {require: ['no-such-dist>=1.2']}\n")
    problem = (
        "plugins.require: 'no-such-dist>=1.2' is not installed: run pip install 'no-such-dist>=1.2'"
    )
    listed, shown = al("plugins", "--json"), al("plugins")

    assert (listed.status, shown.status) == (1, 1)
    assert listed.summary["problems"] == [problem]
    assert f"  {problem}\n" in shown.out
    assert states(listed)["webhook"] is None
    assert al("schema").status == 0


def test_the_schema_leaves_out_the_types_of_plugins_that_are_off(al, desk):
    (desk.directory / "line.yaml").write_text(OFF)
    definitions = json.loads(al("schema", "-c", "line.yaml").out)["$defs"]

    assert "sink_webhook" not in definitions
    assert "sink_directory" in definitions
