"""What `al run` tells an operator: leftovers of earlier runs, sinks that wait, metrics."""

import fcntl
import socket
import urllib.request

import pytest

from al_framework.api import SpoolError
from al_framework.cli import _leftovers
from al_framework.cli import run as run_module
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
    result = al("run", "al.yaml", "--json")

    assert result.summary["failures"] == [
        (
            f"sink 'picky': {frames} still to be delivered (the key is refused: give another"
            f" api_key); {words} safe in the spool, run again to go on"
        )
    ]


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
    assert result.err.startswith("error: metrics: port ")
    assert desk.collected() == []
