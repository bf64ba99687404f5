"""Looking at a spool, and tidying it up."""

import os
import time

import pytest

from al_framework.api import Receipt, SpoolError, SpoolHealth
from al_framework.pipeline.spool import Damage, GcReport, VerifyReport, sweeping


def flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(data)


def test_a_sound_spool_is_read_whole(make_spool, candidate, group_files):
    spool = make_spool()
    spool.accept([candidate("1"), candidate("2")])
    spool.accept([candidate("3")])

    report = spool.verify()

    assert report.is_sound
    assert (3, ()) == (report.items, report.stray_files)
    footers = 3 * 58
    assert report.bytes + footers == sum(path.stat().st_size for path in group_files())
    assert spool.stats().bytes == report.bytes + footers


def test_damage_is_named_and_leaves_neighbours_alone(make_spool, candidate, group_files):
    spool = make_spool()
    spool.accept([candidate("1"), candidate("2")])
    spool.accept([candidate("3")])
    first, second = group_files()
    flip(first, 5)
    second.unlink()
    stray = first.with_name("stray.als")
    stray.write_bytes(b"half")

    report = spool.verify()

    assert not report.is_sound
    names = [f"{path.parent.name}/{path.name}" for path in (first, second, stray)]
    assert report.damaged == (
        Damage(
            item_id="item-1",
            file=names[0],
            reason=f"group file {first.name!r}, offset 0: the bytes do not match their checksum",
        ),
        Damage(
            item_id="item-3",
            file=names[1],
            reason=f"group file {second.name!r}: No such file or directory",
        ),
    )
    assert report.stray_files == (names[2],)
    assert report.items == 3


def test_a_damaged_index_is_told_of(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])
    spool.deliveries.checkpoint_index()
    with spool._database.locked():
        spool._database._writer.execute("PRAGMA writable_schema = ON")
        spool._database._writer.execute("DELETE FROM sqlite_schema WHERE name = 'item_file'")

    report = spool.verify()

    assert not report.is_sound
    assert "never used" in report.index_faults[0]


def test_an_index_that_cannot_be_read_at_all_is_told_of(make_spool, candidate, monkeypatch):
    import sqlite3

    spool = make_spool()
    spool.accept([candidate("1")])
    spool.deliveries.checkpoint_index()
    for code, expected in ((sqlite3.SQLITE_CORRUPT, True), (sqlite3.SQLITE_IOERR, False)):

        class Broken:
            def execute(self, _, code=code):
                error = sqlite3.DatabaseError("malformed")
                error.sqlite_errorcode = code
                raise error

            def close(self):
                pass

        with monkeypatch.context() as patch:
            patch.setattr("al_framework.pipeline.spool.database.connect", lambda *_, **__: Broken())
            if expected:
                assert spool._database.faults() == ("malformed",)
            else:
                with pytest.raises(SpoolError, match="malformed"):
                    spool.verify()


def test_what_is_delivered_meanwhile_is_no_damage(make_spool, candidate, monkeypatch):
    from al_framework.pipeline.spool import verifying

    spool = make_spool()
    spool.accept([candidate("1")])
    real = verifying.read_item

    def deliver_first(path, place):
        spool.deliveries.deliver(spool.deliveries.take("s1"), Receipt(status="created"))
        return real(path, place)

    monkeypatch.setattr(verifying, "read_item", deliver_first)

    assert spool.verify() == VerifyReport(items=1, bytes=spool_bytes(candidate))


def spool_bytes(candidate):
    from al_framework.pipeline.spool.items import encode_meta

    one = candidate("1")
    return len(one.image) + len(encode_meta(one.compose("a"), one.key, ("s1",)))


def test_everything_that_nobody_needs_is_removed(make_spool, candidate, group_files, monkeypatch):
    spool = make_spool()
    spool.accept([candidate("1")])
    hour = make_spool.directory / "obj" / "2023111401"
    hour.mkdir()
    (hour / "half.als").write_bytes(b"half")
    (make_spool.directory / "obj" / "2023111402").mkdir()
    damaged = make_spool.directory / "damaged"
    damaged.mkdir()
    (damaged / "old.als").write_bytes(b"x")
    (make_spool.directory / "spool.db.corrupt-1").write_bytes(b"x")
    make_spool.clock.advance(time.time() - make_spool.clock.time() + 15 * 86400)

    report = spool.gc()

    assert report == GcReport(files=1, bytes=4, hours=1, set_aside=2)
    assert len(group_files()) == 1
    assert (make_spool.directory / "spool.db-wal").stat().st_size == 0
    assert spool.gc() == GcReport()


def test_what_was_set_aside_of_late_is_kept(make_spool):
    spool = make_spool()
    (make_spool.directory / "spool.db.corrupt-1").write_bytes(b"x")

    assert spool.gc() == GcReport()


def test_steps_are_small_and_go_round(make_spool, candidate, monkeypatch):
    monkeypatch.setattr(sweeping, "STEP_FILES", 2)
    spool = make_spool()
    hour = make_spool.directory / "obj" / "2023111401"
    hour.mkdir()
    old = make_spool.clock.time() - 601
    for number in range(5):
        (hour / f"{number}.als").write_bytes(b"x")
        os.utime(hour / f"{number}.als", (old, old))

    removed = [spool.sweep_step().files for _ in range(6)]

    assert removed == [0, 2, 2, 1, 0, 0]


def test_a_file_that_goes_by_itself_is_no_failure(make_spool, monkeypatch):
    spool = make_spool()
    hour = make_spool.directory / "obj" / "2023111401"
    hour.mkdir()
    (hour / "a.als").write_bytes(b"x")
    locked = spool._database.locked

    def vanish():
        (hour / "a.als").unlink(missing_ok=True)
        return locked()

    monkeypatch.setattr(spool._database, "locked", vanish)

    assert spool.gc().files == 0


def test_an_hour_that_goes_by_itself_is_no_failure(make_spool):
    spool = make_spool()
    for name in ("2023111401", "2023111402"):
        (make_spool.directory / "obj" / name).mkdir()
        (make_spool.directory / "obj" / name / "a.als").write_bytes(b"x")
    files = spool._files.list()
    first = next(files)
    for path in (make_spool.directory / "obj" / "2023111402").iterdir():
        path.unlink()
    (make_spool.directory / "obj" / "2023111402").rmdir()

    assert [first, *files] == ["2023111401/a.als"]


def test_health_of_an_empty_spool(make_spool):
    assert make_spool().health() == SpoolHealth()


def test_health_tells_what_waits_and_what_is_dead(make_spool, candidate):
    spool = make_spool(sinks=("s1", "s2"))
    spool.accept([candidate("1", sinks=("s1",))])
    spool.deliveries.give_up(spool.deliveries.take("s1"), "refused")
    make_spool.clock.advance(10)
    spool.accept([candidate("2")])
    spool.accept([candidate("3")])
    spool.deliveries.deliver(spool.deliveries.take("s1"), Receipt(status="created"))
    make_spool.clock.advance(5)

    health = spool.health()

    assert (3, 5.0, 1) == (health.items, health.oldest_s, health.dead_items)
    assert 0 < health.dead_bytes < health.bytes == spool.stats().bytes
    assert health.fsync_p99_s == 0.0  # on this clock
    assert not health.full_disk


def test_sinks_on_disk_are_those_that_something_waits_for_or_that_have_dead_letters(
    make_spool, candidate
):
    spool = make_spool(sinks=("s1", "s2", "s3", "s4"))
    spool.accept([candidate("1", sinks=("s1", "s2"))])
    spool.accept([candidate("2", sinks=("s3",))])
    spool.deliveries.give_up(spool.deliveries.take("s3"), "refused")

    assert make_spool(sinks=()).sinks_on_disk() == ("s1", "s2", "s3")


def test_there_is_nothing_to_look_at_where_there_is_no_spool(make_spool):
    with pytest.raises(
        SpoolError,
        match=r"^spool '.*': there is no spool; give the directory of one, which holds 'spool.db'$",
    ):
        make_spool(sinks=())
    assert not make_spool.directory.exists()


def test_sqlite_is_named_for_those_who_look_for_faults(make_spool, caplog):
    import logging
    import sqlite3

    caplog.set_level(logging.DEBUG)
    make_spool()

    assert f"SQLite {sqlite3.sqlite_version}" in caplog.text


@pytest.fixture
def crowd(make_spool):
    """A spool with files of no datapoint: some hours, names out of order, and what is none."""
    spool = make_spool()
    root = make_spool.directory / "obj"
    names = [f"20261123{hour:02}/{n * 7 % 10}.als" for hour in range(3) for n in range(10)]
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"half")
    (root / "2026112300" / "notes.txt").touch()
    (root / "2026112300" / "link.als").symlink_to(root / names[0])
    (root / "2026112399").symlink_to(root / "2026112300")
    (root / "a file").touch()
    return spool, sorted(names)


@pytest.mark.parametrize("count", [1, 3, 10, 29, 30, 100])
def test_files_are_found_a_few_at_a_time_and_each_once(crowd, count):
    spool, names = crowd
    found, last = [], ""
    while page := spool._files.after(last, count):
        assert len(page) == min(count, len(names) - len(found))
        found += page
        last = page[-1]

    assert names == found == list(spool._files.list())


def test_a_round_over_the_files_is_made_of_steps(crowd, monkeypatch):
    spool, names = crowd
    monkeypatch.setattr(sweeping, "STEP_FILES", 12)
    seen = []
    sweeper = spool._upkeep._sweeper
    monkeypatch.setattr(sweeper, "_unused", lambda some: seen.append(list(some)) or [])
    for _ in range(6):  # the first and the fifth look at directories
        spool.sweep_step()

    assert [names[:12], names[12:24], names[24:], names[:12]] == seen
