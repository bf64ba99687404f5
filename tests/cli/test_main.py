import re
import signal
import sys
import threading
import types
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest

from al_framework import cli
from al_framework.api import AlFrameworkError, ConfigurationError, Fault
from al_framework.cli._signals import stop_on_signal

ROOT = Path(__file__).parents[2]


def announce(monkeypatch, **commands):
    points = [EntryPoint(name, value, cli.COMMAND_GROUP) for name, value in commands.items()]
    monkeypatch.setattr(cli, "entry_points", lambda **_: points)


@click.command()
def hello():
    click.echo("hello from a plugin")


def test_the_help_lists_own_commands_and_those_of_plugins(al):
    result = al("--help")

    assert result.status == 0
    listed = re.findall(r"^  (\w+)  ", result.out, flags=re.MULTILINE)
    assert {"check", "doctor", "explain", "export", "init", "plugins", "run"} <= set(listed)
    assert sorted(listed) == listed
    assert "Collect from the sources of a configuration." in result.out
    assert "Write what a directory sink holds as a COCO or YOLO dataset." in result.out


def test_the_help_of_a_foreign_command_names_who_provides_it(al, monkeypatch):
    announce(monkeypatch, hello="nowhere:hello")
    result = al("--help")

    assert result.status == 0
    assert re.search(r"hello +Provided by \?\.", result.out)


@pytest.mark.parametrize("name", sorted(cli._OWN))
def test_every_own_command_loads_and_explains_itself(al, name):
    result = al(name, "--help")

    assert result.status == 0
    assert result.out.startswith(f"Usage: al {name} ")


def test_the_version_is_that_of_the_package(al):
    from al_framework import __version__

    assert al("--version").out == f"al, version {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("rnu", "Error: No such command 'rnu'. Did you mean 'run'?"),
        ("expalin", "Error: No such command 'expalin'. Did you mean 'explain'?"),
        ("hallo", "Error: No such command 'hallo'. Did you mean 'hello'?"),
        ("zzz", "Error: No such command 'zzz'."),
    ],
)
def test_a_mistyped_command_names_the_nearest_one(al, monkeypatch, typed, hint):
    announce(monkeypatch, hello="nowhere:hello")
    result = al(typed)

    assert result.status == 2
    assert result.err.splitlines()[-1] == hint


def test_a_plugin_adds_a_command(al, monkeypatch):
    announce(monkeypatch, hello="al_command_of_a_test:hello")
    monkeypatch.setitem(sys.modules, "al_command_of_a_test", _module(hello=hello))
    result = al("hello")

    assert result.out == "hello from a plugin\n"
    assert result.status == 0


def _module(**values):
    module = types.ModuleType("al_command_of_a_test")
    vars(module).update(values)
    return module


MUTE = """
class MuteError(Exception):
    def __str__(self):
        raise ZeroDivisionError

raise MuteError
"""


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        (MUTE, "MuteError: its text cannot be told (ZeroDivisionError)"),
    ],
)
def test_a_command_that_does_not_load_costs_only_itself(desk, code, told):
    desk.install("boom", code, group=cli.COMMAND_GROUP, value="site_boom:boom")
    broken = desk.call("boom")
    others = desk.call("init")

    assert broken.status == 1
    assert broken.err == (
        f"Error: command 'boom' of al-boom (site_boom:boom) could not be loaded: {told}\n"
    )
    assert others.status == 0
    assert re.search(r"boom +Provided by al-boom\.", desk.call("--help").out)


def test_a_command_whose_module_exits_costs_only_itself(al, monkeypatch):
    announce(monkeypatch, quitter="al_command_of_a_test:missing")
    result = al("quitter")

    assert result.status == 1
    assert result.err.startswith(
        "Error: command 'quitter' of ? (al_command_of_a_test:missing) could not be loaded: "
        "ModuleNotFoundError:"
    )


def test_a_command_that_is_none_is_named(al, monkeypatch):
    announce(monkeypatch, odd="al_command_of_a_test:odd")
    monkeypatch.setitem(sys.modules, "al_command_of_a_test", _module(odd="text"))
    result = al("odd")

    assert result.status == 1
    assert result.err == (
        "Error: command 'odd' of ? (al_command_of_a_test:odd) is a str, not a click command\n"
    )


def test_a_plugin_cannot_replace_an_own_command(al, monkeypatch):
    announce(monkeypatch, run="nowhere:run")

    assert al("run", "--help").out.startswith("Usage: al run ")


def test_a_plugin_cannot_replace_a_command_of_our_plugins_by_an_earlier_name(desk):
    code = "raise AssertionError"
    desk.install("export", code, group=cli.COMMAND_GROUP, value="site_export:export")
    result = desk.call("export", "--help")

    assert "al-export" < cli._DISTRIBUTION
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("Usage: al export ")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigurationError([Fault(path="seed", message="is odd")], origin="al.yaml"), 2),
        (AlFrameworkError("the disk is on fire"), 1),
    ],
)
def test_our_errors_become_one_message_and_a_status(al, monkeypatch, error, status):
    @click.command()
    def fails():
        raise error

    announce(monkeypatch, fails="al_command_of_a_test:fails")
    monkeypatch.setitem(sys.modules, "al_command_of_a_test", _module(fails=fails))
    result = al("fails")

    assert result.status == status
    assert result.err == f"Error: {error}\n"


def command_paths(group, *above):
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        yield (*above, name)
        if isinstance(command, click.Group):
            yield from command_paths(command, *above, name)


def test_every_command_says_error_in_the_same_way(al):
    paths = [*command_paths(cli.cli)]
    said = {path: al(*path, "--no-such-switch") for path in paths}

    assert len(paths) >= 20
    assert {result.status for result in said.values()} == {2}
    for path, result in said.items():
        assert re.search(r"^Error: No such option", result.err, re.MULTILINE), path


def test_no_message_begins_in_small_letters():
    sources = [*(ROOT / "al_framework").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    echoed = re.compile(r"echo\(\s*f?\W*(error|warning)\b")

    assert len(sources) > 100
    assert [str(path) for path in sources if echoed.search(path.read_text("utf-8"))] == []


def test_a_first_signal_stops_gently_and_a_second_ctrl_c_at_once():
    stop = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signal(stop):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    assert stop.is_set()
    assert signal.getsignal(signal.SIGINT) is before
