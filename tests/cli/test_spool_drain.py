"""The command `al spool drain`: what waits is delivered, and waiting has an end."""

import fcntl
import threading

import pytest

from al_framework.api import SinkHealth
from al_framework.cli import spool as spool_module
from al_framework.cli._draining import is_held_up, patience_s, wait_for_deliveries, watch_for_stall
from al_framework.config.loading import load_configuration, read_document
from al_framework.host import PluginHost
from al_framework.testing import FakeClock


def rows(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_drain_delivers_what_waits_once_the_sink_is_repaired(locked, moody, desk):
    moody("fine")
    result = locked("spool", "drain")
    again = locked("spool", "drain", "--json")

    assert result.status == 0
    assert rows(result.out) == [
        "sink delivered given up still waiting",
        "directory 0 0 0",
        "picky 3 0 0",
    ]
    assert again.summary == {
        "directory": str(desk.directory / ".al" / "line"),
        "sinks": {
            name: {"delivered": 0, "dead": 0, "pending": 0, "reason": ""}
            for name in ("directory", "picky")
        },
    }


def test_drain_ends_at_once_where_every_sink_waits_for_a_person(locked):
    result = locked("spool", "drain")

    assert result.status == 1
    assert rows(result.out)[2:] == [
        "picky 0 0 3",
        "picky: the key is refused: give another api_key",
    ]


def test_drain_names_what_was_given_up(locked, moody):
    moody("refuses")
    result = locked("spool", "drain")

    assert result.status == 1
    assert rows(result.out)[2:] == ["picky 0 3 0", "see what was given up: al dead list -c al.yaml"]


def test_drain_names_a_sink_that_is_not_configured_any_more(locked, desk):
    desk.write()
    result = locked("spool", "drain")

    assert result.status == 1
    assert rows(result.out)[1:] == [
        "directory 0 0 0",
        "picky 0 0 3",
        "picky: it is not configured any more",
    ]


def test_drain_waits_for_another_process_no_longer_than_told(locked, desk, index, monkeypatch):
    index("UPDATE sink SET state = 'closed', reason = '', until = 0")
    with (desk.directory / ".al" / "line" / "deliver.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        late = locked("spool", "drain", "--timeout", "0", "--json")
        monkeypatch.setattr(spool_module, "STALLED_S", 0.0)
        stalled = locked("spool", "drain", "--json")

    assert (late.status, stalled.status) == (1, 1)
    assert late.summary["sinks"]["picky"]["pending"] == 3
    assert stalled.summary["sinks"]["picky"]["pending"] == 3


def test_a_signal_ends_the_draining(locked, index, monkeypatch):
    monkeypatch.setattr(
        spool_module, "wait_for_deliveries", lambda *_, stop, **__: stop.set() or False
    )

    assert locked("spool", "drain").status == 130


@pytest.mark.parametrize(
    ("sinks", "expected"),
    [
        ({"a": SinkHealth(state="paused", until=1.0)}, True),
        ({"a": SinkHealth(state="open", until=131.0)}, True),
        ({"a": SinkHealth(state="open", until=129.0)}, False),
        ({"a": SinkHealth()}, False),
        ({"a": SinkHealth(state="paused", until=1.0), "b": SinkHealth()}, False),
    ],
)
def test_waiting_is_of_no_use_where_every_sink_waits_for_a_person_or_for_long(sinks, expected):
    assert is_held_up(sinks, now=100.0, patience_s=30.0) is expected


def test_a_stall_is_a_time_without_any_change():
    clock, number = FakeClock(), 0
    stalled = watch_for_stall(clock, lambda: number, 30.0)
    seen = []
    for change in (0, 0, 1, 0, 0):
        number += change
        clock.advance(20.0)
        seen.append(stalled())

    assert seen == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("pace", "expected"),
    [({}, 30.0), ({"pace": {"per_s": 2}}, 30.0), ({"pace": {"per_s": 0.01}}, 200.0)],
)
def test_a_slow_pace_is_no_stall(pace, expected):
    document = {
        "active_learning": {"enabled": False},
        "sinks": [{"type": "null"}, {"type": "directory", "path": "out", **pace}],
    }
    configuration = load_configuration(read_document(document), PluginHost.discover())

    assert patience_s(configuration, 30.0) == expected


def test_waiting_ends_when_all_is_done_or_somebody_has_had_enough():
    stop, left, shown = threading.Event(), [True, False, False], []

    assert wait_for_deliveries(
        lambda: not left.pop(), is_hopeless=lambda: False, refresh=lambda: None, stop=stop
    )
    stop.set()
    assert not wait_for_deliveries(
        lambda: False,
        is_hopeless=lambda: False,
        refresh=lambda: shown.append(1),
        stop=stop,
    )
    assert shown == [1]
