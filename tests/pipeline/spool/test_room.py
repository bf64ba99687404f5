"""A full disk is found out once, said once, and tried again every five seconds."""

import errno
import logging
import os
import sqlite3

import pytest

from al_framework.api import SpoolDiskFullError, SpoolError
from al_framework.pipeline.spool import SeenFrame, SpoolLimits
from al_framework.pipeline.spool.locking import FileLock
from al_framework.pipeline.spool.translating import translated


@pytest.fixture
def disk(monkeypatch):
    """A disk of 100 MB with room for little."""

    class Disk:
        f_blocks, f_frsize, f_bavail = 100_000, 1000, 100_000
        f_files, f_favail = 1000, 1000
        looks = 0

    def look(_):
        Disk.looks += 1
        return Disk

    monkeypatch.setattr(os, "statvfs", look)
    return Disk


def test_a_full_disk_is_tried_again_every_five_seconds(make_spool, candidate, disk, caplog):
    caplog.set_level(logging.INFO)
    spool = make_spool(limits=SpoolLimits(min_free_bytes=2_000_000))
    spool.accept([candidate("1")])
    disk.f_bavail = 1999
    for _ in range(2):
        with pytest.raises(SpoolDiskFullError, match="of which 2000000 are kept for others"):
            spool.accept([candidate("2")])
    looks = disk.looks
    make_spool.clock.advance(4.9)
    with pytest.raises(SpoolDiskFullError, match="of which 2000000 are kept for others"):
        spool.accept([candidate("2")])
    assert disk.looks == looks
    assert spool.health().full_disk
    make_spool.clock.advance(0.2)
    with pytest.raises(SpoolDiskFullError):
        spool.accept([candidate("2")])
    assert disk.looks > looks
    disk.f_bavail = 100_000
    make_spool.clock.advance(5)

    assert ["accepted"] == [answer.status for answer in spool.accept([candidate("2")])]
    assert not spool.health().full_disk
    text = caplog.text
    assert text.count("until then frames are refused, and what is held is delivered") == 1
    assert text.count("the disk has room again") == 1


def sqlite_error(code):
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorcode = code
    return error


NO_ROOM = r"the disk is full \(.*it failed\); make room on it$"
NO_FILE = r"the disk can hold no further file \(.*it failed\); remove some from it$"
UNWELL = "it failed; check that the directory exists, is writable, and lies on a healthy local disk"


@pytest.mark.parametrize(
    ("error", "free", "files", "text"),
    [
        (sqlite_error(sqlite3.SQLITE_FULL), 10**9, (1000, 9), NO_ROOM),
        (sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE), 0, (1000, 9), NO_ROOM),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN), 0, (1000, 0), NO_ROOM),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN), 10**9, (1000, 0), NO_FILE),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN), 10**9, (0, 0), UNWELL),  # a disk without a count
        (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), 10**9, (1000, 9), UNWELL),
        (sqlite_error(sqlite3.SQLITE_READONLY), 0, (1000, 0), UNWELL),
        (OSError(errno.ENOSPC, "it failed"), 10**9, (1000, 9), NO_ROOM),
        (OSError(errno.ENOSPC, "it failed"), 10**9, (1000, 0), NO_FILE),
        (OSError(errno.ENOSPC, "it failed"), 10**9, (0, 0), NO_ROOM),
    ],
)
def test_a_disk_without_room_is_told_from_one_that_is_unwell(  # noqa: PLR0917 - a row of the table and fixtures
    disk, tmp_path, error, free, files, text
):
    disk.f_bavail = free // disk.f_frsize
    disk.f_files, disk.f_favail = files

    pattern = f"^spool '{tmp_path}': {text}"
    with pytest.raises(SpoolError, match=pattern) as caught, translated(tmp_path):
        raise error
    assert isinstance(caught.value, SpoolDiskFullError) is (text is not UNWELL)


def test_a_disk_that_does_not_say_how_full_it_is_is_unwell(tmp_path):
    with pytest.raises(SpoolError, match=UNWELL), translated(tmp_path / "missing"):
        raise sqlite_error(sqlite3.SQLITE_CANTOPEN)


def test_room_for_the_ballast_is_not_given_to_frames(make_spool, candidate, disk):
    limits = SpoolLimits(min_free_bytes=0, ballast_bytes=50_000)
    spool = make_spool(limits=limits)
    disk.f_bavail = 50

    with pytest.raises(SpoolDiskFullError, match="of which 0 are kept"):
        spool.accept([candidate("1")])
    assert not (make_spool.directory / "ballast").exists()


@pytest.mark.parametrize(
    ("error", "status"),
    [(SpoolDiskFullError("full"), "disk_full"), (SpoolError("broken"), "spool_error")],
)
def test_what_was_taken_of_a_group_stays_taken_when_the_disk_fails_half_way(  # noqa: PLR0917 - a row of the table and fixtures
    make_spool, candidate, key, monkeypatch, error, status
):
    limits = SpoolLimits(min_free_bytes=0, max_items=1, when_full="drop_lowest_value")
    spool = make_spool(limits=limits)
    real = spool._intake._accept_group

    def accept(entries):
        if len(entries) == 1 and getattr(entries[0], "item_id", "") == "item-2":
            raise error
        return real(entries)

    monkeypatch.setattr(spool._intake, "_accept_group", accept)
    seen = SeenFrame(key=key("cam/0"), outcome="not_selected", detail={}, decided_at=5.0)

    answers = spool.accept([candidate("1"), candidate("2"), seen])

    assert ["accepted", status] == [answer.status for answer in answers]
    assert spool.seen(key("cam/0"))


def test_a_frame_that_cannot_be_noted_comes_again(make_spool, candidate, key, monkeypatch):
    limits = SpoolLimits(min_free_bytes=0, max_items=1, when_full="drop_lowest_value")
    spool = make_spool(limits=limits)
    real = spool._intake._accept_group

    def accept(entries):
        if len(entries) == 1 and isinstance(entries[0], SeenFrame):
            raise SpoolError("broken")
        return real(entries)

    monkeypatch.setattr(spool._intake, "_accept_group", accept)
    seen = SeenFrame(key=key("cam/0"), outcome="not_selected", detail={}, decided_at=5.0)

    answers = spool.accept([seen, candidate("1"), candidate("2")])

    assert ["accepted", "spool_full"] == [answer.status for answer in answers]
    assert not spool.seen(key("cam/0"))


def test_an_index_that_cannot_be_read_leaves_the_file_to_the_sweep(
    make_spool, candidate, monkeypatch, caplog, group_files
):
    spool = make_spool()

    def unreadable():
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(spool._files, "make_durable", lambda _: 1 / 0)
        patch.setattr(spool._database, "read", unreadable)
        with pytest.raises(ZeroDivisionError):
            spool.accept([candidate("1")])

    assert "which nobody needs: disk I/O error" in caplog.text
    assert len(group_files()) == 1
    assert spool.gc().kept == 1  # for two weeks, since nobody can know whether it was accepted
    assert group_files() == []


def test_a_lock_whose_file_was_replaced_is_taken_anew(tmp_path):
    path = tmp_path / "a.lock"
    lock, other = FileLock(path), FileLock(path)
    assert lock.try_acquire()
    lock.release()
    path.unlink()
    with other:
        assert not lock.try_acquire()  # it is the other's now, under this very name
    assert lock.try_acquire()
    lock.release()
    path.unlink()
    assert lock.try_acquire()  # and one that nobody can find is as good as before
    lock.release()
    lock.close()
    other.close()
