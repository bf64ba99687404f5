"""A disk without a byte or a file left: nothing raises, nothing half-written stays.

On a real file system of 32 MB where the system lets us mount one.
"""

import io
import os
import shutil
import subprocess
import time
from contextlib import suppress

import pytest
from PIL import Image

from al_framework.api import Receipt, SpoolDiskFullError
from al_framework.collector import Collector
from al_framework.pipeline.limits.sqlite import SqliteLedger
from al_framework.pipeline.spool import Candidate, Spool, SpoolLimits, room
from al_framework.pipeline.spool.inspecting import inspect_spool
from al_framework.testing.fakes import FakeClock
from al_framework.testing.samples import sample_datapoint

MEGABYTE = 1 << 20


FILES = 1000


@pytest.fixture
def small_disk(tmp_path):
    """Return a directory on a file system of its own, of 32 MB and so many files."""
    place = tmp_path / "disk"
    place.mkdir()
    options = f"size=32m,nr_inodes={FILES},mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "al-test", str(place)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system; test_disk_faults injects the errors")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def open_spool(small_disk, clock):
    opened = []

    def make():
        spool = Spool(
            small_disk / "spool",
            sinks=("s",),
            ledger=SqliteLedger({}, scope="s"),
            clock=clock,
            limits=SpoolLimits(min_free_bytes=0, ballast_bytes=8 * MEGABYTE),
        )
        spool.open()
        opened.append(spool)
        return spool

    yield make
    for spool in opened:
        spool.close()


def candidate(number, size=100_000):
    image = b"\xff\xd8" + number.to_bytes(4, "big") * (size // 4)

    def compose(strategy):
        return sample_datapoint(
            item_id=f"item-{number}", frame_id=f"f-{number}", image=image, strategy=strategy
        )

    return Candidate(
        item_id=f"item-{number}",
        image=image,
        matching=("a",),
        decided_at=1_700_000_000.0,
        batch_name="batch",
        compose=compose,
    )


def fill_up(place):
    """Take every byte that is left, as somebody else's log would."""
    descriptor = os.open(place / "somebody-else", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for size in (MEGABYTE, 4096, 1):
            with suppress(OSError):
                while os.write(descriptor, bytes(size)):
                    pass
    finally:
        os.close(descriptor)


def free(place):
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize


def deliver(spool):
    delivered = []
    while (lease := spool.deliveries.take("s")) is not None:
        datapoint = spool.deliveries.load(lease)
        spool.deliveries.checkpoint(lease, {"remote_id": "r"})
        spool.deliveries.deliver(lease, Receipt(status="created"))
        delivered.append(datapoint.item_id)
    return delivered


def test_accepting_until_the_disk_is_full_keeps_what_was_accepted_and_nothing_else(
    small_disk, open_spool, clock
):
    spool, accepted = open_spool(), []
    with pytest.raises(SpoolDiskFullError, match="the disk"):  # noqa: PT012 - whichever of them it is
        for number in range(1000):
            accepted += [answer.item_id for answer in spool.accept([candidate(number)])]

    assert spool.health().full_disk
    report = spool.verify()
    assert report.is_sound
    assert report.stray_files == ()
    assert report.items == len(accepted) > 100
    # Nobody touches the disk again at once, and the place of the ballast is not filled.
    with pytest.raises(SpoolDiskFullError):
        spool.accept([candidate(5000)])
    clock.advance(5)
    with pytest.raises(SpoolDiskFullError):
        spool.accept([candidate(5001)])

    assert deliver(spool) == accepted
    clock.advance(5)
    assert [a.status for a in spool.accept([candidate(6000)])] == ["accepted"]
    assert not spool.health().full_disk
    assert (small_disk / "spool" / "ballast").stat().st_size == 8 * MEGABYTE


@pytest.mark.parametrize("restarted", [False, True])
def test_with_no_byte_left_everything_is_delivered(small_disk, open_spool, clock, restarted):
    spool = open_spool()
    accepted = [a.item_id for n in range(150) for a in spool.accept([candidate(n)])]
    if restarted:
        spool.close()
    fill_up(small_disk)
    assert free(small_disk) == 0
    if restarted:
        spool = open_spool()

    assert deliver(spool) == accepted
    assert spool.stats().items == 0
    assert list((small_disk / "spool" / "obj").glob("*/*")) == []
    assert spool.verify().is_sound
    (small_disk / "somebody-else").unlink()
    clock.advance(5)
    assert [a.status for a in spool.accept([candidate(6000)])] == ["accepted"]
    assert (small_disk / "spool" / "ballast").exists()


def test_a_process_that_ends_leaves_a_ballast_to_the_next_one(small_disk, open_spool):
    spool = open_spool()
    spool.accept([candidate(n) for n in range(16)])
    fill_up(small_disk)
    spool.deliveries.deliver(spool.deliveries.take("s"), Receipt(status="created"))
    ballast = small_disk / "spool" / "ballast"
    assert not ballast.exists()
    os.truncate(small_disk / "somebody-else", 16 * MEGABYTE)
    spool.close()
    assert ballast.stat().st_size == 8 * MEGABYTE
    fill_up(small_disk)
    assert free(small_disk) == 0

    assert deliver(open_spool()) == [f"item-{n}" for n in range(1, 16)]


def test_without_room_for_the_log_a_spool_says_so_and_can_be_looked_at(small_disk, open_spool):
    spool = open_spool()
    spool.accept([candidate(n) for n in range(16)])
    spool.close()
    (small_disk / "spool" / "ballast").unlink()
    fill_up(small_disk)

    for _ in range(2):  # what the first one leaves behind changes nothing
        with pytest.raises(SpoolDiskFullError, match=r"the disk is full \(.*\); make room on it$"):
            open_spool()
        seen = inspect_spool(small_disk / "spool", now=0.0)
        assert (16, 16) == (seen.health.items, seen.backlogs["s"].pending)
    (small_disk / "somebody-else").unlink()
    assert len(deliver(open_spool())) == 16


def take_all_files(place):
    """Make as many files as there can be, and return them."""
    made = []
    with suppress(OSError):
        for number in range(2 * FILES):
            (place / f"of-somebody-else-{number}").touch()
            made.append(place / f"of-somebody-else-{number}")
    assert len(made) < FILES
    return made


NO_FILE = r"the disk can hold no further file \(.*\); remove some from it"


def test_a_disk_that_can_hold_no_further_file_refuses_and_goes_on(small_disk, open_spool, clock):
    spool = open_spool()
    accepted = [a.item_id for n in range(5) for a in spool.accept([candidate(n)])]
    theirs = take_all_files(small_disk)
    with pytest.raises(SpoolDiskFullError, match=NO_FILE):
        spool.accept([candidate(10)])

    assert spool.health().full_disk
    assert spool.deliveries.take("s").item_id == accepted[0]
    spool.deliveries.release_own()
    clock.advance(5)
    theirs.pop().unlink()
    assert [a.status for a in spool.accept([candidate(11)])] == ["accepted"]
    assert not spool.health().full_disk
    clock.advance(5)
    with pytest.raises(SpoolDiskFullError, match=NO_FILE):
        spool.accept([candidate(12)])
    assert deliver(spool) == [*accepted, "item-11"]
    assert spool.verify().is_sound
    # A disk without a file for its log: the spool cannot be used, and says what to do.
    spool.close()
    theirs += take_all_files(small_disk)
    with pytest.raises(SpoolDiskFullError, match=NO_FILE):
        open_spool()
    for path in theirs:
        path.unlink(missing_ok=True)
    assert open_spool().stats().items == 0


def jpeg():
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(file, "JPEG")
    return file.getvalue()


def fill_up_and_empty(place):
    fill_up(place)
    return (place / "somebody-else").unlink


def take_all_files_and_remove_them(place):
    theirs = take_all_files(place)
    return lambda: [path.unlink() for path in theirs]


def wait_until_empty(spool):
    for _ in range(3000):
        if not list((spool / "obj").glob("*/*")):
            return
        time.sleep(0.01)
    raise AssertionError("nothing was delivered for half a minute")


@pytest.mark.parametrize("exhaust", [fill_up_and_empty, take_all_files_and_remove_them])
def test_a_collector_on_a_full_disk_counts_and_goes_on_when_there_is_room(
    small_disk, tmp_path, monkeypatch, exhaust
):
    monkeypatch.setattr(room, "PROBE_EVERY_S", 0.05)
    config = {
        "name": "line",
        "active_learning": {
            "enabled": True,
            "sampling_strategies": [{"name": "all", "type": "random", "traffic_percentage": 1.0}],
            "persist_predictions": False,
            "batching_strategy": {"batches_name_prefix": "al", "recreation_interval": "daily"},
        },
        "sinks": [{"type": "directory", "path": str(tmp_path / "out")}],
        "spool": {"path": str(small_disk / "spool"), "min_free_bytes": 0},
    }
    with Collector.from_config(config) as collector:
        first = collector.submit(jpeg(), wait_accepted_s=30.0)
        wait_until_empty(small_disk / "spool")  # a file removed later would make room
        make_room = exhaust(small_disk)
        refused = [collector.submit(jpeg(), wait_accepted_s=30.0) for _ in range(5)]
        assert [ticket.status for ticket in refused] == ["dropped"] * 5
        assert {"disk_full": 5} == dict(collector.stats().dropped)
        make_room()
        # It is tried again after five seconds; this is a hang limit.
        for _ in range(6000):
            ticket = collector.submit(jpeg(), wait_accepted_s=30.0)
            if ticket.status == "accepted":
                break
            time.sleep(0.01)
        counts = collector.stats()
    assert first.status == ticket.status == "accepted"
    lost = counts.dropped["disk_full"]
    assert counts.offered == counts.accepted + lost == lost + 2
