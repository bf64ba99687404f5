import logging
import types

import pluggy
import pytest

from al_framework.api import COMPONENT_KINDS, Receipt, Sink, hookimpl, hookspecs
from al_framework.host import PluginHost
from al_framework.host.loading import REGISTRATION_HOOKS
from al_framework.host.notifying import NOTIFICATION_HOOKS

HEAD = """
from al_framework.api import Receipt, Sink, Source, hookimpl

class Good(Sink):
    type_name = "good"
    def deliver(self, datapoint, checkpoint):
        return Receipt(status="created")
"""


def test_all_faults_of_a_plugin_are_told_and_none_of_its_classes_is_used(site):
    code = HEAD + (
        "class Bad(Good):\n    type_name = 'Bad'\n"
        "@hookimpl\ndef al_register_sinks():\n    return [Good, Bad]\n"
        "@hookimpl\ndef al_register_sources():\n    return [Good]\n"
        "@hookimpl\ndef al_run_finished():\n    raise AssertionError\n"
    )
    site.install("broken", code)

    host = site.discover()
    who = "plugin 'broken' (al-broken 1.0)"

    assert host.problems == (
        (
            f"{who}: al_register_sinks: class Bad has the type_name 'Bad':"
            " it must match ^[a-z][a-z0-9_]{0,62}$"
        ),
        (
            f"{who}: al_register_sources: class Good is no source but a sink: return it from the"
            " hook of its kind"
        ),
    )
    assert host.records[0].problem == "\n".join(host.problems)
    assert host.registry.registrations() == ()
    host.notify("al_run_finished", summary=None)


def test_an_object_with_hooks_is_a_plugin(site):
    code = HEAD + (
        "class Plugin:\n    @hookimpl\n    def al_register_sinks(self):\n        yield Good\n"
        "plugin = Plugin()\n"
    )
    site.install("one", code, value="site_one:plugin")

    host = site.discover()

    assert host.problems == ()
    assert host.registry.types("sink") == ("good",)


def test_one_module_under_two_names_is_loaded_once(site):
    site.install_sink("one", "one_sink", module="shared")
    site.install_sink("two", "one_sink", module="shared")

    host = site.discover()

    assert host.problems == (
        "plugin 'two' (al-two 1.0): 'shared' is loaded as plugin 'one' already: announce it once",
    )


def test_a_broken_module_under_two_names_is_told_twice_what_is_wrong_with_it(site):
    code = HEAD + "@hookimpl\ndef al_register_sinks():\n    return Good"
    site.install("one", code, module="shared")
    site.install("two", code, module="shared")

    host = site.discover()

    fault = "al_register_sinks: it returns the class Good, not a list: return [Good]"
    assert host.problems == (
        f"plugin 'one' (al-one 1.0): {fault}",
        f"plugin 'two' (al-two 1.0): {fault}",
    )


def test_type_conflict_keeps_the_first_and_names_both(site):
    site.install_sink("one", "same", version="2.0")
    site.install(
        "two",
        HEAD.replace('"good"', '"same"')
        + (
            "class Other(Good):\n    type_name = 'other'\n"
            "@hookimpl\ndef al_register_sinks():\n    return [Good, Other]\n"
        ),
    )

    host = site.discover()

    assert host.problems == (
        (
            "plugin 'two' (al-two 1.0): sink type 'same' is already provided by plugin 'one'"
            " (al-one 2.0); the second one is left out: switch one of the two off with"
            " AL_DISABLE_PLUGINS=one or AL_DISABLE_PLUGINS=two"
        ),
    )
    assert host.registry.get("sink", "same").plugin == "one"
    assert host.registry.get("sink", "other").plugin == "two"
    assert ("loaded", host.problems[0]) == (host.records[1].state, host.records[1].problem)
    assert [c.type_name for c in host.records[1].components] == ["other"]


def test_each_registration_hook_is_called_once():
    calls = []

    class Plugin:
        @hookimpl
        def al_register_sinks(self):
            calls.append("sinks")
            return []

        @hookimpl
        def al_register_sources(self):
            calls.append("sources")
            return []

    host = PluginHost.without_discovery({"one": Plugin()})

    assert calls == ["sinks", "sources"]
    assert host.records[0].state == "loaded"


def test_a_hook_of_a_later_version_may_be_optional():
    class Plugin:
        @hookimpl(optionalhook=True)
        def al_register_dreams(self):
            raise AssertionError

        @hookimpl
        def al_run_finished(self):
            pass

    host = PluginHost.without_discovery({"one": Plugin()})

    assert (host.problems, host.records[0].notifications) == ((), ("al_run_finished",))


def test_a_hook_that_may_be_unknown_does_not_excuse_a_misspelt_one_nor_is_it_blamed():
    class Plugin:
        @hookimpl(optionalhook=True)
        def al_register_dreams(self):
            raise AssertionError

        @hookimpl
        def al_run_finisht(self):
            raise AssertionError

    host = PluginHost.without_discovery({"one": Plugin()})

    assert host.problems == (
        "plugin 'one': there is no hook 'al_run_finisht': did you mean 'al_run_finished'?",
    )


def test_a_mapping_of_classes_is_no_list_of_them():
    class Plugin:
        @hookimpl
        def al_register_sinks(self):
            return {Sink: "a sink"}

    host = PluginHost.without_discovery({"one": Plugin()})

    assert host.problems == (
        (
            f"plugin 'one': al_register_sinks: it returns {{{Sink!r}: 'a sink'}}: return a list of"
            " classes"
        ),
    )


def test_a_failed_plugin_does_not_spoil_the_check_of_the_next(site):
    site.install("a", HEAD + "@hookimpl\ndef al_register_sink():\n    return [Good]")
    site.install_sink("b", "b_sink")

    host = site.discover()

    assert len(host.problems) == 1
    assert host.registry.types("sink") == ("b_sink",)


def test_an_object_that_fights_back_is_left_out():
    class Hostile:
        def __dir__(self):
            raise ValueError("no")

    host = PluginHost.without_discovery({"one": Hostile()})

    assert host.problems[0].startswith(
        "plugin 'one': it cannot be registered: ValueError: no (test_loading.py, line"
    )
    assert host.problems[0].endswith(
        "): repair or update it, or switch it off with AL_DISABLE_PLUGINS=one"
    )


def test_keyboard_interrupt_at_import_is_the_users_and_passes(site):
    site.install("one", "raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        site.discover()


def test_the_traceback_of_a_failed_import_is_there_for_who_asks(site, caplog):
    caplog.set_level(logging.DEBUG, logger="al_framework.host.loading")
    site.install("one", "raise RuntimeError('boom')")

    site.discover(log_problems=False)

    (record,) = caplog.records
    assert record.getMessage() == "plugin 'one' (al-one 1.0): the import failed"
    assert str(record.exc_info[1]) == "boom"


def test_without_discovery_takes_modules_and_objects_and_nothing_installed():
    class Good(Sink):
        type_name = "good"

        def deliver(self, datapoint, checkpoint):
            return Receipt(status="created")

    module = types.ModuleType("some_module")

    @hookimpl
    def al_register_sinks():
        return [Good]

    module.al_register_sinks = al_register_sinks

    host = PluginHost.without_discovery({"mine": module, "other": types.SimpleNamespace()})

    assert host.registry.get("sink", "good").component is Good
    assert [(r.name, r.module, r.distribution) for r in host.records] == [
        ("mine", "some_module", None),
        ("other", "SimpleNamespace", None),
    ]
    assert host.problems == ("plugin 'other': it registers no component: is @hookimpl missing?",)


def test_the_tables_of_hooks_are_the_specifications():
    manager = pluggy.PluginManager(hookspecs.PROJECT_NAME)
    manager.add_hookspecs(hookspecs)
    specified = {
        name: frozenset(caller.spec.argnames)
        for name, caller in vars(manager.hook).items()
        if not name.startswith("_")
    }

    assert {**dict.fromkeys(REGISTRATION_HOOKS, frozenset()), **NOTIFICATION_HOOKS} == specified
    assert sorted(REGISTRATION_HOOKS.values()) == sorted(COMPONENT_KINDS)
