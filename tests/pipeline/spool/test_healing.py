"""Damage is found when it matters, costs what is damaged, and never a start."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from al_framework.api import SpoolError
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import lives

DAILY = {"a": [LimitRule(period="daily", value=50)]}


def page_of(directory, table):
    index = sqlite3.connect(directory / "spool.db")
    try:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        size = index.execute("PRAGMA page_size").fetchone()[0]
        return (index.execute(query, (table,)).fetchone()[0] - 1) * size, size
    finally:
        index.close()


def damage(directory, table):
    start, size = page_of(directory, table)
    with (directory / "spool.db").open("r+b") as file:
        file.seek(start)
        file.write(b"\x5a" * size)


def checks(monkeypatch):
    """Count how often an index is looked through."""
    seen = []
    real = sqlite3.connect

    def connect(*args, **options):
        connection = real(*args, **options)
        connection.set_trace_callback(
            lambda sql: seen.append(sql) if "quick_check" in sql else None
        )
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect)
    return seen


@pytest.mark.parametrize("table", ["life", "delivery", "item", "limit_window", "total", "seen"])
def test_damage_after_a_clean_end_is_healed_in_use(make_spool, candidate, table, caplog):
    make_spool(rules=DAILY).accept([candidate("1"), candidate("2")])
    make_spool.opened[-1].close()
    damage(make_spool.directory, table)

    spool = make_spool(rules=DAILY)
    answers = []
    with suppress(SpoolError):  # it may be what finds the damage
        answers = spool.accept([candidate("3", matching=("free",))])
    if not answers:
        spool.accept([candidate("3", matching=("free",))])

    assert "it is kept as" in caplog.text
    assert spool.stats().items == 3
    taken = [spool.deliveries.take("s1").item_id for _ in range(3)]
    assert sorted(taken) == ["item-1", "item-2", "item-3"]
    assert spool.verify().is_sound


def test_a_reader_that_meets_damage_has_the_next_writer_heal_it(make_spool, candidate):
    make_spool().accept([candidate("1")])
    make_spool.opened[-1].close()
    damage(make_spool.directory, "seen")
    spool = make_spool()

    with pytest.raises(SpoolError, match="malformed"):
        spool.find("cam/1")
    spool.deliveries.reclaim(("s1",))

    assert spool.find("cam/1")[0].item_id == "item-1"


MISSPELT = [
    "SET sql = replace(sql, 'OLD.file', 'OLD.fhle') WHERE name = 'item_removed'",
    "SET sql = replace(sql, 'due REAL', 'duf REAL') WHERE name = 'delivery'",
    "SET sql = replace(sql, 'process', 'procesr') WHERE name = 'life'",
    "SET sql = replace(sql, 'used ', 'usee ') WHERE name = 'limit_window'",
    """SET name = 'limit_owneq', tbl_name = 'limit_owneq',
        sql = replace(sql, 'limit_owner', 'limit_owneq') WHERE name = 'limit_owner'""",
]


@pytest.mark.parametrize(
    "statement",
    [*(f"UPDATE sqlite_schema {change}" for change in MISSPELT), "PRAGMA user_version = 0"],
)
@pytest.mark.parametrize("end", ["closed", "killed"])
def test_a_misspelt_name_in_the_schema_is_damage(
    make_spool, candidate, caplog, monkeypatch, *, statement, end
):
    make_spool(rules=DAILY).accept([candidate("1"), candidate("2")])
    make_spool.opened[-1].close()
    monkeypatch.setattr(lives, "is_alive", lambda process: process != "gone")
    with closing(sqlite3.connect(make_spool.directory / "spool.db")) as index, index:
        if end == "killed":
            index.execute("UPDATE life SET process = 'gone'")
        index.execute("PRAGMA writable_schema = ON")
        assert index.execute(statement).rowcount != 0

    spool = make_spool(rules=DAILY)

    assert "it is kept as" in caplog.text
    assert spool.verify().is_sound
    assert sorted(spool.deliveries.take("s1").item_id for _ in range(2)) == ["item-1", "item-2"]


@pytest.mark.parametrize(
    "addition",
    [
        "ANALYZE",
        "CREATE INDEX mine ON seen (outcome)",
        "CREATE VIEW waiting AS SELECT * FROM delivery WHERE state = 0",
        "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)",
    ],
)
@pytest.mark.parametrize("rules", [{}, DAILY])
def test_what_others_have_added_is_no_damage(make_spool, candidate, addition, rules):
    make_spool(rules=rules).accept([candidate("1")])
    make_spool.opened[-1].close()
    with closing(sqlite3.connect(make_spool.directory / "spool.db")) as index, index:
        index.execute(addition)

    spool = make_spool(rules=rules)

    assert spool.verify().is_sound
    assert list(make_spool.directory.glob("*.corrupt-*")) == []


def test_verify_tells_of_a_schema_that_changes_under_it(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])
    with closing(sqlite3.connect(make_spool.directory / "spool.db")) as index:
        index.execute("DROP INDEX item_file")

    assert spool.verify().index_faults == ("its tables are not those of its version",)


def test_an_error_that_was_no_damage_keeps_the_index(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])
    spool._database._is_suspect = True

    spool.accept([candidate("2")])

    assert list(make_spool.directory.glob("*.corrupt-*")) == []
    assert spool.counts()["s1"].accepted == 2


def test_after_a_clean_end_nobody_looks_through_the_index(make_spool, candidate, monkeypatch):
    make_spool().accept([candidate("1")])
    make_spool.opened[-1].close()
    looks = checks(monkeypatch)

    make_spool()

    assert looks == []


def test_after_an_unclean_end_the_index_is_looked_through_once(make_spool, candidate, monkeypatch):
    spool = make_spool()
    spool.accept([candidate("1")])
    with spool._database.locked(), spool._database.transaction() as tx:
        tx.execute("UPDATE life SET process = 'gone'")
    real = lives.is_alive
    monkeypatch.setattr(lives, "is_alive", lambda process: process != "gone" and real(process))
    looks = checks(monkeypatch)

    make_spool()
    first = len(looks)
    make_spool()

    assert (1, 1) == (first, len(looks))


def test_a_large_index_is_believed_until_its_damage_shows(make_spool, candidate, monkeypatch):
    spool = make_spool()
    with spool._database.locked(), spool._database.transaction() as tx:
        tx.execute("UPDATE life SET process = 'gone'")
    monkeypatch.setattr(lives, "is_alive", lambda _: False)
    monkeypatch.setattr("al_framework.pipeline.spool.soundness._CHECK_BYTES", 0)
    looks = checks(monkeypatch)

    make_spool()

    assert looks == []


def test_a_kill_between_setting_aside_and_building_anew_forgets_no_limit(make_spool, candidate):
    """The new index is empty, and only what was set aside tells that there was one."""
    make_spool(rules=DAILY).accept([candidate("1")])
    make_spool.opened[-1].close()
    for path in (make_spool.directory / "obj").glob("*/*"):
        path.unlink()
    (make_spool.directory / "spool.db").rename(make_spool.directory / "spool.db.corrupt-5")
    ledger = SqliteLedger(DAILY, scope="s")

    make_spool(ledger=ledger)

    assert ledger.used("a", make_spool.clock.time())["daily"] == 50


def test_files_that_cannot_be_read_at_all_are_kept_for_a_person(make_spool, candidate, caplog):
    make_spool().accept([candidate("1")])
    make_spool.opened[-1].close()
    hour = next((make_spool.directory / "obj").iterdir())
    (hour / "noise.als").write_bytes(b"noise")
    (hour / "empty.als").write_bytes(b"")
    (make_spool.directory / "spool.db").unlink()

    spool = make_spool()

    assert spool.stats().items == 1
    aside = make_spool.directory / "damaged" / f"{hour.name}-noise.als"
    assert aside.read_bytes() == b"noise"
    assert f"holds nothing that can be read; it is kept as '{aside}'" in caplog.text


def test_a_file_with_some_damage_costs_that_and_is_accounted_whole(make_spool, candidate, caplog):
    make_spool().accept([candidate("1"), candidate("2")])
    make_spool.opened[-1].close()
    path = next((make_spool.directory / "obj").glob("*/*"))
    data = bytearray(path.read_bytes())
    data[3] ^= 0xFF
    path.write_bytes(data)
    (make_spool.directory / "spool.db").unlink()

    spool = make_spool()

    assert spool.deliveries.take("s1").item_id == "item-2"
    assert spool.stats().bytes == len(data)
    assert "bytes are damaged and left out; a copy of the whole is kept as '" in caplog.text


@pytest.mark.parametrize("how", ["too large", "unreadable"])
def test_what_cannot_be_read_does_not_stop_the_start(make_spool, candidate, monkeypatch, how):
    from al_framework.pipeline.spool import groupfile

    make_spool().accept([candidate("1")])
    make_spool.opened[-1].close()
    (make_spool.directory / "spool.db").unlink()
    if how == "too large":
        monkeypatch.setattr(groupfile, "MAX_FILE_BYTES", 10)
    else:

        def bad_sector(_):
            raise OSError("bad sector")

        monkeypatch.setattr(Path, "read_bytes", bad_sector)

    spool = make_spool()

    assert spool.stats().items == 0
    assert len(list((make_spool.directory / "damaged").iterdir())) == 1


def test_a_directory_that_was_replaced_is_locked_where_it_is_now(make_spool, candidate, tmp_path):
    """Its old lock is nobody's any more, and two would write at the same time."""
    spool = make_spool()
    spool.accept([candidate("1")])
    make_spool.directory.rename(tmp_path / "old")
    other = make_spool()
    other.accept([candidate("2")])

    spool.accept([candidate("3")])

    inode = (make_spool.directory / "write.lock").stat().st_ino
    assert os.fstat(spool._database._lock._descriptor).st_ino == inode
    assert spool.stats().items == other.stats().items == 2


@pytest.fixture
def fails_once():
    """Let the first of the calls to come fail as on a disk that is full for a moment."""

    def arrange(ledger):
        real, calls = ledger.prepare, []

        def prepare(tx):
            calls.append(tx)
            if len(calls) == 1:
                raise sqlite3.OperationalError("disk I/O error")
            real(tx)

        ledger.prepare = prepare

    return arrange


def test_building_anew_is_tried_again_after_it_has_failed(make_spool, candidate, fails_once):
    ledger = SqliteLedger(DAILY, scope="s")
    spool = make_spool(ledger=ledger)
    spool.accept([candidate("1")])
    spool.deliveries.checkpoint_index()
    damage(make_spool.directory, "delivery")
    fails_once(ledger)
    spool._database._is_suspect = True

    with pytest.raises(SpoolError, match="disk I/O error"):
        spool.accept([candidate("2", matching=("free",))])
    spool.accept([candidate("3", matching=("free",))])

    assert spool.stats().items == 2
    assert spool.counts()["s1"].pending == 2
    assert ledger.used("a", make_spool.clock.time())["daily"] == 50  # the damage is remembered
    assert len(list(make_spool.directory.glob("*.corrupt-*"))) == 1


def test_a_kill_of_the_new_index_s_making_is_made_up_for(make_spool, candidate):
    from al_framework.pipeline.spool.failpoints import no_failpoint

    spool = make_spool()
    spool.accept([candidate("1")])
    spool.deliveries.checkpoint_index()
    damage(make_spool.directory, "delivery")
    spool._database._is_suspect = True

    def fail(_):
        raise OSError("no file can be made")

    spool._database._failpoint = fail
    with pytest.raises(SpoolError, match="no file can be made"):
        spool.accept([candidate("2")])
    spool._database._failpoint = no_failpoint
    spool.accept([candidate("3")])

    assert spool.stats().items == 2


def test_a_first_write_that_fails_begins_no_life(make_spool, candidate, fails_once):
    ledger = SqliteLedger(DAILY, scope="s")
    spool = make_spool(ledger=ledger)
    spool.after_fork()  # as the child of one
    spool._database._disconnect()
    spool._database._is_prepared = False
    fails_once(ledger)

    with pytest.raises(SpoolError, match="disk I/O error"):
        spool.accept([candidate("1")])
    assert spool._life is None
    spool.accept([candidate("2"), candidate("3")])

    assert spool.counts()["s1"].accepted == 2


def test_a_reader_follows_to_the_index_that_another_process_has_built(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])
    assert spool.stats().items == 1
    other = make_spool()
    with other._database.locked():
        other._database._replace()
    other.accept([candidate("2")])

    assert spool.stats().items == 2
    assert spool.counts()["s1"].pending == 0  # a life of its own there, and nothing of another's
    assert spool._database._identity == other._database._identity


def test_a_reader_goes_on_while_the_index_is_being_replaced(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])
    assert spool.stats().items == 1
    index = make_spool.directory / "spool.db"
    index.rename(make_spool.directory / "away")

    assert spool.stats().items == 1
    (make_spool.directory / "away").rename(index)
