from dataclasses import replace

import pytest

from al_framework import __version__
from al_framework.api import hookimpl
from al_framework.host import PluginHost
from al_framework.host.doctor import Finding, Surroundings, diagnose, installed_version

VERSIONS = {"numpy": "2.0", "av": "12.1", "onnxruntime": "1.0"}

AROUND = Surroundings(
    python="3.11.7",
    requires_python=">=3.11",
    installed=__version__,
    requirements=(
        "numpy>=1.26",
        "tomli>=2; python_version < '3'",
        "av>=12; extra == 'video'",
        'colorama; sys_platform == "no-such" and extra == "shell"',
    ),
    sqlite=(3, 40, 1),
    has_fcntl=True,
    version_of=VERSIONS.get,
)


def no_plugins():
    return PluginHost.without_discovery({})


def finding(around, subject):
    (found,) = [f for f in diagnose(no_plugins(), around) if f.subject == subject]
    return found.level, found.message


def test_a_sound_installation_is_ok_throughout():
    assert diagnose(no_plugins(), AROUND) == [
        Finding(level="ok", subject="python", message="3.11.7"),
        Finding(level="ok", subject="al-framework", message=__version__),
        Finding(level="ok", subject="numpy", message="2.0"),
        Finding(level="ok", subject="sqlite", message="3.40.1"),
        Finding(level="ok", subject="file locks", message="fcntl"),
        Finding(level="ok", subject="extra 'video'", message="av 12.1"),
    ]


@pytest.mark.parametrize(
    ("change", "subject", "level", "message"),
    [
        (
            {"python": "3.10.1"},
            "python",
            "error",
            "3.10.1 is running, but >=3.11 is needed: use another interpreter",
        ),
        ({"requires_python": None, "python": "3.9.0"}, "python", "ok", "3.9.0"),
        (
            {"installed": None},
            "al-framework",
            "warning",
            (
                f"{__version__} runs without being installed, so its own plugins are not found:"
                " run pip install ."
            ),
        ),
        (
            {"installed": "0.0.1"},
            "al-framework",
            "warning",
            (
                f"{__version__} is running, but 0.0.1 is installed:"
                " install it again, or leave the directory of the other copy"
            ),
        ),
        (
            {"requirements": ("pluggy>=1.7",)},
            "pluggy",
            "error",
            "it is not installed: run pip install 'pluggy>=1.7'",
        ),
        (
            {"requirements": ("numpy>=3",)},
            "numpy",
            "error",
            "2.0 is installed, >=3 is needed: run pip install 'numpy>=3'",
        ),
        (
            {"requirements": ('torch>=2; extra == "torch"',)},
            "extra 'torch'",
            "ok",
            "torch is not installed; to have it, run pip install 'al-framework[torch]'",
        ),
        (
            {"requirements": ("onnxruntime>=1.17; extra == 'onnx'",)},
            "extra 'onnx'",
            "warning",
            (
                "onnxruntime 1.0 is installed, >=1.17 is needed:"
                " run pip install 'al-framework[onnx]'"
            ),
        ),
        (
            {"sqlite": (3, 34, 1)},
            "sqlite",
            "error",
            "3.34.1 is in use, the spool needs 3.35.0: use a newer build of Python",
        ),
        (
            {"has_fcntl": False},
            "file locks",
            "error",
            "this platform has no fcntl, which the spool locks with: use Linux, macOS or WSL",
        ),
    ],
)
def test_what_is_wrong_around_is_found(change, subject, level, message):
    assert finding(replace(AROUND, **change), subject) == (level, message)


def test_plugins_are_found_with_their_state(site):
    ranged = ["al-framework>=0.1"]
    site.install_sink("clash", "same", requires=ranged)
    site.install("dead", "raise RuntimeError('boom')", requires=ranged)
    site.install_sink("first", "same", requires=ranged)
    site.install_sink("off", "off_sink")
    site.install_sink("ranged", "ranged", requires=ranged)

    host = site.discover(disable=["off"], only=["clash", "dead", "first", "off", "ranged", "zz"])
    found = [f for f in diagnose(host, AROUND) if f.subject.startswith("plugin")]

    assert [(f.level, f.subject, f.message.partition(";")[0]) for f in found] == [
        ("ok", "plugin 'clash'", "al-clash 1.0: 1 component"),
        (
            "error",
            "plugin 'dead'",
            (
                "al-dead 1.0: the import of 'site_dead' failed: RuntimeError: boom (site_dead.py,"
                " line 1): repair or update it, or switch it off with AL_DISABLE_PLUGINS=dead"
            ),
        ),
        (
            "warning",
            "plugin 'first'",
            ("al-first 1.0: sink type 'same' is already provided by plugin 'clash' (al-clash 1.0)"),
        ),
        ("ok", "plugin 'off'", "al-off 1.0: switched off by plugins.disable"),
        ("ok", "plugin 'ranged'", "al-ranged 1.0: 1 component"),
        (
            "warning",
            "plugins.only",
            (
                "plugin 'zz' is not installed: install it or choose among"
                " clash, dead, first, off, ranged"
            ),
        ),
    ]
    assert found[4].message == "al-ranged 1.0: 1 component; needs al-framework>=0.1"


class Hearing:
    @hookimpl
    def al_run_finished(self):
        """Hear it."""


class Idle:
    @hookimpl
    def al_register_sinks(self):
        return []


@pytest.mark.parametrize(
    ("plugin", "level", "message"),
    [
        (Hearing(), "ok", "hears al_run_finished"),
        (
            Idle(),
            "warning",
            "it provides no component and hears no notification: ask its author",
        ),
    ],
)
def test_a_plugin_without_components_is_judged_by_what_it_hears(plugin, level, message):
    host = PluginHost.without_discovery({"one": plugin})

    assert diagnose(host, AROUND)[-1] == Finding(
        level=level, subject="plugin 'one'", message=message
    )


def test_the_surroundings_of_the_tests_are_sound():
    levels = {found.level for found in diagnose(no_plugins())}

    assert "error" not in levels


def test_surroundings_can_be_seen_without_an_installation(monkeypatch):
    monkeypatch.setattr("al_framework.host.doctor.installed_version", lambda name: None)
    around = Surroundings.look()

    assert (around.installed, around.requirements, around.requires_python) == (None, (), None)


def test_what_is_not_installed_has_no_version():
    assert installed_version("no-such-dist") is None
