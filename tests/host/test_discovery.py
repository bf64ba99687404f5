import logging
import sys

import pytest

from al_framework import __version__
from al_framework.api import PluginLoadError
from al_framework.host import PluginHost
from al_framework.host.discovery import missing_requirements


def states(host):
    return {record.name: record.state for record in host.records}


def test_a_sound_plugin_is_loaded_with_its_distribution(site):
    site.install_sink("one", "one_sink", distribution="al-one", version="2.1")

    host = site.discover()
    (record,) = host.records
    (registration,) = record.components

    assert (
        record.name,
        record.distribution,
        record.version,
        record.module,
        record.state,
        record.problem,
    ) == ("one", "al-one", "2.1", "site_one", "loaded", None)
    assert registration is host.registry.get("sink", "one_sink")
    assert registration.provider == "plugin 'one' (al-one 2.1)"
    assert host.problems == ()


def test_installed_plugins_are_found_without_a_list():
    host = PluginHost.discover(environ={})

    assert "local" in states(host)
    assert all(record.distribution for record in host.records)


def test_other_groups_are_not_ours(site):
    site.install("one", "raise RuntimeError", group="al_framework.commands")

    assert site.discover().records == ()


def test_outcome_does_not_depend_on_the_order_of_entry_points(site):
    for name in ("one", "two", "three"):
        site.install_sink(name, "same")
    points = site.entry_points()

    forwards = PluginHost.discover(entry_points=points, environ={})
    backwards = PluginHost.discover(entry_points=points[::-1], environ={})

    assert forwards.records == backwards.records
    assert forwards.problems == backwards.problems
    assert [record.name for record in forwards.records] == ["one", "three", "two"]


def test_a_built_in_keeps_its_type_whatever_the_names(site):
    site.install_sink("zz", "same", distribution="Al_Framework", version="0.1.0")
    site.install_sink("aa", "same")

    host = site.discover()

    assert host.registry.get("sink", "same").plugin == "zz"
    assert [record.name for record in host.records] == ["aa", "zz"]


@pytest.mark.parametrize(
    ("switch", "by"),
    [
        ({"environ": {"AL_DISABLE_PLUGINS": "two, other"}}, "AL_DISABLE_PLUGINS"),
        ({"disable": ["two"]}, "plugins.disable"),
        ({"only": ["one"]}, "plugins.only"),
        ({"only": []}, "plugins.only"),
    ],
)
def test_a_disabled_plugin_is_never_imported(site, switch, by):
    site.install_sink("one", "one_sink")
    site.install("two", "raise RuntimeError('imported')")

    host = site.discover(**switch)
    record = host.records[1]

    assert ("two", "disabled", by, None) == (
        record.name,
        record.state,
        record.switched_off_by,
        record.problem,
    )
    assert "site_two" not in sys.modules
    assert host.problems == ()


def test_the_process_environment_is_read_where_none_is_given(site, monkeypatch):
    site.install_sink("one", "one_sink")
    monkeypatch.setenv("AL_DISABLE_PLUGINS", "one")

    assert states(PluginHost.discover(entry_points=site.entry_points())) == {"one": "disabled"}


@pytest.mark.parametrize(
    ("switch", "problem"),
    [
        (
            {"only": ["one", "entrpy"]},
            (
                "plugins.only: plugin 'entrpy' is not installed (did you mean 'entropy'?):"
                " install it or choose among entropy, one"
            ),
        ),
        (
            {"only": ["one", "absent"]},
            (
                "plugins.only: plugin 'absent' is not installed:"
                " install it or choose among entropy, one"
            ),
        ),
        (
            {"disable": ["entrpy"]},
            "plugins.disable: plugin 'entrpy' is not installed (did you mean 'entropy'?)",
        ),
        (
            {"environ": {"AL_DISABLE_PLUGINS": "entrpy"}},
            "AL_DISABLE_PLUGINS: plugin 'entrpy' is not installed (did you mean 'entropy'?)",
        ),
    ],
)
def test_a_switch_that_hits_no_plugin_is_a_problem(site, switch, problem):
    site.install_sink("one", "one_sink")
    site.install_sink("entropy", "entropy")

    assert site.discover(**switch).problems == (problem,)


def test_only_names_the_lack_of_any_plugin(site):
    assert site.discover(only=["one"]).problems == (
        "plugins.only: plugin 'one' is not installed: install it or choose among none",
    )


def test_switching_off_what_is_not_installed_is_no_problem(site):
    site.install_sink("one", "one_sink")

    assert site.discover(disable=["something_else"]).problems == ()


@pytest.mark.parametrize(
    ("requires", "shown"),
    [
        (["al-framework>=0.1,<99", "numpy"], "al-framework>=0.1,<99"),
        (["AL_Framework>=0.0.1"], "AL_Framework>=0.0.1"),
        (["al-framework-entropy>=99"], None),
        (['al-framework>=99; extra == "later"'], None),
        (['al-framework>=99; python_version < "3"'], None),
        ([], None),
    ],
)
def test_a_requirement_that_is_met_is_recorded(site, requires, shown):
    site.install_sink("one", "one_sink", requires=requires)

    host = site.discover()

    assert host.problems == ()
    assert host.records[0].requires == shown


def test_a_plugin_for_another_al_framework_is_not_imported(site):
    site.install("one", "raise RuntimeError('imported')", requires=["al-framework>=99"])

    host = site.discover()

    assert host.problems == (
        (
            "plugin 'one' (al-one 1.0): it needs al-framework>=99, but al-framework"
            f" {__version__} is running: install versions of al-one and al-framework that fit"
        ),
    )
    assert (host.records[0].state, host.records[0].requires) == ("failed", "al-framework>=99")
    assert "site_one" not in sys.modules


def test_a_requirement_that_cannot_be_read_fails_the_plugin(site):
    site.install_sink("one", "one_sink", requires=["al-framework>=a.b", "numpy>=also.bad"])

    host = site.discover()

    assert host.problems == (
        (
            "plugin 'one' (al-one 1.0): its requirement 'al-framework>=a.b' cannot be read:"
            " correct its metadata"
        ),
    )
    assert host.records[0].requires == "al-framework>=a.b"


def test_two_distributions_with_one_name_are_both_reported(site):
    site.install_sink("one", "first_sink", distribution="al-a", version="1.0")
    site.install_sink("one", "second_sink", distribution="al-b", version="2.0", module="site_b")

    host = site.discover()

    assert host.problems == (
        (
            "plugin 'one' (al-b 2.0): its name is taken by plugin 'one' (al-a 1.0): uninstall one"
            " of the two distributions (AL_DISABLE_PLUGINS=one switches off both)"
        ),
    )
    assert [(r.distribution, r.state) for r in host.records] == [
        ("al-a", "loaded"),
        ("al-b", "failed"),
    ]
    assert host.registry.types("sink") == ("first_sink",)


@pytest.mark.parametrize("line", ["pluggy", "pluggy>=1", 'no-such-dist; python_version < "3"'])
def test_what_is_required_and_there_is_no_fault(line):
    assert missing_requirements([line]) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "no-such-dist>=1.2",
            (
                "plugins.require: 'no-such-dist>=1.2' is not installed:"
                " run pip install 'no-such-dist>=1.2'"
            ),
        ),
        ("what is this", "plugins.require: 'what is this' cannot be read: write it as 'name>=1.2'"),
    ],
)
def test_what_is_required_and_missing_is_an_error(site, line, message):
    with pytest.raises(PluginLoadError) as caught:
        site.discover(require=[line])

    assert str(caught.value) == f"1 problem with the plugins\n  {message}"


def test_what_is_required_and_too_old_is_an_error(site, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.0")

    with pytest.raises(PluginLoadError) as caught:
        site.discover(require=["al-entropy>=1.2"])

    assert str(caught.value).splitlines()[1].strip() == (
        "plugins.require: 'al-entropy>=1.2' is wanted, but al-entropy 1.0 is installed:"
        " run pip install 'al-entropy>=1.2'"
    )


def test_strict_makes_every_problem_one_error(site):
    site.install("one", "raise RuntimeError('boom')")
    site.install_sink("two", "same")
    site.install_sink("three", "same")

    with pytest.raises(PluginLoadError) as caught:
        site.discover(strict=True)
    lines = str(caught.value).splitlines()

    assert lines[0] == "2 problems with the plugins"
    assert lines[1].startswith("  plugin 'one' (al-one 1.0): the import of 'site_one' failed")
    assert lines[2].startswith("  plugin 'two' (al-two 1.0): sink type 'same' is already provided")
    assert caught.value.plugin == "one, two"


def test_strict_passes_where_all_is_well(site):
    site.install_sink("one", "one_sink")

    assert states(site.discover(strict=True)) == {"one": "loaded"}


def test_each_problem_is_logged_once(site, caplog):
    site.install("one", "raise RuntimeError('boom')")

    host = site.discover()

    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        *host.problems
    ]


def test_who_shows_the_problems_need_not_log_them(site, caplog):
    site.install("one", "raise RuntimeError('boom')")

    site.discover(log_problems=False)

    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_an_entry_point_without_distribution_is_named_without_one(site):
    from importlib.metadata import EntryPoint

    entry_point = EntryPoint(name="bare", value="no_such_module_here", group="al_framework")
    host = PluginHost.discover(entry_points=[entry_point], environ={})

    assert host.problems == (
        (
            "plugin 'bare': the import of 'no_such_module_here' failed: ModuleNotFoundError:"
            " No module named 'no_such_module_here': repair or update it, or switch it off with"
            " AL_DISABLE_PLUGINS=bare"
        ),
    )


def test_metadata_without_name_and_version_do_no_harm(site):
    site.install_sink("one", "one_sink")
    (info,) = site.directory.glob("*.dist-info")
    (info / "METADATA").unlink()

    host = site.discover()

    assert (
        host.records[0].distribution,
        host.records[0].version,
        host.records[0].state,
    ) == (None, None, "loaded")


def test_who_runs_with_all_our_rights_is_said_with_its_version(site, caplog):
    caplog.set_level(logging.INFO)
    site.install_sink("one", "one_sink", version="1.5")
    site.discover()

    assert "plugin 'one' of al-one 1.5 is loaded" in caplog.messages
