import errno
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from al_framework.api import FrameKey, SpoolError, SpoolFullError
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.memory import MemoryLedger
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Acceptance, SeenFrame, SpoolLimits

ONE_A_DAY = {"a": [LimitRule(period="daily", value=1)]}


def not_selected(key: FrameKey, **detail) -> SeenFrame:
    return SeenFrame(key=key, outcome="not_selected", detail=detail, decided_at=5.0)


def test_a_group_is_answered_in_order_and_lies_in_one_file(make_spool, candidate, group_files):
    spool = make_spool()

    answers = spool.accept([candidate("1"), candidate("2"), candidate("3")])

    assert [
        Acceptance(item_id=f"item-{n}", status="accepted", strategy="a") for n in (1, 2, 3)
    ] == answers
    assert len(group_files()) == 1
    assert spool.stats().items == 3
    assert spool.stats().oldest == make_spool.clock.time()


def test_the_file_of_one_datapoint_starts_with_its_picture(make_spool, candidate, group_files):
    make_spool().accept([candidate("1", image=b"\xff\xd8picture")])

    assert group_files()[0].read_bytes().startswith(b"\xff\xd8picture{")
    assert group_files()[0].parent.name == "2023111422"


def test_nothing_to_accept_touches_nothing(make_spool, group_files):
    spool = make_spool()

    assert spool.accept([]) == []
    assert group_files() == []


def test_the_paying_strategy_is_composed_into_the_datapoint(make_spool, candidate):
    spool = make_spool(rules=ONE_A_DAY)

    answers = spool.accept([candidate(n, matching=("a", "b")) for n in "12"])
    taken = [spool.deliveries.load(spool.deliveries.take("s1")) for _ in range(2)]

    assert ["a", "b"] == [answer.strategy for answer in answers]
    assert ["a", "b"] == [datapoint.strategy for datapoint in taken]


def test_what_no_limit_pays_for_is_limited_and_remembered(make_spool, candidate, key):
    spool = make_spool(rules=ONE_A_DAY)

    answers = spool.accept([candidate("1"), candidate("2")])

    assert ["accepted", "limited"] == [answer.status for answer in answers]
    assert spool.seen(key("cam/2"))
    found = spool.find("cam/2")[0]
    assert found.outcome == found.detail["outcome"] == "limited"
    assert found.item_id is None
    assert found.deliveries == ()


def test_a_group_without_datapoints_writes_no_file(make_spool, candidate, key, group_files):
    spool = make_spool(rules={"a": [LimitRule(period="daily", value=0)]})

    answers = spool.accept([not_selected(key("cam/0")), candidate("1")])

    assert ["limited"] == [answer.status for answer in answers]
    assert group_files() == []
    assert spool.seen(key("cam/0"))
    assert spool.seen(key("cam/1"))


def test_a_full_batch_refuses_and_gives_the_credit_back(make_spool, candidate):
    ledger = SqliteLedger({"a": [LimitRule(period="daily", value=2)]}, scope="s")
    spool = make_spool(ledger=ledger)

    answers = spool.accept(
        [
            candidate("1", max_batch_images=1),
            candidate("2", max_batch_images=1),
            candidate("3", max_batch_images=1, batch_name="another"),
        ]
    )

    assert ["accepted", "batch_full", "accepted"] == [answer.status for answer in answers]
    assert ledger.used("a", 1_700_000_000.0)["daily"] == 2
    assert spool.find("cam/2")[0].outcome == "batch_full"


def test_a_batch_of_no_images_refuses_everything(make_spool, candidate):
    answers = make_spool().accept([candidate("1", max_batch_images=0)])

    assert ["batch_full"] == [answer.status for answer in answers]


def test_a_candidate_without_a_key_is_not_remembered(make_spool, candidate):
    spool = make_spool()

    spool.accept([candidate("1", key=None)])

    assert spool.find("cam/1") == ()


def test_a_candidate_may_go_to_some_sinks_only(make_spool, candidate):
    spool = make_spool(sinks=("s1", "s2"))

    spool.accept([candidate("1", sinks=("s2",))])

    assert (spool.counts()["s1"].accepted, spool.counts()["s2"].accepted) == (0, 1)


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


def test_metadata_that_json_cannot_express_name_their_datapoint(make_spool, candidate):
    with pytest.raises(
        SpoolError,
        match=r"^datapoint 'item-1' of frame 'cam/1': its metadata cannot be written as JSON: .*"
        "not JSON serializable",
    ):
        make_spool().accept([candidate("1", attributes={"site": object()})])


def test_an_item_name_can_be_used_once(make_spool, candidate):
    spool = make_spool()
    spool.accept([candidate("1")])

    with pytest.raises(SpoolError, match=r"UNIQUE constraint failed: item.item_id"):
        spool.accept([candidate("1")])


def test_listeners_hear_of_accepted_datapoints_only(make_spool, candidate, key):
    heard = []
    spool = make_spool()
    spool.on_accept(lambda: heard.append(spool.stats().items))

    spool.accept([not_selected(key("cam/0"))])
    spool.accept([candidate("1")])

    assert heard == [1]


def test_threads_may_accept_at_the_same_time(make_spool, candidate):
    spool = make_spool(rules={"a": [LimitRule(period="daily", value=30)]})
    together = threading.Barrier(4)
    answers = []

    def work(worker: int) -> None:
        together.wait()
        for n in range(10):
            answers.extend(spool.accept([candidate(f"{worker}-{n}")]))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(answer.status == "accepted" for answer in answers) == 30
    assert spool.counts()["s1"].accepted == spool.stats().items == 30


def test_a_name_in_use_is_passed_over(make_spool, candidate, group_files):
    one, two = make_spool(), make_spool()

    one.accept([candidate("1")])
    two.accept([candidate("2")])

    assert len(group_files()) == 2


def test_a_spool_without_sinks_takes_nothing_in(make_spool, candidate):
    make_spool().accept([candidate("1")])

    with pytest.raises(
        SpoolError,
        match=r"^spool '.*': it was opened without sinks, to be looked at; open it with the sinks"
        " that are to have what it takes in$",
    ):
        make_spool(sinks=()).accept([candidate("2")])


def test_a_rollback_that_fails_does_not_hide_the_error(make_spool, candidate):
    spool = make_spool()
    writer = spool._database._writer

    class Broken:
        in_transaction = True

        def execute(self, sql, *parameters):
            if sql == "ROLLBACK":
                raise sqlite3.OperationalError("cannot roll back")
            if sql == "COMMIT":
                raise sqlite3.OperationalError("the first error")
            return writer.execute(sql, *parameters)

    spool._database._writer = Broken()
    with pytest.raises(SpoolError, match="the first error"):
        spool.accept([candidate("1")])
    writer.execute("ROLLBACK")
    spool._database._writer = writer
