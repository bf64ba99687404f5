import runpy
import warnings
from pathlib import Path

import pluggy
import pytest
from packaging.version import Version

from al_framework import __version__, api
from al_framework.api import deprecations
from al_framework.api.deprecations import (
    NAMES,
    FormerName,
    PluginApiDeprecationWarning,
    find_former_name,
)

OLD = PluginApiDeprecationWarning(
    "al_framework.api.Score", since="1.1", removed_in="2.0", instead="import Verdict"
)
MESSAGE = (
    "al_framework.api.Score is deprecated since al-framework 1.1 and gone in 2.0: import Verdict"
)


def faults(warning, version):
    """Return what is wrong with a deprecation by the policy, when a version is released."""
    since, removed, now = map(Version, (warning.since, warning.removed_in, version))
    found = []
    if (removed.minor, removed.micro) != (0, 0):
        found.append(f"{warning.what}: only a major version removes, {removed} is none")
    if removed.major <= max(since.major, 1):  # 0.x and 1.x serve one version of the API
        found.append(f"{warning.what}: it stays until the next version of the API at least")
    if removed <= now:
        found.append(f"{warning.what}: {now} is to be without it: remove it")
    return found


def constants():
    named = [one for one in vars(deprecations).values() if isinstance(one, Warning)]
    return [*named, *(former.warning for former in NAMES.values())]


def test_every_deprecation_keeps_to_the_policy():
    assert [fault for one in constants() for fault in faults(one, __version__)] == []


@pytest.mark.parametrize(
    ("since", "removed_in", "version", "fault"),
    [
        ("1.1", "2.0", "1.9", []),
        (
            "1.1",
            "1.3",
            "1.2",
            [
                "X: only a major version removes, 1.3 is none",
                "X: it stays until the next version of the API at least",
            ],
        ),
        ("1.1", "2.0", "2.1", ["X: 2.1 is to be without it: remove it"]),
        ("0.3", "2.0", "0.3", []),
        ("0.3", "1.0", "0.9", ["X: it stays until the next version of the API at least"]),
        ("1.1", "2.0", "2.0", ["X: 2.0 is to be without it: remove it"]),
    ],
)
def test_a_breach_of_the_policy_is_seen(since, removed_in, version, fault):
    made = PluginApiDeprecationWarning("X", since=since, removed_in=removed_in, instead="go")

    assert faults(made, version) == fault


def test_a_former_name_is_found_and_names_the_line_that_uses_it():
    names = {"Score": FormerName(warning=OLD, home="al_framework.api:Verdict")}

    def importing():  # as `__getattr__` of the module stands between
        return find_former_name("Score", names)

    with pytest.warns(PluginApiDeprecationWarning) as caught:
        found = importing()
    (seen,) = caught

    assert found is api.Verdict
    assert (str(seen.message), seen.filename) == (MESSAGE, __file__)
    assert "found = importing()" in Path(__file__).read_text().splitlines()[seen.lineno - 1]


def test_a_plugin_that_imports_a_former_name_works_and_is_warned(monkeypatch, tmp_path):
    names = {"Score": FormerName(warning=OLD, home="al_framework.api:Verdict")}
    monkeypatch.setattr(find_former_name, "__defaults__", (names,))
    (tmp_path / "plugin.py").write_text("\nfrom al_framework.api import Score\n")

    with pytest.warns(PluginApiDeprecationWarning) as caught:
        plugin = runpy.run_path(str(tmp_path / "plugin.py"))

    assert plugin["Score"] is api.Verdict
    assert {(seen.filename, seen.lineno) for seen in caught} == {(str(tmp_path / "plugin.py"), 2)}


def test_a_name_that_there_has_never_been_is_refused():
    with pytest.raises(
        AttributeError, match=r"^module 'al_framework.api' has no attribute 'Dream'$"
    ):
        _ = api.Dream


def test_a_deprecated_hook_names_the_plugin_that_has_it():
    manager = pluggy.PluginManager("al_framework")
    hookspec = pluggy.HookspecMarker("al_framework")

    class Specifications:
        @hookspec(warn_on_impl=OLD)
        def al_run_started(self, run):
            """Hear that a run begins."""

    class Plugin:
        @api.hookimpl
        def al_run_started(self, run):
            """Hear it."""

    manager.add_hookspecs(Specifications)
    with pytest.warns(PluginApiDeprecationWarning, match="Score is deprecated since") as caught:
        manager.register(Plugin())

    assert caught[0].filename == __file__


def test_an_author_can_make_them_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error", PluginApiDeprecationWarning)
        with pytest.raises(PluginApiDeprecationWarning, match="import Verdict"):
            find_former_name(
                "Score", {"Score": FormerName(warning=OLD, home="al_framework.api:Verdict")}
            )
