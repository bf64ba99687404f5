import logging
import re
import types

import pytest

from al_framework.api import hookimpl
from al_framework.host import PluginHost


def listener(calls, name, *, error=None):
    module = types.ModuleType(name)

    @hookimpl
    def al_run_finished(summary):
        calls.append((name, summary))
        if error is not None:
            raise error

    module.al_run_finished = al_run_finished
    return module


def test_every_plugin_hears_in_the_order_of_names():
    calls = []
    host = PluginHost.without_discovery({n: listener(calls, n) for n in ("two", "one")})

    host.notify("al_run_finished", summary="s")

    assert calls == [("one", "s"), ("two", "s")]
    assert host.records[0].notifications == ("al_run_finished",)
    assert (host.records[0].state, host.records[0].components) == ("loaded", ())


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3)])
def test_an_error_is_logged_with_the_plugins_name_and_the_others_still_hear(caplog, error):
    calls = []
    host = PluginHost.without_discovery(
        {"one": listener(calls, "one", error=error), "two": listener(calls, "two")}
    )

    host.notify("al_run_finished", summary="s")

    assert [name for name, _ in calls] == ["one", "two"]
    (record,) = caplog.records
    assert record.getMessage() == "plugin 'one': al_run_finished failed, the run goes on"
    assert record.levelno == logging.ERROR
    assert record.exc_info[1] is error


def test_only_the_first_error_of_a_plugin_is_logged_in_full(caplog):
    caplog.set_level(logging.DEBUG, logger="al_framework.host.notifying")
    host = PluginHost.without_discovery({"one": listener([], "one", error=ValueError("boom"))})

    for _ in range(3):
        host.notify("al_run_finished", summary="s")

    assert [(r.levelno, bool(r.exc_info)) for r in caplog.records] == [
        (logging.ERROR, True),
        (logging.DEBUG, False),
        (logging.DEBUG, False),
    ]
    assert re.fullmatch(
        r"plugin 'one': al_run_finished failed 3 times:"
        r" ValueError: boom \(test_notifying.py, line \d+\)",
        caplog.records[2].getMessage(),
    )


def test_keyboard_interrupt_is_the_users_and_passes():
    host = PluginHost.without_discovery({"one": listener([], "one", error=KeyboardInterrupt())})

    with pytest.raises(KeyboardInterrupt):
        host.notify("al_run_finished", summary="s")


def test_a_listener_takes_the_arguments_it_wants_defaults_included():
    seen = []

    class Plugin:
        @hookimpl
        def al_datapoint_delivered(self, receipt, sink="nowhere"):
            seen.append((sink, receipt))

    host = PluginHost.without_discovery({"one": Plugin()})

    host.notify("al_datapoint_delivered", sink="s", datapoint="d", receipt="r")

    assert seen == [("s", "r")]


def test_a_notification_without_listeners_does_nothing():
    PluginHost.without_discovery({}).notify("al_run_started", run="r")


@pytest.mark.parametrize(
    ("hook", "arguments", "message"),
    [
        ("al_run_ended", {"summary": 1}, "there is no notification al_run_ended(summary)"),
        ("al_run_started", {}, "there is no notification al_run_started()"),
        (
            "al_run_started",
            {"run": 1, "more": 2},
            "there is no notification al_run_started(more, run)",
        ),
        ("al_register_sinks", {}, "there is no notification al_register_sinks()"),
    ],
)
def test_the_caller_cannot_misname_a_notification(hook, arguments, message):
    with pytest.raises(ValueError, match="no notification") as caught:
        PluginHost.without_discovery({}).notify(hook, **arguments)

    assert str(caught.value) == message
