"""What a start costs: which modules it imports, and how often plugins are asked."""

import json

import pytest

HEAVY = """
from al_framework.api import Receipt, Sink, hookimpl

class Weighty(Sink):
    type_name = "weighty"

    def start(self):
        import site_heavy

    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")

@hookimpl
def al_register_sinks():
    with open("asked", "a") as stream:
        stream.write("asked\\n")
    return [Weighty]

@hookimpl
def al_register_sources():
    return []
"""
SPY = """
import atexit, json, sys

@atexit.register
def tell():
    with open("modules", "w") as stream:
        json.dump(sorted(sys.modules), stream)
"""
# What nothing needs that only prints a page of help.
EXPENSIVE = {
    "al_framework.api",
    "al_framework.host",
    "numpy",
    "PIL",
    "pluggy",
    "pydantic",
    "requests",
    "rich",
    "ruamel.yaml",
}


@pytest.fixture
def heavy(desk):
    """A plugin whose `start` imports something, and a look at what each process has imported."""
    desk.install("weighty", HEAVY)
    (desk.site / "site_heavy.py").write_text("")
    (desk.site / "sitecustomize.py").write_text(SPY)
    desk.write(more="  - {name: heavy, type: weighty}\n")
    return desk


def modules(desk):
    return set(json.loads((desk.directory / "modules").read_text()))


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_imports_neither_plugins_nor_what_is_expensive(heavy, argument):
    assert heavy.call(argument).status == 0
    found = modules(heavy)

    assert "al_framework.cli" in found
    assert not {name for name in found if name.startswith(("site_", "al_framework_"))}
    assert not EXPENSIVE & found


@pytest.mark.parametrize(
    "command",
    [("plugins",), ("plugins", "show", "weighty"), ("doctor",), ("schema",), ("check",)],
    ids=" ".join,
)
def test_commands_that_only_look_start_no_component_and_ask_each_plugin_once(heavy, command):
    result = heavy.call(*command)
    found = modules(heavy)

    assert result.status == 0, result.out + result.err
    assert "site_weighty" in found
    assert "site_heavy" not in found
    assert (heavy.directory / "asked").read_text() == "asked\n"


def test_a_run_starts_the_components_and_asks_each_plugin_once(heavy):
    heavy.add_frames(1)
    result = heavy.call("run", "al.yaml")

    assert result.status == 0, result.err
    assert "site_heavy" in modules(heavy)
    assert (heavy.directory / "asked").read_text() == "asked\n"


@pytest.mark.parametrize("command", [("spool", "drain"), ("dead", "retry", "--all")], ids=" ".join)
def test_commands_for_what_is_collected_ask_each_plugin_once(heavy, command):
    heavy.add_frames(1)
    assert heavy.call("run", "al.yaml").status == 0
    (heavy.directory / "asked").unlink()
    result = heavy.call(*command)

    assert result.status == 0, result.out + result.err
    assert (heavy.directory / "asked").read_text() == "asked\n"
