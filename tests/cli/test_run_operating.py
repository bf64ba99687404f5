"""What `al run` tells an operator: leftovers of earlier runs, sinks that wait, metrics."""

import fcntl
import re
import socket
import urllib.request

import pytest

from al_framework.api import SinkCounts, SinkHealth, SpoolError
from al_framework.assembly.health import without_names
from al_framework.cli import _leftovers
from al_framework.cli import run as run_module
from al_framework.cli._draining import why_waiting
from al_framework.pipeline.limits.base import LedgerUnavailableError
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.spool.stranded import is_delivered, stranded_beside

LOST = "  - {name: picky, type: moody}\n"


def look_at(result):
    lines = result.out.splitlines()
    return lines[lines.index("look at") + 1 :] if "look at" in lines else []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("mood", ["locked", "away"])
def test_a_run_does_not_wait_for_a_sink_that_waits_for_a_person_or_for_long(
    al, desk, moody, monkeypatch, mood
):
    monkeypatch.setattr(run_module, "watch_for_stall", lambda *_: lambda: False)
    moody(mood)
    desk.add_frames(2)
    result = al("run", "al.yaml", "--json")

    assert result.status == 1
    assert result.summary["counts"]["sinks"]["picky"]["pending"] == 2
    assert result.summary["counts"]["sinks"]["directory"]["delivered"] == 2


@pytest.mark.parametrize(("frames", "words"), [(1, "it is"), (2, "they are")])
def test_what_is_left_is_told_in_the_right_number(al, desk, moody, frames, words):
    moody("locked")
    desk.add_frames(frames)
    (failure,) = al("run", "al.yaml", "--json").summary["failures"]

    assert re.sub(r"[-0-9]{10} [:0-9]{8}", "(a date)", failure) == (
        f"sink 'picky': {frames} still to be delivered, paused until (a date) UTC (the key is"
        f" refused: give another api_key); {words} safe in the spool, repair that, then run again"
    )


def test_what_a_sink_that_is_away_has_said_is_told_without_its_name(al, desk, moody):
    moody("away")
    desk.add_frames(1)

    assert al("run", "al.yaml", "--json").summary["failures"] == [
        (
            "sink 'picky': 1 still to be delivered (nobody answers); it is safe in the spool, run"
            " again to go on"
        )
    ]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("sink 'webhook': datapoint '01m': POST http://a: gone", "POST http://a: gone"),
        ("sink 'webhook': it is full", "it is full"),
        ("datapoint '01m': too large", "too large"),
        ("POST http://a: sink 'x': no", "POST http://a: sink 'x': no"),
        ("", ""),
    ],
)
def test_names_that_stand_in_front_are_left_out(said, shown):
    assert without_names(said) == shown


@pytest.mark.parametrize(
    ("health", "shown"),
    [
        ({}, ""),
        ({"pending": 1}, "a: failing: it coughs"),
        ({"pending": 1, "state": "half_open", "until": 9.0, "reason": "no"}, "a: being tried: no"),
        (
            {"pending": 1, "state": "paused", "until": 0.0, "reason": "sink 'a': no"},
            "a: paused until 1970-01-01 00:00:00 UTC: no",
        ),
    ],
)
def test_what_is_waited_for_is_one_line(health, shown):
    counts = {"a": SinkCounts(trouble="datapoint 'x': it coughs")}

    assert why_waiting({"a": SinkHealth(**health)}, counts) == shown


@pytest.mark.parametrize("command", ["run", "spool drain"])
def test_on_a_terminal_the_progress_says_why_nothing_moves(al, desk, moody, monkeypatch, command):
    moody("locked")
    desk.add_frames(1)
    al("run", "al.yaml", "--quiet")
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = al(*command.split())
    shown = result.out + result.err

    assert "delivering" in shown
    assert "0/1" in shown
    assert re.search(r"picky: paused until [-:0-9 ]+ UTC: the key is refused: give", shown)


def test_without_a_file_al_yaml_is_run(al, desk):
    desk.add_frames(1)
    desk.write()

    assert al("run").status == 0
    assert desk.collected() == ["cam/000.jpg"]


def test_what_was_evicted_is_counted_and_to_be_looked_at(al, desk, moody, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    moody("locked")
    desk.add_frames(3)
    desk.write(
        more="  - {name: picky, type: moody}\nspool: {max_items: 5, when_full: drop_oldest}\n"
    )
    file = desk.directory / "al.yaml"  # what another sink holds is not removed
    file.write_text(file.read_text().replace("  - {type: directory, path: collected}\n", ""))
    al("run", "al.yaml")
    for number in range(4):
        desk.add_frame(f"new-{number}", seed=10 + number)
    result = al("run", "al.yaml")
    lines = [line.split() for line in result.out.splitlines()]
    evicted = next(int(line[-1]) for line in lines if line[:1] == ["picky"])

    assert ["sink", "delivered", "duplicates", "pending", "dead", "evicted"] in lines
    assert evicted > 0
    assert look_at(result)[-1].endswith(
        f"sink 'picky': {evicted} accepted datapoints evicted before delivery, as spool.when_full,"
        " spool.max_age_s and the caps of dead letters say"
    )


class Away(MemoryLedger):
    """Does not answer for a while, as a server does not that is being restarted."""

    def __init__(self, refusals):
        super().__init__({}, scope="s")
        self.left = refusals

    @property
    def trouble(self):
        return "limits server 'h:1' does not answer as it should (gone)" if self.left else ""

    def reserve(self, strategies, token, now, tx):
        if self.left:
            self.left -= 1
            raise LedgerUnavailableError("gone")
        return super().reserve(strategies, token, now, tx)


@pytest.fixture
def away(monkeypatch):
    def make(refusals):
        ledger = Away(refusals)
        monkeypatch.setattr("al_framework.assembly.building.SqliteLedger", lambda *_, **__: ledger)

    return make


def test_limits_that_cannot_be_asked_for_are_waited_for(al, desk, away, monkeypatch):
    monkeypatch.setattr(run_module, "POLL_S", 0.01)
    away(8)
    desk.add_frames(3)
    desk.write()
    result = al("run", "al.yaml", "--json")

    assert result.status == 0
    assert result.summary["counts"]["dropped"] == {}
    assert desk.collected() == desk.names()


def test_limits_that_cannot_be_asked_for_at_all_end_the_run_and_lose_no_frame(
    al, desk, away, monkeypatch
):
    monkeypatch.setattr(run_module, "STALLED_S", 0.0)
    away(10**6)
    desk.add_frames(3)
    desk.write()
    result = al("run", "al.yaml", "--json")
    away(0)
    again = al("run", "al.yaml", "--json")

    assert result.status == 1
    assert result.summary["counts"]["dropped"] == {"limiter_unavailable": 3}
    assert result.summary["failures"] == [
        (
            "limits server 'h:1' does not answer as it should (gone): see that it runs, or correct"
            " limits.redis_url, then run again; the frames that were not taken are offered once"
            " more"
        )
    ]
    assert again.status == 0
    assert desk.collected() == desk.names()


@pytest.mark.parametrize(
    ("frames", "words"), [(1, "1 dead letter lies"), (2, "2 dead letters lie")]
)
def test_dead_letters_are_mentioned_by_every_run_until_they_are_gone(
    al, desk, moody, frames, words
):
    moody("refuses")
    desk.add_frames(frames)
    first, second = al("run", "al.yaml"), al("run", "al.yaml", "--json")
    al("dead", "drop", "--all", "--yes")
    third = al("run", "al.yaml")
    notice = f"sink 'picky': {words} here: al dead list -c al.yaml"

    assert look_at(first) == [f"  - {notice}"]
    assert (second.status, second.summary["notices"]) == (0, [notice])
    assert look_at(third) == []


@pytest.mark.parametrize(("frames", "words"), [(1, "1 datapoint waits"), (2, "2 datapoints wait")])
def test_datapoints_for_a_sink_of_the_past_are_mentioned(al, desk, moody, frames, words):
    moody("locked")
    desk.add_frames(frames)
    al("run", "al.yaml")
    desk.write()

    assert look_at(al("run", "al.yaml")) == [
        (
            f"  - sink 'picky': {words} for it, and it is not configured any more: configure it"
            " again to have them delivered"
        )
    ]


def test_a_spool_of_a_configuration_of_the_past_is_mentioned(al, desk, moody):
    moody("locked")
    desk.add_frames(2)
    al("run", "al.yaml")
    text = (desk.directory / "al.yaml").read_text().replace("name: line", "name: renamed")
    (desk.directory / "al.yaml").write_text(text.replace(LOST, ""))
    old = desk.directory / ".al" / "line"
    stranded = look_at(al("run", "al.yaml"))
    with (old / "deliver.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        at_work = look_at(al("run", "al.yaml"))

    assert stranded == [
        (
            f"  - spool '{old}': 2 datapoints wait there and nobody delivers: run its configuration"
            f" again, or see al spool status --spool '{old}'"
        )
    ]
    assert at_work == []


def test_what_is_no_readable_spool_is_left_out(tmp_path):
    own = tmp_path / "own"
    for name, content in (("text", b"no database"), ("empty", b"")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "spool.db").write_bytes(content)
    (tmp_path / "file").write_text("no directory")

    assert stranded_beside(own) == ()
    assert stranded_beside(tmp_path / "nowhere" / "own") == ()


def test_nobody_delivers_a_spool_that_was_never_delivered(tmp_path):
    (tmp_path / "deliver.lock").touch()

    assert not is_delivered(tmp_path / "missing")
    assert not is_delivered(tmp_path)
    with (tmp_path / "deliver.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert is_delivered(tmp_path)


def test_a_spool_that_cannot_be_read_costs_the_notices_and_not_the_run(
    al, desk, moody, monkeypatch
):
    def broken(*_, **__):
        raise SpoolError("gone")

    moody("refuses")
    desk.add_frames(1)
    monkeypatch.setattr(_leftovers, "spool_sinks", broken)
    result = al("run", "al.yaml", "--json")

    assert result.summary["notices"] == []
    assert result.summary["counts"]["sinks"]["picky"]["dead"] == 1


def test_a_dry_run_looks_for_nothing(al, desk):
    desk.add_frames(1)
    desk.write()

    assert al("run", "al.yaml", "--dry-run", "--json").summary["notices"] == []


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_prometheus_is_answered_while_the_run_lasts(al, desk, monkeypatch):
    port, found = free_port(), []
    finish = run_module.leftovers

    def scrape(*arguments, **options):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            found.extend(answer.read().decode().splitlines())
        return finish(*arguments, **options)

    monkeypatch.setattr(run_module, "leftovers", scrape)
    desk.add_frames(3)
    desk.write()
    result = al("run", "al.yaml", "--metrics-port", port)

    assert result.status == 0, result.err
    assert {
        "al_up 1.0",
        "al_offered_total 3.0",
        'al_delivered_total{sink="directory"} 3.0',
        "al_ring_items 0.0",
        'al_sink_state{sink="directory",state="delivering"} 1.0',
    } <= set(found)
    with socket.socket() as again:
        assert again.connect_ex(("127.0.0.1", port)) != 0


def test_a_port_that_is_taken_ends_the_run_before_it_begins(al, desk):
    desk.add_frames(1)
    desk.write()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = al("run", "al.yaml", "--metrics-port", taken.getsockname()[1])

    assert result.status == 1
    assert result.err.startswith("Error: metrics: port ")
    assert desk.collected() == []
