"""What `al doctor` says of the spool of a configuration, and where else the limits are told."""

import shutil
import sqlite3

import pytest

from al_framework.cli import _spool_findings
from al_framework.testing import FakeClock

LIMITED = "{name: all, type: random, traffic_percentage: 1, limits: [{type: daily, value: 100}]}"
SPENT = (
    "the index was built anew, so each window of a limit that was open then counts as spent,"
    " the last until 2023-11-15 00:00:00 UTC"
)
DAY_ENDS = 1_700_006_400.0
KEPT = "1 damaged file is kept to be looked at; al spool gc removes what is older than two weeks"


@pytest.fixture
def rebuilt(al, desk, moody, still_clock, monkeypatch):
    """Two datapoints wait, and the index that knew of the limits was lost."""
    for module in ("doctor", "spool", "_spools"):
        monkeypatch.setattr(f"al_framework.cli.{module}.SystemClock", FakeClock)
    moody("locked")
    desk.write(strategies=[LIMITED], more="  - {name: picky, type: moody}\n")
    desk.add_frames(2)
    al("run", "al.yaml")
    break_index(desk)
    return al


def break_index(desk):
    index = desk.directory / ".al" / "line" / "spool.db"
    for file in index.parent.glob("spool.db-*"):
        file.unlink()
    index.write_bytes(b"no database at all" * 500)


def listing(desk):
    return {name: seen for name, seen in desk.listing().items() if seen and "/spool" in name}


def found(outcome):
    """Findings about the spool: level, subject, message."""
    findings = [(f["level"], f["subject"], f["message"]) for f in outcome.summary["findings"]]
    subjects = [subject for _, subject, _ in findings]
    return findings[subjects.index("configuration") :]


def test_a_spool_in_order_is_ok(al, desk):
    desk.write()
    desk.add_frames(1)
    al("run", "al.yaml")
    result = al("doctor", "--json")

    assert result.status == 0
    assert {level for level, _, _ in found(result)} == {"ok"}
    assert [subject for _, subject, _ in found(result)] == ["configuration", "disk", "spool"]
    assert found(result)[-1][2] == f"0 datapoints wait in '{desk.directory / '.al' / 'line'}'"


def test_without_a_configuration_here_no_spool_is_looked_for(al, desk):
    result = al("doctor", "--json")

    assert "configuration" not in [f["subject"] for f in result.summary["findings"]]


def test_a_spool_that_is_not_there_yet_is_ok(al, desk):
    desk.write()
    (desk.directory / "al.yaml").rename(desk.directory / "other.yaml")
    message = f"nothing was collected yet into '{desk.directory / '.al' / 'line'}'"

    assert found(al("doctor", "-c", "other.yaml", "--json")) == [
        ("ok", "configuration", "other.yaml"),
        ("ok", "spool", message),
    ]


def test_a_damaged_index_is_an_error_and_nothing_is_changed(rebuilt, desk):
    before = listing(desk)
    result = rebuilt("doctor", "--json")

    assert result.status == 1
    assert found(result)[-1][:2] == ("error", "spool")
    assert "its index is damaged (file is not a database); when it is used" in found(result)[-1][2]
    assert listing(desk) == before


def test_limits_that_count_as_spent_are_told_by_doctor_status_and_run(rebuilt, desk):
    first = rebuilt("run", "al.yaml", "--json").summary["notices"]
    before = listing(desk)
    findings = found(rebuilt("doctor", "--json"))

    assert f"spool '{desk.directory / '.al' / 'line'}': {SPENT}" in first
    assert ("warning", "limits", SPENT) in findings
    assert [f for f in findings if f[:2] == ("warning", "spool") and f[2].startswith(KEPT)]
    assert listing(desk) == before
    health = rebuilt("spool", "status", "--json").summary
    shown = " ".join(rebuilt("spool", "status").out.split())
    assert (health["set_aside"], health["limits_spent_until"]) == (1, DAY_ENDS)
    assert f"limits {SPENT}" in shown
    assert f"set aside {KEPT}" in shown


def test_a_run_without_limits_says_nothing_of_them(rebuilt, desk):
    desk.write(more="  - {name: picky, type: moody}\n")

    assert not [n for n in rebuilt("run", "al.yaml", "--json").summary["notices"] if SPENT in n]


def test_limits_that_are_kept_elsewhere_are_not_spent(rebuilt, desk):
    more = "  - {name: picky, type: moody}\nlimits: {ledger: memory}\n"
    desk.write(strategies=[LIMITED], more=more)
    health = rebuilt("spool", "status", "--json").summary

    assert (health["set_aside"], health["limits_spent_until"]) == (1, None)


def test_dead_letters_sinks_of_the_past_and_crashes_are_told(al, desk, moody):
    moody("refuses")
    desk.add_frames(1)
    al("run", "al.yaml")
    moody("locked")
    desk.add_frames(3)
    al("run", "al.yaml")
    desk.write()
    with sqlite3.connect(desk.directory / ".al" / "line" / "spool.db") as index:
        index.execute("INSERT INTO note (name, value) VALUES ('unclean_restarts', '2')")
    index.close()
    findings = found(al("doctor", "--json"))

    assert findings[2][2].endswith(
        "; 2 times a process ended without closing it, which loses nothing accepted"
    )
    assert ("warning", "sink 'picky'", "1 dead letter lies here: al dead list -c al.yaml") in (
        findings
    )
    assert (
        "warning",
        "sink 'picky'",
        (
            "3 datapoints wait for it, and it is not configured any more: configure it again to"
            " have them delivered"
        ),
    ) in findings


def test_a_disk_that_is_nearly_full_is_a_warning(al, desk, monkeypatch):
    desk.write()
    desk.add_frames(1)
    al("run", "al.yaml")
    usage = shutil.disk_usage(desk.directory)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    findings = found(al("doctor", "--json"))

    assert findings[1][:2] == ("warning", "disk")
    assert findings[1][2].startswith("1.0 MiB are free where the spool lies, and 1.0 GiB are to be")


def test_a_spool_that_cannot_be_looked_at_is_an_error(al, desk, monkeypatch):
    desk.write()
    desk.add_frames(1)
    al("run", "al.yaml")

    def broken(*_, **__):
        raise PermissionError("not yours")

    monkeypatch.setattr(_spool_findings, "_disk", broken)

    assert found(al("doctor", "--json"))[-1] == ("error", "spool", "not yours")


@pytest.mark.parametrize("text", ["name: [", "name: line\nsinks: 3\n"])
def test_faults_of_a_configuration_are_findings(al, desk, text):
    (desk.directory / "al.yaml").write_text(text)
    result = al("doctor", "--json")
    (finding,) = found(result)

    assert result.status == 1
    assert finding[0] == "error"
    assert "al.yaml" in finding[2]
