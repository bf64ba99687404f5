"""What is lost of a log is noticed, and what a killed writer leaves behind is no loss."""

import random
import shutil
import sqlite3
import struct
from pathlib import Path

import pytest

from al_framework.pipeline.spool import log_check
from al_framework.pipeline.spool.log_check import count_committed, has_lost_commits

HEADER, FRAME = 32, 24
PAGE = 1024
SIZE = FRAME + PAGE


class Index:
    """A database in use; `copy` is what a kill would leave of it at that moment."""

    def __init__(self, directory, page_size=PAGE):
        directory.mkdir()
        self.path = directory / "spool.db"
        self._connection = sqlite3.connect(self.path, isolation_level=None)
        for pragma in (
            f"page_size = {page_size}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "wal_autocheckpoint = 0",
        ):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        self._connection.execute("CREATE TABLE t (value BLOB)")

    def commit(self, times=1, bytes_=2000):
        for _ in range(times):
            self._connection.execute("INSERT INTO t VALUES (randomblob(?))", (bytes_,))

    def checkpoint(self):
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def copy(self, directory):
        shutil.copytree(self.path.parent, directory)
        return directory / "spool.db"

    def close(self):
        self._connection.close()


@pytest.fixture
def index(tmp_path):
    index = Index(tmp_path / "index")
    yield index
    index.close()


def log_of(path):
    return Path(f"{path}-wal")


def shared_of(path):
    return Path(f"{path}-shm")


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    path.write_bytes(data)


def last_frame(path):
    """Return where the last frame begins; the log was never begun anew."""
    return log_of(path).stat().st_size - SIZE


def truncate(path, size):
    path.write_bytes(path.read_bytes()[:size])


def found_by_sqlite(path):
    connection = sqlite3.connect(path)
    try:
        return max(connection.execute("PRAGMA wal_checkpoint").fetchone()[1], 0)
    finally:
        connection.close()


def committed(path):
    with log_of(path).open("rb") as log:
        return count_committed(log)


DAMAGE = {
    "a bit of the first page": lambda path: flip(log_of(path), HEADER + FRAME + 100),
    "a bit of the first frame's head": lambda path: flip(log_of(path), HEADER + 1),
    "a bit of the first frame's generation": lambda path: flip(log_of(path), HEADER + 9),
    "a bit of the last page": lambda path: flip(log_of(path), -1),
    "a bit of the last frame's head": lambda path: flip(log_of(path), last_frame(path) + 17),
    "a bit of the header": lambda path: flip(log_of(path), 2),
    "a bit of the header's checksum": lambda path: flip(log_of(path), 30),
    "the end of the header": lambda path: truncate(log_of(path), 20),
    "the last frame": lambda path: truncate(log_of(path), last_frame(path)),
    "half of the last frame": lambda path: truncate(log_of(path), last_frame(path) + 500),
    "all": lambda path: truncate(log_of(path), 0),
    "the file": lambda path: log_of(path).unlink(),
}
ENDS = {
    "a bit of the last page",
    "a bit of the last frame's head",
    "the last frame",
    "half of the last frame",
}
NO_TRACE = ENDS | {"the end of the header", "all", "the file"}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_after_a_commit_is_noticed(index, tmp_path, what):
    index.commit(4)
    path = index.copy(tmp_path / "copy")
    assert not has_lost_commits(path)

    DAMAGE[what](path)

    assert has_lost_commits(path)


@pytest.mark.parametrize("what", DAMAGE)
def test_without_the_shared_memory_what_comes_later_tells_of_damage(index, tmp_path, what):
    index.commit(4)
    path = index.copy(tmp_path / "copy")
    shared_of(path).unlink()

    DAMAGE[what](path)

    assert has_lost_commits(path) is (what not in NO_TRACE)


@pytest.mark.parametrize(
    "written", [0, 10, FRAME, FRAME + 300, SIZE, SIZE + 10, 2 * SIZE, 3 * SIZE]
)
@pytest.mark.parametrize("is_longer", [False, True])
def test_a_commit_that_a_kill_has_cut_short_is_no_damage(index, tmp_path, written, is_longer):
    """Be it at the end of the file, or over frames of an earlier generation."""
    if is_longer:
        index.commit(20)
        index.checkpoint()
    index.commit()
    before = index.copy(tmp_path / "before")
    start = HEADER + SIZE * committed(before)
    index.commit()
    after = log_of(index.path).read_bytes()
    old = log_of(before).read_bytes()
    assert committed(index.path) >= committed(before) + 3

    log_of(before).write_bytes(after[: start + written] + old[start + written :])

    assert not has_lost_commits(before)


def test_a_log_that_was_moved_into_the_index_may_be_gone_but_not_be_damaged(index, tmp_path):
    index.commit(4)
    index.checkpoint()
    copies = [index.copy(tmp_path / name) for name in ("gone", "header", "frame")]

    log_of(copies[0]).unlink()
    flip(log_of(copies[1]), 2)
    flip(log_of(copies[2]), HEADER + 5 * SIZE)  # of the four before some are older than the index

    assert [False, False, True] == [has_lost_commits(path) for path in copies]


@pytest.mark.parametrize("how", ["torn", "short", "blank", "of another generation", "unused"])
def test_a_shared_memory_that_says_nothing_is_not_believed(index, tmp_path, how):
    index.commit(4)
    path = index.copy(tmp_path / "copy")
    truncate(log_of(path), last_frame(path))
    shared = bytearray(shared_of(path).read_bytes())
    if how == "torn":
        shared[16] ^= 1
    elif how == "short":
        del shared[90:]
    elif how == "blank":
        shared = bytearray(len(shared))
    else:
        if how == "unused":
            shared[12] = 0
        else:
            shared[32] ^= 1
        sums = struct.pack("=II", *log_check._checksum(bytes(shared[:40]), "="))
        shared[40:48] = sums
        shared[48:96] = shared[:48]
    shared_of(path).write_bytes(shared)

    assert not has_lost_commits(path)


def test_an_index_without_log_or_content_has_lost_nothing(tmp_path):
    path = tmp_path / "spool.db"
    path.write_bytes(b"")
    assert not has_lost_commits(path)

    path.write_bytes(b"something")
    assert not has_lost_commits(path)


def test_files_that_this_process_has_in_use_are_not_touched(index):
    """Closing one gives back every lock on it, and another process would take us for gone."""
    index.commit(4)
    log_of(index.path).write_bytes(b"")

    assert not has_lost_commits(index.path)


@pytest.mark.parametrize("page_size", [512, 4096, 65536])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_what_counts_as_committed_is_what_sqlite_finds(tmp_path, page_size, is_restarted):
    rng = random.Random(f"{page_size}{is_restarted}")
    index = Index(tmp_path / "index", page_size)
    index.commit(20, 3 * page_size)
    if is_restarted:
        index.checkpoint()
        index.commit(9, 3 * page_size)
    found = []
    for number in range(25):
        path = index.copy(tmp_path / str(number))
        size = log_of(path).stat().st_size
        if number % 3 == 0:
            flip(log_of(path), rng.randrange(size))
        elif number % 3 == 1:
            truncate(log_of(path), rng.randrange(size))
        count = committed(path)
        found.append((count, found_by_sqlite(path)))
    index.close()

    assert [(ours, ours) for ours, _ in found] == found
    assert len(set(found)) > 3


def test_a_log_of_a_machine_of_the_other_byte_order_is_read(index, tmp_path):
    index.commit(6)
    path = index.copy(tmp_path / "copy")
    data = bytearray(log_of(path).read_bytes())
    magic, *_ = struct.unpack(">I", data[:4])
    order = "<" if magic & 1 else ">"
    data[:4] = struct.pack(">I", magic ^ 1)
    carried = log_check._checksum(bytes(data[:24]), order)
    data[24:32] = struct.pack(">II", *carried)
    for start in range(HEADER, len(data), SIZE):
        covered = bytes(data[start : start + 8] + data[start + FRAME : start + SIZE])
        first, second = carried
        for x, y in struct.iter_unpack(f"{order}II", covered):
            first = (first + x + second) & 0xFFFFFFFF
            second = (second + y + first) & 0xFFFFFFFF
        carried = (first, second)
        data[start + 16 : start + FRAME] = struct.pack(">II", *carried)
    expected = committed(path)
    log_of(path).write_bytes(data)

    assert (expected, expected) == (committed(path), found_by_sqlite(path))
