import errno
import logging
import os

import pytest

from al_framework.pipeline.spool import SpoolLimits
from al_framework.pipeline.spool.ballast import Ballast

HEAVY = SpoolLimits(min_free_bytes=0, ballast_bytes=300_000)


class Disk:
    """A disk of 1 MB."""

    f_blocks, f_frsize, f_bavail = 1000, 1000, 900


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_it_is_made_once_private_and_as_large_as_asked_for(tmp_path):
    ballast = Ballast(tmp_path, 300_000)
    missing = ballast.missing_bytes()

    assert ballast.make()
    assert ballast.make()
    status = (tmp_path / "ballast").stat()
    assert (300_000, 0) == (missing, ballast.missing_bytes())
    assert (300_000, 0o600) == (status.st_size, status.st_mode & 0o777)
    assert status.st_blocks * 512 >= 300_000  # it really takes up the room


def test_on_a_small_disk_it_is_a_quarter(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda _: Disk)

    assert Ballast(tmp_path, 300_000).missing_bytes() == 250_000


def test_none_is_wanted(tmp_path):
    assert Ballast(tmp_path, 0).make()
    assert not list(tmp_path.iterdir())


def test_without_room_nothing_is_left_behind(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(os, "posix_fallocate", full)

    assert not Ballast(tmp_path, 300_000).make()
    assert not list(tmp_path.iterdir())
    assert "no ballast: [Errno 28] No space left on device" in caplog.text


def test_it_is_given_back_once(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    ballast = Ballast(tmp_path, 300_000)
    ballast.make()

    assert ballast.release()
    assert not ballast.release()
    assert "the disk is full; used up the ballast to go on delivering" in caplog.text


def test_a_spool_has_it_while_it_has_something_to_deliver(make_spool, candidate):
    path = make_spool.directory / "ballast"
    spool = make_spool(limits=HEAVY)
    before = path.exists()
    spool.accept([candidate("1")])
    during = path.exists()
    spool.close()
    waiting = path.exists()
    spool = make_spool(limits=HEAVY)
    spool.dead.drop()
    lease = spool.deliveries.take("s1")
    spool.deliveries.give_up(lease, "refused")
    spool.dead.drop()
    spool.close()

    assert [False, True, True, False] == [before, during, waiting, path.exists()]


def test_another_process_that_still_works_keeps_it(make_spool, candidate):
    one, two = make_spool(limits=HEAVY), make_spool(limits=HEAVY)
    one.accept([candidate("1")])
    one.deliveries.give_up(one.deliveries.take("s1"), "refused")
    one.dead.drop()
    one.close()

    assert (make_spool.directory / "ballast").exists()
    two.close()
    assert not (make_spool.directory / "ballast").exists()


def test_the_delivery_leader_makes_it_anew(make_spool, candidate, monkeypatch):
    spool = make_spool(limits=HEAVY)
    spool.accept([candidate("1")])
    (make_spool.directory / "ballast").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Disk, "f_bavail", 100)
        patch.setattr(os, "statvfs", lambda _: Disk)
        spool.sweep_step()
        without_room = (make_spool.directory / "ballast").exists()
    spool.sweep_step()

    assert not without_room
    assert (make_spool.directory / "ballast").exists()


def test_whoever_ends_leaves_one_to_the_next_process(make_spool, candidate):
    ballast = make_spool.directory / "ballast"
    spool = make_spool(limits=HEAVY)
    spool.accept([candidate("1")])
    ballast.unlink()  # used up, and there is room again
    spool.close()

    assert ballast.exists()


def test_little_room_is_not_left_to_others_but_kept_for_the_index(
    make_spool, candidate, monkeypatch
):
    ballast = make_spool.directory / "ballast"
    spool = make_spool(limits=HEAVY)
    spool.accept([candidate("1")])
    ballast.unlink()
    monkeypatch.setattr(spool._room, "_limits", SpoolLimits(min_free_bytes=1 << 60))
    monkeypatch.setattr(Disk, "f_blocks", 1 << 40)
    monkeypatch.setattr(os, "statvfs", lambda _: Disk)
    made = []
    for free_kb in (1300, 1400):  # its own 300 KB, and what the index needs beside it
        monkeypatch.setattr(Disk, "f_bavail", free_kb)
        spool.sweep_step()
        made.append(ballast.exists())

    assert [False, True] == made


def test_it_is_used_up_before_the_index_needs_it(make_spool, candidate, monkeypatch):
    spool = make_spool(limits=HEAVY)
    spool.accept([candidate("1")])
    monkeypatch.setattr(Disk, "f_bavail", 1000)
    monkeypatch.setattr(os, "statvfs", lambda _: Disk)

    spool.deliveries.take("s1")

    assert not (make_spool.directory / "ballast").exists()


@pytest.mark.parametrize("room_comes", [True, False])
def test_a_commit_without_room_is_tried_again_with_that_of_the_ballast(
    make_spool, candidate, room_comes
):
    import sqlite3

    from al_framework.api import SpoolDiskFullError

    spool = make_spool(limits=HEAVY)
    spool.accept([candidate("1")])
    writer = spool._database._writer
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    ballast = make_spool.directory / "ballast"
    if not room_comes:
        ballast.unlink()

    class Full:
        in_transaction = True

        def execute(self, sql, *parameters):
            if sql == "COMMIT" and (ballast.exists() or not room_comes):
                raise error
            return writer.execute(sql, *parameters)

    spool._database._writer = Full()
    if room_comes:
        lease = spool.deliveries.take("s1")
    else:
        with pytest.raises(SpoolDiskFullError):
            spool.deliveries.take("s1")
    spool._database._writer = writer

    assert not ballast.exists()
    if room_comes:
        assert spool.deliveries.load(lease).item_id == "item-1"
