"""How a spool opens and closes, and which directories and indexes it refuses."""

import errno
import json
import logging
import os
import re
import sqlite3

import pytest

from al_framework.api import Receipt, SpoolError
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import GcReport, Spool
from al_framework.pipeline.spool.schema import MIGRATIONS
from al_framework.pipeline.spool.soundness import connect


def test_what_was_accepted_outlives_its_process(make_spool, candidate, key):
    make_spool().accept([candidate("1"), candidate("2")])
    make_spool.opened[0].close()

    spool = make_spool()

    assert spool.seen(key("cam/1"))
    assert spool.stats().items == 2
    assert (0, 2, 2) == tuple(
        getattr(spool.counts()["s1"], name) for name in ("accepted", "recovered", "pending")
    )


def test_counts_stay_what_they_were_after_closing(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])
    spool.close()
    spool.close()

    assert spool.counts()["s1"].accepted == 1


def test_a_spool_is_a_context_manager_and_opens_once(make_spool, candidate):
    spool = make_spool()
    spool.close()
    with spool:
        spool.open()
        spool.accept([candidate("1")])

        assert spool.counts()["s1"].accepted == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda spool, candidate, key: spool.accept([candidate("1")]),
        lambda spool, candidate, key: spool.seen(key("cam/1")),
        lambda spool, candidate, key: spool.find("cam/1"),
        lambda spool, candidate, key: spool.stats(),
    ],
)
def test_a_closed_spool_says_so(make_spool, candidate, key, use):
    spool = make_spool()
    spool.close()

    with pytest.raises(SpoolError, match=r"^spool '.*': it is not open; call open\(\) first$"):
        use(spool, candidate, key)


def test_the_directory_is_made_with_its_parents(make_spool, tmp_path):
    make_spool(directory=tmp_path / "a" / "b" / "spool")

    assert (tmp_path / "a" / "b" / "spool" / "obj").is_dir()


def test_a_file_is_no_spool(make_spool, tmp_path):
    (tmp_path / "spool").write_text("")

    with pytest.raises(SpoolError, match=r"it is not a directory; give another path$"):
        make_spool()


def test_a_directory_that_others_can_write_to_is_refused(make_spool, tmp_path):
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool").chmod(0o770)

    with pytest.raises(
        SpoolError, match=r"others can write to it \(mode 770\); run chmod go-w '.*spool'$"
    ):
        make_spool()


def test_a_directory_of_somebody_else_is_refused(make_spool, tmp_path, monkeypatch):
    (tmp_path / "spool").mkdir(mode=0o700)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)

    with pytest.raises(
        SpoolError,
        match=rf"it belongs to user {me}, and this process runs as user {me + 1}; use a directory"
        " of your own$",
    ):
        make_spool()


def test_a_directory_that_cannot_be_made_is_a_spool_error(make_spool, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(SpoolError, match=r"Not a directory.*; check that the directory exists"):
        make_spool(directory=tmp_path / "file" / "spool")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for root")
def test_an_unwritable_directory_is_a_spool_error(make_spool, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)

    with pytest.raises(SpoolError, match="Permission denied"):
        make_spool(directory=tmp_path / "locked" / "spool")


def test_an_index_that_cannot_be_opened_is_a_spool_error(make_spool, tmp_path):
    make_spool().close()
    (tmp_path / "spool" / "spool.db").unlink()
    (tmp_path / "spool" / "spool.db").mkdir()

    with pytest.raises(SpoolError, match="unable to open database file"):
        make_spool()


def test_another_failure_of_sqlite_does_not_set_the_index_aside(make_spool, monkeypatch):
    make_spool().close()

    def broken(*_, **__):
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error

    monkeypatch.setattr(sqlite3, "connect", broken)
    with pytest.raises(SpoolError, match="unable to open database file; check that"):
        make_spool()

    assert list(make_spool.directory.glob("*.corrupt-*")) == []


def test_a_newer_schema_is_refused_and_left_alone(make_spool):
    make_spool().close()
    index = sqlite3.connect(make_spool.directory / "spool.db")
    index.execute("PRAGMA user_version = 9")
    index.close()
    before = (make_spool.directory / "spool.db").read_bytes()

    with pytest.raises(
        SpoolError,
        match=r"its index has schema version 9, and this version of al-framework knows up to"
        f" {len(MIGRATIONS)}; update al-framework, or use another directory$",
    ):
        make_spool()
    assert before == (make_spool.directory / "spool.db").read_bytes()


def test_an_older_schema_takes_the_steps_it_lacks(make_spool, candidate, monkeypatch):
    make_spool().accept([candidate("1")])
    make_spool.opened[0].close()
    monkeypatch.setattr(
        "al_framework.pipeline.spool.schema.MIGRATIONS",
        (*MIGRATIONS, ("ALTER TABLE item ADD COLUMN colour TEXT DEFAULT 'red'",)),
    )

    spool = make_spool()

    with spool._database.read() as tx:
        assert tx.execute("SELECT colour FROM item").fetchall() == [("red",)]
        assert tx.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)


def test_old_files_without_a_row_are_swept_step_by_step(make_spool, candidate, group_files, caplog):
    caplog.set_level(logging.INFO)
    spool = make_spool()
    spool.accept([candidate("1")])
    now = make_spool.clock.time()
    hour = make_spool.directory / "obj" / "2023111401"
    hour.mkdir()
    for name, age in (("old.als", 601), ("young.als", 599)):
        (hour / name).write_bytes(b"half a file")
        os.utime(hour / name, (now - age, now - age))
    (make_spool.directory / "obj" / "2023111400").mkdir()
    os.utime(group_files()[-1], (0, 0))

    steps = [spool.sweep_step() for _ in range(3)]

    assert [
        GcReport(hours=1),
        GcReport(files=1, bytes=len(b"half a file")),
        GcReport(),
    ] == steps
    assert ["2023111401", "2023111422"] == sorted(
        path.name for path in (make_spool.directory / "obj").iterdir()
    )
    assert ["young.als", group_files()[-1].name] == [path.name for path in group_files()]
    assert "removed unfinished group file '2023111401/old.als'" in caplog.text


def test_datapoints_of_a_sink_that_is_gone_wait_and_are_reported(make_spool, candidate, caplog):
    make_spool(sinks=("old", "new")).accept([candidate("1")])
    make_spool.opened[0].close()

    spool = make_spool(sinks=("new",))

    assert (
        "1 datapoints wait for the sink 'old', which is not configured; they stay until it is"
        " configured again" in caplog.text
    )
    assert spool.counts()["old"].recovered == 1


def test_frames_from_no_source_are_forgotten_after_a_week(make_spool, candidate, key):
    spool = make_spool()
    old = key("live-1", source="", size=0, mtime_ns=0)
    spool.accept([candidate("1", key=old)])
    make_spool.clock.advance(8 * 86400)

    now = make_spool.clock.time()
    spool.accept([candidate("2", key=key("live-2", source=""), decided_at=now)])

    assert spool.find("live-1") == ()
    assert len(spool.find("live-2")) == 1


def test_a_checkpoint_moves_the_log_into_the_index(make_spool, candidate):
    spool = make_spool()
    before = (make_spool.directory / "spool.db").stat().st_size
    spool.accept([candidate("1")])

    spool.deliveries.checkpoint_index()

    index = sqlite3.connect(f"file:{make_spool.directory / 'spool.db'}?immutable=1", uri=True)
    rows = index.execute("SELECT item_id FROM item").fetchall()
    index.close()
    assert rows == [("item-1",)]
    assert (make_spool.directory / "spool.db").stat().st_size >= before


def test_every_write_happens_under_the_lock(make_spool, candidate, monkeypatch):
    spool = make_spool()
    lock = spool._database._lock
    held = []
    spool._database._writer.set_trace_callback(lambda _: held.append(lock._mutex.locked()))

    spool.accept([candidate("1")])
    spool.deliveries.deliver(spool.deliveries.take("s1"), Receipt(status="created"))
    spool.deliveries.reclaim(("s1",))
    spool.deliveries.checkpoint_index()

    assert len(held) > 10
    assert all(held)


def test_detail_is_kept_as_json(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])

    detail = spool.find("cam/1")[0].detail
    assert detail == json.loads(json.dumps(detail))
    assert detail["verdicts"][0]["reason"] == "why"


def test_a_failed_opening_can_be_tried_again(make_spool, candidate, monkeypatch):
    ledger = SqliteLedger({}, scope="s")
    spool = Spool(make_spool.directory, sinks=("s1",), ledger=ledger, clock=make_spool.clock)
    with monkeypatch.context() as patch, pytest.raises(SpoolError, match="later"):  # noqa: PT012 - the context is the cause
        patch.setattr(ledger, "prepare", lambda tx: tx.execute("SELECT later"))
        spool.open()
    spool.open()
    spool.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_connection_whose_first_word_fails_is_closed(tmp_path, monkeypatch, read_only):
    made = []

    class Broken(sqlite3.Connection):
        def execute(self, *_):
            made.append(self)
            raise sqlite3.OperationalError("disk I/O error")

    (tmp_path / "spool.db").touch()
    plain = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **o: plain(*a, factory=Broken, **o))
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        connect(tmp_path / "spool.db", read_only=read_only)

    (connection,) = made
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.total_changes  # noqa: B018 - is asked of an open one only


def test_what_fails_once_the_index_is_open_leaves_no_connection(make_spool, monkeypatch):
    spool, made, plain = make_spool(), [], sqlite3.connect
    spool.close()

    def fail():
        raise SpoolError("not now")

    def noted(*arguments, **options):
        made.append(plain(*arguments, **options))
        return made[-1]

    with monkeypatch.context() as patch, pytest.raises(SpoolError, match="not now"):  # noqa: PT012 - the context is the cause
        patch.setattr(sqlite3, "connect", noted)
        patch.setattr(spool, "counts", fail)
        spool.open()

    assert made
    for connection in made:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.total_changes  # noqa: B018 - is asked of an open one only
    spool.open()
    spool.close()


def test_closing_without_the_lock_leaves_no_connection(make_spool, candidate, monkeypatch):
    made, plain = [], sqlite3.connect

    def noted(*arguments, **options):
        made.append(plain(*arguments, **options))
        return made[-1]

    def fail(*_):
        raise OSError(errno.EIO, "not now")

    monkeypatch.setattr(sqlite3, "connect", noted)
    spool = make_spool()
    spool.accept([candidate("1")])
    spool.counts()
    with monkeypatch.context() as patch, pytest.raises(OSError, match="not now"):  # noqa: PT012 - as above
        patch.setattr(spool._database._lock, "_flock", fail)
        spool._database.close()

    assert made
    for connection in made:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.total_changes  # noqa: B018 - is asked of an open one only
    assert (make_spool.directory / "spool.db-wal").stat().st_size > 0  # nobody has worked it off
    with pytest.raises(SpoolError, match="it is not open"):
        spool.close()
    assert make_spool().stats().items == 1


@pytest.mark.parametrize("instead", ["a file", "a link to a disk that is not there"])
def test_group_files_that_cannot_be_reached_are_no_dead_letters(make_spool, candidate, instead):
    make_spool().accept([candidate("1")])
    make_spool.opened[-1].close()
    files, aside = make_spool.directory / "obj", make_spool.directory.with_name("aside")
    files.rename(aside)
    if instead == "a file":
        files.touch()
    else:
        files.symlink_to("/nowhere/obj")
    text = (
        f"spool '{make_spool.directory}': '{files}', where the group files are, is no directory;"
        " restore it, or mount the disk that it is on"
    )
    with pytest.raises(SpoolError, match=re.escape(text)):
        make_spool()

    files.unlink()
    files.symlink_to(aside)  # on another disk, say
    spool = make_spool()
    assert spool.deliveries.load(spool.deliveries.take("s1")).item_id == "item-1"
