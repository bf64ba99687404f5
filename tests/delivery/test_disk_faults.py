"""Every call to the disk fails once, the n-th of a run, until a run gets through without a fault.

As SQLite does it. Whatever fails: only errors of ours come out, what was accepted is delivered once
the disk is well again, what was refused left nothing behind, and the books are those of the files.
"""

import errno
import fcntl
import io
import json
import os
import shutil
import sqlite3
import stat
import tempfile
import time
import traceback
from pathlib import Path

import pytest
from PIL import Image

from al_framework.api import AlFrameworkError, FrameKey, LeaseLostError, Receipt, SpoolDiskFullError
from al_framework.collector import Collector
from al_framework.pipeline.limits.base import LimitRule
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits
from al_framework.pipeline.spool.groupfile import scan_group
from al_framework.testing.fakes import FakeClock
from al_framework.testing.samples import sample_datapoint

NOW = 1_700_000_000.0
NOBODY = 65534  # a user without any rights
CALLS = (
    *("open", "mkdir", "writev", "write", "fdatasync", "fsync", "unlink", "rmdir", "rename"),
    *("replace", "link", "stat", "listdir", "scandir", "statvfs", "posix_fallocate"),
)
ERRORS = {
    "full": (errno.ENOSPC, sqlite3.SQLITE_FULL),
    "quota": (errno.EDQUOT, sqlite3.SQLITE_IOERR_WRITE),
    "broken": (errno.EIO, sqlite3.SQLITE_IOERR_FSYNC),
    "read-only": (errno.EROFS, sqlite3.SQLITE_READONLY),
    "no descriptors": (errno.EMFILE, sqlite3.SQLITE_CANTOPEN),
}


class Faults:
    """Lets the n-th call fail that may."""

    def __init__(self, monkeypatch, kind):
        self._errno, self._code = ERRORS[kind]
        self._patch = monkeypatch
        self.left = -1
        for name in CALLS:
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name)))
        monkeypatch.setattr(fcntl, "flock", self._wrapped(fcntl.flock))
        connect = sqlite3.connect
        faults = self

        class Connection(sqlite3.Connection):
            def execute(self, sql, *parameters):
                if not sql.startswith("ROLLBACK"):
                    faults.call(is_sql=True)
                return super().execute(sql, *parameters)

        monkeypatch.setattr(
            sqlite3, "connect", lambda *a, **o: connect(*a, factory=Connection, **o)
        )

    def call(self, *, is_sql=False):
        if self.left < 0:
            return
        self.left -= 1
        if self.left >= 0:
            return
        if is_sql:
            error = sqlite3.OperationalError("injected")
            error.sqlite_errorcode = self._code
            raise error
        raise OSError(self._errno, os.strerror(self._errno))

    def _wrapped(self, real):
        def call(*args, **options):
            self.call()
            return real(*args, **options)

        return call


def candidate(name):
    image = b"\xff\xd8" + name.encode() * 100

    def compose(strategy):
        return sample_datapoint(
            item_id=f"item-{name}", frame_id=name, image=image, strategy=strategy
        )

    return Candidate(
        item_id=f"item-{name}",
        image=image,
        matching=("a",),
        decided_at=NOW,
        batch_name="batch",
        compose=compose,
        key=FrameKey(source="cam", frame_id=name, size=1, mtime_ns=1),
    )


def make_spool(directory, clock, ledger):
    return Spool(
        directory,
        sinks=("s",),
        ledger=ledger,
        clock=clock,
        limits=SpoolLimits(
            min_free_bytes=0, ballast_bytes=4096, max_items=4, when_full="drop_oldest"
        ),
    )


class Books:
    """What a spool has said, and been told."""

    def __init__(self):
        self.accepted, self.delivered, self.dropped = [], [], []


def tour(spool, books):
    """Do all that a spool does: fill, overflow, give up, deliver, refuse, tidy up."""
    spool.open()
    accept(spool, books, "123456")  # the last ones push the first ones out
    for _ in range(2):
        lease = spool.deliveries.take("s")
        if lease is not None:
            spool.deliveries.give_up(lease, "bad")
    letters = [letter.item_id for letter in spool.dead.list()]
    spool.dead.retry(item_ids=letters[:1])
    books.dropped += letters[1:]
    spool.dead.drop(item_ids=letters[1:])
    deliver(spool, books)
    spool.sweep_step()
    spool.gc()
    spool.close()


def rebuild(spool, books):
    """Lose the index, and build it anew from the files."""
    spool.open()
    accept(spool, books, "123")
    spool.close()
    (spool.directory / "spool.db").write_bytes(b"no database" * 1000)
    spool.open()
    deliver(spool, books)
    spool.close()


def accept(spool, books, names):
    for name in names:
        answers = spool.accept([candidate(name)])
        books.accepted += [answer.item_id for answer in answers if answer.status == "accepted"]


def deliver(spool, books):
    for _ in range(3):
        lease = spool.deliveries.take("s")
        if lease is None:
            break
        spool.deliveries.checkpoint(lease, {"remote_id": "r"})
        books.delivered.append(lease.item_id)
        spool.deliveries.deliver(lease, Receipt(status="created"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("travel", [tour, rebuild])
@pytest.mark.parametrize("kind", ERRORS)
def test_whatever_fails_only_that_is_refused(tmp_path, monkeypatch, kind, travel, size):
    faults = Faults(monkeypatch, kind)
    # Calls of the long tour differ little by the number of the error.
    few = 13 if travel is tour and kind != "full" else 4
    step = size.pick(ci=few, full=1, soak=1)
    number, ended = list(ERRORS).index(kind), False
    while not ended:
        number += step
        clock = FakeClock()
        directory = tmp_path / str(number)
        ledger = SqliteLedger({"a": [LimitRule(period="daily", value=100)]}, scope="s")
        books, complaint = Books(), "injected"
        spool = make_spool(directory, clock, ledger)
        faults.left = number
        try:
            travel(spool, books)
        except (AlFrameworkError, LeaseLostError) as exc:
            complaint = str(exc)
        assert "injected" in complaint or "Errno" in complaint
        ended, faults.left = faults.left >= 0, -1

        # The disk is well again; whoever held the spool goes on, or the next one does.
        clock.advance(61)  # no lease lasts as long
        try:
            spool.close()
        finally:
            after = make_spool(directory, clock, ledger)
            after.open()
        if travel is rebuild:  # all windows count as spent, and what cannot be read is put aside
            judge(after, books, aside=set_aside(directory) if kind != "no descriptors" else [])
        else:
            judge(after, books, ledger=ledger)
        after.close()
        shutil.rmtree(directory)
    assert number > 100


def set_aside(directory):
    """Return what is kept for a person, of files that could not be read once."""
    files = (directory / "damaged").glob("*")
    metas = [json.loads(meta) for file in files for _, meta in scan_group(file.read_bytes())]
    return [meta["datapoint"]["item_id"] for meta in metas]


def judge(spool, books, *, ledger=None, aside=()):
    report = spool.verify()
    assert report.is_sound, report
    spool.gc()
    files = sum(path.stat().st_size for path in (spool.directory / "obj").glob("*/*"))
    assert spool.stats().bytes == files
    spool.deliveries.reclaim(("s",))
    left = []
    while (lease := spool.deliveries.take("s")) is not None:
        left.append(spool.deliveries.load(lease).item_id)
    states = {
        item_id: [found.deliveries[0].state for found in spool.find(item_id.removeprefix("item-"))]
        for item_id in books.accepted
    }
    dead = [letter.item_id for letter in spool.dead.list()]
    safe = {*left, *books.delivered, *books.dropped, *dead, *aside}
    lost = [i for i, state in states.items() if state != ["evicted"] and i not in safe]
    assert lost == []
    if ledger is not None:
        # Credits are held by what is here and by what was delivered, whoever knows of it.
        done = sum(state == ["delivered"] for state in states.values())
        assert ledger.used("a", NOW)["daily"] == len(left) + done


@pytest.fixture
def collector(tmp_path):
    config = {
        "name": "line",
        "active_learning": {
            "enabled": True,
            "persist_predictions": False,
            "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1.0}],
            "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "daily"},
        },
        "sinks": [{"type": "directory", "path": str(tmp_path / "out")}],
        "spool": {"path": str(tmp_path / "spool"), "min_free_bytes": 0},
    }
    collector = Collector.from_config(config)
    yield collector
    collector.close()


def picture():
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(file, "JPEG")
    return file.getvalue()


def submit(collector):
    return collector.submit(picture(), wait_accepted_s=30.0)


@pytest.mark.parametrize("kind", ERRORS)
def test_a_disk_that_fails_costs_frames_that_are_counted_and_never_raises(
    collector, monkeypatch, kind
):
    assert submit(collector).status == "accepted"
    code = ERRORS[kind][0]

    def broken(*_):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        tickets = [submit(collector) for _ in range(3)]
    counts = collector.stats()

    assert ["dropped"] * 3 == [ticket.status for ticket in tickets]
    reason = "disk_full" if kind in {"full", "quota"} else "spool_error"
    assert dict(counts.dropped) == {reason: 3}
    assert (4, 1) == (counts.offered, counts.accepted)  # nothing is kept in memory instead
    assert collector.health().spool.full_disk is (reason == "disk_full")


def test_a_directory_that_is_removed_costs_frames_that_are_counted(collector, tmp_path):
    assert submit(collector).status == "accepted"
    for _ in range(3000):  # the first picture is delivered; a hang limit
        if collector.stats().sinks["directory"].pending == 0:
            break
        time.sleep(0.01)
    shutil.rmtree(tmp_path / "spool")

    tickets = [submit(collector) for _ in range(3)]

    assert ["dropped"] * 3 == [ticket.status for ticket in tickets]
    assert "its index was removed while in use; restart to build a new one" in tickets[0].reason
    assert not (tmp_path / "spool" / "spool.db").exists()


@pytest.fixture
def owned():
    """Give a directory that a user without rights can reach, unlike those of `tmp_path`."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if not all(parent.stat().st_mode & stat.S_IXOTH for parent in directory.parents):
            pytest.skip(f"'{directory.parent}' is closed to other users; set TMPDIR")
        os.chown(directory, NOBODY, NOBODY)
        yield directory


@pytest.mark.skipif(os.geteuid() != 0, reason="the user is changed for it, which only root can")
def test_permission_that_is_lost_costs_frames_that_are_counted(tmp_path, owned):
    """In a child, whose user is one that owns the spool and then may not write to it any more."""
    # All of it once as root: that user may not be able to read the modules that are loaded late.
    with make_spool(tmp_path / "spool", FakeClock(), SqliteLedger({}, scope="s")) as spool:
        spool.accept([candidate("1")])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            spool = make_spool(owned, FakeClock(), SqliteLedger({}, scope="s"))
            spool.open()
            spool.accept([candidate("1")])
            hour = next((owned / "obj").iterdir())
            hour.chmod(0o500)
            try:
                spool.accept([candidate("2")])
            except SpoolDiskFullError:
                status = 2
            except AlFrameworkError as exc:
                status = 0 if "Permission denied" in str(exc) else 3
            hour.chmod(0o700)
            if [a.status for a in spool.accept([candidate("3")])] != ["accepted"]:
                status = 4
            spool.close()
        except Exception:  # noqa: BLE001 - it is printed, and the status tells
            status = 5
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
