"""The command `al spool status`: what waits for whom, and why."""

import contextlib
import fcntl

import pytest

from al_framework.cli._wording import counted, duration, moment, size, visible
from al_framework.pipeline.clock import SystemClock
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Spool
from al_framework.pipeline.spool.locking import FileLock


def rows(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_status_says_what_waits_for_whom_and_why(locked, desk):
    result = locked("spool", "status")
    found = rows(result.out)

    assert result.status == 0
    assert found[0] == f"spool {desk.directory / '.al' / 'line'}"
    assert found[1].startswith("waiting 3 datapoints, the oldest for ")
    assert found[2] == "dead 0 datapoints"
    assert found[3].startswith("on disk ")
    assert found[3].endswith(" KiB, 0 % of 2.0 GiB or 50,000 datapoints")
    assert found[4] == "delivered by nobody at the moment"
    assert found[6] == "sink state waiting dead next try"
    assert found[7] == "directory idle 0 0"
    assert found[8].startswith("picky paused 3 0 ")
    assert found[8].endswith(" UTC")
    assert found[9] == "picky: the key is refused: give another api_key"
    assert found[10] == (
        "nobody delivers what waits: start the program again, or al spool drain -c al.yaml"
    )
    assert len(found) == 11


def test_status_as_json_holds_the_health_and_every_sink(locked, desk):
    said = locked("spool", "status", "--json").summary

    assert said["directory"] == str(desk.directory / ".al" / "line")
    assert said["delivered"] is False
    assert (said["items"], said["dead_items"], said["full_disk"]) == (3, 0, False)
    assert set(said["sinks"]) == {"directory", "picky"}
    assert said["sinks"]["picky"]["state"] == "paused"
    assert said["sinks"]["picky"]["pending"] == 3
    assert said["sinks"]["picky"]["configured"] is True
    assert said["sinks"]["picky"]["delivered"] is False


def test_status_of_a_directory_needs_no_configuration(locked, desk):
    (desk.directory / "al.yaml").unlink()
    result = locked("spool", "status", "--spool", ".al/line")
    found = rows(result.out)

    assert result.status == 0
    assert found[0] == "spool .al/line"
    assert " of " not in found[3]
    assert [row for row in found if row.startswith("picky paused 3 0 ")]
    assert found[-1] == (
        "nobody delivers what waits: start the program again, or al spool drain -c FILE"
    )


def test_a_sink_that_is_not_configured_any_more_is_named(locked, desk):
    desk.write()
    found = rows(locked("spool", "status").out)
    as_json = locked("spool", "status", "--json").summary

    assert [row for row in found if row.startswith("picky not configured 3 0 ")]
    assert found[-1] == (
        "what waits for a sink that is not configured stays until it is configured again"
    )
    assert as_json["sinks"]["picky"]["configured"] is False


@pytest.fixture
def deliver(desk):
    """Lead the delivery as another process does that knows these sinks."""

    @contextlib.contextmanager
    def lead(*sinks):
        directory = desk.directory / ".al" / "line"
        ledger = SqliteLedger({}, scope="line")
        with (
            Spool(directory, sinks=sinks, ledger=ledger, clock=SystemClock()) as its,
            contextlib.closing(FileLock(directory / "deliver.lock")) as lock,
        ):
            assert lock.try_acquire()
            its.sink_table.announce(sinks)
            yield

    return lead


@pytest.mark.parametrize(
    ("state_of", "words"),
    [
        (("open", 3600.0), ("down", "down")),
        (("open", -1.0), ("being tried", "to be tried")),
        (("waiting", 3600.0), ("waiting", "waiting")),
        (("waiting", -1.0), ("delivering", "idle")),
        (("paused", -1.0), ("being tried", "to be tried")),
        (("closed", 0.0), ("delivering", "idle")),
    ],
)
def test_each_state_of_a_sink_has_its_word(locked, index, deliver, state_of, words):
    state, until_s = state_of
    index(
        "UPDATE sink SET state = ?, until = strftime('%s', 'now') + ? WHERE name = 'picky'",
        state,
        until_s,
    )
    by_nobody = rows(locked("spool", "status").out)
    with deliver("directory", "picky"):
        delivered = rows(locked("spool", "status").out)

    for found, word in zip((delivered, by_nobody), words, strict=True):
        assert [row for row in found if row.startswith(f"picky {word} 3 0")]


def test_a_sink_that_the_delivering_process_does_not_know_is_named_with_what_to_do(locked, deliver):
    with deliver("directory"):
        text = locked("spool", "status").out
        as_json = locked("spool", "status", "--json").summary
    found = rows(text)

    assert "delivered by a running process" in found
    assert found[-1] == (
        "picky: another process delivers what lies in this spool and does not know this sink, so"
        " its datapoints wait until that process ends; give both processes the same sinks, or each"
        " a spool.path of its own"
    )
    assert as_json["delivered"] is True
    assert {name: one["delivered"] for name, one in as_json["sinks"].items()} == {
        "directory": True,
        "picky": False,
    }


def test_a_sink_that_only_the_delivering_process_knows_is_as_it_is_there(locked, desk, deliver):
    desk.write()
    with deliver("directory", "picky"):
        found = rows(locked("spool", "status").out)
        as_json = locked("spool", "status", "--json").summary

    assert [row for row in found if row.startswith("picky paused 3 0 ")]
    assert not [row for row in found if "not configured" in row or "does not know" in row]
    assert as_json["sinks"]["picky"]["configured"] is False
    assert as_json["sinks"]["picky"]["delivered"] is True


def test_a_leader_that_has_not_said_what_it_knows_counts_as_one_of_this_configuration(
    locked, desk, index, deliver
):
    with deliver("directory", "picky"):
        index("DELETE FROM note")
        sinks = locked("spool", "status", "--json").summary["sinks"]

    assert [True, True] == [one["delivered"] for one in sinks.values()]


def test_status_counts_crashes_and_tells_of_a_process_that_delivers(locked, desk, index):
    index("INSERT OR REPLACE INTO note (name, value) VALUES ('unclean_restarts', '2')")
    with (desk.directory / ".al" / "line" / "deliver.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = rows(locked("spool", "status").out)

    assert "delivered by a running process" in found
    assert "crashes 2 times a process ended without closing it" in found


def test_a_reason_names_its_sink_once(locked, index):
    index("UPDATE sink SET reason = 'sink ''picky'': datapoint ''01m'': no' WHERE name = 'picky'")

    assert "picky: no" in rows(locked("spool", "status").out)


def test_a_terminal_gets_no_control_characters_of_others(locked, index):
    index("UPDATE sink SET reason = ? WHERE name = 'picky'", "red\x1b[31m\nalarm\x07")

    assert "picky: red\\x1b[31m\\nalarm\\x07\n" in locked("spool", "status").out


@pytest.mark.parametrize("name", ["status", "drain", "verify", "gc"])
def test_where_there_is_no_spool_none_is_made(al, desk, name):
    desk.add_frames(1)
    desk.write()
    result = al("spool", name)

    assert result.status == 1
    assert result.err == (
        f"Error: there is no spool in '{desk.directory / '.al' / 'line'}': nothing was collected"
        " yet, or it lies elsewhere\n"
    )
    assert not (desk.directory / ".al").exists()


def test_a_configuration_and_a_directory_are_too_much(al, desk):
    result = al("spool", "status", "-c", "al.yaml", "--spool", ".al/line")

    assert result.status == 2
    assert "give either --config or --spool, not both" in result.err


def test_a_faulty_configuration_is_status_2(al, desk):
    (desk.directory / "al.yaml").write_text("name: line\n")

    assert al("spool", "status").status == 2


def test_the_group_says_what_the_exit_status_means(al):
    help_text = al("spool", "--help").out

    assert "Exit status: 0 done, 1 something is damaged or could not be delivered," in help_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (counted(1, "datapoint"), "1 datapoint"),
        (counted(1204, "datapoint"), "1,204 datapoints"),
        (counted(2, "directory", "directories"), "2 directories"),
        (size(1), "1 byte"),
        (size(1023), "1,023 bytes"),
        (size(1536), "1.5 KiB"),
        (size(3 << 40), "3.0 TiB"),
        (size(5000 << 40), "5000.0 TiB"),
        (duration(-1), "0 s"),
        (duration(119), "119 s"),
        (duration(120), "2 min"),
        (duration(7200), "2 h"),
        (duration(400_000), "4 d"),
        (moment(1_700_000_000.0), "2023-11-14 22:13:20 UTC"),
        (visible("a\tbä"), "a\\tbä"),
    ],
)
def test_numbers_are_written_for_people(text, expected):
    assert text == expected
