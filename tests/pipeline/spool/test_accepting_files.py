"""Files of a group are private, synced and whole, and a full disk leaves nothing behind."""

import errno
import os
from pathlib import Path

import pytest

from al_framework.api import FrameKey, SpoolError, SpoolFullError
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import SeenFrame, SpoolLimits

ONE_A_DAY = {"a": [LimitRule(period="daily", value=1)]}


def not_selected(key: FrameKey, **detail) -> SeenFrame:
    return SeenFrame(key=key, outcome="not_selected", detail=detail, decided_at=5.0)


def test_files_are_private_whatever_the_umask(make_spool, candidate):
    before = os.umask(0)
    try:
        make_spool().accept([candidate("1")])
    finally:
        os.umask(before)

    modes = {
        path.relative_to(make_spool.directory).parts[-1]: path.stat().st_mode & 0o777
        for path in make_spool.directory.rglob("*")
    }
    assert make_spool.directory.stat().st_mode & 0o777 == 0o700
    assert {0o600, 0o700} == set(modes.values())
    assert modes["spool.db"] == modes["spool.db-wal"] == 0o600


def test_writes_are_synced_before_the_commit_and_the_answer(make_spool, candidate, monkeypatch):
    steps: list[str] = []
    spool = make_spool(failpoint=steps.append)
    steps.clear()
    real_fsync, real_fdatasync = os.fsync, os.fdatasync

    def record(real, call):
        def sync(descriptor):
            name = Path(f"/proc/self/fd/{descriptor}").readlink().name
            steps.append(f"{call} {name}".replace("2023111422", "hour"))
            real(descriptor)

        return sync

    monkeypatch.setattr(os, "fsync", record(real_fsync, "fsync"))
    monkeypatch.setattr(os, "fdatasync", record(real_fdatasync, "fdatasync"))
    spool._database._writer.set_trace_callback(
        lambda sql: steps.append(sql.split()[0]) if sql.split()[0] in ("BEGIN", "COMMIT") else None
    )
    spool.accept([candidate("1")])
    first, steps[:] = list(steps), []
    spool.accept([candidate("2")])

    name = first[4].split()[1]
    assert name.endswith(".als")
    assert [
        "locked",
        "BEGIN",
        "reserved",
        "filled",
        f"fdatasync {name}",
        "written",
        "fsync hour",
        "fsync obj",
        "synced",
        "inserted",
        "COMMIT",
        "committed",
    ] == first
    assert "fsync hour" in steps
    assert "fsync obj" not in steps  # the directory is not new any more


def test_the_index_syncs_every_commit(make_spool):
    writer = make_spool()._database._writer

    assert writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert writer.execute("PRAGMA trusted_schema").fetchone() == (0,)


def test_a_short_write_is_continued(make_spool, candidate, monkeypatch):
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, buffers: real(fd, [buffers[0][:7]]))
    spool = make_spool()

    spool.accept([candidate("1"), candidate("2")])

    taken = [spool.deliveries.load(spool.deliveries.take("s1")) for _ in range(2)]
    assert ["item-1", "item-2"] == [datapoint.item_id for datapoint in taken]


def disk_full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("call", "failure", "error", "message"),
    [
        ("writev", disk_full, SpoolFullError, r"the disk is full \(\[Errno 28\] No space left"),
        ("writev", lambda *_: 0, SpoolFullError, r"the disk is full \(\[Errno 28\] No space left"),
        ("fdatasync", disk_full, SpoolFullError, "make room on it$"),
        (
            "fsync",
            lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")),
            SpoolError,
            (
                r"\[Errno 5\] Input/output error; check that the directory exists, is writable, and"
                " lies on a healthy local disk$"
            ),
        ),
    ],
)
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_failed_write_leaves_nothing_behind(  # noqa: PLR0917 - a row of the table and fixtures
    make_spool, candidate, key, group_files, monkeypatch, call, failure, error, message, kind
):
    ledger = (MemoryLedger if kind == "memory" else SqliteLedger)(ONE_A_DAY, scope="s")
    spool = make_spool(ledger=ledger)
    with monkeypatch.context() as patch, pytest.raises(error, match=message):  # noqa: PT012 - the context is the cause
        patch.setattr(os, call, failure)
        spool.accept([not_selected(key("cam/0")), candidate("1")])

    assert group_files() == []
    assert not spool.seen(key("cam/0"))
    assert not spool.seen(key("cam/1"))
    assert ledger.used("a", 1_700_000_000.0)["daily"] == 0
    assert spool.counts()["s1"].accepted == 0
    make_spool.clock.advance(5)
    assert ["accepted"] == [answer.status for answer in spool.accept([candidate("1")])]


def test_a_full_index_is_a_full_spool(make_spool, candidate, group_files):
    spool = make_spool()
    pages = spool._database._writer.execute("PRAGMA page_count").fetchone()[0]
    spool._database._writer.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(SpoolFullError, match=r"the disk is full \(database or disk is full\)"):  # noqa: PT012 - the context is the cause
        for n in range(2000):
            spool.accept([candidate(f"{n}-{'x' * 2000}")])

    assert len(group_files()) == spool.stats().items


def test_a_file_size_limit_is_a_full_disk(make_spool, candidate, group_files):
    import resource

    spool = make_spool()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        with pytest.raises(SpoolFullError, match="File too large"):
            spool.accept([candidate("1", image=b"x" * 1_500_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert group_files() == []


def test_an_unfinished_file_that_cannot_be_removed_is_reported(
    make_spool, candidate, monkeypatch, caplog
):
    spool = make_spool()
    with monkeypatch.context() as patch, pytest.raises(SpoolFullError):  # noqa: PT012 - the context is the cause
        patch.setattr(os, "fdatasync", disk_full)
        patch.setattr(spool._files, "remove", disk_full)
        spool.accept([candidate("1")])

    assert "cannot remove group file" in caplog.text
    assert "No space left on device" in caplog.text


def test_an_interruption_just_after_the_commit_changes_nothing(make_spool, candidate, group_files):
    spool = make_spool()
    writer = spool._database._writer

    class Interrupted:
        in_transaction = False

        def execute(self, sql, *parameters):
            result = writer.execute(sql, *parameters)
            if sql == "COMMIT":
                raise KeyboardInterrupt
            return result

    spool._database._writer = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        spool.accept([candidate("1")])
    spool._database._writer = writer

    assert len(group_files()) == spool.stats().items == 1


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (
            SpoolLimits(max_items=2, min_free_bytes=0),
            (
                "it holds 1 of 2 datapoints and cannot take 2 more; wait for the sinks, or raise"
                " max_items$"
            ),
        ),
        (
            SpoolLimits(max_bytes=2000, min_free_bytes=0),
            (
                r"it holds \d+ of 2000 bytes and cannot take \d+ more; wait for the sinks, or raise"
                " max_bytes$"
            ),
        ),
    ],
)
def test_a_full_spool_refuses_the_whole_group(make_spool, candidate, group_files, limits, message):
    spool = make_spool(limits=limits)
    spool.accept([candidate("1")])

    with pytest.raises(SpoolFullError, match=message):
        spool.accept([candidate("2"), candidate("3")])

    assert len(group_files()) == 1
    assert spool.stats().items == 1


def test_disk_space_is_left_to_others(make_spool, candidate, monkeypatch):
    class Disk:
        f_blocks, f_frsize, f_bavail = 1000, 1000, 40

    spool = make_spool(limits=SpoolLimits(min_free_bytes=10**9))
    monkeypatch.setattr(os, "statvfs", lambda _: Disk)

    with pytest.raises(
        SpoolFullError,
        match=r"the disk has 40000 bytes free, of which 50000 are kept for others; make room on it,"
        " or lower min_free_bytes$",
    ):
        spool.accept([candidate("1")])
