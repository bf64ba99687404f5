"""Strategies with a state are built for each source, and their state outlives a run."""

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from al_framework.api import ComponentError
from al_framework.assembly.starting import _directory_name

FULL = {
    "sources": [{"type": "noting", "name": "cam"}],
    "predictor": {"type": "noting", "name": "model"},
    "adapter": {"type": "noting", "name": "reader"},
}
COUNTING = {"name": "count [x]/..", "type": "counting"}


def test_a_stateful_strategy_is_built_for_each_source_and_keeps_its_state(
    build, plugin, document, drive
):
    sources = [{"type": "noting", "name": "cam"}, {"type": "noting", "name": "belt"}]
    given = document(strategies=[COUNTING], sources=sources)
    drive(build(given, with_sources=True))
    first = [event for event in plugin.events if COUNTING["name"] in event]
    drive(build(given, with_sources=True))

    assert first.count(f"start {COUNTING['name']}") == 2
    assert first.count(f"close {COUNTING['name']}") == 2
    assert plugin.loaded == [{"count": 3}, {"count": 3}]


def test_a_state_that_cannot_be_read_is_named_and_begins_anew(
    build, plugin, caplog, document, drive
):
    given = document(strategies=[COUNTING], **FULL)
    drive(build(given, with_sources=True))
    (file,) = plugin.directories[0].iterdir()
    file.write_text('{"cou')
    summary = drive(build(given, with_sources=True))

    assert plugin.loaded == []
    assert summary.counts.strategies[COUNTING["name"]].failed == 0
    assert f"the state of strategy {COUNTING['name']!r} cannot be read (" in caplog.text
    assert json.loads(file.read_text()) == {"count": 3}


def test_a_state_that_is_refused_is_named_with_what_to_do_and_nothing_begins(
    build, plugin, document, drive
):
    given = document(strategies=[COUNTING], **FULL)
    drive(build(given, with_sources=True))
    (file,) = plugin.directories[0].iterdir()
    file.write_text('{"frames": 3}')  # as another version of the strategy may have kept it
    with pytest.raises(ComponentError) as caught:
        build(given, with_sources=True)

    assert str(caught.value) == (
        f"strategy {COUNTING['name']!r} (plugin 'lives') could not start: it refuses the state in"
        f" '{file}' (KeyError: 'count'): repair or update the plugin, or remove that file to begin"
        " anew"
    )
    assert json.loads(file.read_text()) == {"frames": 3}


def test_a_strategy_that_forgets_its_base_is_named_only_where_that_matters(build, plugin, document):
    class Careless(plugin.components["strategies"][0]):
        type_name = "careless"

        def __init__(self, options, context):
            pass

    class Counting(Careless):
        type_name = "careless_counting"
        stateful = True

    plugin.components["strategies"] += [Careless, Counting]
    Careless.start = Careless.close = lambda self: None
    build(document(strategies=[{"name": "a", "type": "careless"}]))
    message = r"^strategy 'b' \(plugin 'lives'\) could not start: AttributeError: .*'context'"

    with pytest.raises(ComponentError, match=message):
        build(document(strategies=[{"name": "b", "type": "careless_counting"}]))


def test_a_state_that_cannot_be_kept_is_logged_and_nothing_else(build, caplog, document, drive):
    given = document(strategies=[{**COUNTING, "error": "state"}], **FULL)
    summary = drive(build(given, with_sources=True))

    assert summary.counts.accepted == 3
    assert f"the state of strategy {COUNTING['name']!r} could not be kept" in caplog.text


def test_a_dry_run_keeps_no_state_and_builds_no_sink(build, plugin, tmp_path, document, drive):
    before = list(tmp_path.rglob("*"))
    given = document(strategies=[COUNTING], **FULL)
    assembly = build(given, with_sources=True, dry_run=True)
    summary = drive(assembly)

    assert (assembly.spool, assembly.delivery, assembly.sinks) == (None, None, {})
    assert (summary.counts.accepted, summary.counts.sinks) == (3, {})
    assert list(tmp_path.rglob("*")) == before
    assert "start a" not in plugin.events


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("hard_examples", "strategy-hard_examples"),
        ("../../etc", "strategy--etc-"),
        ("/", "strategy---"),
        ("..", "strategy---"),
        ("a\0b", "strategy-a-b-"),
        ("süß", "strategy-s-"),
        ("x" * 300, "strategy-xxx"),
        ("", "strategy-"),
    ],
)
def test_a_strategy_of_any_name_has_a_directory_that_is_safe(name, start):
    entry: Any = SimpleNamespace(kind="strategy", name=name)
    made = _directory_name(entry)

    assert made.startswith(start)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,99}", made)


def test_names_that_look_alike_have_different_directories():
    names = ["a/b", "a b", "a:b", "a-b", "x" * 300, "x" * 301]
    entries: list[Any] = [SimpleNamespace(kind="strategy", name=name) for name in names]
    made = {_directory_name(entry) for entry in entries}

    assert len(made) == len(names)


def test_the_state_directory_lies_in_the_spool(build, plugin, tmp_path, document, drive):
    drive(build(document(strategies=[COUNTING], **FULL), with_sources=True))

    assert plugin.directories[0].parent == tmp_path / ".al" / "line" / "state"
