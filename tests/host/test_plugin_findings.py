"""What the plugins of others need and do not get."""

import pytest

from al_framework.host.doctor import Surroundings
from al_framework.host.findings import Finding
from al_framework.host.plugin_findings import plugin_findings, unread_groups

VERSIONS = {"torch": "2.1", "al-framework": "0.1.0"}


def findings(site, *, running="0.1.0"):
    """Findings about the one plugin, after the line that says what became of it."""
    host = site.discover()
    found = list(plugin_findings(host, running=running, version_of=VERSIONS.get))

    assert {each.subject for each in found} <= {"plugin 'one'"}
    return [(each.level, each.message.removeprefix("al-one 1.0: ")) for each in found[1:]]


@pytest.mark.parametrize(
    ("requires", "found"),
    [
        ("torch>=2", []),
        ("torch", []),
        ("tomli>=2; python_version < '3'", []),
        ("onnx>=1; extra == 'export'", []),
        (
            "torch>=3",
            [
                (
                    "error",
                    ("it needs torch: 2.1 is installed, >=3 is needed: run pip install 'torch>=3'"),
                )
            ],
        ),
        (
            "onnx>=1",
            [("error", "it needs onnx: it is not installed: run pip install 'onnx>=1'")],
        ),
        (
            "torch >> 2",
            [("warning", "its requirement 'torch >> 2' cannot be read: correct its metadata")],
        ),
    ],
)
def test_what_a_plugin_requires_is_looked_for(site, requires, found):
    site.install_sink("one", "box", requires=["al-framework>=0.1,<1", requires])

    assert findings(site) == found


def test_a_plugin_without_a_range_of_versions_is_named(site):
    site.install_sink("one", "box")

    assert findings(site) == [
        (
            "warning",
            (
                "it does not say which versions of al-framework it fits: its author should require"
                " 'al-framework>=0.1,<1'"
            ),
        )
    ]


@pytest.mark.parametrize(
    ("requires", "running", "lowest"),
    [
        ("al-framework>=0.1", "1.0.0", "0.1"),
        ("al-framework>=1.2,!=1.3", "2.0", "1.2"),
        ("al-framework>=0.1,>=1.2", "2.0", "1.2"),
        ("al-framework>0.9.1", "1.0", "0.9.1"),
    ],
)
def test_a_plugin_of_an_older_generation_is_named(site, requires, running, lowest, monkeypatch):
    monkeypatch.setattr("al_framework.host.plugins.__version__", running)
    site.install_sink("one", "box", requires=[requires])

    assert findings(site, running=running) == [
        (
            "warning",
            (
                f"it was written for al-framework {lowest}, an older generation of the plugin API"
                f" than {running}: update it, or ask its author whether it fits"
            ),
        )
    ]


@pytest.mark.parametrize(
    ("requires", "running"),
    [("al-framework>1.2", "1.9"), ("al-framework==1.*", "1.9"), ("al-framework<3", "2.0")],
)
def test_a_plugin_of_this_generation_is_in_order(site, requires, running, monkeypatch):
    monkeypatch.setattr("al_framework.host.plugins.__version__", running)
    site.install_sink("one", "box", requires=[requires])

    assert findings(site, running=running) == []


def test_a_range_that_is_no_version_is_told_and_no_more(site):
    site.install_sink("one", "box", requires=["al-framework===odd"])
    (found,) = plugin_findings(site.discover(), running="0.1.0", version_of=VERSIONS.get)

    assert found.level == "error"
    assert "it needs al-framework===odd, but al-framework" in found.message


def test_a_fault_is_one_finding_however_many_lines_it_shows(site):
    code = (
        "import numpy as np\n"
        "from al_framework.api import hookimpl\n"
        "@hookimpl\n"
        "def al_register_sinks():\n"
        "    return [np.eye(2)]\n"
    )
    site.install("one", code, requires=["al-framework>=0.1,<1"])
    host = site.discover()
    (found,) = plugin_findings(host, running="0.1.0", version_of=VERSIONS.get)

    assert host.problems == (f"plugin 'one' (al-one 1.0): {found.message[len('al-one 1.0: ') :]}",)
    assert found.message == (
        "al-one 1.0: al_register_sinks: it returns array([[1., 0.], [0., 1.]]): return classes"
        " derived from api.Sink"
    )


def test_what_is_switched_off_may_lack_what_it_likes(site):
    site.install_sink("one", "box", requires=["no-such-dist"])
    host = site.discover(disable=["one"])
    found = list(plugin_findings(host, running="0.1.0", version_of=VERSIONS.get))

    assert [(each.level, each.subject) for each in found] == [("ok", "plugin 'one'")]


@pytest.mark.parametrize(
    "group", ["al-framework", "al_framework.plugins", "al_frameworks", "AlFramework"]
)
def test_a_group_that_is_nearly_ours_is_named(group):
    assert list(unread_groups([(group, "plugin 'one' (al-one)")])) == [
        Finding(
            level="warning",
            subject="plugin 'one' (al-one)",
            message=f"it is announced in the entry-point group {group!r}, where nobody looks:"
            " its author should write 'al_framework'",
        )
    ]


def test_groups_of_ours_and_of_strangers_are_passed_over():
    announced = [(group, "x") for group in ("al_framework", "al_framework.commands", "pytest11")]

    assert list(unread_groups(announced)) == []


def test_what_is_announced_is_looked_up_with_its_distribution():
    announced = Surroundings.look().announced

    assert ("al_framework", "plugin 'local' (al-framework)") in announced
